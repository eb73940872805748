"""Pose models of others, from a file: MediaPipe Tasks (.task) and ONNX (.onnx).

Both are extras that are imported only here, when they are asked for:
pip install 'posecast[estimators]'.

An ONNX model reads one picture, `(1, 3, h, w)` or `(1, h, w, 3)`, and says one of

- heat maps `(1, j, h', w')`, as top-down pose networks do,
- two outputs `(1, j, k w)` and `(1, j, k h)`: x and y by classification (SimCC, RTMPose),
- `(1, 1, j, 3)`: y, x and confidence as shares of the picture (MoveNet).

17 joints are COCO's, 26 are AlphaPose's (Halpe); any other number has to be the skeleton's.
"""

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, UInt8

from posecast.errors import PosecastError
from posecast.estimation.estimator import Estimator, EstimatorOptions, Joints, PoseEstimator
from posecast.keypoints.names import HALPE, MEDIAPIPE, own_side_name, to_skeleton
from posecast.networks.joint_maps import decode_joint_maps
from posecast.skeletons import COCO, Skeleton

Pixels = Literal["imagenet", "zero_one", "minus_one_one", "bytes"]

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_MEDIAPIPE_SIZE = 256


def load_pose_estimator(
    path: str | Path,
    skeleton: Skeleton,
    options: EstimatorOptions | None = None,
    pixels: Pixels = "imagenet",
) -> PoseEstimator:
    """A trained run (a folder), or a model file by its suffix.

    `skeleton` is what the joints of model files are mapped to, by their names; a run has its own.
    `pixels` is what an ONNX model was trained on: colours normalised as for ImageNet, from 0 to 1,
    from -1 to 1, or bytes.

    Raises:
        PosecastError: nothing there, another kind of file, or the extra is not installed.
    """
    path, options = Path(path), options or EstimatorOptions()
    if path.is_dir():
        return Estimator.load(path, options)
    if not path.is_file():
        raise PosecastError(f"{path}: no such estimator run or model file")
    if path.suffix.lower() == ".task":
        return MediaPipeEstimator(_mediapipe_detector(path), skeleton, options.min_confidence)
    if path.suffix.lower() == ".onnx":
        session = _extra("onnxruntime").InferenceSession(
            str(path), providers=["CPUExecutionProvider"]
        )
        return OnnxEstimator(session, skeleton, options.min_confidence, pixels)
    raise PosecastError(
        f"{path}: expected the folder of a 'posecast train estimator' run, a MediaPipe .task file "
        "or an .onnx file"
    )


def _extra(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise PosecastError(
            f"{module} is not installed ({error}): pip install 'posecast[estimators]'"
        ) from error


# --- MediaPipe ----------------------------------------------------------------------------------


@runtime_checkable
class Landmark(Protocol):
    """One of MediaPipe's landmarks."""

    x: float
    """Share of the picture's width."""
    y: float
    visibility: float | None


class MediaPipeEstimator:
    """MediaPipe's pose landmarker, a `PoseEstimator`."""

    def __init__(
        self,
        detect: Callable[[UInt8[np.ndarray, "s s 3"]], Sequence[Landmark]],
        skeleton: Skeleton,
        min_confidence: float = 0.3,
    ) -> None:
        """`detect` gives the 33 landmarks of the person in a picture, none where nobody is."""
        self.skeleton = skeleton
        self.size = _MEDIAPIPE_SIZE
        self.min_confidence = min_confidence
        self._detect = detect

    def estimate(self, pictures: UInt8[np.ndarray, "n s s 3"]) -> Joints:
        """As `PoseEstimator`."""
        points = np.zeros((len(pictures), len(MEDIAPIPE), 2))
        confidence = np.zeros((len(pictures), len(MEDIAPIPE)))
        for number, picture in enumerate(pictures):
            landmarks = self._detect(picture)
            if landmarks:
                points[number] = [(each.x, each.y) for each in landmarks]
                confidence[number] = [
                    1.0 if each.visibility is None else each.visibility for each in landmarks
                ]
        return to_skeleton(points, confidence, MEDIAPIPE, self.skeleton)


def _mediapipe_detector(path: Path) -> Callable[[np.ndarray], Sequence[Landmark]]:
    mediapipe = _extra("mediapipe")
    vision = mediapipe.tasks.vision
    options = vision.PoseLandmarkerOptions(
        base_options=mediapipe.tasks.BaseOptions(model_asset_path=str(path))
    )
    landmarker = vision.PoseLandmarker.create_from_options(options)

    def detect(picture: np.ndarray) -> Sequence[Landmark]:
        image = mediapipe.Image(mediapipe.ImageFormat.SRGB, np.ascontiguousarray(picture))
        people = landmarker.detect(image).pose_landmarks
        return people[0] if people else []

    return detect


# --- ONNX ---------------------------------------------------------------------------------------


@runtime_checkable
class OnnxSession(Protocol):
    """The part of onnxruntime.InferenceSession that is used."""

    def get_inputs(self) -> Sequence[Any]: ...

    def run(self, output_names: None, input_feed: dict[str, np.ndarray]) -> Sequence[np.ndarray]:
        """Outputs of one picture."""
        ...


class OnnxEstimator:
    """A pose network in ONNX, a `PoseEstimator`."""

    def __init__(
        self,
        session: OnnxSession,
        skeleton: Skeleton,
        min_confidence: float = 0.3,
        pixels: Pixels = "imagenet",
    ) -> None:
        """PosecastError where the model does not read single RGB pictures of a stated size."""
        entry = session.get_inputs()[0]
        shape = tuple(entry.shape)
        self._channels_first = len(shape) == 4 and shape[1] == 3
        hw = shape[2:] if self._channels_first else shape[1:3]
        right = len(shape) == 4 and 3 in (shape[1], shape[3])
        if not right or not all(isinstance(side, int) for side in hw):
            raise PosecastError(
                f"the ONNX model reads {shape}; expected (1, 3, h, w) or (1, h, w, 3) with numbers "
                "for h and w: export it with a fixed size"
            )
        self.skeleton = skeleton
        self.min_confidence = min_confidence
        self._session, self._name, self._type = session, entry.name, entry.type
        self._hw = (int(hw[0]), int(hw[1]))
        self._pixels: Pixels = pixels

    @property
    def size(self) -> int:
        """Shorter side of what the model reads; the square lies in its middle."""
        return min(self._hw)

    def estimate(self, pictures: UInt8[np.ndarray, "n s s 3"]) -> Joints:
        """As `PoseEstimator`; pictures go through the model one by one."""
        found = [self._estimate(picture) for picture in pictures]
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
            return [own_side_name(joint, self.skeleton) for joint in self.skeleton.joints]
        raise PosecastError(
            f"the ONNX model finds {count} joints; expected 17 (COCO), 26 (Halpe) or "
            f"{self.skeleton.num_joints} ({self.skeleton.name})"
        )

    def _estimate(
        self, picture: UInt8[np.ndarray, "s s 3"]
    ) -> tuple[Float[np.ndarray, "k 2"], Float[np.ndarray, " k"]]:
        outputs = self._session.run(None, {self._name: self._to_input(picture)})
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

    def _to_input(self, picture: UInt8[np.ndarray, "s s 3"]) -> np.ndarray:
        top, left = ((side - self.size) // 2 for side in self._hw)
        padded = np.zeros((*self._hw, 3), np.float32)
        padded[top : top + self.size, left : left + self.size] = _scaled(picture, self._pixels)
        if self._channels_first:
            padded = padded.transpose(2, 0, 1)
        kinds = {
            "tensor(int32)": np.int32,
            "tensor(uint8)": np.uint8,
            "tensor(float16)": np.float16,
        }
        return np.ascontiguousarray(padded[None]).astype(kinds.get(self._type, np.float32))


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
