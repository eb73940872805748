"""Work beside other work: items made ready before they are asked for, workers with a core each."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier, Lock
from typing import TypeVar

import torch

T = TypeVar("T")
_ONE_POOL = Lock()
_LONGEST_START_S = 60.0


def ahead(items: Iterable[T]) -> Iterator[T]:
    """The items in order, each made while the one before is worked with.

    What goes wrong with one is raised when it is asked for. Worth it where both sides spend their
    time in libraries that let Python go on: decoding, encoding, OpenCV, torch.
    """
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, iterator, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, iterator, end)
            yield item  # pyright: ignore[reportReturnType]
            del item


def workers() -> ThreadPoolExecutor:
    """This process's own threads, as many as torch has, in each of which torch has one.

    Sooner than one thing after the other with all cores where the work is many small operations,
    or where other programs want the cores: threads of torch wait for each other after each. Work
    given to them must not ask for workers in turn.
    """
    with _ONE_POOL:
        return _pool(os.getpid(), torch.get_num_threads())  # a process that forked has no threads


@cache
def _pool(_: int, number: int) -> ThreadPoolExecutor:
    started = Barrier(number)

    def begin() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()  # a thread takes over what is set when it first asks
        started.wait(_LONGEST_START_S)

    pool = ThreadPoolExecutor(number, "worker", begin)
    try:
        for each in [pool.submit(torch.get_num_threads) for _ in range(number)]:
            each.result()
    except BaseException:
        started.abort()
        pool.shutdown()
        raise
    finally:
        torch.set_num_threads(number)  # what was set holds for all threads to come as well
    return pool
