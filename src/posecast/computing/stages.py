"""How long each stage of a piece of work takes, and how far the present one is."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")

Show = Callable[[str, int, int], None]
"""Told of the present stage: its name, steps done, and steps in all (0: not known)."""


def tracked(items: Iterable[T], text: str, total: int | None = None) -> Iterable[T]:
    """The items, with a progress bar in a terminal."""
    console = Console(stderr=True)
    return track(items, text, total, console=console, disable=not console.is_terminal)


class Stages:
    """A clock that runs for one stage at a time: a stage inside of another one stops that."""

    def __init__(
        self, show: Show = lambda name, done, total: None, before: Mapping[str, float] | None = None
    ) -> None:
        """`before` are seconds of what is over already."""
        self.seconds = dict(before or {})
        """Seconds by stage, in the order in which they began; their sum is the whole."""
        self._show, self._name, self._since = show, "", 0.0
        self._done, self._total = 0, 0

    @contextmanager
    def stage(self, name: str, total: int = 0) -> Iterator[None]:
        """What happens in the block is this stage, of `total` steps."""
        outer = (self._name, self._done, self._total)
        self._switch(name)
        self._done, self._total = 0, total
        self._show(name, 0, total)
        try:
            yield
        finally:
            self._switch(outer[0])
            _, self._done, self._total = outer

    def each(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """The items; the time that it takes to get them is this stage's."""
        iterator = iter(items)
        while True:
            outer = self._name
            self._switch(name)
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self._switch(outer)
            yield item

    def steps(self, items: Iterable[T]) -> Iterator[T]:
        """The items, each a step of the present stage."""
        for item in items:
            yield item
            self.advance()

    def advance(self) -> None:
        """One step of the present stage is done."""
        self._done += 1
        self._show(self._name, self._done, self._total)

    def _switch(self, name: str) -> None:
        now = time.monotonic()
        if self._name:
            self.seconds[self._name] = self.seconds.get(self._name, 0.0) + now - self._since
        self._name, self._since = name, now
        if name:
            self.seconds.setdefault(name, 0.0)

    def summary(self) -> str:
        parts = [f"{name} {seconds:.1f}" for name, seconds in self.seconds.items()]
        return f"took {sum(self.seconds.values()):.1f} s: {', '.join(parts)}"
