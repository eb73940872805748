"""What a training notes of its store: it is never continued on another one, nor judged by it."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np

from posecast.motion.tracks import MotionTrack
from posecast.records.configs import config_to_dict
from posecast.records.training_data import TrainingData, read_training_data
from posecast.store.reading import Store, StoredClip


def training_data(
    store: Store,
    train: Sequence[StoredClip],
    validation: Sequence[StoredClip] = (),
    actions: Sequence[str] = (),
    earlier: Path | None = None,
) -> TrainingData:
    """The record of a training on these clips; `earlier`: the run whose weights it starts from."""
    before = None
    if earlier is not None:
        before = read_training_data(earlier) or TrainingData(complete=False)
    return TrainingData(
        config_to_dict(store.info),
        tuple(clip.clip_id for clip in train),
        tuple(clip.clip_id for clip in validation),
        poses_checksum(train),
        float(np.median([clip.fps for clip in train])),
        float(np.median([max(clip.crop.hw) for clip in train])),
        tuple(actions),
        earlier=before,
    )


def learned_from(data: TrainingData | None, store: Store) -> tuple[set[str], set[str]]:
    """Clips of the store that weights were trained on, and clips that they were chosen on.

    Nothing else is known than what the record says. Clips of another data set may have the same
    ids: they are other clips.
    """
    trained: set[str] = set()
    chosen: set[str] = set()
    for each in data.generations() if data else ():
        if each.store.get("dataset", store.info.dataset) == store.info.dataset:
            trained.update(each.train)
            chosen.update(each.validation)
    return trained, chosen


def tracks_data(train: Sequence[MotionTrack], held_out: Sequence[MotionTrack]) -> TrainingData:
    """The record of the pose tracks of a file."""
    names, apart = (tuple(each.name for each in part) for part in (train, held_out))
    said = (([each.name], each.joints_px, each.visible) for each in train)
    return TrainingData({"dataset": "pose tracks"}, names, apart, _checksum(said))


def poses_checksum(clips: Sequence[StoredClip]) -> str:
    """SHA-256 of ids, crops, joints and visibility of clips, in this order."""
    return _checksum(
        ([clip.clip_id, *astuple(clip.crop), clip.num_frames], clip.joints_px, clip.visible)
        for clip in clips
    )


def _checksum(said: Iterable[tuple[list[Any], np.ndarray, np.ndarray]]) -> str:
    total = hashlib.sha256()
    for facts, joints, visible in said:
        total.update(json.dumps(facts).encode())
        total.update(np.ascontiguousarray(joints, "<f4").tobytes())
        total.update(np.ascontiguousarray(visible, np.uint8).tobytes())
    return total.hexdigest()
