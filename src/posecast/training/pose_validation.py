"""What the pose model is worth on held-out clips, beside 'the last pose stays'."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from posecast.geometry import crop_to_norm, crop_to_px, flatten_joints, unflatten_joints
from posecast.losses import masked_pose_loss
from posecast.metrics.pose import counted_joints, distance_sums, joint_distances, pck_hits
from posecast.models.pose_lstm import last_seen
from posecast.store import StoredClip
from posecast.windows import PoseWindows, seen_and_future

Forecast = Callable[[Tensor, Tensor, int], Tensor]
"""(past "b t 2j", mask "b t j", steps) -> "b steps 2j", as the pose LSTM."""

HORIZONS = (1, 8, 16, 32, 64)
"""Future frames whose distance is logged by itself."""
_BATCH = 256
_PCK_THRESHOLD = 0.1


@dataclass(frozen=True, eq=False)
class PoseValidation:
    """Fixed windows of the validation clips, ready to be forecast."""

    clips: tuple[StoredClip, ...]
    """The clip of each window."""
    joints_crop: Float[np.ndarray, "n t j 2"]
    visible: Bool[np.ndarray, "n t j"]
    num_past: int

    @classmethod
    def of(
        cls, clips: Sequence[StoredClip], config: PoseWindows, num_future: int, num_windows: int
    ) -> "PoseValidation":
        """`num_windows` windows a clip, spread evenly from its first frame to its last that can
        be seen; one window is the clip's start. ValueError if all clips are too short."""
        seen = 1 + (config.num_past - 1) * config.stride
        long_enough = [clip for clip in clips if clip.num_frames > seen]
        if not long_enough:
            raise ValueError(
                f"none of the {len(clips)} validation clips has the {seen + 1} frames of "
                f"{config.num_past} seen ones and a future; see fewer, or validate_every 0"
            )
        cut, owners = [], []
        for clip in long_enough:
            starts = np.linspace(0, clip.num_frames - seen - 1, num_windows).astype(int)
            for start in sorted(set(starts.tolist())):
                cut.append(seen_and_future(clip, config.num_past, num_future, start, config.stride))
                owners.append(clip)
        joints = [np.concatenate([w.past_joints_crop, w.future_joints_crop]) for w in cut]
        visible = [np.concatenate([w.past_visible, w.future_visible]) for w in cut]
        return cls(tuple(owners), np.stack(joints), np.stack(visible), config.num_past)

    def score(self, model: Forecast, device: torch.device) -> dict[str, float]:
        """Numbers of one model.

        `validation_distance`: mean distance of visible joints as a share of the longer side of
        the clip's box, pooled over joints and clips, averaged over the future frames, by which
        the best weights are chosen; `_k` at single frames; `validation_pck` at 0.1 likewise;
        `validation_loss`: the paper's squared loss on these windows.
        """
        predicted, loss = self._forecast(model, device)
        distance, hits, count = self._pooled(predicted)
        scored = count > 0
        curve = distance[scored] / count[scored]
        single = {k: index for index, k in enumerate(np.flatnonzero(scored) + 1) if k in HORIZONS}
        return {
            "validation_loss": loss,
            "validation_distance": float(curve.mean()),
            "validation_pck": float((hits[scored] / count[scored]).mean()),
            **{f"validation_distance_{k}": float(curve[i]) for k, i in single.items()},
        }

    def score_last_pose(self) -> dict[str, float]:
        """The same numbers of 'the last pose stays'."""

        def stay(past: Tensor, mask: Tensor, steps: int) -> Tensor:
            seen = past * torch.cat((mask, mask), dim=2)
            return last_seen(seen, mask.to(past.dtype))[:, None].expand(-1, steps, -1)

        return self.score(stay, torch.device("cpu"))

    @torch.no_grad()
    def _forecast(
        self, model: Forecast, device: torch.device
    ) -> tuple[Float[np.ndarray, "n f j 2"], float]:
        joints = torch.from_numpy(crop_to_norm(self.joints_crop).astype(np.float32))
        poses = flatten_joints(joints).split(_BATCH)
        masks = torch.from_numpy(self.visible).split(_BATCH)
        past, steps = self.num_past, self.visible.shape[1] - self.num_past
        parts = [
            model(pose[:, :past].to(device), mask[:, :past].to(device), steps).float().cpu()
            for pose, mask in zip(poses, masks, strict=True)
        ]
        predicted = torch.cat(parts)
        loss = masked_pose_loss(predicted, torch.cat(poses)[:, past:], torch.cat(masks)[:, past:])
        return (unflatten_joints(predicted).numpy().astype(float) + 1) / 2, loss.item()

    def _pooled(self, predicted: Float[np.ndarray, "n f j 2"]) -> Float[np.ndarray, "3 f"]:
        """Per future frame: sum of distances, hits at PCK@0.1 and number of joints, all clips."""
        total = np.zeros((3, predicted.shape[1]))
        for clip, joints, visible, forecast in zip(
            self.clips, self.joints_crop, self.visible, predicted, strict=True
        ):
            past, future = visible[: self.num_past], visible[self.num_past :]
            true_px = crop_to_px(joints[self.num_past :], clip.crop)
            predicted_px = crop_to_px(forecast, clip.crop)
            distances = joint_distances(predicted_px, true_px, clip.box_side_px)
            counted = counted_joints(past, future)
            total[0] += distance_sums(distances, counted)[0]
            total[1:] += pck_hits(distances, counted, _PCK_THRESHOLD)
        return total
