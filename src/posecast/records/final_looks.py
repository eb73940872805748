"""Each look at test clips, remembered in the folders of the runs that were looked at.

Numbers on test clips must not choose anything. Whoever scores test clips with a run adds a line to
its `test_uses.jsonl`, where it stays.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from posecast.records.files import append_line, read_text

USES_FILE = "test_uses.jsonl"

_IDENTITY = ("out", "weights_step", "options")
"""Facts that tell one look from another; a look that is continued counts once."""


def record_test_use(runs: Sequence[Path], facts: dict[str, Any]) -> dict[str, int]:
    """Add a line to each run's record of looks at test clips; returns how many each has now.

    A look that is continued (same "out", and "weights_step" and "options" where `facts` have them)
    counts once.
    """
    facts = json.loads(json.dumps(facts))
    counts = {}
    for path in runs:
        uses = read_test_uses(path)
        if not any(all(use.get(n) == facts.get(n) for n in _IDENTITY) for use in uses):
            entry = {"time": datetime.now(UTC).isoformat(timespec="seconds"), **facts}
            append_line(_uses_path(path), json.dumps(entry))
            uses.append(entry)
        counts[str(path)] = len(uses)
    return counts


def read_test_uses(run: str | Path) -> list[dict[str, Any]]:
    """All looks at test clips that a run folder or weight file remembers, oldest first."""
    path = _uses_path(run)
    return [json.loads(line) for line in read_text(path).splitlines()] if path.is_file() else []


def _uses_path(run: str | Path) -> Path:
    """In the run's folder; of weights that lie alone, beside them."""
    path = Path(run)
    if not path.is_file():
        return path / USES_FILE
    alone = not (path.parent / "config.json").is_file()
    return path.with_name(f"{path.name}.{USES_FILE}" if alone else USES_FILE)


def looks_text(run: str, count: int) -> str:
    """A line for people."""
    times = "once" if count == 1 else f"{count} times"
    return f"Test clips have been looked at {times} with {run}."
