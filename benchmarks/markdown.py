"""Rows of tables as they stand in the documentation."""

from collections.abc import Iterable


def head(*cells: object) -> str:
    """The first row and the line below it."""
    return f"{row(*cells)}\n{'|---' * len(cells)}|"


def row(*cells: object) -> str:
    """One row."""
    return f"| {' | '.join(map(str, cells))} |"


def give_or_take(values: Iterable[float], halves: Iterable[float], digits: int) -> list[str]:
    """A cell for each value and half the width of its interval."""
    pairs = zip(values, halves, strict=True)
    return [f"{value:.{digits}f} +-{half:.{digits}f}" for value, half in pairs]
