"""Items made ready by a thread before they are asked for."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

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
