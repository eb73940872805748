"""Clips by groups of people and places, whole ones of which are held out; other stores beside."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from posecast.computing.recording import on_device
from posecast.errors import PosecastError
from posecast.records.configs import check_at_least, check_below_one
from posecast.records.training_data import TrainingData
from posecast.store.identity import training_data
from posecast.store.reading import ClipSelection, Store, StoredClip
from posecast.training import settings
from posecast.training.fitting import Validation

T = TypeVar("T")


@dataclass(frozen=True)
class GroupTrainingConfig(settings.TrainingConfig):
    """Of trainings that hold out groups of people and places."""

    skeleton: str = "penn_action"
    """Skeleton of the store's poses."""
    clips: ClipSelection = ClipSelection("all", with_frames=True)
    """Clips to train on, but for those of the held out groups."""
    hold_out_every: int = 5
    """The clips of every so-manieth action, the folders of `posecast prepare videos`, are held out
    and choose the best weights: in a folder lie the videos of one group of people and places."""
    more: tuple[Path, ...] = ()
    """Other stores, whose clips are trained on, too, but for those that are held out (of the same
    data set and name); those of two frames are pairs of photos."""
    more_share: float = 0.35
    """Share of the samples that is made of them."""

    def __post_init__(self) -> None:
        settings.check_alone(self.run_on)
        check_at_least(2, self, "hold_out_every")
        check_below_one(self, "more_share")


class ClipPool(NamedTuple):
    """Clips of one store to draw samples from."""

    store: Store
    clips: tuple[StoredClip, ...]
    chances: Float[np.ndarray, " c"]
    """How likely each clip is; they sum to 1."""

    @classmethod
    def of(cls, store: Store, clips: Sequence[StoredClip]) -> "ClipPool":
        """A group of many clips does not drown the others."""
        counts = Counter(clip.action for clip in clips)
        chances = np.array([counts[clip.action] ** -0.5 for clip in clips])
        return cls(store, tuple(clips), chances / chances.sum() if len(clips) else chances)

    def drawn(self, rng: np.random.Generator) -> StoredClip:
        return self.clips[int(rng.choice(len(self.clips), p=self.chances))]


def by_group(config: GroupTrainingConfig, store: Store, num_frames: int) -> settings.ChosenClips:
    """Clips of some groups, to train on, and those of the others that have so many frames."""
    clips = store.select(config.clips)
    groups = sorted({clip.action for clip in clips})
    apart = set(groups[:: config.hold_out_every]) if config.fit.validate_every else set()
    held_out = settings.long_enough([clip for clip in clips if clip.action in apart], num_frames)
    known = [clip for clip in clips if clip.action not in apart]
    if not known:
        raise PosecastError(
            f"all clips of {store.path} are of one group ({groups[0]!r}): put the videos of each "
            "group of people and places into a folder of its own, or train without choosing the "
            "best weights: --validate-every 0"
        )
    return settings.ChosenClips(known, held_out)


def sources(
    config: GroupTrainingConfig,
    store: Store,
    chosen: settings.ChosenClips,
    usable: Callable[[Store, StoredClip], bool],
    needs: str,
) -> tuple[tuple[ClipPool, ...], tuple[float, ...], list[TrainingData]]:
    """The store's clips to train on and the usable ones of the `more` stores that are not held out,
    how often each is asked, and what a run notes of the latter.

    PosecastError where a store has no usable clip, one with frames and what it `needs`.
    """
    found = [ClipPool.of(store, chosen.train)]
    held_out = {(store.info.dataset, clip.clip_id) for clip in chosen.validation}
    for path in config.more:
        other = Store.open(path)
        settings.check_fit(other, config, "skeleton")
        clips = [clip for clip in other.clips if clip.has_frames and usable(other, clip)]
        clips = [each for each in clips if (other.info.dataset, each.clip_id) not in held_out]
        found.append(ClipPool.of(other, clips))
    for source in found:
        if not any(usable(source.store, clip) for clip in source.clips):
            count = len(chosen.train if source is found[0] else source.store.clips)
            raise PosecastError(
                f"none of {count} clips of {source.store.path} has frames and {needs} to learn "
                "from, and is not held out: add what lacks, or choose other clips and stores "
                "(--clips, --more)"
            )
    rest = [config.more_share / len(config.more)] * len(config.more) if config.more else []
    beside = [training_data(each.store, each.clips) for each in found[1:]]
    return tuple(found), (1.0 - sum(rest), *rest), beside


def judged_by(
    samples: Sequence[tuple[str, T]],
    source: ClipPool,
    names: Sequence[str],
    measure: Callable[[nn.Module, T], Float[Tensor, " n"]],
) -> Validation:
    """What is measured of samples of held-out clips, each with its group: means over groups of
    means over their clips; the first of the named ones chooses the best weights.

    PosecastError where the clips gave no sample to judge by.
    """
    if not samples:
        raise PosecastError(
            f"in none of {len(source.clips)} held-out clips of {source.store.path} "
            f"({source.clips[0].clip_id}, ...) is enough of a person seen to judge by: hold out "
            "others (--hold-out-every), or do not choose the best weights: --validate-every 0"
        )

    def score(network: nn.Module, device: torch.device) -> dict[str, float]:
        groups: dict[str, list[Tensor]] = {}
        for group, sample in samples:
            groups.setdefault(group, []).append(measure(network, on_device(sample, device)))
        means = torch.stack([torch.stack(each).mean(dim=0) for each in groups.values()])
        return dict(zip(names, means.mean(dim=0).tolist(), strict=True))

    return Validation(score, names[0])
