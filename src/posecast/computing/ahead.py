"""Work beside other work: items made ready before they are asked for, workers with a core each."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

T = TypeVar("T")


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


@contextmanager
def workers() -> Iterator[ThreadPoolExecutor]:
    """As many threads as torch has, in each of which torch has one.

    Sooner than one thread after the other with all cores where the work is many small operations.
    """
    number = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(number, "worker", torch.set_num_threads, (1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(number)  # threads to come would begin with one, too
