"""The pose forecast alone, for people who have keypoints and no pixels.

    future = posecast.forecast_keypoints("poses.csv", fps=30)
    future.write("poses-future.csv")

Points are mapped to the pose model's joints by their names; those that are no joints of it are
carried rigidly with a limb. The future has the units, the names and the format of the file.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from posecast.clips import SeenVideo
from posecast.errors import PosecastError
from posecast.forecasting.forecaster import Forecaster, check_forecaster
from posecast.forecasting.frame_rates import USUAL_FPS, FrameRates
from posecast.geometry import sides_of
from posecast.keypoints import KeypointOptions, PointTrack
from posecast.keypoints.names import own_side_names, plain_name, to_skeleton
from posecast.keypoints.reading import leave_out_strays, read_points
from posecast.keypoints.rewriting import write_points
from posecast.motion.rigid import carry
from posecast.own_video.poses import OwnVideoConfig
from posecast.own_video.seen_frames import choose_frames
from posecast.records.arguments import as_path, as_positive
from posecast.records.brief import Brief
from posecast.skeletons import Skeleton

_BODY_PX = 256.0
_SIZE_FRAMES = 10


@dataclass(frozen=True, eq=False, repr=False)
class KeypointForecast(Brief):
    """Futures of one person's points."""

    futures: tuple[PointTrack, ...]
    """The likeliest first; their confidence is 1 where a point is forecast, else 0."""
    weights: Float[np.ndarray, " s"]
    """How likely each is beside the others; their sum is 1."""
    fps: float
    carried: tuple[str, ...]
    """Points that were carried rigidly with a limb."""
    note: str = ""
    """What was assumed or left out, for people."""

    @property
    def points(self) -> Float[np.ndarray, "s t k 2"]:
        """Of all futures, in the units of the file; x right, y down."""
        return np.stack([each.points for each in self.futures])

    @property
    def visible(self) -> Bool[np.ndarray, "t k"]:
        return self.futures[0].confidence > 0

    def write(self, path: str | Path) -> list[Path]:
        """Write each future in the format of the file that was read: PATH, PATH-2, PATH-3 ..."""
        paths = future_paths(as_path(path, "path"), len(self.futures))
        for name, future in zip(paths, self.futures, strict=True):
            write_points(name, future, self.fps)
        return paths


def future_paths(path: str | Path, count: int) -> list[Path]:
    """Where so many futures are written: PATH, PATH-2, PATH-3 ..."""
    path = Path(path)
    more = (path.parent / f"{path.stem}-{n}{path.suffix}" for n in range(2, count + 1))
    return [path, *more]


def forecast_keypoints(
    keypoints: str | Path | PointTrack,
    forecaster: Forecaster | None = None,
    steps: int = 64,
    samples: int = 1,
    fps: float | None = None,
    options: KeypointOptions | None = None,
    person: int = 1,
    seconds: float | None = None,
) -> KeypointForecast:
    """How one person's keypoints go on.

    Args:
        keypoints: a file or folder as `posecast forecast --poses` reads it, or points of one's own.
        forecaster: `Forecaster.pretrained()` unless given.
        steps: future frames; or `seconds`, how far.
        samples: how many futures, where the pose model knows several.
        fps: frames a second; None: what the file says, else 30.
        options: how the file is read.
        person: which of several people, 1 is the largest and longest seen.
        seconds: how far, in place of `steps`.

    Raises:
        PosecastError: a file that cannot be read, arrays that do not fit, nobody or no known joint
            in it, too few frames.
    """
    track, is_track = _track(keypoints, options, person), isinstance(keypoints, PointTrack)
    said = track.found.fps if track.found else None
    assumed = fps is None and said is None
    rate = as_positive(USUAL_FPS if assumed else said if fps is None else fps, "fps")
    if seconds is not None:
        count = as_positive(seconds, "seconds") * rate
        steps = max(round(as_positive(count, "seconds times fps")), 1)
    forecaster = Forecaster.pretrained() if forecaster is None else forecaster
    check_forecaster(forecaster)
    rates = FrameRates.of_video(rate, forecaster.needs, rate)
    seen, scale = _seen(track, forecaster.skeleton, rates.video)
    frames = choose_frames(
        seen, forecaster.needs, rates, OwnVideoConfig(), "keypoints" if is_track else str(keypoints)
    )
    seen, past = seen.take(frames, rates.video, None), _cut(track, frames)
    poses = forecaster.forecast_poses_of_video(seen, rates, steps, samples)
    futures = [_future(past, seen, each, scale, forecaster.skeleton) for each in poses.joints_px]
    carried = _carried(past, seen, forecaster.skeleton)
    note = _note(track, futures[0], len(track.points) - 1 - frames[-1], carried, assumed)
    return KeypointForecast(tuple(futures), poses.weights, rate, carried, note)


def _track(
    keypoints: str | Path | PointTrack, options: KeypointOptions | None, person: int
) -> PointTrack:
    """Points of a file, or one's own; PosecastError where these do not fit each other."""
    if not isinstance(keypoints, PointTrack):
        file = as_path(keypoints, "keypoints", " or a PointTrack(points, confidence, names)")
        return read_points(file, options, person)
    if options is not None or person != 1:
        raise PosecastError("options and person are of files: leave them out beside a PointTrack")
    try:
        points, sure = (np.asarray(x, float) for x in (keypoints.points, keypoints.confidence))
        names = tuple(plain_name(name) for name in keypoints.names)
    except (ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise PosecastError(
            f"a PointTrack holds no arrays of numbers, or no names: {error}"
        ) from error
    count = len(set(names))
    if points.shape != (*sure.shape, 2) or not sure.shape[1:] == (count,) == (len(names),):
        raise PosecastError(
            f"a PointTrack has points {points.shape}, confidence {sure.shape} and {len(names)} "
            f"names, {count} different ones; expected (t, k, 2), (t, k) and k"
        )
    seen = (sure > 0) & np.isfinite(points).all(axis=-1)
    points, sure = np.where(seen[..., None], points, 0.0), np.where(seen, sure, 0.0)
    note = "; ".join(filter(None, (keypoints.note, leave_out_strays(points, sure))))
    return replace(keypoints, points=points, confidence=sure, names=names, note=note)


def _cut(track: PointTrack, frames: Sequence[int]) -> PointTrack:
    """These frames alone, which follow one another."""
    part = slice(frames[0], frames[-1] + 1)
    points, confidence = track.points[part], track.confidence[part]
    first = track.first_frame + frames[0]
    return replace(track, points=points, confidence=confidence, first_frame=first)


def _note(
    track: PointTrack, future: PointTrack, num_left: int, carried: Sequence[str], assumed: bool
) -> str:
    missing = [n for n, sure in zip(track.names, future.confidence[0], strict=True) if not sure]
    more = track.found.num_points - len(track.names) if track.found else 0
    missing += [f"{more} points of face and hands"] if more > 0 else []
    notes = {
        f"{USUAL_FPS:g} frames a second assumed (--fps)": assumed,
        f"{track.num_people} people; one is forecast (--person)": track.num_people > 1,
        track.note: bool(track.note),
        f"the last {num_left} frames show too little of the person: forecast from before": num_left,
        f"no joints of the pose model, carried with a limb: {', '.join(carried)}": carried,
        f"not forecast, written as not found: {', '.join(missing)}": missing,
    }
    return "\n".join(text for text, is_so in notes.items() if is_so)


_Scale = tuple[float, Float[np.ndarray, "2"]]
"""Pixels' size in the file's units, and where their origin is in those."""


def _seen(track: PointTrack, skeleton: Skeleton, fps: float) -> tuple[SeenVideo, _Scale]:
    """The person in pixels, 256 large, somewhere in the middle of a picture."""
    joints, sure = to_skeleton(track.points, track.confidence, track.names, skeleton)
    visible = sure > 0
    if not visible.any():
        raise PosecastError(f"not one joint of skeleton {skeleton.name} is seen in the keypoints")
    low, high = joints[visible].min(axis=0), joints[visible].max(axis=0)
    size = max(sides_of(joints, visible)[-_SIZE_FRAMES:]) or 1.0
    unit, origin = size / _BODY_PX, low - 2 * size
    width, height = np.ceil((high - low + 4 * size) / unit).astype(int).tolist()
    pixels = np.where(visible[..., None], (joints - origin) / unit, 0.0)
    return SeenVideo(pixels, visible, fps, (height, width), trimmed=False), (unit, origin)


def _joints_of(past: PointTrack, seen: SeenVideo, skeleton: Skeleton) -> dict[int, int]:
    """Points that are joints of the pose model and were seen -> those joints."""
    names = own_side_names(skeleton)
    joints = {place: names.index(name) for place, name in enumerate(past.names) if name in names}
    return {place: joint for place, joint in joints.items() if seen.visible[:, joint].any()}


def _carried(past: PointTrack, seen: SeenVideo, skeleton: Skeleton) -> tuple[str, ...]:
    """Points that were seen and are no joints of the pose model."""
    joints = _joints_of(past, seen, skeleton)
    shown = np.flatnonzero((past.confidence > 0).any(axis=0)).tolist()
    return tuple(past.names[place] for place in shown if place not in joints)


def _future(
    past: PointTrack,
    seen: SeenVideo,
    future_px: Float[np.ndarray, "t j 2"],
    scale: _Scale,
    skeleton: Skeleton,
) -> PointTrack:
    """Joints as forecast, other points carried, in the file's units."""
    (unit, origin), shown = scale, past.confidence > 0
    places = (past.points - origin) / unit
    result = carry(places, shown, seen.joints_px, seen.visible, future_px, skeleton.limb_joints)
    known = np.any(shown, axis=0)
    for place, joint in _joints_of(past, seen, skeleton).items():
        result[:, place], known[place] = future_px[:, joint], True
    points = np.where(known[:, None], result * unit + origin, 0.0)
    confidence = np.repeat(known[None].astype(float), len(points), axis=0)
    first = past.first_frame + len(past.points)
    return replace(past, points=points, confidence=confidence, first_frame=first, note="")
