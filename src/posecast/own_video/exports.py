"""The poses of a forecast for other programs: CSV, COCO, .trc, and recordings for rerun.

All go from the first frame that was looked at to the last forecast one. CSV and COCO number frames
as the video does at its own rate, or at the one that was asked for, the forecast ones going on; CSV
says their seconds and which are forecast (1; 0: seen), too. .trc and rerun have a rate of their
own, at which the video was looked at.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from posecast.keypoints.table import write_table
from posecast.keypoints.writing import write_coco, write_trc
from posecast.media.pictures import PREDICTED, SEEN
from posecast.own_video.poses import Export
from posecast.own_video.result import OwnForecast
from posecast.records.files import Write
from posecast.records.versions import load_extra
from posecast.skeletons import Skeleton

ENDINGS: dict[Export, str] = {"csv": ".csv", "coco": ".json", "trc": ".trc"}
_JPEG_QUALITY = 85


def pose_writer(kind: Export, name: str, result: OwnForecast, sample: int = 0) -> Write:
    """What fills a file of the seen poses and one of the futures; `name` is what it will be."""
    poses, hw = (*_track(result, sample), result.skeleton), result.seen.image_hw
    frames = range(result.first, result.first + len(poses[0]))
    numbers = [frame * result.repeats for frame in frames]
    if kind == "csv":
        more = {
            "seconds": [f"{frame / result.fps:.3f}" for frame in frames],
            "forecast": [int(frame > result.past_frames[-1]) for frame in frames],
        }
        return lambda path: write_table(path, *poses, numbers, more, result.person)
    if kind == "coco":
        return lambda path: write_coco(path, *poses, hw, numbers)
    return lambda path: write_trc(path, *poses, result.fps, name=name)


def _track(
    result: OwnForecast, sample: int
) -> tuple[Float[np.ndarray, "t j 2"], Bool[np.ndarray, "t j"]]:
    """Poses from the first frame on that was looked at, then the future's; not visible where the
    forecaster was not shown the frame."""
    before = ((result.past_frames[0] - result.first, 0), (0, 0))
    seen, forecast = result.seen, result.forecast
    joints = np.concatenate([np.pad(seen.joints_px, (*before, (0, 0))), forecast.joints_px[sample]])
    return joints, np.concatenate([np.pad(seen.visible, before), forecast.visible])


def load_rerun() -> Any:
    """The package; PosecastError where it is not installed."""
    return load_extra("rerun", "rerun")


def rerun_writer(result: OwnForecast, pictures: Iterable[UInt8[np.ndarray, "h w 3"]]) -> Write:
    """What fills a recording: `pictures` of the seen and the forecast frames, poses on them, on
    the timelines `frame` and `seconds`. The poses of further futures, or of the others, are beside
    the likeliest."""
    rerun = load_rerun()
    tracks = {name: _track(*each) for name, each in _of_recording(result).items()}
    num_seen = result.past_frames[-1] + 1 - result.first

    def write(path: Path) -> None:
        recording = rerun.RecordingStream("posecast")
        recording.save(path)
        for frame, picture in enumerate(pictures):
            recording.set_time("frame", sequence=frame)
            recording.set_time("seconds", duration=(result.first + frame) / result.fps)
            recording.log("video", _picture(rerun, picture))
            colour = PREDICTED if frame >= num_seen else SEEN
            for name, (joints, visible) in tracks.items():
                if frame < num_seen and name.startswith("future"):
                    continue
                posed = (joints[frame], visible[frame], result.skeleton, colour)
                for part, drawn in _pose(rerun, *posed):
                    recording.log(f"video/{name}/{part}", drawn)
        recording.flush()
        recording.disconnect()

    return write


def _of_recording(result: OwnForecast) -> dict[str, tuple[OwnForecast, int]]:
    """By the names that a recording has for them, people or futures."""
    if result.others:
        return {f"person {each.person}": (each, 0) for each in result.everybody}
    futures = range(1, len(result.forecast.weights))
    return {"pose": (result, 0)} | {f"future {n + 1}": (result, n) for n in futures}


def _picture(rerun: Any, picture: UInt8[np.ndarray, "h w 3"]) -> Any:
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    done, encoded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    assert done
    return rerun.EncodedImage(contents=encoded.tobytes(), media_type="image/jpeg")


def _pose(
    rerun: Any,
    joints: Float[np.ndarray, "j 2"],
    visible: Bool[np.ndarray, " j"],
    skeleton: Skeleton,
    colour: tuple[int, int, int],
) -> Iterable[tuple[str, Any]]:
    """Joints and limbs; empty where nothing is visible, so that an earlier pose does not stay."""
    names = [name for name, seen in zip(skeleton.joints, visible, strict=True) if seen]
    points = rerun.Points2D(joints[visible], colors=colour, labels=names, show_labels=False)
    yield "joints", points
    whole = [(a, b) for a, b in skeleton.limb_joints if visible[a].all() and visible[b].all()]
    strips = [[joints[a].mean(axis=0), joints[b].mean(axis=0)] for a, b in whole]
    yield "limbs", rerun.LineStrips2D(np.array(strips).reshape(-1, 2, 2), colors=colour)
