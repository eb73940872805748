"""How long the drawer that ships takes for 64 frames of one clip of a drawn person.

    python -m benchmarks.speed.drawer

10 frames are seen, the true poses are drawn. "one frame" holds all that is worked out once a clip
(masks, camera, plate, whose pixels are whose); "each more" is what every further frame adds.
"""

import argparse
from functools import partial

import numpy as np
import torch

from benchmarks.speed.measuring import peak_memory, time_work
from posecast.clips import SeenVideo
from posecast.computing.devices import ForecasterOptions
from posecast.computing.memory import keep_freed_memory
from posecast.datasets.drawn.clips import SyntheticConfig, draw_clip
from posecast.forecasting.loading import load_frame_drawer
from posecast.geometry import Crop, crop_of_joints, cut_crop
from posecast.pretrained import DEFAULT_DRAWER

SEEN, STEPS = 10, 64
CLIP = "0005"
"""Jumping jacks: all limbs move far, and the camera a little."""


def drawn_video(side: int) -> tuple[SeenVideo, np.ndarray, np.ndarray]:
    """What is seen of the clip in crops of a side, and the poses that come."""
    clip = draw_clip(SyntheticConfig(num_frames=SEEN + STEPS), CLIP)
    joints, visible, image_hw = clip.pose.joints_px, clip.pose.visible, clip.pose.image_hw
    crop = crop_of_joints(joints, visible, image_hw)
    frames = np.stack([cut_crop(clip.film.frame(t), crop, side, "area") for t in range(SEEN)])
    scale = side / crop.width
    joints = ((joints - (crop.x1, crop.y1)) * scale).astype(np.float32)
    box = Crop(0, 0, side, side)
    seen = SeenVideo(joints[:SEEN], visible[:SEEN], clip.pose.fps, (side, side), frames, box)
    return seen, joints[SEEN:], visible[SEEN:]


def main() -> None:
    """Print a row a size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sides", type=int, nargs="+", default=[128, 256])
    parser.add_argument("--precision", choices=("bf16-mixed", "32-true"), default="bf16-mixed")
    parser.add_argument("--weights", default=DEFAULT_DRAWER)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    keep_freed_memory()
    options = ForecasterOptions("cpu", asked.precision)
    drawer = load_frame_drawer(asked.weights, options=options)
    for side in asked.sides:
        seen, *poses = drawn_video(side)
        works = (
            partial(drawer.draw_frames, seen, *(each[:count] for each in poses))
            for count in (1, STEPS)
        )
        device = torch.device("cpu")
        first, whole = (time_work(work, device, asked.repeats, 0.0) for work in works)
        more = (whole.seconds - first.seconds) / (STEPS - 1)
        print(
            f"{side} px, {torch.get_num_threads()} threads: {STEPS} frames {whole.seconds:.3f} s "
            f"({whole.fastest:.3f} to {whole.slowest:.3f}); one frame {first.seconds:.3f} s, "
            f"each more {1000 * more:.1f} ms; memory {peak_memory() / 2**30:.2f} GiB",
            flush=True,
        )


if __name__ == "__main__":
    main()
