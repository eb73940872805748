"""The present stage of a piece of work, in a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from posecast.computing.stages import Show


@contextmanager
def shown(label: str) -> Iterator[Show]:
    """What `Stages` tells is shown on one line while the block runs, `label` before it; nothing
    where the output goes to a file."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        row = bar.add_task(label, total=None)

        def show(name: str, done: int, total: int) -> None:
            count = f"{done}/{total}" if total else str(done or "")
            bar.update(row, description=" ".join(part for part in (label, name, count) if part))

        yield show
