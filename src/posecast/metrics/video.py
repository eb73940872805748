"""Frechet video distance: how far the forecast videos are, as a set, from the true ones.

The recipe, fixed, because numbers of different recipes do not compare:

1. Of each clip the first `num_frames` (16) frames after the seen ones; shorter clips are left out.
2. Each frame resized to `size` x `size` (224), bilinear without anti-aliasing, RGB in [-1, 1].
3. An extractor, "b 3 t h w" -> "b d", gives one vector a clip. The usual one is I3D trained on
   Kinetics-400, its 400 logits; it is the user's file. Numbers of other extractors are named so.
4. Mean and covariance (dividing by n - 1) over clips, of the forecasts and of the truth.
5. |m1 - m2|^2 + trace(C1 + C2 - 2 (C1 C2)^(1/2)).
"""

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
        return torch.jit.load(path, map_location="cpu").eval()
    except RuntimeError as error:
        problem = str(error).splitlines()[0]
        raise PosecastError(f"{path} is no TorchScript file: {problem}") from error


class FrechetStatistics:
    """Mean and covariance of vectors that come one by one; memory does not grow with them."""

    def __init__(self) -> None:
        self.count = 0
        self._mean = np.zeros(0)
        self._scatter = np.zeros((0, 0))

    def add(self, features: Float[np.ndarray, " d"]) -> None:
        """One more vector; all must be of one length."""
        if self.count == 0:
            self._mean = np.zeros(len(features))
            self._scatter = np.zeros((len(features), len(features)))
        self.count += 1
        before = features - self._mean
        self._mean = self._mean + before / self.count
        self._scatter += np.outer(before, features - self._mean)

    @property
    def mean(self) -> Float[np.ndarray, " d"]:
        return self._mean

    @property
    def covariance(self) -> Float[np.ndarray, "d d"]:
        """Dividing by n - 1; PosecastError for fewer than two vectors."""
        if self.count < 2:
            raise PosecastError(f"a covariance needs at least 2 clips, got {self.count}")
        return self._scatter / (self.count - 1)


def frechet_distance(ours: FrechetStatistics, theirs: FrechetStatistics) -> float:
    """Frechet distance of two normal distributions with these means and covariances.

    Unterthiner et al., 2018. Weakness: falls with the number of clips, so compare sets of equal
    size only; with fewer clips than feature dimensions it says little.
    """
    root = _symmetric_root(ours.covariance)
    # The eigenvalues of root C2 root are those of C1 C2, and it is symmetric.
    values = np.linalg.eigvalsh(root @ theirs.covariance @ root)
    shared = np.sqrt(np.maximum(values, 0)).sum()
    traces = np.trace(ours.covariance) + np.trace(theirs.covariance)
    distance = ((ours.mean - theirs.mean) ** 2).sum() + traces - 2 * shared
    return float(max(distance, 0.0))


def _symmetric_root(matrix: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "d d"]:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
