"""Pose networks of others in ONNX, as `JointFinder`s.

A network reads one picture, `(1, 3, h, w)` or `(1, h, w, 3)`, and says one of

- heat maps `(1, j, h', w')`, as top-down pose networks do,
- two outputs `(1, j, k w)` and `(1, j, k h)`: x and y by classification (SimCC, RTMPose),
- `(1, 1, j, 3)`: y, x and confidence as shares of the picture (MoveNet).

17 joints are COCO's, 26 are AlphaPose's (Halpe); any other number has to be the skeleton's.

What range of pixels it wants is taken from the metadata that the ONNX standard has for it
(Image.NominalPixelRange, Image.BitmapPixelFormat), or from the type of its input. Where neither
says, all ranges are tried on the first pictures: fed rightly, a network is sure of a pose and finds
the mirrored one in the mirrored picture.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, UInt8

from posecast.computing.memory import says_no_memory
from posecast.errors import PosecastError
from posecast.estimation.estimator import Joints, Pixels
from posecast.keypoints.names import HALPE, own_side_names, to_skeleton
from posecast.networks.hourglass import decode_joint_maps
from posecast.records.versions import load_extra
from posecast.skeletons import COCO, Skeleton

logger = logging.getLogger(__name__)

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_TYPES = {
    f"tensor({name})": np.dtype(kind)
    for name, kind in (
        *(("uint8", "u1"), ("int8", "i1"), ("int32", "i4"), ("int64", "i8")),
        *(("float16", "f2"), ("float", "f4"), ("double", "f8")),
    )
}
_RANGES: tuple[Pixels, ...] = ("imagenet", "zero_one", "minus_one_one", "bytes")
_SAID: dict[str, Pixels] = {
    "NominalRange_0_255": "bytes",
    "Normalized_0_1": "zero_one",
    "Normalized_1_1": "minus_one_one",
}
_MOST_TRIED, _ENOUGH_PEOPLE = 8, 48
"""Pictures of a call on which ranges are tried, and pictures of people after which one is kept."""
_WORST_MIRRORED = 0.2
"""Distance of the mirrored picture's joints, as a share of the pose's size, that says that nothing
was understood."""
_IS_PERSON = 0.3
"""Confidence times agreement, in the best range, from which a picture shows a person."""


@contextmanager
def told_by_library(what: str) -> Iterator[None]:
    """What onnxruntime or mediapipe refuse in the block, each by errors of its own, becomes a
    PosecastError; but for memory that is used up, which `memory_told` knows."""
    try:
        yield
    except Exception as error:
        if says_no_memory(error):
            raise
        raise PosecastError(f"{what}: {str(error).strip().partition(chr(10))[0]}") from error


def open_onnx(model: bytes | str, extra: str) -> Any:
    """An onnxruntime session on the processor; PosecastError: the extra is not installed, or the
    file is none that onnxruntime reads."""
    onnxruntime = load_extra("onnxruntime", extra)
    file = model if isinstance(model, str) else "the graph"
    with told_by_library(f"{file} is no ONNX model that onnxruntime reads"):
        return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


@runtime_checkable
class OnnxSession(Protocol):
    """The part of onnxruntime.InferenceSession that is used."""

    def get_inputs(self) -> Sequence[Any]: ...

    def get_modelmeta(self) -> Any: ...

    def run(self, output_names: None, input_feed: dict[str, np.ndarray]) -> Sequence[np.ndarray]:
        """Outputs of one picture."""
        ...


class OnnxEstimator:
    """A pose network in ONNX, a `JointFinder`."""

    def __init__(
        self,
        session: OnnxSession,
        skeleton: Skeleton,
        min_confidence: float = 0.3,
        pixels: Pixels = "auto",
    ) -> None:
        """PosecastError where the model does not read single RGB pictures of a stated size."""
        entry = session.get_inputs()[0]
        shape = tuple(entry.shape)
        self._channels_first = len(shape) == 4 and shape[1] == 3
        hw = shape[2:] if self._channels_first else shape[1:3]
        right = len(shape) == 4 and 3 in (shape[1], shape[3]) and entry.type in _TYPES
        one = right and (shape[0] == 1 or not isinstance(shape[0], int))
        if not one or not all(isinstance(side, int) for side in hw):
            raise PosecastError(
                f"the ONNX model reads {shape}, {entry.type}; expected (1, 3, h, w) or (1, h, w, "
                "3) with numbers for h and w: export it with a fixed size, for one picture"
            )
        self.skeleton = skeleton
        self.min_confidence = min_confidence
        self._session, self._name, self._type = session, entry.name, entry.type
        self._hw = (int(hw[0]), int(hw[1]))
        said = dict(session.get_modelmeta().custom_metadata_map)
        self._is_bgr = said.get("Image.BitmapPixelFormat", "").startswith("Bgr")
        self.pixels: Pixels = _stated(said, entry.type) if pixels == "auto" else pixels
        """How pictures are fed; auto as long as nothing says it surely."""
        self._tried: list[np.ndarray] = []

    @property
    def size(self) -> int:
        """Shorter side of what the model reads; the square lies in its middle."""
        return min(self._hw)

    def estimate(self, pictures: UInt8[np.ndarray, "n s s 3"]) -> Joints:
        """As `JointFinder`; pictures go through the model one by one."""
        if self.pixels != "auto":
            return self._estimate_all(pictures, self.pixels)
        best = self._try(pictures[:: -(-len(pictures) // _MOST_TRIED)])
        return self._estimate_all(pictures, best)

    def _try(self, pictures: UInt8[np.ndarray, "n s s 3"]) -> Pixels:
        """The range that is worth most on all people tried so far; kept after enough of them."""
        worth = np.stack([self._worth(pictures, pixels) for pixels in _RANGES], axis=1)
        self._tried += list(worth[worth.max(axis=1) >= _IS_PERSON])
        best = _RANGES[int(np.sum(self._tried, axis=0).argmax())] if self._tried else _RANGES[0]
        if len(self._tried) >= _ENOUGH_PEOPLE:
            self.pixels = best
            logger.warning("the ONNX file does not say what pixels it reads: tried, %s", best)
        return best

    def _worth(
        self, pictures: UInt8[np.ndarray, "n s s 3"], pixels: Pixels
    ) -> Float[np.ndarray, " n"]:
        """How sure it is of each picture, times how well the mirrored picture agrees."""
        joints, sure = self._estimate_all(pictures, pixels)
        turned, _ = self._estimate_all(np.ascontiguousarray(pictures[:, :, ::-1]), pixels)
        turned = turned[:, list(self.skeleton.mirror)]
        turned[..., 0] = 1 - turned[..., 0]
        apart = np.median(np.linalg.norm(joints - turned, axis=2), axis=1)
        size = np.ptp(joints, axis=1).max(axis=1).clip(min=1e-6)
        agreement = 1 - np.minimum(apart / size / _WORST_MIRRORED, 1)
        return sure.clip(0, 1).mean(axis=1) * agreement

    def _estimate_all(self, pictures: UInt8[np.ndarray, "n s s 3"], pixels: Pixels) -> Joints:
        found = [self._estimate(picture, pixels) for picture in pictures]
        points = np.stack([each[0] for each in found])
        confidence = np.stack([each[1] for each in found])
        # What the model says of the padded picture, as shares of the square in its middle.
        hw = np.array(self._hw, float)
        points = (points - 0.5) * hw[::-1] / self.size + 0.5
        names = self._names(points.shape[1])
        return to_skeleton(points, confidence, names, self.skeleton)

    def _names(self, count: int) -> Sequence[str]:
        for names in (COCO.joints, HALPE):
            if len(names) == count:
                return names
        if count == self.skeleton.num_joints:
            return own_side_names(self.skeleton)
        raise PosecastError(
            f"the ONNX model finds {count} joints; expected 17 (COCO), 26 (Halpe) or "
            f"{self.skeleton.num_joints} ({self.skeleton.name})"
        )

    def _estimate(
        self, picture: UInt8[np.ndarray, "s s 3"], pixels: Pixels
    ) -> tuple[Float[np.ndarray, "k 2"], Float[np.ndarray, " k"]]:
        with told_by_library("the ONNX model does not run"):
            outputs = self._session.run(None, {self._name: self._to_input(picture, pixels)})
        shapes = [np.shape(each) for each in outputs]
        if len(shapes) == 1 and len(shapes[0]) == 4 and shapes[0][1:2] + shapes[0][3:] == (1, 3):
            rows = np.asarray(outputs[0], float)[0, 0]
            return rows[:, 1::-1], rows[:, 2]
        if len(shapes) == 1 and len(shapes[0]) == 4:
            maps = torch.from_numpy(np.asarray(outputs[0], np.float32))
            joints, sure = decode_joint_maps(maps)
            return joints[0].double().numpy(), sure[0].double().numpy()
        if len(shapes) == 2 and all(len(shape) == 3 for shape in shapes):
            return _from_lines(*(np.asarray(each, float)[0] for each in outputs))
        raise PosecastError(
            f"the ONNX model says {shapes}; expected heat maps (1, j, h, w), two outputs (1, j, n) "
            "for x and y, or (1, 1, j, 3)"
        )

    def _to_input(self, picture: UInt8[np.ndarray, "s s 3"], pixels: Pixels) -> np.ndarray:
        top, left = ((side - self.size) // 2 for side in self._hw)
        padded = np.zeros((*self._hw, 3), np.float32)
        scaled = _scaled(picture, pixels)
        scaled = scaled[..., ::-1] if self._is_bgr else scaled
        padded[top : top + self.size, left : left + self.size] = scaled
        if self._channels_first:
            padded = padded.transpose(2, 0, 1)
        return np.ascontiguousarray(padded[None]).astype(_TYPES[self._type])


def _stated(said: dict[str, str], kind: str) -> Pixels:
    """The range that a model's metadata or the type of its input says."""
    if "Image.NominalPixelRange" in said:
        return _SAID.get(said["Image.NominalPixelRange"], "auto")
    return "bytes" if "int" in kind else "auto"


def _scaled(picture: UInt8[np.ndarray, "s s 3"], pixels: Pixels) -> Float[np.ndarray, "s s 3"]:
    values = picture.astype(np.float32)
    if pixels == "bytes":
        return values
    if pixels == "minus_one_one":
        return values / 127.5 - 1
    if pixels == "zero_one":
        return values / 255
    return (values / 255 - np.array(_MEAN, np.float32)) / np.array(_STD, np.float32)


def _from_lines(
    x: Float[np.ndarray, "k nx"], y: Float[np.ndarray, "k ny"]
) -> tuple[Float[np.ndarray, "k 2"], Float[np.ndarray, " k"]]:
    """Places of the largest values of both axes; the smaller of the two is the confidence."""
    places = [(each.argmax(axis=1) + 0.5) / each.shape[1] for each in (x, y)]
    sure = np.minimum(x.max(axis=1), y.max(axis=1))
    return np.stack(places, axis=1), sure.clip(0, 1)


def doubt_of_pixels(estimator: object) -> str:
    """What to add where an estimator finds nobody: an ONNX file may read other pixels."""
    if not isinstance(estimator, OnnxEstimator):
        return ""
    return f". The ONNX file was fed pixels as {estimator.pixels}: if it reads others, say --pixels"
