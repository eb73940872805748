"""Poses by an estimator for the clips of a store, beside their labels, and what they are worth.

STORE/estimates.npz    the poses, see `store.reading`
STORE/estimates.json   which run and settings made them
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from posecast.computing.stages import tracked
from posecast.errors import PosecastError
from posecast.estimation.estimator import EstimatorOptions, JointFinder, PoseEstimator
from posecast.estimation.model_files import load_pose_estimator
from posecast.estimation.onnx_files import doubt_of_pixels
from posecast.estimation.scores import ClipGroup, score_groups
from posecast.geometry import Crop, crop_to_px, cut_crop
from posecast.networks.kinds import facts_of, place_of
from posecast.records.configs import config_to_dict
from posecast.records.files import check_place, read_json, write_json
from posecast.records.final_looks import looks_text, record_test_use
from posecast.records.training_data import read_training_data
from posecast.records.versions import code_versions
from posecast.skeletons import Skeleton
from posecast.store.files import Poses, StoreError
from posecast.store.identity import learned_from
from posecast.store.reading import ClipSelection, Store, StoredClip

_FACTS = "estimates.json"


@dataclass(frozen=True)
class EstimationConfig:
    """Which clips get estimated poses, and how."""

    clips: ClipSelection = ClipSelection(split="all", with_frames=True)
    """Clips to estimate; those without frames are passed over."""
    estimator: EstimatorOptions = EstimatorOptions()
    final: bool = False
    """Score test clips too: nothing will be chosen by these numbers any more. The run's folder
    remembers it."""


@dataclass(frozen=True, eq=False)
class EstimationReport:
    """How an estimation ended."""

    num_estimated: int
    """Clips estimated now."""
    num_kept: int
    """Clips that the same run had estimated before."""
    num_unscored: int
    """Test clips that were not scored."""
    groups: tuple[ClipGroup, ...]
    skeleton: Skeleton
    nobody: str = ""
    """What is to be said where not one joint was seen in any frame."""
    test_uses: dict[str, int] = field(default_factory=dict)
    """For the run, how many times test clips have been scored with it, this time included; empty
    without test clips, and for a model file, which has no folder to remember it."""

    def group(self, title: str) -> ClipGroup:
        """The group of this title; KeyError where it has no clip."""
        return {each.title: each for each in self.groups}[title]

    def summary(self) -> str:
        kept = f", {self.num_kept} were there already" if self.num_kept else ""
        lines = [f"poses of {self.num_estimated} clips estimated{kept}"]
        lines += [self.nobody] if self.nobody else []
        lines += ["\n" + each.summary(self.skeleton) for each in self.groups]
        if self.num_unscored:
            lines.append(
                f"{self.num_unscored} test clips were estimated but not scored: once nothing is "
                "left to choose, --final does"
            )
        for run, count in self.test_uses.items():
            lines.append(looks_text(run, count))
        return "\n".join(lines)


def estimate_store(
    store_path: str | Path, run_path: str | Path, config: EstimationConfig | None = None
) -> EstimationReport:
    """Add estimated poses to a store, beside its labels, and compare the two.

    `run_path` is an estimator run or a model file. Estimates of the same run and settings that are
    there for other clips are kept, any others go. PosecastError: store and run do not fit, or no
    clip has frames.
    """
    config = config or EstimationConfig()
    store = Store.open(Path(store_path))
    estimator = load_pose_estimator(run_path, store.skeleton, config.estimator)
    if estimator.skeleton != store.skeleton:
        raise PosecastError(
            f"store {store.path} has poses of skeleton {store.skeleton.name}, the estimator finds "
            f"{estimator.skeleton.name}: use one trained on the same data set"
        )
    clips = [clip for clip in store.select(config.clips) if clip.has_frames]
    if not clips:
        raise PosecastError(
            f"no clip asked for has frames in store {store.path}: poses need frames"
        )
    facts = _facts(run_path, estimator, config)
    kept = _kept(store, facts)
    check_place(store.path / _FACTS)  # before hours of work are lost to it
    shown = tracked(clips, "estimating")
    sure = {clip.clip_id: _estimate(store, clip, estimator) for clip in shown}
    least = estimator.min_confidence
    estimates = {name: (joints, c >= least) for name, (joints, c) in sure.items()}
    others = {name: poses for name, poses in kept.items() if name not in estimates}
    store.write_estimates(others | estimates)
    write_json(store.path / _FACTS, facts | {"versions": code_versions()})
    uses = _remember(run_path, clips, store, facts) if config.final else {}
    scored = [clip for clip in clips if clip.split != "test" or config.final]
    posecasts_own = Path(run_path).is_dir() or Path(run_path).suffix == ".safetensors"
    data = read_training_data(run_path) if posecasts_own else None
    trained, _ = learned_from(data, store)
    groups = score_groups(scored, estimates, store, trained)
    nobody = _if_nobody(estimates, estimator)
    return EstimationReport(
        len(estimates), len(others), len(clips) - len(scored), groups, store.skeleton, nobody, uses
    )


def _if_nobody(estimates: dict[str, Poses], estimator: JointFinder) -> str:
    """What to say where not one joint was seen in any frame."""
    if any(seen.any() for _, seen in estimates.values()):
        return ""
    doubt = doubt_of_pixels(estimator).replace("--", "--estimator.")
    least = f"--estimator.min-confidence {estimator.min_confidence:g}"
    return f"NOBODY was found: not one joint is as sure as {least}{doubt}"


def _remember(
    run_path: str | Path, clips: Sequence[StoredClip], store: Store, facts: dict[str, Any]
) -> dict[str, int]:
    """Note in the run's folder that test clips are scored, before anybody sees the scores."""
    num_tested = sum(clip.split == "test" for clip in clips)
    run = Path(run_path).resolve()
    if not num_tested or not run.is_dir():
        return {}
    look = {"out": str(store.path.resolve() / "estimates.npz"), "study": "estimate"}
    same = {name: facts[name] for name in ("weights_step", "options") if name in facts}
    return record_test_use([run], {**look, **same, "num_clips": num_tested})


_Sure = tuple[Float[np.ndarray, "t j 2"], Float[np.ndarray, "t j"]]
"""Joints in source pixels, and confidences."""


def _estimate(store: Store, clip: StoredClip, estimator: JointFinder) -> _Sure:
    """Each frame of a clip by itself, some at a time."""
    joints, confidence = [], []
    for first in range(0, clip.num_frames, 32):
        frames = store.read_frames(clip, slice(first, first + 32))
        whole = Crop(0, 0, store.size, store.size)
        pictures = [cut_crop(each, whole, estimator.size, "area") for each in frames]
        results = estimator.estimate(np.stack(pictures))
        for found, each in zip((joints, confidence), results, strict=True):
            found.append(each)
    pixels = crop_to_px(np.concatenate(joints).astype(float), clip.crop)
    return pixels, np.concatenate(confidence).astype(float)


def _facts(
    run_path: str | Path, estimator: JointFinder, config: EstimationConfig
) -> dict[str, Any]:
    """What makes estimates comparable: the same weights, the same settings."""
    options = config_to_dict(config.estimator)
    for name in ("device", "frames_per_batch"):
        del options[name]
    facts = {"run": str(place_of(run_path)), "options": options}
    if isinstance(estimator, PoseEstimator):
        facts["weights_step"] = facts_of(run_path).step
    return facts


def _kept(store: Store, facts: dict[str, Any]) -> dict[str, Poses]:
    """Estimates in the store that the same run made."""
    path = store.path / _FACTS
    if not path.is_file():
        return {}
    stored = read_json(path)
    if {name: stored.get(name) for name in facts} != facts:
        return {}
    try:
        estimated = store.with_poses("estimated").clips
    except StoreError:
        return {}
    return {clip.clip_id: (clip.joints_px, clip.visible) for clip in estimated}
