"""What is forecast from the clips of a store: their windows, and their frames."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import UInt8

from posecast.clips import ClipError, PoseForecast, SeenVideo
from posecast.errors import PosecastError
from posecast.forecasting.protocols import FrameDrawer
from posecast.store import identity
from posecast.store.reading import Store, StoredClip
from posecast.store.seen_windows import ClipWindow, Start, read_window, seen_window

POSES_SEEN = "poses_checksum"
"""Under this name what is begun notes the poses of its clips: a store may move meanwhile, but not
change. Of what was begun before there was one its place is compared."""


@dataclass(frozen=True, eq=False)
class Job:
    """One clip to forecast."""

    clip: StoredClip
    seen: SeenVideo
    """What the forecast starts from: labelled or estimated poses."""
    truth: ClipWindow
    """Labels of the same frames, and what came after them."""

    def true_poses(self) -> PoseForecast:
        """What came, as if it had been forecast: as long as the clip has it."""
        truth, length = self.truth, self.truth.num_truth
        joints, visible = truth.future_joints_px[:length], truth.future_visible[:length]
        return PoseForecast(joints[None], visible, np.ones(1), truth.past.fps)


def choose_jobs(
    clips: Sequence[StoredClip], posed: Store, window: tuple[int, int, Start, int]
) -> tuple[list[Job], dict[str, str]]:
    """Clips that can be forecast, and why the others cannot.

    `posed` is the store with the poses to start from; `window` the arguments of `seen_window`.
    """
    estimated = {clip.clip_id: clip for clip in posed.clips}
    jobs, left_out = [], {}
    for clip in clips:
        try:
            if clip.clip_id not in estimated:
                raise ClipError(clip.clip_id, "has no estimated poses; run 'posecast estimate'")
            seen = seen_window(estimated[clip.clip_id], *window).past
            jobs.append(Job(clip, seen, seen_window(clip, *window)))
        except ClipError as error:
            left_out[clip.clip_id] = str(error)
    return jobs, left_out


def poses_checksum(jobs: Sequence[Job]) -> str:
    """Of all poses of the clips and those that forecasts start from, wherever the store lies."""
    total = hashlib.sha256(identity.poses_checksum([job.clip for job in jobs]).encode())
    for seen in (job.seen for job in jobs):
        total.update(np.ascontiguousarray(seen.joints_px, "<f4").tobytes())
        total.update(np.ascontiguousarray(seen.visible, np.uint8).tobytes())
    return total.hexdigest()


@dataclass(frozen=True, eq=False)
class ClipVideo:
    """Frames of one clip."""

    seen: SeenVideo
    future: UInt8[np.ndarray, "n h w 3"]
    """True future frames, as many as the clip has."""


def read_video(job: Job, store: Store) -> ClipVideo:
    """Seen and true future frames, with the poses of the seen ones."""
    seen, future = read_window(store, job.clip, job.truth)
    return ClipVideo(replace(job.seen, frames=seen.frames), future)


def check_size(drawer: FrameDrawer | None, store: Store, name: str) -> None:
    """PosecastError where the drawer `name` draws frames of another size than the store's."""
    if drawer is not None and drawer.size not in (None, store.size):
        raise PosecastError(
            f"{name} draws {drawer.size} px, store {store.path} has {store.size} px: prepare the "
            f"store with --size {drawer.size}"
        )
