"""Results of a benchmark: rows, as JSON, as text, and one beside the other."""

from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.speed.ceilings import Ceilings
from benchmarks.speed.measuring import Timing
from posecast.records.configs import config_from_dict, config_to_dict
from posecast.records.files import read_json, write_json


@dataclass(frozen=True)
class Row:
    """One work: how long it takes, and how long it would take at the machine's ceiling."""

    name: str
    precision: str
    timing: Timing
    per: str
    """What the seconds are of: a step, a sample, a clip."""
    flop: int = 0
    """Floating-point operations in products; 0 where the work is moving memory."""
    moved: int = 0
    """Bytes that have to be read and written."""
    floor_s: float = 0.0
    """Seconds at the ceiling: of the products, or of moving the bytes."""
    goal_s: float | None = None
    """What the project wants to reach on two cores."""
    code_2017_s: float | None = None
    """The 2017 code on two cores."""

    @property
    def share(self) -> float:
        """Share of the ceiling that is reached, from 0 to 1."""
        return self.floor_s / self.timing.seconds

    @property
    def key(self) -> str:
        """Name and precision, which make the row comparable with another run's."""
        return f"{self.name}, {self.precision}"


@dataclass(frozen=True)
class Results:
    """All that a run of the benchmark measured."""

    device: str
    """What computed: the processor's or the card's name."""
    num_threads: int
    ceilings: Ceilings
    rows: tuple[Row, ...]
    peak_memory: dict[str, int]
    """Precision -> bytes that image training takes at most."""
    load: tuple[float, float]
    """Programs that wanted the processor before and after, on average: more than 0 means that the
    machine was shared."""
    versions: dict[str, str] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """As JSON."""
        write_json(path, config_to_dict(self))

    @classmethod
    def read(cls, path: Path) -> "Results":
        """Inverse of `write`; PosecastError where the file is something else."""
        return config_from_dict(cls, read_json(path), str(path))


def describe(results: Results) -> str:
    """The table for people."""
    rates = results.ceilings
    lines = [
        f"{results.device}, {results.num_threads} threads, load {results.load[0]:.1f} before and "
        f"{results.load[1]:.1f} after; commit {results.versions.get('git_commit', '?')}",
        "",
        "ceilings of this machine, in this run",
        *(
            f"  {name:<5} matrix product {_tera(rates.matrix_product[name])}, "
            f"convolution {_tera(rates.convolution[name])} TFLOP/s"
            for name in rates.matrix_product
        ),
        f"  copying memory {rates.copy / 1e9:.1f} GB/s (read and written)",
        "",
        _columns("work", "median", "fastest", "floor", "of ceiling", "goal", "2017 code"),
        *(_row_line(row) for row in results.rows),
        "",
        *(
            f"peak memory of image training, {name}: {bytes_ / 2**30:.2f} GiB (goal 3, 2017 4.7)"
            for name, bytes_ in results.peak_memory.items()
        ),
    ]
    return "\n".join(lines)


def compare(before: Results, after: Results) -> str:
    """The rows that both have, side by side; below 1 the second is faster."""
    earlier = {row.key: row for row in before.rows}
    lines = [_columns("work", "first", "second", "second/first", "of ceiling, both", "", "")]
    for row in after.rows:
        if row.key in earlier:
            old = earlier[row.key]
            shares = f"{old.share:.0%} {row.share:.0%}"
            ratio = f"{row.timing.seconds / old.timing.seconds:.2f}"
            seconds = (_time(old.timing.seconds), _time(row.timing.seconds))
            lines.append(_columns(row.key, *seconds, ratio, shares, "", ""))
    for name in before.peak_memory.keys() & after.peak_memory.keys():
        pair = [results.peak_memory[name] / 2**30 for results in (before, after)]
        lines.append(f"peak memory, {name}: {pair[0]:.2f} GiB, {pair[1]:.2f} GiB")
    if before.device != after.device or before.num_threads != after.num_threads:
        lines.append(
            f"Not the same machine: {before.device} with {before.num_threads} threads, "
            f"{after.device} with {after.num_threads}."
        )
    return "\n".join(lines)


def _row_line(row: Row) -> str:
    timing = row.timing
    limits = [None if s is None else _time(s) for s in (row.goal_s, row.code_2017_s)]
    return _columns(
        f"{row.key}, a {row.per}",
        _time(timing.seconds),
        _time(timing.fastest),
        _time(row.floor_s),
        f"{row.share:.0%}",
        *(limit or "-" for limit in limits),
    )


def _columns(first: str, *rest: str) -> str:
    return (f"{first:<52}" + "".join(f"{each:>14}" for each in rest)).rstrip()


def _tera(rate: float) -> str:
    return f"{rate / 1e12:.2f}"


def _time(seconds: float) -> str:
    for limit, scale, unit in ((1e-3, 1e6, "us"), (1.0, 1e3, "ms")):
        if seconds < limit:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds:.2f} s"
