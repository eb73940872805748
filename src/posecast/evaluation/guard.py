"""What keeps an evaluation honest: test clips are looked at last, and never were trained on.

Numbers on test clips must not choose anything: not a setting, not a checkpoint, not a method. So
an evaluation of test clips has to be called final, and each such look is written into the folders
of the runs that were looked at, where it stays (`final_looks`).
"""

from collections.abc import Sequence
from pathlib import Path

from posecast.errors import PosecastError
from posecast.networks.kinds import is_name
from posecast.pretrained import is_shipped
from posecast.pretrained.pulled import is_hub_name, pulled_file
from posecast.records.training_data import TrainingData, read_training_data
from posecast.store.identity import learned_from
from posecast.store.reading import Store, StoredClip


def check_test_clips(clips: Sequence[StoredClip], final: bool) -> None:
    """PosecastError for test clips in an evaluation that is not called final."""
    tested = [clip.clip_id for clip in clips if clip.split == "test"]
    if tested and not final:
        raise PosecastError(
            f"{len(tested)} of the {len(clips)} clips are test clips ({', '.join(tested[:5])}): "
            "choose settings and weights on the validation split. Once nothing is left to choose, "
            "evaluate with --final; the run folders will remember it"
        )


def check_not_trained(
    clips: Sequence[StoredClip], runs: Sequence[Path], store: Store, allow: bool
) -> list[str]:
    """Evaluated clips that a run was trained or chosen on; PosecastError unless that is allowed.

    Clips of the validation split may have chosen weights: that is what they are for. What a run
    learned from is what it recorded, see `runs_without_record`.
    """
    ids = {clip.clip_id for clip in clips}
    tested = {clip.clip_id for clip in clips if clip.split != "validation"}
    found: set[str] = set()
    for run in runs:
        trained, chosen = learned_from(_record(run), store)
        found |= (ids & trained) | (tested & chosen)
    known = sorted(found)
    if known and not allow:
        raise PosecastError(
            f"{len(known)} of the {len(clips)} clips were trained on ({', '.join(known[:5])}): "
            "their numbers say nothing about new clips. Evaluate others, or ask for it with "
            "--allow-trained; the result will say so"
        )
    return known


def runs_without_record(runs: Sequence[Path]) -> list[str]:
    """Runs of which nobody can say whether they were trained on the clips that are evaluated."""
    records = {run: _record(run) for run in runs}
    return [str(run) for run, data in records.items() if data is None or not data.is_known]


def _record(run: Path) -> TrainingData | None:
    """What a run learned from; of shipped weights their cards say it, for people."""
    if is_shipped(run):
        return None
    return read_training_data(pulled_file(run) if is_hub_name(run) else run)


def own_runs(runs: Sequence[Path]) -> list[Path]:
    """Runs that can remember looks at test clips: nothing is chosen of shipped and pulled ones."""
    return [run for run in runs if not is_name(run)]


def without_record_text(run: str) -> str:
    """A line for people."""
    if is_shipped(run):
        return f"{run} ships with posecast: 'posecast models {run}' says what it was trained on."
    return f"{run} does not say what it was trained on: these clips may have been among it."
