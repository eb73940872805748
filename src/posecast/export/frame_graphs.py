"""Between whole frames of a video and the squares that networks look at, as traceable functions.

A square is (left, top, side) in pixels of the frame; where it reaches beyond, the frame's edge goes
on. `h w` is the size of the video's frames, `s` that of the squares' pictures.
"""

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from posecast.carrying.layers import COARSE
from posecast.export.body_graph import HUGE, places_of, size_of_body, without_gaps
from posecast.forecasting.carried import ROOM
from posecast.skeletons import Skeleton

_LOOK_ROOM = 1.5
"""Side of the estimator's square in sides of the box around the joints; the drawer's is `ROOM`."""
_FEWEST = 3
"""Joints without which nobody is seen."""
_SMALLEST_PX = 8.0
_FINER = 4, 2
"""Places looked at along a pixel of a picture for the estimator, for the drawer."""


class CutGraph(nn.Module):
    """The picture for the estimator."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def forward(
        self, frame: UInt8[Tensor, "h w 3"], where: Float[Tensor, "3"]
    ) -> tuple[UInt8[Tensor, "1 s s 3"], Float[Tensor, "3"]]:
        """The square of a frame, and which one it is; of side 0: one around the whole frame."""
        height, width = frame.shape[0], frame.shape[1]
        hw = torch.stack([torch.scalar_tensor(width), torch.scalar_tensor(height)])
        side = hw.max()
        square = torch.where(where[2:] > 0, where, torch.cat([(hw - side) / 2, side[None]]))
        planes = frame.movedim(-1, 0)[None].float()
        return _to_pictures(_cut(planes, square, self._size, _FINER[0])), square


class PlaceGraph(nn.Module):
    """From what the estimator says to the pose, and where to look in the next frame."""

    def __init__(self, min_confidence: float) -> None:
        super().__init__()
        self._least = min_confidence

    def forward(
        self,
        joints_crop: Float[Tensor, "1 j 2"],
        confidence: Float[Tensor, "1 j"],
        square: Float[Tensor, "3"],
    ) -> tuple[Float[Tensor, "j 2"], Bool[Tensor, " j"], Float[Tensor, "3"]]:
        """Joints in pixels of the frame, which are seen, and the next square (side 0: nobody)."""
        joints, found = joints_crop[0] * square[2] + square[:2], confidence[0].abs() >= self._least
        low, high = _box(joints[None], found[None])
        side = (_LOOK_ROOM * (high - low).max()).clamp(min=_SMALLEST_PX).reshape(1)
        following = torch.cat([(low + high - side) / 2, side])
        seen = confidence[0] >= self._least
        return joints, seen, torch.where(found.sum() >= _FEWEST, following, 0.0)


class BeginGraph(nn.Module):
    """The person's square, cut out of the last seen frames, and what networks are shown of it."""

    def __init__(self, skeleton: Skeleton, size: int) -> None:
        super().__init__()
        self._skeleton, self._size = skeleton, size

    def forward(
        self,
        last_frames: UInt8[Tensor, "p h w 3"],
        last_joints_px: Float[Tensor, "p j 2"],
        last_visible: Bool[Tensor, "p j"],
        future_joints_px: Float[Tensor, "1 t j 2"],
    ) -> tuple[Tensor, ...]:
        """Pictures and poses of the square, small ones, and the body's size."""
        height, width = last_frames.shape[1], last_frames.shape[2]
        hw = torch.stack([torch.scalar_tensor(width), torch.scalar_tensor(height)])
        # As `CarriedDrawer.crop_of`, nearly.
        goes = torch.minimum(future_joints_px[0].clamp(min=0), hw)
        known = last_visible.any(0).expand(goes.shape[0], -1)
        low, high = _box(torch.cat([last_joints_px, goes]), torch.cat([last_visible, known]))
        need = (high - low).max().ceil().clamp(min=_SMALLEST_PX)
        side = torch.maximum(torch.minimum((ROOM * (high - low).max()).ceil(), hw.max()), need)
        corner = ((low + high - side) / 2).round()
        room = hw - side  # as `geometry._moved_inside`
        corner = torch.minimum(torch.maximum(corner, room.clamp(max=0)), room.clamp(min=0))
        square = torch.cat([corner, side.reshape(1)])
        planes = last_frames.movedim(-1, 1).float()
        pictures = _to_pictures(_cut(planes, square, self._size, _FINER[1]))
        joints = ((last_joints_px - corner) / side).where(last_visible[..., None], 0.0)
        future = (future_joints_px[0] - corner) / side
        poses = (torch.cat([joints, future[:1]]), torch.cat([last_visible, known[:1]]))
        joints, seen = (each[:-1] for each in without_gaps(*poses, self._skeleton))
        size = size_of_body(joints, seen, self._skeleton).expand(joints.shape[0], 1, 1)
        small = averaged(pictures.movedim(-1, 1).float(), self._size // COARSE)
        box = torch.cat([-corner, hw - corner]) / side
        mine = (pictures, joints, seen, future, box, square, last_frames[-1].clone())
        return *mine, small / 127.5 - 1, joints.clone(), seen.clone(), size


class PasteGraph(nn.Module):
    """Drawn squares in whole frames; what did not change stays as it was seen last."""

    def forward(
        self,
        frames: UInt8[Tensor, "b s s 3"],
        seen_pictures: UInt8[Tensor, "p s s 3"],
        square: Float[Tensor, "3"],
        last_frame: UInt8[Tensor, "h w 3"],
    ) -> UInt8[Tensor, "b h w 3"]:
        """The whole frames."""
        height, width = last_frame.shape[0], last_frame.shape[1]
        x, y = torch.arange(width) + 0.5, torch.arange(height) + 0.5
        places = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)
        grid = ((places - square[:2]) / square[2] * 2 - 1).expand(frames.shape[0], -1, -1, -1)
        changed = (frames != seen_pictures[-1]).any(-1)[:, None].float()
        share = functional.grid_sample(changed, grid, align_corners=False)
        drawn = functional.grid_sample(
            frames.movedim(-1, 1).float(), grid, "bicubic", "border", align_corners=False
        )
        last = last_frame.movedim(-1, 0).float()
        return _to_pictures(last + share * (drawn - last))


def _box(
    joints: Float[Tensor, "p j 2"], visible: Bool[Tensor, "p j"]
) -> tuple[Float[Tensor, "2"], Float[Tensor, "2"]]:
    """Corners of the box around the visible joints."""
    hidden = ~visible[..., None]
    low = torch.where(hidden, HUGE, joints).amin((0, 1))
    return low, torch.where(hidden, -HUGE, joints).amax((0, 1))


def _cut(
    planes: Float[Tensor, "p 3 h w"], square: Float[Tensor, "3"], size: int, finer: int
) -> Float[Tensor, "p 3 s s"]:
    """The square at another size, each of its pixels the mean of several places."""
    height, width = planes.shape[2], planes.shape[3]
    places = places_of(size * finer) * (square[2] / (size * finer)) + square[:2]
    grid = torch.stack([places[..., 0] / width, places[..., 1] / height], -1) * 2 - 1
    grid = grid.expand(planes.shape[0], -1, -1, -1)
    found = functional.grid_sample(planes, grid, "bilinear", "border", align_corners=False)
    return averaged(found, finer)


def averaged(planes: Float[Tensor, "p c h w"], times: int) -> Float[Tensor, "p c h2 w2"]:
    """So many times smaller."""
    return planes.unflatten(3, (-1, times)).unflatten(2, (-1, times)).mean((3, 5))


def to_side(values: Float[Tensor, "b n h w"], side: int) -> Float[Tensor, "b n s s"]:
    """At another size, between pixels where that is larger."""
    if values.shape[-1] == side:
        return values
    return functional.interpolate(values, (side, side), mode="bilinear")


def _to_pictures(planes: Float[Tensor, "b 3 h w"]) -> UInt8[Tensor, "b h w 3"]:
    return planes.clamp(0, 255).round().movedim(1, -1).to(torch.uint8)
