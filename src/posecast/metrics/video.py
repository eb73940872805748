"""Frechet video distance: how far the forecast videos are, as a set, from the true ones.

The recipe, fixed, because numbers of different recipes do not compare:

1. Of each clip the first `num_frames` (16) frames after the seen ones; shorter clips are left out.
2. Each frame resized to `size` x `size` (224), bilinear without anti-aliasing, RGB in [-1, 1].
3. An extractor, "b 3 t h w" -> "b d", gives one vector a clip. The usual one is I3D trained on
   Kinetics-400, its 400 logits; it is the user's file. Numbers of other extractors are named so.
4. Mean and covariance (dividing by n - 1) over clips, of the forecasts and of the truth.
5. |m1 - m2|^2 + trace(C1 + C2 - 2 (C1 C2)^(1/2)).
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from posecast.errors import PosecastError

Extractor = Callable[[Tensor], Tensor]
"""Videos "b 3 t h w" in [-1, 1] -> features "b d"."""


@dataclass(frozen=True)
class VideoRecipe:
    """What an extractor is shown of each clip."""

    num_frames: int = 16
    """Frames after the seen ones."""
    size: int = 224
    """Height and width in pixels."""

    def __post_init__(self) -> None:
        if self.num_frames < 1 or self.size < 1:
            raise PosecastError(f"frames and size must be 1 or more, got {self}")


@torch.inference_mode()
def video_features(
    frames: UInt8[np.ndarray, "t h w 3"], extractor: Extractor, recipe: VideoRecipe
) -> Float[np.ndarray, " d"] | None:
    """The vector of one clip; None where it has fewer frames than the recipe looks at."""
    if len(frames) < recipe.num_frames:
        return None
    video = torch.from_numpy(frames[: recipe.num_frames]).permute(0, 3, 1, 2).float()
    video = functional.interpolate(
        video, (recipe.size, recipe.size), mode="bilinear", align_corners=False
    )
    features = extractor((video / 127.5 - 1).transpose(0, 1)[None])
    return features.flatten().cpu().double().numpy()


def load_extractor(path: str | Path) -> Extractor:
    """An extractor from a TorchScript file, on the CPU; PosecastError where it is none."""
    path = Path(path)
    if not path.is_file():
        raise PosecastError(f"no video feature extractor: there is no file {path}")
    try:
        with warnings.catch_warnings():  # deprecated, but how published extractors are stored
            warnings.simplefilter("ignore", FutureWarning)
            return torch.jit.load(path, map_location="cpu").eval()
    except RuntimeError as error:
        problem = str(error).splitlines()[0]
        raise PosecastError(f"{path} is no TorchScript file: {problem}") from error


def frechet_distance(ours: Float[np.ndarray, "n d"], theirs: Float[np.ndarray, "m d"]) -> float:
    """Frechet distance of two normal distributions, fitted to the features of two sets of clips.

    Unterthiner et al., 2018. PosecastError for a set of fewer than two clips. Weakness: falls with
    the number of clips, so compare sets of equal size only; with fewer clips than feature
    dimensions it says little.
    """
    fewest = min(len(ours), len(theirs))
    if fewest < 2:
        raise PosecastError(f"a covariance needs at least 2 clips, got {fewest}")
    first, second = (np.atleast_2d(np.cov(each, rowvar=False)) for each in (ours, theirs))
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    # The eigenvalues of root C2 root are those of C1 C2, and it is symmetric.
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ second @ root), 0)).sum()
    apart = ((ours.mean(axis=0) - theirs.mean(axis=0)) ** 2).sum()
    return float(max(apart + np.trace(first) + np.trace(second) - 2 * shared, 0.0))
