"""What others did next after a motion like this one: a compact database of real motion.

An entry is a seen motion and the displacements that followed it. Both are kept as principal
components in single bytes (about 200 bytes an entry), so that tens of thousands of moments fit into
a few megabytes. A motion is looked up together with its mirror image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, Int8
from safetensors import safe_open
from safetensors.numpy import save_file

from posecast.errors import PosecastError
from posecast.motion.basis import NUM_COSINES
from posecast.motion.seen import BACK, SeenMotion

BASE_FILE = "motion-base.safetensors"
"""Name of the database beside the weights that were trained with it."""
NUM_NEIGHBOURS = 20
NUM_FACTS = 4

LOOKED_AT = (1, 2, 3, 5, 7, 9)  # frames back
MOVEMENT_WEIGHT = 4.0
FARTHEST = 8.0  # body sizes
_FEATURE_COMPONENTS, _FUTURE_COMPONENTS = 64, 128
_FORMAT = "posecast motion base 1"


@dataclass(frozen=True)
class Neighbours:
    """The nearest entries of some motions; displacements in sizes of their bodies."""

    cosines: Float[np.ndarray, "b n m j 2"]
    poses: Float[np.ndarray, "b n j 2"]
    """The poses that they set out from, about their mean joint."""
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
        self.mirror = np.array(mirror)
        self._features = features.rows()
        self._squares = (self._features**2).reshape(len(self), len(LOOKED_AT) + 1, -1).sum(axis=-1)
        self._futures = futures.rows().reshape(len(self), NUM_COSINES, self.num_joints, 2)

    def __len__(self) -> int:
        return len(self._features)

    @property
    def num_joints(self) -> int:
        return len(self.mirror)

    @classmethod
    def build(
        cls,
        seen: SeenMotion,
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
        return cls(
            Packed.of(features, _FEATURE_COMPONENTS),
            Packed.of(futures, _FUTURE_COMPONENTS),
            mirror,
            facts,
        )

    def find(
        self, seen: SeenMotion, apart_from: Bool[np.ndarray, "b n"] | None = None
    ) -> Neighbours:
        """The entries nearest to each motion; those marked in `apart_from` are passed over."""
        both = np.stack([_features(seen), _features(seen)[..., self.mirror, :]])
        both[1, ..., 0] *= -1
        known = np.concatenate(
            [np.ones((len(seen.pose), 1), bool), seen.exists[:, _columns()]], axis=1
        )
        distances = np.concatenate([self._distances(each, known) for each in both], axis=1)
        if apart_from is not None:
            distances[np.concatenate([apart_from, apart_from], axis=1)] = np.inf
        nearest = np.argpartition(distances, NUM_NEIGHBOURS - 1, axis=1)[:, :NUM_NEIGHBOURS]
        far = np.take_along_axis(distances, nearest, axis=1)
        order = np.argsort(far, axis=1, kind="stable")
        far = np.take_along_axis(far, order, axis=1)
        return self._neighbours(np.take_along_axis(nearest, order, axis=1), far)

    def _distances(
        self, features: Float[np.ndarray, "b f j 2"], known: Bool[np.ndarray, "b f"]
    ) -> Float[np.ndarray, "b n"]:
        """Squared, over the frames that were seen."""
        query = (features * known[..., None, None]).reshape(len(features), -1)
        own = (query**2).sum(axis=1)[:, None]
        return own - 2 * query @ self._features.T + known.astype(np.float32) @ self._squares.T

    def _neighbours(
        self, nearest: Int[np.ndarray, "b n"], far: Float[np.ndarray, "b n"]
    ) -> Neighbours:
        far = np.maximum(far, 0)
        turned = nearest >= len(self)
        cosines = self._turned(self._futures[nearest % len(self)], turned)
        first = self._features[:, : 2 * self.num_joints].reshape(len(self), -1, 2)
        poses = self._turned(first[nearest % len(self)], turned)
        weights = np.exp(-far / np.maximum(far[:, -1:], 1e-6))
        weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
        mean = np.einsum("bn,bnmjc->bmjc", weights, cosines)
        variance = np.einsum("bn,bnmjc->bm", weights, (cosines - mean[:, None]) ** 2)
        variance /= np.prod(cosines.shape[-2:]) * 64
        facts = [
            np.log(far[:, 0] + 1e-3) / 3,
            np.log(far[:, -1] + 1e-3) / 3,
            5 * np.sqrt(variance.sum(axis=1)),
            5 * np.sqrt(variance[:, 2:].sum(axis=1)),
        ]
        return Neighbours(cosines, poses, weights, np.stack(facts, axis=1).astype(np.float32))

    def _turned(
        self, points: Float[np.ndarray, "b n *m j 2"], turned: Bool[np.ndarray, "b n"]
    ) -> Float[np.ndarray, "b n *m j 2"]:
        """Those marked, seen in a mirror."""
        points[turned] = points[turned][..., self.mirror, :] * np.array([-1, 1], np.float32)
        return points

    def save(self, path: str | Path) -> None:
        """One file, read again by `load`."""
        arrays = {"mirror": self.mirror.astype(np.int32)}
        for name, packed in self.packed.items():
            arrays |= {f"{name}.{key}": value for key, value in vars(packed).items()}
        save_file(arrays, path, {"format": _FORMAT, **self.facts})

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


def _columns() -> list[int]:
    return [BACK.index(frames) for frames in LOOKED_AT]


def _features(seen: SeenMotion) -> Float[np.ndarray, "b f j 2"]:
    """The last pose and how it came about."""
    weights = MOVEMENT_WEIGHT / np.sqrt(np.array(LOOKED_AT, np.float32))
    moved = seen.was[:, _columns()] * weights[:, None, None]
    features = np.concatenate([seen.pose[:, None], moved], axis=1)
    return np.clip(features, -FARTHEST, FARTHEST).astype(np.float32)
