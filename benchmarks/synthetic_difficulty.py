"""How hard a set of clips is: the last seen frame held still, against what really comes.

    python -m benchmarks.synthetic_difficulty ROOT         any set in Penn Action's layout
    python -m benchmarks.synthetic_difficulty              the built-in set, drawn for this

Clips are cropped as in the paper (union of all boxes, 128 x 128). The first 10 frames are seen; for
every horizon k, PSNR and SSIM of frame 10 against frame 10 + k, averaged over the clips that are
long enough. Metrics are scikit-image's on uint8 (data range 255), SSIM on grey with its default
window of 7 x 7.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from posecast.datasets.drawn.clips import SyntheticConfig
from posecast.datasets.drawn.people import write_penn_layout
from posecast.datasets.penn_action import PennAction
from posecast.geometry import cut_crop, union_crop

NUM_SEEN = 10
HORIZONS = (1, 2, 4, 8, 16, 24)


def hold_still_scores(source: PennAction, clip_id: str) -> dict[int, tuple[float, float]]:
    """Horizon -> PSNR and SSIM of the last seen frame, for the horizons that the clip reaches."""
    pose = source.read_poses(clip_id)
    frames = source.read_frames(clip_id)
    if frames is None:
        raise ValueError(f"clip {clip_id} has no frames")
    crop = union_crop(pose.boxes_px, pose.image_hw)
    wanted = [NUM_SEEN - 1, *(NUM_SEEN - 1 + horizon for horizon in HORIZONS)]
    cut = {
        index: cut_crop(frame, crop, 128) for index, frame in enumerate(frames) if index in wanted
    }
    last = cut[NUM_SEEN - 1]
    return {k: _scores(last, cut[NUM_SEEN - 1 + k]) for k in HORIZONS if NUM_SEEN - 1 + k in cut}


def _scores(held: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (held, true)]
    return (
        float(peak_signal_noise_ratio(true, held, data_range=255)),
        float(structural_similarity(grey[1], grey[0], data_range=255)),  # pyright: ignore
    )


def mean_scores(root: Path, clips: Sequence[str] = ()) -> dict[int, tuple[float, float, int]]:
    """Horizon -> mean PSNR, mean SSIM, number of clips, over the clips that have frames."""
    source = PennAction(root)
    named = clips or [name for name in source.clip_ids() if (root / "frames" / name).is_dir()]
    scores = [hold_still_scores(source, clip_id) for clip_id in named]
    means = {}
    for horizon in HORIZONS:
        reached = [clip[horizon] for clip in scores if horizon in clip]
        if reached:
            psnr, ssim = np.mean(reached, axis=0).tolist()
            means[horizon] = (psnr, ssim, len(reached))
    return means


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("root", type=Path, nargs="?")
    parser.add_argument("--clips", nargs="*", default=[])
    parser.add_argument("--num-clips", type=int, default=96, help="of the drawn set")
    parser.add_argument("--seed", type=int, default=0, help="of the drawn set")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = arguments.root
        if root is None:
            root = Path(folder) / "drawn"
            write_penn_layout(SyntheticConfig(arguments.num_clips, arguments.seed), root)
        for horizon, (psnr, ssim, count) in mean_scores(root, arguments.clips).items():
            print(f"k = {horizon:2d}   PSNR {psnr:5.2f} dB   SSIM {ssim:.3f}   {count} clips")


if __name__ == "__main__":
    main()
