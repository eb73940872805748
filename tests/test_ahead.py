"""Workers beside each other."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.thread import BrokenThreadPool
from threading import Thread

import pytest
import torch

from posecast.computing import ahead
from posecast.computing.ahead import workers

FORKED = """
import os, signal, torch
from posecast.computing.ahead import workers
torch.set_num_threads(1)
workers()
child = os.fork()
if not child:
    signal.alarm(20)
    list(workers().map(abs, range(2)))
    os._exit(0)
os._exit(os.waitpid(child, 0)[1] != 0)
"""


def threads_of_a_new_one() -> int:
    found = []
    new = Thread(target=lambda: found.append(torch.get_num_threads()))
    new.start()
    new.join()
    return found[0]


def threads_of_workers(number: int) -> list[int]:
    return list(workers().map(lambda _: torch.get_num_threads(), range(number)))


def test_each_worker_has_one_thread_and_others_have_what_they_had():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert threads_of_workers(6) == [1] * 6
        assert workers() is workers()
        assert [threads_of_a_new_one(), torch.get_num_threads()] == [3, 3]
    finally:
        torch.set_num_threads(before)


def test_callers_beside_each_other_leave_the_number_of_threads_as_it_was():
    before = torch.get_num_threads()
    with ThreadPoolExecutor(4) as callers:
        assert list(callers.map(threads_of_workers, [8] * 8)) == [[1] * 8] * 8
    assert [threads_of_a_new_one(), torch.get_num_threads()] == [before] * 2


def test_workers_that_do_not_start_change_nothing_and_are_tried_again(monkeypatch):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(5)
        monkeypatch.setattr(ahead, "_LONGEST_START_S", 1e-9)
        with pytest.raises(BrokenThreadPool):
            workers()
        assert threads_of_a_new_one() == 5
        monkeypatch.undo()
        assert threads_of_workers(5) == [1] * 5
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_process_that_forked_has_workers_of_its_own():
    subprocess.run([sys.executable, "-c", FORKED], check=True, timeout=120)
