"""The table of an evaluation: one row per clip, method, metric and frame, as CSV.

    clip         id of the clip; "*" for a number of all clips together
    action       what the person does
    method       who made the forecast; "truth" for rows that describe the clip itself
    metric       name of the metric, such as pck@0.05
    sample       which of several futures: 1 the likeliest; 0 for a number of all of them together
    frame        horizon: 1 is the first frame after the seen ones; 0 for a number of the whole clip
    value        the number
    weight       how many joints it is a mean of (1 for pictures): pool with it
    clip_frame   number of that frame in the stored clip, from 0; empty where frame is 0
    coordinates  what the number was measured in: joints_px/box (source pixels as a share of the
                 longer side of the clip's annotated box), crop WIDTHxHEIGHT (frames), or poses

All rows of a clip stand together. A table that was broken off is continued by dropping its last
clip, which may be half there, so rows need no memory and a kill costs one clip.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from posecast.records.files import FileError, csv_text, reading, write_text, writing

TRUTH = "truth"
ALL_CLIPS = "*"


@dataclass(frozen=True, eq=False)
class Curve:
    """One metric of one method on one clip."""

    method: str
    metric: str
    frames: Int[np.ndarray, " n"]
    """Horizons, 1 the first future frame; a single 0 for a number of the whole clip."""
    values: Float[np.ndarray, " n"]
    weights: Float[np.ndarray, " n"]
    """Rows of weight 0 are not written: nothing was measured there."""
    coordinates: str
    sample: int = 1
    """Which future, from 1; 0 for a number of all futures together."""


class Row(NamedTuple):
    """One line of the table."""

    clip: str
    action: str
    method: str
    metric: str
    sample: int
    frame: int
    value: float
    weight: float
    clip_frame: int | None
    coordinates: str


COLUMNS = Row._fields


class TableWriter:
    """Appends clip by clip; opening an unfinished table drops its last clip."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.done = _keep_whole_clips(path)
        """Clips that are there already."""
        if not self.done:
            write_text(path, ",".join(COLUMNS) + "\n")

    def write(
        self,
        clip_id: str,
        action: str,
        curves: Iterable[Curve],
        clip_frames: Int[np.ndarray, " f"] | None = None,
    ) -> None:
        """Add all rows of a clip at once; `clip_frames` are the numbers of its future frames."""
        rows, numbers = [], [] if clip_frames is None else clip_frames.tolist()
        for curve in curves:
            for frame, value, weight in zip(
                curve.frames.tolist(), curve.values.tolist(), curve.weights.tolist(), strict=True
            ):
                if weight > 0:
                    number = numbers[frame - 1] if frame > 0 else ""
                    row = (clip_id, action, curve.method, curve.metric, curve.sample, frame)
                    rows.append((*row, f"{value:.7g}", f"{weight:g}", number, curve.coordinates))
        self._append(csv_text(rows))
        self.done.add(clip_id)

    def absorb(self, parts: Iterable[Path], broken: bool = False) -> None:
        """Move the clips of other tables here, and remove those; what is here is kept.

        Of tables that were `broken` off the last clip of each is left out. A kill in between loses
        and doubles nothing: a table is removed after it was copied.
        """
        for part in parts:
            if broken:
                _keep_whole_clips(part)
            with reading(part), part.open(encoding="utf-8", newline="") as file:
                next(file, None)
                lines = [(next(csv.reader([line]))[0], line) for line in file]
            new = [(clip, line) for clip, line in lines if clip not in self.done]
            self._append("".join(line for _, line in new))
            self.done |= {clip for clip, _ in new}
            part.unlink()

    def _append(self, text: str) -> None:
        path = self._path
        with writing(path), path.open("a", encoding="utf-8", newline="") as file:
            file.write(text)


def read_table(path: str | Path) -> Iterator[Row]:
    """All rows in order, streaming; those of a table without samples are of the one future.

    FileError: no such table, other columns, or a damaged line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileError(f"there is no table {path}: make it with 'posecast evaluate'")
    with path.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file)
        header = next(lines, [])
        before = [name for name in COLUMNS if name != "sample"]  # as 56aa31b wrote it
        if header not in (list(COLUMNS), before):
            raise FileError(f"{path} has the columns {header}, expected {list(COLUMNS)}")
        for number, cells in enumerate(lines, start=2):
            try:
                if header == before:
                    cells.insert(COLUMNS.index("sample"), "1")
                clip, action, method, metric, sample, frame, *rest = cells
                value, weight, clip_frame, coordinates = rest
                yield Row(
                    *(clip, action, method, metric),
                    *(int(sample), int(frame), float(value), float(weight)),
                    *(int(clip_frame) if clip_frame else None, coordinates),
                )
            except ValueError as error:
                raise FileError(f"{path}, line {number} is damaged ({error})") from error


def _keep_whole_clips(path: Path) -> set[str]:
    """Cut the last clip off the table and return the others; nothing to do without a table."""
    if not path.is_file():
        return set()
    clips: set[str] = set()
    last, last_start, place = None, 0, 0
    with reading(path), path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):  # "00", say, of 0012: no other clip
                break
            clip = next(csv.reader([line.decode("utf-8", errors="replace")]))[0]
            if place > 0 and clip != last:
                if last is not None:
                    clips.add(last)
                last, last_start = clip, place
            place += len(line)
    with writing(path), path.open("rb+") as file:
        file.truncate(last_start)
    return clips
