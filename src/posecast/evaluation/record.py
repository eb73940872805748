"""What is evaluated, and OUT/evaluation.json, which says so and which code wrote to the table.

format_version, methods (with their runs and seeds), config, store, poses_checksum, metric_networks,
trained_on, without_record, command; versions: one entry for each change of code among the starts;
finished, and at the end left_out and test_uses.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from posecast.errors import PosecastError
from posecast.forecasting.jobs import POSES_SEEN
from posecast.forecasting.protocols import MOST_FUTURES, MOST_STEPS
from posecast.records import configs
from posecast.records.files import FileError, read_json, write_json
from posecast.records.locks import held_for
from posecast.records.versions import check_format_version, with_current
from posecast.store.reading import ClipSelection, SeenPoses
from posecast.store.seen_windows import Start

FORMAT_VERSION = 2
"""1 (56aa31b) had no number, one entry of versions, and no without_record."""
_NOT_COMPARED = ("format_version", "versions", "finished", "left_out", "test_uses", "command")


@dataclass(frozen=True)
class EvaluationConfig:
    """What is evaluated, and how."""

    clips: ClipSelection = ClipSelection(split="validation")
    """Clips to forecast."""
    num_past: int = 10
    """Frames seen."""
    steps: int = 64
    """Future frames; those that a clip does not have are not counted."""
    start: Literal["first", "middle"] = "first"
    """Where the seen frames begin: the clip's first frame (paper, Penn Action) or its middle
    (paper, Human3.6M)."""
    stride: int = 1
    """See and forecast every n-th frame."""
    futures: int = 1
    """Futures of each method that knows several; with more than one, the best and the mean of them
    and their spread stand in the table too."""
    drawn: int = 1
    """Of so many of them frames are drawn, the likeliest first."""
    seen_poses: SeenPoses = "labels"
    """Poses of the seen frames: the data set's labels, or those that 'posecast estimate' added.
    Forecasts are always compared with the labels."""
    thresholds: tuple[float, ...] = (0.05, 0.1)
    """Of PCK, as shares of the longer side of the clip's annotated box."""
    examples: int = 1
    """Clips that are kept with all forecasts to look at: so many of the best, of the middle and of
    the worst."""
    random_examples: int = 0
    """So many more, drawn by lot, to be judged by people ('posecast study make')."""
    final: bool = False
    """Allow test clips: nothing will be chosen by these numbers any more."""
    allow_trained: bool = False
    """Allow clips that a run was trained on; the result says so."""

    def __post_init__(self) -> None:
        configs.check_at_least(1, self, "num_past", "stride")
        configs.check_at_least(1, self, "steps", most=MOST_STEPS)
        configs.check_at_least(1, self, "futures", "drawn", most=MOST_FUTURES)
        if not all(threshold > 0 for threshold in self.thresholds):
            raise PosecastError(f"thresholds must be positive, got {self.thresholds}")

    @property
    def window(self) -> tuple[int, int, Start, int]:
        return self.num_past, self.steps, self.start, self.stride


@contextlib.contextmanager
def open_record(out_path: Path, facts: dict[str, Any], command: str) -> Iterator[None]:
    """Begin an evaluation of these facts, or go on with it, and hold its folder alone.

    FileError where the folder holds another one, or something else, or another process holds it.
    """
    path = out_path / "evaluation.json"
    with held_for(path, "evaluation", "evaluating into", FileError):
        if path.is_file():
            stored = read_record(out_path)
            if read_json(path).get("format_version", 1) != FORMAT_VERSION:
                raise FileError(
                    f"{out_path} is an evaluation of an older posecast, which only reports can "
                    "read: evaluate into another folder"
                )
            ignored = (*_NOT_COMPARED, "store.path" if POSES_SEEN in stored else POSES_SEEN)
            configs.refuse_differences(out_path, stored, facts, "an evaluation", ignored)
        else:
            stored = {**facts, "command": command, "finished": False, "versions": []}
        versions = with_current(stored["versions"])
        write_json(path, {"format_version": FORMAT_VERSION, **stored, "versions": versions})
        yield


def close_record(out_path: Path, left_out: dict[str, str], test_uses: dict[str, int]) -> None:
    """Note that the table is whole."""
    finished = {"finished": True, "left_out": left_out, "test_uses": test_uses}
    write_json(out_path / "evaluation.json", read_record(out_path) | finished)


def read_record(out_path: Path) -> dict[str, Any]:
    """An evaluation's facts, in today's form whichever posecast wrote them; FileError: damaged."""
    path = out_path / "evaluation.json"
    if not path.is_file():
        raise FileError(f"{out_path} is no evaluation: make one with 'posecast evaluate'")
    stored = read_json(path)
    if not isinstance(stored, dict) or not {"methods", "config", "versions"} <= stored.keys():
        raise FileError(f"{path} is not the record of an evaluation")
    version = stored.pop("format_version", 1)
    check_format_version(version, FORMAT_VERSION, f"evaluation {out_path}")
    if version == 1:
        stored |= {"versions": [stored["versions"]], "without_record": []}
    if "samples" in stored["config"]:  # as `futures` was called at first
        stored["config"]["futures"] = stored["config"].pop("samples")
    config = configs.config_from_dict(EvaluationConfig, stored["config"], "config")
    return {"format_version": FORMAT_VERSION, **stored, "config": configs.config_to_dict(config)}
