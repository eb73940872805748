"""Future frames as layers of seen pixels: the person part by part, the last frame bent, the room.

Most of a future frame is in the seen ones. Once a clip: the camera's path, the plate, and to which
part of the body each of the person's pixels belongs. For each wanted pose: every part is taken
from the seen frame in which it lies most alike, by a transform of its own; each pixel belongs to
one part. Where the person moved by a pixel or two, the whole last frame is bent instead by a
smooth flow, which knows no seams; where nothing that moves is near, the last frame stays.

Motion is worked out at one fixed size, `COARSE`, whose pixels are the unit of every constant
below; colours are fetched from the frames' own pixels. Nothing here is trained.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from posecast.carrying.body_parts import (
    PARTS,
    Pose,
    body_size,
    part_distances,
    part_transform,
    pose_of,
)
from posecast.carrying.camera import STILL, camera_ahead, camera_path
from posecast.carrying.plate import background_plate, moved_picture, warped
from posecast.carrying.smoothing import smoothed
from posecast.skeletons import Skeleton

COARSE = 128
"""Side of the picture in which motion is worked out."""

MASK_REACH = 2.2
"""What a mask says is believed up to so many radii from the body: beyond are other people."""
SHARED = 0.6
"""Radii by which neighbouring parts overlap, so that bent joints do not tear."""
GATE_PX = 0.6
"""A part that moved by less stays as it is in the last frame."""
SAME_GREY = 2.5
"""Mean difference in grey levels below which a part looks the same in two seen frames: what its
joints moved between those is noise."""
BENT_PX, CARRIED_PX = 1.5, 4.0
"""Parts that moved by less than the first are bent, by more than the second carried."""
BACKGROUND_RADII = 1.4
"""How far a part's flow reaches when the last frame is bent."""
STILL_PX = 0.35
"""Flow of less is none: a frame fetched between pixels is softer than it was."""
SWITCHING = 0.045
"""Body sizes by which another source must be better than the part's present one: no flicker."""
AGEING = 0.002
"""Body sizes by which each frame of age counts against a source: light changes."""
FRONT = 0.15
"""By how much each part wins over the one behind it."""
SEAM = 0.25
"""Difference of two parts' claims, as a share of both, below which both show: no hard seams."""


@dataclass(frozen=True, eq=False)
class Layers:
    """One future frame before it is put together."""

    person: UInt8[np.ndarray, "s s 3"]
    """Each pixel from the part that owns it, the body's surroundings included."""
    behind: UInt8[np.ndarray, "s s 3"]
    """Each pixel from the part with the next best claim to it."""
    bent: UInt8[np.ndarray, "s s 3"]
    """The last seen frame, bent by a smooth flow and moved on with the camera."""
    plate: UInt8[np.ndarray, "s s 3"]
    shares: Float[np.ndarray, "4 c c"]
    """How much of each shows; sums to 1."""
    distance: Float[np.ndarray, "c c"]
    """To the nearest part, wanted or in the last seen frame, in radii."""
    holes: Bool[np.ndarray, "s s"]
    """Where no seen frame shows what the plate does."""

    def pictures(self) -> tuple[UInt8[np.ndarray, "s s 3"], ...]:
        """In the order of the shares."""
        return self.person, self.behind, self.bent, self.plate

    def frame(self) -> UInt8[np.ndarray, "s s 3"]:
        """The layers put together."""
        shares = [_resized(share, len(self.person))[..., None] for share in self.shares]
        total = sum(share * layer for share, layer in zip(shares, self.pictures(), strict=True))
        return np.clip(np.asarray(total) + 0.5, 0, 255).astype(np.uint8)


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
        """
        past, self._side = len(frames), frames.shape[1]
        self._frames = frames
        self._scale = COARSE / self._side
        joints = joints.astype(np.float32) * self._scale
        self._size = max(body_size(joints[:past], visible[:past], skeleton), 1.0)
        # What comes must not pull at what was seen: a forecast may begin with a jump.
        seen = smoothed(joints[:past], visible[:past])
        smooth = np.concatenate([seen, smoothed(joints, visible)[past:]])
        raw = pose_of(joints[past - 1 :], visible[past - 1 :], skeleton, self._size)
        self._last_raw, self._wanted_raw = raw[0], raw[1:]
        poses = pose_of(smooth, visible, skeleton, self._size)
        self._poses, self._wanted = poses[:past], poses[past:]
        self._distances = np.stack(
            [part_distances(self._poses[t], COARSE, self._size) for t in range(len(frames))]
        )
        self._mask = person_mask(self._distances.min(axis=1), masks)
        hidden, self._ends_at_edge = self._mask, inside is not None
        if inside is not None:  # what was made up is neither the person nor what is behind it
            hidden, self._mask = np.where(inside, hidden, 1), np.where(inside, hidden, 0)
        self._members = _members(self._mask, self._distances, self._poses.known)
        coarse = frames if self._side == COARSE else np.stack([_shrunk(f) for f in frames])
        self._gates = GATE_PX + self._jitter(coarse)
        path, pace = camera_path(coarse, self._mask)
        self._pace = STILL if camera_stops else pace
        covered = np.stack([_resized(mask, self._side) for mask in hidden.astype(np.float32)])
        self._plate, self.holes = background_plate(frames, covered, self._native(path))
        self._all_frames = frames.reshape(-1, self._side, 3)
        places = np.arange(COARSE, dtype=np.float32) + 0.5
        self._x, self._y = np.meshgrid(places, places)

    def _jitter(self, frames: UInt8[np.ndarray, "t c c 3"]) -> Float[np.ndarray, "n"]:
        """How far each part's joints were off while its pixels stayed the same."""
        last = len(frames) - 1
        change = np.abs(frames.astype(np.int16) - frames[last]).mean(axis=-1)
        weight = self._members[last] + 1e-6
        change = np.einsum("tyx,nyx->tn", change, weight) / weight.sum(axis=(1, 2))
        moved = np.abs(self._poses.ends - self._poses.ends[last]).max(axis=(2, 3))
        same = (change < SAME_GREY) & self._poses.known & self._poses.known[last]
        return np.where(same, moved, 0).max(axis=0)

    def _native(self, transforms: Float[np.ndarray, "*n 2 3"]) -> Float[np.ndarray, "*n 2 3"]:
        """Transforms between pixel indices of the coarse size, as between the frames' own."""
        if self._side == COARSE:
            return transforms
        # A place i of the frames is (i + 0.5) * scale - 0.5 of the coarse size.
        offset = 0.5 * self._scale - 0.5
        shift = (transforms[..., :2] @ np.full((2, 1), offset))[..., 0] - offset
        moved = (transforms[..., 2] + shift) / self._scale
        return np.concatenate([transforms[..., :2], moved[..., None]], axis=-1)

    def _sources(self) -> Int[np.ndarray, "f n"]:
        """For each wanted pose and part the seen frame in which it lies most alike; -1: none."""
        chosen = np.full(self._wanted.known.shape, -1)
        age = AGEING * np.arange(len(self._frames) - 1, -1, -1)
        for number in range(len(PARTS)):
            seen = np.where(self._poses.known[:, number], age, np.inf)
            if not np.isfinite(seen).any():
                continue
            unlike = _unlikeness(self._wanted, self._poses, number) / self._size + seen
            before = -1
            for t in np.flatnonzero(self._wanted.known[:, number]):
                if before >= 0:
                    unlike[t, before] -= SWITCHING
                before = chosen[t, number] = int(unlike[t].argmin())
        return chosen

    def layers(self, wanted: Sequence[int] | None = None) -> Iterator[Layers]:
        """The layers of the frames to come; of some of them (0 is the first), or of all."""
        sources = self._sources()
        for t in range(len(sources)) if wanted is None else wanted:
            yield self._one(t, sources[t])

    def _one(self, t: int, sources: Int[np.ndarray, "n"]) -> Layers:
        pose = self._wanted[t]
        distances = part_distances(pose, COARSE, self._size)
        person, behind, covers = self._carried(pose, sources, distances)
        camera = STILL if self._pace is STILL else camera_ahead(self._pace, t + 1)
        plate = moved_picture(self._plate, self._native(camera))
        near = np.minimum(distances, self._last_distances(camera))
        # A part moved if it did so both before and after smoothing.
        moved = _movement(pose, self._poses[-1], camera)
        moved = np.minimum(moved, _movement(self._wanted_raw[t], self._last_raw, camera))
        gone = np.where((moved > self._gates)[:, None, None], near, np.inf).min(axis=0)
        rests = np.clip((gone - 1.4) / 0.5, 0, 1)
        bent = self._bent(pose, near, moved, rests, camera)
        far = np.clip((moved - BENT_PX) / (CARRIED_PX - BENT_PX), 0, 1)
        carried = (np.clip((2.2 - near) / 0.6, 0, 1) * far[:, None, None]).max(axis=0)
        carried = cv2.GaussianBlur(carried.astype(np.float32), (0, 0), 1.5) * (1 - rests)
        shares = np.stack([*(covers * carried), 1 - carried, (1 - covers.sum(axis=0)) * carried])
        facts = (shares.astype(np.float32), near.min(axis=0), self.holes)
        return Layers(person, behind, bent, plate, *facts)

    def _carried(
        self,
        pose: Pose,
        sources: Int[np.ndarray, "n"],
        distances: Float[np.ndarray, "n c c"],
    ) -> tuple[UInt8[np.ndarray, "s s 3"], UInt8[np.ndarray, "s s 3"], Float[np.ndarray, "2 c c"]]:
        """The person and what is behind, each part from its source, and how much they cover."""
        covers = np.zeros_like(distances)
        transforms = np.zeros((len(PARTS), 2, 3), np.float32)
        for n in np.flatnonzero(sources >= 0).tolist():
            transforms[n] = part_transform(n, pose, self._poses[int(sources[n])], self._size)
            x, y = _moved(transforms[n], self._x, self._y)
            covers[n] = _remapped(self._members[sources[n], n], x - 0.5, y - 0.5)
            if self._ends_at_edge:
                covers[n] *= (np.minimum(x, y) > 0) & (np.maximum(x, y) < COARSE)
        front = 1 + FRONT * np.arange(len(PARTS), dtype=np.float32)[:, None, None]
        claims = covers * np.exp(-distances) * front
        owners, best = _owners(claims)
        cover = np.take_along_axis(covers, owners[:1], axis=0)[0]
        cover = np.clip((cv2.GaussianBlur(cover, (0, 0), 0.6) - 0.1) / 0.8, 0, 1)
        second = np.clip(0.5 - (best[0] - best[1]) / (SEAM * best.sum(axis=0) + 1e-9), 0, 0.5)
        if self._side != COARSE:
            owners = self._fine(owners, claims)
        sources = np.maximum(sources, 0)
        person, behind = (self._fetched(owner, transforms, sources) for owner in owners)
        return person, behind, np.stack([cover * (1 - second), cover * second])

    def _fine(
        self, owners: Int[np.ndarray, "2 c c"], claims: Float[np.ndarray, "n c c"]
    ) -> Int[np.ndarray, "2 s s"]:
        """Owners in the frames' own pixels: claims are smooth, owners are not."""
        places = (np.arange(self._side) + 0.5) * self._scale
        nearest = np.ix_(*[np.minimum(places.astype(int), COARSE - 1)] * 2)
        both, around = (owners[0] * len(PARTS) + owners[1]).astype(np.uint8), np.ones((3, 3))
        seams = (cv2.dilate(both, around) != cv2.erode(both, around))[nearest]
        fine = owners[:, *nearest]
        resized = _resized(np.moveaxis(claims, 0, -1), self._side)
        fine[:, seams] = _owners(resized[seams].T)[0]
        return fine

    def _fetched(
        self,
        owner: Int[np.ndarray, "s s"],
        transforms: Float[np.ndarray, "n 2 3"],
        sources: Int[np.ndarray, "n"],
    ) -> UInt8[np.ndarray, "s s 3"]:
        """Each pixel from its owner's source, by its owner's transform."""
        x, y, side = self._x, self._y, self._side
        if side != COARSE:
            places = (np.arange(side, dtype=np.float32) + 0.5) * self._scale
            x, y = np.meshgrid(places, places)
        a = transforms.reshape(len(PARTS), 6).T[:, owner]
        from_x = (a[0] * x + a[1] * y + a[2]) / self._scale - 0.5
        from_y = (a[3] * x + a[4] * y + a[5]) / self._scale - 0.5
        from_y = np.clip(from_y, 0, side - 1) + (sources * side).astype(np.float32)[owner]
        return _remapped(self._all_frames, from_x, from_y)

    def _last_distances(self, camera: Float[np.ndarray, "2 3"]) -> Float[np.ndarray, "n c c"]:
        last = self._distances[-1]
        return last if camera is STILL else np.stack([warped(each, camera) for each in last])

    def _bent(
        self,
        pose: Pose,
        near: Float[np.ndarray, "n c c"],
        moved: Float[np.ndarray, "n"],
        rests: Float[np.ndarray, "c c"],
        camera: Float[np.ndarray, "2 3"],
    ) -> UInt8[np.ndarray, "s s 3"]:
        """The last seen frame by a mixture of its parts' and the camera's movement."""
        back = cv2.invertAffineTransform(camera).astype(np.float32)
        camera_flow = np.stack(_moved(back, self._x, self._y)) - (self._x, self._y)
        total = np.full((COARSE, COARSE), np.exp(-(BACKGROUND_RADII**2)), np.float32)
        flow = total * camera_flow
        last = self._poses[-1]
        for n in np.flatnonzero(pose.known & last.known & (moved < 3 * CARRIED_PX)).tolist():
            weight = np.exp(-(near[n] ** 2))
            transform = part_transform(n, pose, last, self._size)
            flow += weight * (np.stack(_moved(transform, self._x, self._y)) - (self._x, self._y))
            total += weight
        flow = flow / total * (1 - rests) + camera_flow * rests
        if camera is STILL:
            flow *= np.clip(np.hypot(*flow) / STILL_PX - 1, 0, 1)
        return self._fetched_last(flow.astype(np.float32))

    def _fetched_last(self, flow: Float[np.ndarray, "2 c c"]) -> UInt8[np.ndarray, "s s 3"]:
        pixels = np.arange(self._side, dtype=np.float32)
        x, y = (_resized(each, self._side) / self._scale for each in flow)
        return _remapped(self._frames[-1], pixels + x, pixels[:, None] + y)


def _owners(
    claims: Float[np.ndarray, "n *p"],
) -> tuple[Int[np.ndarray, "2 *p"], Float[np.ndarray, "2 *p"]]:
    """The parts with the best and the second best claim to each place, and these claims.

    Where one part alone has any, it is both.
    """
    first = claims.argmax(axis=0)
    best = np.take_along_axis(claims, first[None], axis=0)
    others = claims.copy()
    np.put_along_axis(others, first[None], -1, axis=0)
    second = others.argmax(axis=0)
    next_best = np.maximum(np.take_along_axis(others, second[None], axis=0), 0)
    second = np.where(next_best[0] > 0, second, first)
    return np.stack([first, second]), np.concatenate([best, next_best])


def _movement(pose: Pose, last: Pose, camera: Float[np.ndarray, "2 3"]) -> Float[np.ndarray, "n"]:
    """How far each part moved since the last seen frame; infinite where that is not known."""
    stayed = last.ends @ camera[:, :2].T + camera[:, 2]
    moved = np.abs(pose.ends - stayed).max(axis=(1, 2))
    moved[pose.known != last.known] = np.inf
    return np.where(pose.known | last.known, moved, 0)


def person_mask(
    nearest: Float[np.ndarray, "t c c"], masks: Float[np.ndarray, "t c c"] | None = None
) -> Float[np.ndarray, "t c c"]:
    """How much the person covers, from the distance to the nearest part and perhaps masks.

    The middle of a limb is the person whatever a mask says.
    """
    if masks is None:
        return np.clip((1.25 - nearest) / 0.5, 0, 1)
    believed = masks * np.clip((MASK_REACH - nearest) / 0.5, 0, 1)
    return np.maximum(believed, 0.9 * np.clip((0.75 - nearest) / 0.3, 0, 1)).astype(np.float32)


def _members(
    mask: Float[np.ndarray, "t c c"],
    distances: Float[np.ndarray, "t n c c"],
    known: Bool[np.ndarray, "t n"],
) -> Float[np.ndarray, "t n c c"]:
    """How much of each pixel belongs to each part: the nearest one, and those not much farther."""
    farther = distances - distances.min(axis=1, keepdims=True)
    belongs = np.clip(1 - farther / SHARED, 0, 1) * known[:, :, None, None]
    return (mask[:, None] * belongs).astype(np.float32)


def _unlikeness(wanted: Pose, seen: Pose, number: int) -> Float[np.ndarray, "t p"]:
    """How much a part's shape differs between wanted and seen poses, in pixels."""
    if PARTS[number].name == "torso":
        first, second = (p.corners - p.corners.mean(1, keepdims=True) for p in (wanted, seen))
        return np.linalg.norm(first[:, None] - second, axis=-1).mean(axis=-1)
    first, second = (p.ends[:, number, 1] - p.ends[:, number, 0] for p in (wanted, seen))
    return np.linalg.norm(first[:, None] - second, axis=-1)


def _moved(
    transform: Float[np.ndarray, "2 3"], x: Float[np.ndarray, "c c"], y: Float[np.ndarray, "c c"]
) -> tuple[Float[np.ndarray, "c c"], Float[np.ndarray, "c c"]]:
    (a, b, c), (d, e, f) = transform
    return a * x + b * y + c, d * x + e * y + f


def _shrunk(frame: UInt8[np.ndarray, "s s 3"]) -> UInt8[np.ndarray, "c c 3"]:
    how = cv2.INTER_AREA if len(frame) > COARSE else cv2.INTER_LINEAR
    return cv2.resize(frame, (COARSE, COARSE), interpolation=how)


def _resized(
    values: Float[np.ndarray, "c c *n"], side: int
) -> Float[np.ndarray, "{side} {side} *n"]:
    return values if len(values) == side else cv2.resize(values, (side, side))


def _remapped(
    picture: np.ndarray, x: Float[np.ndarray, "s s"], y: Float[np.ndarray, "s s"]
) -> np.ndarray:
    """The picture's values at places between pixels, where (0, 0) is the first one's centre."""
    how = cv2.INTER_CUBIC if picture.ndim == 3 else cv2.INTER_LINEAR
    return cv2.remap(picture, x, y, how, borderMode=cv2.BORDER_REPLICATE)
