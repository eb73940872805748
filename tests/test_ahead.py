"""Workers beside each other."""

from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import torch

from posecast.computing.ahead import workers


def threads_of_a_new_one() -> int:
    found = []
    new = Thread(target=lambda: found.append(torch.get_num_threads()))
    new.start()
    new.join()
    return found[0]


def test_each_worker_has_one_thread_and_others_have_what_they_had():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        with workers() as pool:
            inside = list(pool.map(lambda _: torch.get_num_threads(), range(6)))
            assert threads_of_a_new_one() == 3
        assert inside == [1] * 6
        assert [threads_of_a_new_one(), torch.get_num_threads()] == [3, 3]
    finally:
        torch.set_num_threads(before)


def test_pools_that_overlap_leave_the_number_of_threads_as_it_was():
    def work(_: int) -> int:
        with workers() as pool:
            return sum(pool.map(lambda _: torch.get_num_threads(), range(8)))

    before = torch.get_num_threads()
    with ThreadPoolExecutor(4) as callers:
        assert list(callers.map(work, range(8))) == [8] * 8
    assert [threads_of_a_new_one(), torch.get_num_threads()] == [before] * 2
