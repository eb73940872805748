"""Each look at test clips, remembered in the folders of the runs that were looked at.

Numbers on test clips must not choose anything. Whoever scores test clips with a run adds a line to
its `test_uses.jsonl`, where it stays.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

USES_FILE = "test_uses.jsonl"

_IDENTITY = ("out", "weights_step", "options")
"""Facts that tell one look from another; a look that is continued counts once."""


def record_test_use(run_paths: Sequence[Path], facts: dict[str, Any]) -> dict[str, int]:
    """Add a line to each run's record of looks at test clips; returns how many each has now.

    A look that is continued (same "out", and "weights_step" and "options" where `facts` have them)
    counts once.
    """
    facts = json.loads(json.dumps(facts))
    counts = {}
    for path in run_paths:
        uses = read_test_uses(path)
        if not any(_is_same(use, facts) for use in uses):
            entry = {"time": datetime.now(UTC).isoformat(timespec="seconds"), **facts}
            with (Path(path) / USES_FILE).open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
            uses.append(entry)
        counts[str(path)] = len(uses)
    return counts


def _is_same(use: dict[str, Any], facts: dict[str, Any]) -> bool:
    return all(use.get(name) == facts.get(name) for name in _IDENTITY)


def read_test_uses(run_path: Path) -> list[dict[str, Any]]:
    """All looks at test clips that a run's folder remembers, oldest first."""
    path = Path(run_path) / USES_FILE
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [json.loads(line) for line in lines]
