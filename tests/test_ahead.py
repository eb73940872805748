"""Workers beside each other."""

from threading import Thread

import torch

from posecast.computing.ahead import workers


def test_each_worker_has_one_thread_and_others_have_what_they_had():
    before = torch.get_num_threads()
    with workers() as pool:
        inside = list(pool.map(lambda _: torch.get_num_threads(), range(4)))
    assert inside == [1] * 4
    after = []
    later = Thread(target=lambda: after.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert [*after, torch.get_num_threads()] == [before] * 2
