"""A drawer of frames that carries the seen person along.

Most of a future frame is in the seen ones (`posecast.carrying`): nothing has to be learned for
that, but the person's outline and the composition can be (`networks.carrying`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from posecast.carrying.body_maps import body_maps
from posecast.carrying.body_parts import body_size
from posecast.carrying.composing import FrameChanges
from posecast.carrying.layers import COARSE, CarriedPerson, Layers
from posecast.carrying.smoothing import smoothed, without_gaps
from posecast.clips import SeenVideo
from posecast.computing.ahead import workers
from posecast.computing.devices import ForecasterOptions, in_precision
from posecast.forecasting.protocols import MOST_PICTURES, recent_of
from posecast.geometry import Crop, crop_of_joints
from posecast.networks.carrying import CarryingNetwork, LayerBatch, person_masks
from posecast.skeletons import Skeleton

LARGEST = 512
"""Own videos are drawn in their own pixels up to this side of the crop, scaled beyond it."""
ROOM = 1.4
"""Side of the crop of an own video, in longer sides of the box around all joints, seen and to come:
heads, hands and feet go on beyond theirs, and the border blends into the picture."""
TOGETHER = 8
"""Frames that a worker draws, and the refinement looks at together: how many cores there are is to
change no pixel."""

_Poses = tuple[Float[np.ndarray, "_ j 2"], Bool[np.ndarray, "_ j"]]
"""Joints, those of a trunk that are hidden guessed, and which are visible or were so guessed."""


class CarriedDrawer:
    """Draws frames out of the pixels of the seen ones."""

    size = None
    """It draws any size: a store's own, or the pixels of an own video (`LARGEST`)."""

    def __init__(
        self, network: CarryingNetwork, skeleton: Skeleton, options: ForecasterOptions | None = None
    ) -> None:
        options = options or ForecasterOptions()
        self.skeleton = skeleton
        self._device = options.pick_device()
        self._precision = options.precision
        self._network = network.float().eval().without_norms().to(self._device)
        if options.precision != "32-true" and self._network.refinement is not None:
            half = self._network.refinement.bfloat16()  # once, not for each batch
            half.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def crop_of(
        self,
        seen: SeenVideo,
        joints_px: Float[np.ndarray, "*s t j 2"],
        visible: Bool[np.ndarray, "t j"],
    ) -> Crop:
        """As `FrameDrawer`: around where the person was lately, and goes within the picture."""
        if seen.crop is not None:
            return seen.crop
        recent, (height, width) = recent_of(seen), seen.image_hw
        goes = joints_px.clip(0, (width, height)).reshape(-1, *visible.shape[1:], 2)
        shown = np.broadcast_to(visible, joints_px.shape[:-1]).reshape(goes.shape[:-1])
        joints = np.concatenate([recent.joints_px, goes])
        return crop_of_joints(joints, np.concatenate([recent.visible, shown]), seen.image_hw, ROOM)

    @torch.inference_mode()
    def draw_frames(
        self,
        seen: SeenVideo,
        joints_px: Float[np.ndarray, "t j 2"],
        visible: Bool[np.ndarray, "t j"],
        crop: Crop | None = None,
    ) -> UInt8[np.ndarray, "t h w 3"]:
        """As `FrameDrawer`, in as many pixels as the seen frames have, LARGEST at most."""
        crop, own_video = crop or self.crop_of(seen, joints_px, visible), seen.crop is None
        side = min(max(crop.hw), LARGEST) if own_video else seen.pictures.shape[1]
        recent = seen.last(min(MOST_PICTURES, len(seen.pictures)))
        frames = recent.cut(crop, side)
        if seen.earlier is not None:
            earlier = replace(seen, frames=seen.earlier.frames).cut(crop, side)
            frames = np.concatenate([earlier, frames])
        if crop.width == crop.height:
            return self._draw(frames, seen, joints_px, visible, crop)
        upright = _upright(frames, crop)
        # What did not change is to stay bit for bit, so the change alone is squashed again.
        changes = self._draw(upright, seen, joints_px, visible, crop).astype(np.int16) - upright[-1]
        width, height = _sides(crop, side)
        back = [cv2.resize(each[:height, :width], (side, side)) for each in changes]
        return (frames[-1] + np.stack(back)).clip(0, 255).astype(np.uint8)

    def _draw(
        self,
        frames: UInt8[np.ndarray, "p s s 3"],
        seen: SeenVideo,
        joints_px: Float[np.ndarray, "t j 2"],
        visible: Bool[np.ndarray, "t j"],
        crop: Crop,
    ) -> UInt8[np.ndarray, "t s s 3"]:
        """Of upright square frames, whose corner is the crop's."""
        side, early = frames.shape[1], () if seen.earlier is None else seen.earlier.numbers
        recent = len(frames) - len(early)
        past, future = self._poses(seen, joints_px, visible, crop, recent)
        size = body_size(past[0][-recent:], past[1][-recent:], self.skeleton)
        if not size:  # neither torso nor leg was ever seen whole: nothing to carry
            return np.repeat(frames[-1:], len(joints_px), axis=0)
        masks = None
        if self._network.mask is not None:
            with in_precision(self._precision, self._device):
                masks = person_masks(self._network.mask, frames, *past, self.skeleton)
        # Around the crop of an own video stays what was seen last: so must the camera.
        stops = seen.crop is None
        inside = _inside(crop, seen.image_hw) if stops else None
        joints, shown = (np.concatenate(each) for each in zip(past, future, strict=True))
        facts = self.skeleton, masks, stops, inside, len(early)
        person = CarriedPerson(frames, joints * side, shown, *facts)
        poses = partial(self._maps, *future, size)
        parts = torch.arange(len(joints_px)).split(TOGETHER)
        return np.concatenate(list(workers().map(partial(self._part, person, poses), parts)))

    def _poses(
        self,
        seen: SeenVideo,
        joints_px: Float[np.ndarray, "t j 2"],
        visible: Bool[np.ndarray, "t j"],
        crop: Crop,
        recent: int,
    ) -> tuple[_Poses, _Poses]:
        """Of the frames drawn from, earlier ones and the `recent` last, and of those to come, as
        shares of the crop's longer side."""
        count, early = len(seen), [] if seen.earlier is None else list(seen.earlier.numbers)
        shown = np.concatenate([seen.visible, visible])
        places = np.concatenate([seen.joints_px, joints_px]) - (crop.x1, crop.y1)
        # Hidden joints may be NaN, of which no share is nothing.
        shares = np.where(shown[..., None], places, 0) / max(crop.hw)
        joints, shown = without_gaps(shares.astype(np.float32), shown, self.skeleton)
        last = slice(count - recent, count)
        past = smoothed(joints[:count], shown[:count])[early], joints[last]
        # What comes shows no pixels, and what was hidden for long is not known to be there.
        known = shown[[*early, *range(count)[last]]] & np.any(seen.visible[last], axis=0)
        return (np.concatenate(past), known), (joints[count:], shown[count:])

    @torch.inference_mode()
    def _part(
        self,
        person: CarriedPerson,
        maps: Callable[[Int[Tensor, " n"]], Float[Tensor, "n m d d"]],
        part: Int[Tensor, " n"],
    ) -> UInt8[np.ndarray, "n s s 3"]:
        """Some of the frames, at which the refinement looks together."""
        layers = [person.layers(t) for t in part.tolist()]
        changes: Iterable[FrameChanges | None] = [None] * len(layers)
        if self._network.refinement is not None:
            tensors = _as_tensors(layers, self._device)
            with in_precision(self._precision, self._device):
                changes = self._network.refinement(tensors, maps(part)).of_frames()
        return np.stack([person.frame(*each) for each in zip(layers, changes, strict=True)])

    def _maps(
        self,
        joints: Float[np.ndarray, "t j 2"],
        visible: Bool[np.ndarray, "t j"],
        size: float,
        part: Int[Tensor, " n"],
    ) -> Float[Tensor, "n m d d"]:
        places = torch.from_numpy(joints)[part].to(self._device)
        shown = torch.from_numpy(visible)[part].to(self._device)
        return body_maps(places, shown, size, self.skeleton, COARSE // 2)


def _inside(crop: Crop, image_hw: tuple[int, int]) -> Bool[np.ndarray, "c c"]:
    """Which pixels of the crop, made square, are in the picture."""
    places = (np.arange(COARSE) + 0.5) * max(crop.hw) / COARSE
    rows, columns = crop.y1 + places, crop.x1 + places
    return np.outer((rows > 0) & (rows < image_hw[0]), (columns > 0) & (columns < image_hw[1]))


def _sides(crop: Crop, side: int) -> tuple[int, int]:
    """Width and height of a crop whose longer side has so many pixels."""
    width, height = (
        max(round(side * each / max(crop.hw)), 1) for each in (crop.width, crop.height)
    )
    return width, height


def _upright(frames: UInt8[np.ndarray, "n s s 3"], crop: Crop) -> UInt8[np.ndarray, "n s s 3"]:
    """Frames of a crop that is no square, as the video shows them, their border going on."""
    side = frames.shape[1]
    width, height = _sides(crop, side)
    room = (0, side - height, 0, side - width)
    shrunk = [cv2.resize(each, (width, height), interpolation=cv2.INTER_AREA) for each in frames]
    return np.stack([cv2.copyMakeBorder(each, *room, cv2.BORDER_REPLICATE) for each in shrunk])


def _as_tensors(layers: Sequence[Layers], device: torch.device) -> LayerBatch:
    """What the refinement looks at."""
    values = (
        np.stack([[p for each in one.pictures for p in cv2.split(each)] for one in layers]),
        np.stack([each.shares for each in layers]),
        np.stack([each.distance[None] for each in layers]),
        np.stack([each.holes[None] for each in layers]),
    )
    pictures, *others = (torch.from_numpy(each).to(device) for each in values)
    return LayerBatch(pictures.float().div_(127.5).sub_(1), *others)
