"""What keeps an evaluation honest: test clips are looked at last, and never were trained on.

Numbers on test clips must not choose anything: not a setting, not a checkpoint, not a method. So
an evaluation of test clips has to be called final, and each such look is written into the folders
of the runs that were looked at, where it stays (`final_looks`).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from posecast.errors import PosecastError
from posecast.records.configs import config_from_dict
from posecast.records.files import read_json
from posecast.records.runs import Run
from posecast.store.reading import ClipSelection, Store, StoredClip


def check_test_clips(clips: Sequence[StoredClip], final: bool) -> None:
    """PosecastError for test clips in an evaluation that is not called final."""
    tested = [clip.clip_id for clip in clips if clip.split == "test"]
    if tested and not final:
        raise PosecastError(
            f"{len(tested)} of the {len(clips)} clips are test clips ({', '.join(tested[:5])}): "
            "choose settings and weights on the validation split. Once nothing is left to choose, "
            "evaluate with --final; the run folders will remember it"
        )


def trained_clips(run_path: Path, store: Store) -> tuple[set[str], set[str]]:
    """Clips of the store that a run's weights were trained on, and those they were chosen on.

    Read from the run's data.json, else worked out from its configuration for this store. Clips of
    another data set may have the same ids: they are other clips.
    """
    data = Path(run_path) / "data.json"
    if data.is_file():
        facts = read_json(data)
        if facts.get("store", {}).get("dataset", store.info.dataset) != store.info.dataset:
            return set(), set()
        return set(facts.get("train", ())), set(facts.get("validation", ()))
    config = Run.open(Path(run_path)).config_dict
    return _selected(config, "clips", store), _selected(config, "validation", store)


def _selected(config: dict[str, Any], name: str, store: Store) -> set[str]:
    if not isinstance(config.get(name), dict):
        return set()
    selection = config_from_dict(ClipSelection, config[name], name)
    return {clip.clip_id for clip in store.clips if selection.wants(clip)}


def check_not_trained(
    clips: Sequence[StoredClip], run_paths: Sequence[Path], store: Store, allow: bool
) -> list[str]:
    """Evaluated clips that a run was trained or chosen on; PosecastError unless that is allowed.

    Clips of the validation split may have chosen weights: that is what they are for.
    """
    ids = {clip.clip_id for clip in clips}
    tested = {clip.clip_id for clip in clips if clip.split != "validation"}
    found: set[str] = set()
    for path in run_paths:
        trained, chosen = trained_clips(path, store)
        found |= (ids & trained) | (tested & chosen)
    known = sorted(found)
    if known and not allow:
        raise PosecastError(
            f"{len(known)} of the {len(clips)} clips were trained on ({', '.join(known[:5])}): "
            "their numbers say nothing about new clips. Evaluate others, or ask for it with "
            "--allow-trained; the result will say so"
        )
    return known
