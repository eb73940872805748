"""Workers beside each other."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import pytest
import torch

from posecast.computing.ahead import workers


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


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
def test_a_process_that_forked_has_workers_of_its_own():
    workers()
    forked = multiprocessing.get_context("fork").Process(target=threads_of_workers, args=(2,))
    forked.start()
    forked.join(60)
    assert forked.exitcode == 0
