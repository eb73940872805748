"""What others did next after a motion like this one: a compact database of real motion.

An entry is a seen motion and the displacements that followed it. Both are kept as principal
components in single bytes (about 200 bytes an entry), so that tens of thousands of moments fit into
a few megabytes. A motion is looked up together with its mirror image.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int8
from safetensors import safe_open
from safetensors.numpy import save
from torch import Tensor

from posecast.errors import PosecastError
from posecast.motion.basis import HORIZON, NUM_COSINES
from posecast.motion.seen import BACK, SeenShape

BASE_FILE = "motion-base.safetensors"
"""Name of the database beside the weights that were trained with it."""
NUM_NEIGHBOURS = 20
NUM_FACTS = 4

LOOKED_AT = (1, 2, 3, 5, 7, 9)  # frames back
COLUMNS = [BACK.index(frames) for frames in LOOKED_AT]
MOVEMENT_WEIGHT = 4.0
FARTHEST = 8.0  # body sizes
_FEATURE_COMPONENTS, _FUTURE_COMPONENTS = 64, 128
_FORMAT = "posecast motion base 1"


@dataclass(frozen=True)
class Neighbours:
    """The nearest entries of some motions; displacements in sizes of their bodies."""

    cosines: Float[np.ndarray, "b n m j 2"]
    weights: Float[np.ndarray, "b n"]
    """They add up to 1."""
    facts: Float[np.ndarray, "b 4"]
    """How near the first and the last of them are, and how far their futures part."""

    @property
    def mean(self) -> Float[np.ndarray, "b m j 2"]:
        return np.einsum("bn,bnmjc->bmjc", self.weights, self.cosines)


@dataclass(frozen=True)
class Packed:
    """Rows as principal components in bytes."""

    mean: Float[np.ndarray, " d"]
    components: Float[np.ndarray, "k d"]
    steps: Float[np.ndarray, " k"]
    codes: Int8[np.ndarray, "n k"]

    @classmethod
    def of(cls, rows: Float[np.ndarray, "n d"], count: int) -> "Packed":
        mean = rows.mean(axis=0)
        _, axes = np.linalg.eigh(np.cov(rows - mean, rowvar=False))
        components = np.ascontiguousarray(axes[:, ::-1][:, :count].T).astype(np.float32)
        scores = (rows - mean) @ components.T
        # Rare far values are cut, so that common ones keep their fine steps.
        steps = np.maximum(np.quantile(np.abs(scores), 0.999, axis=0), 1e-6) / 127
        codes = np.clip(np.round(scores / steps), -127, 127).astype(np.int8)
        return cls(mean.astype(np.float32), components, steps.astype(np.float32), codes)

    def rows(self) -> Float[np.ndarray, "n d"]:
        return (self.codes * self.steps) @ self.components + self.mean


class MotionBase:
    """The database; make one with `build` or `load`."""

    def __init__(
        self, features: Packed, futures: Packed, mirror: Sequence[int], facts: dict[str, str]
    ) -> None:
        self.facts = facts
        """What it was made from, for people."""
        self.packed = {"features": features, "futures": futures}
        self.mirror = torch.tensor(mirror)
        self._features = torch.from_numpy(features.rows())
        squares = self._features.square().unflatten(1, (len(LOOKED_AT) + 1, -1))
        self._squares = squares.sum(dim=-1)
        rows = torch.from_numpy(futures.rows())
        self._futures = rows.unflatten(1, (NUM_COSINES, self.num_joints, 2))

    def __len__(self) -> int:
        return len(self._features)

    @property
    def num_joints(self) -> int:
        return len(self.mirror)

    @classmethod
    def build(
        cls,
        seen: SeenShape,
        future: Float[np.ndarray, "n m j 2"],
        mirror: Sequence[int],
        facts: dict[str, str],
    ) -> "MotionBase":
        """Of seen motions of at least 10 frames and the displacements that followed, as cosines."""
        if len(future) <= _FUTURE_COMPONENTS:
            raise PosecastError(
                f"{len(future)} moments are too few for a database of motion; "
                f"expected more than {_FUTURE_COMPONENTS}: give more or longer clips"
            )
        features = _features(seen).reshape(len(future), -1)
        futures = future.reshape(len(future), -1)
        packed = Packed.of(features, _FEATURE_COMPONENTS), Packed.of(futures, _FUTURE_COMPONENTS)
        return cls(*packed, mirror, facts)

    def to(self, device: torch.device) -> "MotionBase":
        """A copy that is searched on that device."""
        moved = copy(self)
        for name in ("mirror", "_features", "_squares", "_futures"):
            setattr(moved, name, getattr(self, name).to(device))
        return moved

    def find(
        self, seen: SeenShape, apart_from: Bool[np.ndarray, "b n"] | None = None
    ) -> Neighbours:
        """The entries nearest to each motion; those marked in `apart_from` are passed over."""
        nearest, far = self._nearest(seen, apart_from)
        cosines = self._futures[nearest % len(self)]
        turned = (nearest >= len(self))[..., None, None, None]
        cosines = torch.where(turned, flip(cosines, self.mirror), cosines)
        weights = weights_of(far)
        facts = facts_of(cosines, weights, far)
        return Neighbours(*(each.cpu().numpy() for each in (cosines, weights, facts)))

    def _nearest(
        self, seen: SeenShape, apart_from: Bool[np.ndarray, "b n"] | None
    ) -> tuple[Int[Tensor, "b k"], Float[Tensor, "b k"]]:
        """Entries and squared distances, nearest first; from len(self) on they are mirrored."""
        device = self._features.device
        plain = torch.from_numpy(_features(seen)).to(device)
        known = np.pad(seen.exists[:, COLUMNS], ((0, 0), (1, 0)), constant_values=True)
        shown = torch.from_numpy(known).to(device).float()
        both = (torch.cat([plain, flip(plain, self.mirror)]), torch.cat([shown, shown]))
        far = squared_distances(*both, self._features, self._squares)
        distances = torch.cat(far.chunk(2), dim=1)
        if apart_from is not None:
            passed = torch.from_numpy(apart_from).to(device)
            distances.masked_fill_(torch.cat([passed, passed], dim=1), torch.inf)
        far, nearest = distances.topk(NUM_NEIGHBOURS, dim=1, largest=False)
        return nearest, far.clamp_min(0)

    def save(self, path: str | Path) -> None:
        """One file, read again by `load`."""
        arrays = {"mirror": self.mirror.cpu().numpy().astype(np.int32)}
        for name, packed in self.packed.items():
            arrays |= {f"{name}.{key}": value for key, value in vars(packed).items()}
        Path(path).write_bytes(save(arrays, {"format": _FORMAT, **self.facts}))

    @classmethod
    def load(cls, path: str | Path) -> "MotionBase":
        """PosecastError where the file is none or of another version."""
        if not Path(path).is_file():
            raise PosecastError(f"no database of motion at {path}")
        with safe_open(path, "numpy") as file:
            facts = dict(file.metadata() or {})
            found = facts.pop("format", "")
            if found != _FORMAT:
                raise PosecastError(
                    f"{path} is {found or 'no database of motion'}; expected {_FORMAT!r}: make it "
                    "again with this version"
                )
            features, futures = (
                Packed(*(file.get_tensor(f"{name}.{key}") for key in Packed.__annotations__))
                for name in ("features", "futures")
            )
            return cls(features, futures, file.get_tensor("mirror").tolist(), facts)


def flip(points: Float[Tensor, "*b j 2"], mirror: Tensor) -> Float[Tensor, "*b j 2"]:
    """Points relative to the body's middle, seen in a mirror."""
    return points[..., mirror, :] * points.new_tensor([-1.0, 1.0])


def squared_distances(
    features: Float[Tensor, "b f j 2"],
    known: Float[Tensor, "b f"],
    entries: Float[Tensor, "n d"],
    squares: Float[Tensor, "n f"],
) -> Float[Tensor, "b n"]:
    """Of motions from entries, over the frames that were seen; `squares` are those of the entries,
    summed for each frame."""
    query = (features * known[..., None, None]).flatten(1)
    own = query.square().sum(dim=1, keepdim=True)
    return own - 2 * query @ entries.T + known @ squares.T


def weights_of(far: Float[Tensor, "b n"]) -> Float[Tensor, "b n"]:
    """Of the nearest entries, by their squared distances."""
    weights = torch.exp(-far / far[:, -1:].clamp_min(1e-6))
    return weights / weights.sum(dim=1, keepdim=True)


def facts_of(
    cosines: Float[Tensor, "b n m j 2"], weights: Float[Tensor, "b n"], far: Float[Tensor, "b n"]
) -> Float[Tensor, "b 4"]:
    """As `Neighbours.facts`."""
    mean = torch.einsum("bn,bnmjc->bmjc", weights, cosines)
    variance = torch.einsum("bn,bnmjc->bm", weights, (cosines - mean[:, None]).square())
    variance = variance / (cosines.shape[-1] * cosines.shape[-2] * HORIZON)
    facts = [
        torch.log(far[:, 0] + 1e-3) / 3,
        torch.log(far[:, -1] + 1e-3) / 3,
        5 * variance.sum(dim=1).sqrt(),
        5 * variance[:, 2:].sum(dim=1).sqrt(),
    ]
    return torch.stack(facts, dim=1)


def _features(seen: SeenShape) -> Float[np.ndarray, "b f j 2"]:
    """The last pose and how it came about."""
    weights = MOVEMENT_WEIGHT / np.sqrt(np.array(LOOKED_AT, np.float32))
    moved = seen.was[:, COLUMNS] * weights[:, None, None]
    features = np.concatenate([seen.pose[:, None], moved], axis=1)
    return np.clip(features, -FARTHEST, FARTHEST).astype(np.float32)
