"""Future frames as layers of seen pixels: the person part by part, the last frame bent, the room.

Most of a future frame is in the seen ones. Once a clip: the camera's path, the plate, and to which
part of the body each of the person's pixels belongs. For each wanted pose: every part is taken
from the seen frame in which it lies most alike, by a transform of its own; each pixel belongs to
one part. Where the person moved by a pixel or two, the whole last frame is bent instead by a
smooth flow, which knows no seams; where nothing that moves is near, the last frame stays.

Motion is worked out at one fixed size, `COARSE`, whose pixels are the unit of every constant
below; the frame itself is put together in the frames' own pixels. Nothing here is trained.
"""

from dataclasses import dataclass
from functools import cache, partial

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from posecast.carrying.bending import BENT_PX, CARRIED_PX, bent_flow
from posecast.carrying.body_parts import (
    FAR,
    PARTS,
    TORSO,
    Pose,
    body_size,
    part_distances,
    part_transform,
    pose_of,
)
from posecast.carrying.camera import STILL, camera_ahead, camera_path
from posecast.carrying.composing import REACH, FrameChanges, composed
from posecast.carrying.fetching import (
    Box,
    Pictures,
    Plan,
    SeenPixels,
    at_edge,
    bounds_of,
    from_corner,
    native,
    owners_of,
    reach,
)
from posecast.carrying.plate import Background, background_plate, warped
from posecast.carrying.smoothing import smoothed
from posecast.carrying.sources import (
    at_feet,
    jitter_of,
    members_of,
    person_mask,
    reaching,
    sources_of,
    still_hidden,
    taken_in,
    widened,
)
from posecast.carrying.uncovering import crossed, has_left, without_forearms
from posecast.skeletons import Skeleton

COARSE = 128
"""Side of the picture in which motion is worked out."""

GATE_PX = 0.6
"""A part that moved by less stays as it is in the last frame."""
FRONT = 0.15
"""By how much each part wins over the one behind it."""
SEAM = 0.25
"""Difference of two parts' claims, as a share of both, below which both show: no hard seams."""

_WHOLE = (slice(0, COARSE), slice(0, COARSE))


@dataclass(frozen=True, eq=False)
class Layers:
    """One future frame before it is put together, at the `COARSE` size."""

    pictures: Pictures
    """The person with its surroundings, each pixel from the part that owns it; behind it, from the
    part with the next best claim; the last seen frame, bent by a smooth flow and moved on with the
    camera; the plate."""
    shares: Float[np.ndarray, "4 c c"]
    """How much of each shows; sums to 1."""
    distance: Float[np.ndarray, "c c"]
    """To the nearest part, wanted or in the last seen frame, in radii."""
    holes: Float[np.ndarray, "c c"]
    """1 where no seen frame shows what the plate does."""
    moving: Float[np.ndarray, "c c"]
    """As `distance`, to the nearest part that moved; infinite where none did."""
    plan: Plan


class CarriedPerson:
    """Seen square frames of one person, and the poses to which they are carried."""

    def __init__(
        self,
        frames: UInt8[np.ndarray, "p s s 3"],
        joints: Float[np.ndarray, "t j 2"],
        visible: Bool[np.ndarray, "t j"],
        skeleton: Skeleton,
        masks: Float[np.ndarray, "p c c"] | None = None,
        camera_stops: bool = False,
        inside: Bool[np.ndarray, "c c"] | None = None,
        earlier: int = 0,
    ) -> None:
        """Look at the seen frames.

        Args:
            frames: the seen ones, p of them.
            joints: of the seen frames and then of those to come, in pixels of the frames.
            masks: how much of each pixel, at the `COARSE` size, the person covers. Without them
                the body's parts are the mask.
            camera_stops: a moving camera stops after the last seen frame, in place of slowing down.
            inside: which pixels of the `COARSE` size are in the video's picture; what the frames
                show beyond its edge was made up, and what lies beyond theirs is not known. None:
                the edge goes on, as the shipped refinement was trained.
            earlier: the first so many frames are single ones from before, with smooth poses; used
                where the camera stands still and the trunk is seen.
        """
        self._side, self._ends_at_edge = frames.shape[1], inside is not None
        scaled = joints.astype(np.float32) * (COARSE / self._side)
        self._look_at_poses(scaled, visible, len(frames), earlier, skeleton)
        if masks is not None:
            self._distances = np.stack([*map(widened, self._distances, masks)])
        mask = person_mask(self._distances.min(axis=1), masks)
        hidden = mask
        if inside is not None:  # what was made up is neither the person nor what is behind it
            hidden, mask = np.where(inside, mask, 1), np.where(inside, mask, 0)
        coarse = frames if self._side == COARSE else np.stack([_shrunk(f) for f in frames])
        path, pace = camera_path(coarse[earlier:], mask[earlier:])
        if pace is not STILL:  # where the camera was at single frames is not known
            self._poses.known[:earlier] = False
        told = self._poses.known[:earlier, TORSO, None, None]  # else who was not found is no room
        hidden = np.concatenate([np.where(told, hidden[:earlier], 1), hidden[earlier:]])
        path = np.concatenate([np.tile(STILL, (earlier, 1, 1)), path])
        self._pace = STILL if camera_stops else pace
        room = self._room(frames, hidden.astype(np.float32), path)
        missed = _shrunk(room.missed.astype(np.float32))
        mask[-1], self._distances[-1] = taken_in(missed, mask[-1], self._distances[-1])
        self._members = members_of(mask, self._distances, self._poses)
        self._gates = GATE_PX + jitter_of(coarse, self._members, self._poses)
        self._keep_pixels(frames, coarse, mask, room)
        told = self._wanted, self._poses, room.change, self._size, self._crossed
        self._sources = sources_of(*told)
        parts = {(t, n) for pose in self._sources.tolist() for n, t in enumerate(pose) if t >= 0}
        self._bounds = {each: bounds_of(self._members[each]) for each in parts}

    def _look_at_poses(
        self,
        joints: Float[np.ndarray, "t j 2"],
        visible: Bool[np.ndarray, "t j"],
        past: int,
        earlier: int,
        skeleton: Skeleton,
    ) -> None:
        """Of the seen frames, so many, the first of which are `earlier`, and of those to come."""
        recent = slice(earlier, past)
        self._size = max(body_size(joints[recent], visible[recent], skeleton), 1.0)
        # What comes must not pull at what was seen: a forecast may begin with a jump.
        seen = smoothed(joints[recent], visible[recent])
        ahead = smoothed(joints[earlier:], visible[earlier:])[past - earlier :]
        smooth = np.concatenate([joints[:earlier], seen, ahead])
        raw = pose_of(joints[past - 1 :], visible[past - 1 :], skeleton, self._size)
        self._last_raw, self._wanted_raw = raw[0], raw[1:]
        poses = pose_of(smooth, visible, skeleton, self._size)
        self._poses, self._wanted = poses[:past], poses[past:]
        hidden = still_hidden(self._wanted, self._poses, self._size)
        for each in (self._wanted, self._wanted_raw):
            each.known[hidden] = False
        far = [part_distances(self._poses[t], COARSE, self._size) for t in range(past)]
        self._distances = np.stack(far)
        self._crossed = crossed(self._distances)

    def _room(
        self,
        frames: UInt8[np.ndarray, "p s s 3"],
        hidden: Float[np.ndarray, "p c c"],
        path: Float[np.ndarray, "p 2 3"],
    ) -> Background:
        """Behind what is `hidden`, where the camera went this way."""
        covered = np.stack([_resized(each, self._side) for each in hidden])
        feet = _resized(at_feet(self._distances[-1]), self._side) > 0.5
        return background_plate(frames, covered, native(path, COARSE / self._side), feet)

    def _keep_pixels(
        self,
        frames: UInt8[np.ndarray, "p s s 3"],
        coarse: UInt8[np.ndarray, "p c c 3"],
        mask: Float[np.ndarray, "p c c"],
        room: Background,
    ) -> None:
        """Of what the layers are made of, and what is behind the person's arms."""
        distances = self._distances  # not this object: a circle would keep its pictures in memory
        bare = cache(lambda t: without_forearms(frames[t], mask[t], distances[t]))
        self._pixels = self._coarse_pixels = SeenPixels(frames, room.plate, COARSE, bare)
        self._holes = room.holes.astype(np.float32)
        if self._side != COARSE:
            small = cache(lambda t: _shrunk(bare(t)))
            self._coarse_pixels = SeenPixels(coarse, _shrunk(room.plate), COARSE, small)
            self._holes = _shrunk(self._holes)

    def layers(self, t: int) -> Layers:
        """The layers of one of the frames to come; 0 is the first."""
        pose, sources = self._wanted[t], self._sources[t]
        distances = part_distances(pose, COARSE, self._size)
        owners, claims, transforms, covers, distances = self._carried(pose, sources, distances)
        camera = STILL if self._pace is STILL else camera_ahead(self._pace, t + 1)
        last = self._distances[-1]
        if camera is not STILL:
            last = np.stack([warped(each, camera) for each in last])
        near = np.minimum(distances, last)
        # A part moved if it did so both before and after smoothing.
        moved = _movement(pose, self._poses[-1], camera)
        moved = np.minimum(moved, _movement(self._wanted_raw[t], self._last_raw, camera))
        gone = near[moved > self._gates].min(axis=0, initial=np.inf)
        rests = np.clip((gone - 1.4) / 0.5, 0, 1)
        flow = bent_flow(pose, self._poses[-1], near, moved, rests, camera, self._size)
        far = np.clip((moved - BENT_PX) / (CARRIED_PX - BENT_PX), 0, 1).astype(np.float32)
        close = near[far > 0]
        np.subtract(np.float32(2.2), close, out=close)
        close /= np.float32(0.6)
        np.clip(close, 0, 1, out=close)
        close *= far[far > 0, None, None]
        carried = close.max(axis=0, initial=0)
        carried = cv2.GaussianBlur(carried, (0, 0), 1.5) * (1 - rests)
        shares = np.stack([*(covers * carried), 1 - carried, (1 - covers.sum(axis=0)) * carried])
        left = has_left(pose, self._poses, sources, transforms, self._crossed)
        plan = Plan(owners, claims, transforms, np.maximum(sources, 0), left, flow, camera)
        pictures = self._coarse_pixels.fetched(plan, _WHOLE)
        facts = (shares.astype(np.float32), near.min(axis=0), self._holes, gone)
        return Layers(pictures, *facts, plan)

    def frame(
        self, layers: Layers, changes: FrameChanges | None = None
    ) -> UInt8[np.ndarray, "s s 3"]:
        """The layers put together in the frames' own pixels, changed by a refinement or not."""
        pixels = self._pixels
        box = pixels.box(layers.moving < REACH, layers.plan)
        fit = partial(pixels.resized, box=box)
        if pixels is self._coarse_pixels:
            pictures = tuple(each[box] for each in layers.pictures)
        else:
            pictures = pixels.fetched(layers.plan, box)
        if changes is not None:
            changes = changes.fitted(fit, self._side)
        shares = [fit(each) for each in layers.shares]
        frame = pixels.frames[-1].copy()
        moving = fit(np.minimum(layers.moving, FAR))
        frame[box] = composed(pictures, shares, moving, changes)
        return frame

    def _carried(
        self, pose: Pose, sources: Int[np.ndarray, "n"], distances: Float[np.ndarray, "n c c"]
    ) -> tuple[
        UInt8[np.ndarray, "2 c c"],
        Float[np.ndarray, "n c c"],
        Float[np.ndarray, "n 2 3"],
        Float[np.ndarray, "2 c c"],
        Float[np.ndarray, "n c c"],
    ]:
        """Owners of all places, the claims, how parts move, how much the first two cover, and the
        distances to parts as wide as they are drawn."""
        covers, claims = np.zeros_like(distances), np.zeros_like(distances)
        transforms = np.zeros((len(PARTS), 2, 3), np.float32)
        for n in np.flatnonzero(sources >= 0).tolist():
            source = int(sources[n])
            transforms[n] = part_transform(n, pose, self._poses[source], self._size)
            box = reach(self._bounds[source, n], transforms[n], COARSE, self._ends_at_edge)
            cover = self._cover(source, n, transforms[n], box)
            covers[n][box] = cover
            claims[n][box] = cover * np.exp(-distances[n][box]) * np.float32(1 + FRONT * n)
        owners, best = owners_of(claims)
        wide = reaching(distances, covers)
        cover = np.take_along_axis(covers, owners[:1].astype(int), axis=0)[0]
        cover = np.clip((cv2.GaussianBlur(cover, (0, 0), 0.6) - 0.1) / 0.8, 0, 1)
        second = np.clip(0.5 - (best[0] - best[1]) / (SEAM * best.sum(axis=0) + 1e-9), 0, 0.5)
        return owners, claims, transforms, np.stack([cover * (1 - second), cover * second]), wide

    def _cover(
        self, source: int, number: int, transform: Float[np.ndarray, "2 3"], box: Box
    ) -> Float[np.ndarray, "h w"]:
        """How much of each pixel of a box belongs to a part."""
        height, width = (each.stop - each.start for each in box)
        if not height or not width:
            return np.zeros((height, width), np.float32)
        back = from_corner(transform, box[1].start, box[0].start, 1.0)
        cover = cv2.warpAffine(
            self._members[source, number],
            back,
            (width, height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        if self._ends_at_edge and at_edge(self._bounds[source, number], COARSE):
            x, y = _moved(transform, box)
            cover *= (np.minimum(x, y) > 0) & (np.maximum(x, y) < COARSE)
        return cover


def _movement(pose: Pose, last: Pose, camera: Float[np.ndarray, "2 3"]) -> Float[np.ndarray, "n"]:
    """How far each part moved since the last seen frame; infinite where that is not known."""
    stayed = last.ends @ camera[:, :2].T + camera[:, 2]
    moved = np.abs(pose.ends - stayed).max(axis=(1, 2))
    moved[pose.known != last.known] = np.inf
    return np.where(pose.known | last.known, moved, 0)


def _moved(
    transform: Float[np.ndarray, "2 3"], box: Box
) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    """Where it takes the places of a box."""
    y, x = (np.arange(each.start, each.stop, dtype=np.float32) + 0.5 for each in box)
    y = y[:, None]
    (a, b, c), (d, e, f) = transform
    return a * x + b * y + c, d * x + e * y + f


def _shrunk(values: np.ndarray) -> np.ndarray:
    """A picture or a map at the coarse size."""
    how = cv2.INTER_AREA if len(values) > COARSE else cv2.INTER_LINEAR
    return cv2.resize(values, (COARSE, COARSE), interpolation=how)


def _resized(values: Float[np.ndarray, "c c"], side: int) -> Float[np.ndarray, "{side} {side}"]:
    return values if len(values) == side else cv2.resize(values, (side, side))
