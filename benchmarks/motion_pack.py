"""All that the motion networks learn from in a few megabytes, without test clips.

    python -m benchmarks.motion_pack STORE TRACKS.npz FOLDER

Leaves FOLDER/tracks.npz, the poses of training and validation clips and of the videos, and the
database of motion of the training clips. `benchmarks.motion_many` needs nothing else.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from posecast.motion.neighbours import BASE_FILE
from posecast.motion.tracks import MotionTrack, as_told
from posecast.skeletons import PENN_ACTION
from posecast.store.reading import Store
from posecast.training.motion import MotionTrainingConfig, tracks_of
from posecast.training.motion_windows import Apart, build_base
from posecast.training.settings import choose_clips

TRACKS_FILE = "tracks.npz"
_FACTS = ("name", "group", "action", "box_side_px", "is_clip")


def pack(store_path: Path, tracks_path: Path, folder: Path) -> None:
    """Poses of training and validation clips and of the videos, and the database of the clips."""
    store = Store.open(store_path)
    config = MotionTrainingConfig(tracks=(tracks_path,))
    chosen = choose_clips(config, store)
    known = tracks_of(config, chosen.train)
    both = known + tracks_of(config, chosen.validation, held_out=True)
    facts = {"skeleton": PENN_ACTION.name, "fps": "30", "made_from": store.info.dataset}
    clips = [track for track in known if track.is_clip]
    base, sources = build_base(clips, PENN_ACTION.mirror, facts)
    folder.mkdir(parents=True, exist_ok=True)
    base.save(folder / BASE_FILE)
    joints = np.concatenate([track.joints_px for track in both])
    facts: dict[str, Any] = {name: [getattr(track, name) for track in both] for name in _FACTS}
    np.savez_compressed(
        folder / TRACKS_FILE,
        joints=np.round(joints * 16).astype(np.int16),
        visible=np.packbits(np.concatenate([track.visible for track in both])),
        lengths=[len(track) for track in both],
        sources=sources,
        held_out=np.arange(len(both)) >= len(known),
        told=[as_told(track.trimmed) for track in both],
        **facts,
    )


class Packed(NamedTuple):
    """What such a folder holds beside the database."""

    known: list[MotionTrack]
    """Tracks to learn from."""
    held_out: list[MotionTrack]
    sources: Int[np.ndarray, " n"]
    """Of which of the former each entry of the database is."""

    def apart(self, tracks: Sequence[MotionTrack]) -> Apart:
        """What windows of some of the known tracks may not see: entries of their own track."""
        names = [track.name for track in self.known]
        number = np.array([names.index(track.name) for track in tracks])
        return lambda rows: number[rows][:, None] == self.sources[None]


def unpack(folder: Path) -> Packed:
    """Of the folder that `pack` made."""
    with np.load(folder / TRACKS_FILE) as file:
        arrays = dict(file)
    joints = arrays["joints"].astype(np.float32) / 16
    shape = joints.shape[:2]
    visible = (
        np.unpackbits(arrays["visible"], count=shape[0] * shape[1]).reshape(shape).astype(bool)
    )
    known, held_out = [], []
    for row, end in enumerate(np.cumsum(arrays["lengths"])):
        frames = slice(end - arrays["lengths"][row], end)
        facts = {name: arrays[name][row].item() for name in _FACTS}
        told = {1.0: True, -1.0: False}.get(arrays["told"][row])
        poses = {"joints_px": joints[frames], "visible": visible[frames], "trimmed": told}
        track = MotionTrack(**poses, **facts)
        (held_out if arrays["held_out"][row] else known).append(track)
    return Packed(known, held_out, arrays["sources"])


def main() -> None:
    """Pack what the command line names."""
    flags = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    for name in ("store", "tracks", "folder"):
        flags.add_argument(name, type=Path)
    asked = flags.parse_args()
    pack(asked.store, asked.tracks, asked.folder)


if __name__ == "__main__":
    main()
