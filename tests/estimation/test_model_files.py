"""Pose models of others, with stand-ins for their libraries."""

import zlib
from types import SimpleNamespace

import numpy as np
import pytest

from posecast.errors import PosecastError
from posecast.estimation.estimator import JointFinder
from posecast.estimation.mediapipe_files import MediaPipeEstimator
from posecast.estimation.model_files import load_pose_estimator
from posecast.estimation.onnx_files import OnnxEstimator, _scaled, doubt_of_pixels
from posecast.keypoints.names import MEDIAPIPE
from posecast.skeletons import COCO, PENN_ACTION

PLACES = np.random.default_rng(0).uniform(0.2, 0.8, (17, 2))
"""Of COCO's joints, as shares of the square picture."""


class Session:
    """A network that always says the same."""

    def __init__(self, shape, outputs, kind="tensor(float)", says=None):
        self.inputs = [SimpleNamespace(name="picture", shape=shape, type=kind)]
        self.meta = SimpleNamespace(custom_metadata_map=says or {})
        self.outputs = outputs
        self.seen = None

    def get_modelmeta(self):
        return self.meta

    def get_inputs(self):
        return self.inputs

    def run(self, output_names, input_feed):
        self.seen = input_feed["picture"]
        return self.outputs


def picture(size: int) -> np.ndarray:
    return np.full((size, size, 3), 255, np.uint8)


def check(estimator: JointFinder, tolerance: float) -> np.ndarray:
    """Joints are where they were put, under the skeleton's names; returns the confidences."""
    assert isinstance(estimator, JointFinder)
    joints, confidence = estimator.estimate(np.stack([picture(estimator.size)] * 2))
    assert joints.shape == (2, 13, 2)
    left_knee = joints[1, PENN_ACTION.index("left_knee")]
    # Penn Action's left is the person's right.
    assert np.abs(left_knee - PLACES[COCO.index("right_knee")]).max() < tolerance
    head = (PLACES[COCO.index("left_ear")] + PLACES[COCO.index("right_ear")]) / 2
    assert np.abs(joints[0, 0] - head).max() < tolerance
    return confidence


def heat_maps(hw: tuple[int, int], places: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(hw) + 0.5
    x, y = places[:, 0, None, None] * hw[1], places[:, 1, None, None] * hw[0]
    return 0.8 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 8)[None]


def test_onnx_heat_maps():
    session = Session((1, 3, 64, 64), [heat_maps((16, 16), PLACES)])
    confidence = check(OnnxEstimator(session, PENN_ACTION, pixels="imagenet"), 0.02)
    assert np.all((confidence > 0.6) & (confidence <= 0.9))
    assert session.seen.shape == (1, 3, 64, 64)
    assert session.seen.dtype == np.float32
    assert session.seen[0, :, 5, 5] == pytest.approx([2.249, 2.429, 2.640], abs=1e-3)


def test_onnx_of_an_upright_picture_sees_the_square_in_its_middle():
    upright = PLACES * [1, 0.75] + [0, 0.125]
    session = Session((1, 3, 64, 48), [heat_maps((32, 24), upright)])
    estimator = OnnxEstimator(session, PENN_ACTION, pixels="zero_one")
    assert estimator.size == 48
    check(estimator, 0.02)
    np.testing.assert_array_equal(session.seen[0, 0, :, 0], [0] * 8 + [1] * 48 + [0] * 8)


def test_onnx_by_classification():
    lines = []
    for axis, length in ((0, 128), (1, 96)):
        lines.append(np.zeros((1, 17, length)))
        lines[axis][0, np.arange(17), (PLACES[:, axis] * length).astype(int)] = 0.7
    confidence = check(OnnxEstimator(Session((1, 3, 48, 48), lines), PENN_ACTION), 0.02)
    assert np.all(confidence == 0.7)


def test_onnx_that_names_places():
    rows = np.concatenate([PLACES[:, ::-1], np.full((17, 1), 0.6)], axis=1)[None, None]
    session = Session((1, 40, 40, 3), [rows], "tensor(int32)")
    confidence = check(OnnxEstimator(session, PENN_ACTION), 1e-6)
    assert np.all(confidence == 0.6)
    assert session.seen.dtype == np.int32
    assert session.seen.max() == 255


class RedSession(Session):
    """A network that finds red in pixels of one range, and is sure of nonsense in others."""

    def __init__(self, pixels, says=None):
        super().__init__((1, 40, 40, 3), [], says=says)
        self.red, self.pixels = _scaled(np.array([[[220, 20, 20]]], np.uint8), pixels), pixels

    def run(self, output_names, input_feed):
        (seen,) = input_feed["picture"]
        rows, columns = np.nonzero(np.abs(seen - self.red).max(axis=2) < 0.01)
        if not len(rows):
            self.understood = False
            nonsense = np.random.default_rng(zlib.crc32(seen.tobytes())).uniform(size=(17, 2))
            return [np.concatenate([nonsense, np.ones((17, 1))], axis=1)[None, None]]
        self.understood = True
        low, high = (
            np.array([rows[0], columns.min()]) / 40,
            np.array([rows[-1], columns.max()]) / 40,
        )
        sides = np.array([name.startswith("left") for name in COCO.joints])
        x = np.where(sides, 0.1, 0.9)
        places = low + np.stack([np.linspace(0, 1, 17), x], axis=1) * (high - low)
        places[:, 0] = low[0] + (np.arange(17) + 1) // 2 / 8 * (high - low)[0]
        return [np.concatenate([places, np.full((17, 1), 0.7)], axis=1)[None, None]]


def red_pictures() -> np.ndarray:
    pictures = np.full((3, 40, 40, 3), 90, np.uint8)
    pictures[:2, 8:36, 6:20] = (220, 20, 20)
    return pictures


@pytest.mark.parametrize("pixels", ["imagenet", "zero_one", "minus_one_one", "bytes"])
def test_onnx_that_does_not_say_what_it_reads_is_tried(pixels, caplog):
    session = RedSession(pixels)
    estimator = OnnxEstimator(session, PENN_ACTION)
    estimator.estimate(red_pictures()[2:])  # nobody: nothing can be learned from it
    assert estimator.pixels == "auto"
    for _ in range(24):  # two of three pictures show somebody
        assert estimator.pixels == "auto"
        _, confidence = estimator.estimate(red_pictures())
    assert estimator.pixels == pixels
    assert f"tried, {pixels}" in caplog.text
    assert np.all(confidence[0] == 0.7)
    estimator.estimate(red_pictures()[:1])
    assert session.understood


def test_onnx_that_says_what_it_reads_is_believed():
    bytes_ = {"Image.NominalPixelRange": "NominalRange_0_255"}
    estimator = OnnxEstimator(RedSession("bytes", bytes_), PENN_ACTION)
    assert estimator.pixels == "bytes"
    unit = {"Image.NominalPixelRange": "Normalized_0_1", "Image.BitmapPixelFormat": "Bgr8"}
    session = Session((1, 3, 64, 64), [heat_maps((16, 16), PLACES)], says=unit)
    red = np.zeros((1, 64, 64, 3), np.uint8)
    red[..., 0] = 255
    OnnxEstimator(session, PENN_ACTION).estimate(red)
    assert session.seen[0, :, 5, 5].tolist() == [0, 0, 1]
    assert OnnxEstimator(session, PENN_ACTION, pixels="bytes").pixels == "bytes"


def test_onnx_of_the_skeleton_itself():
    places = np.random.default_rng(1).uniform(0.2, 0.8, (13, 2))
    session = Session((1, 3, 64, 64), [heat_maps((16, 16), places)])
    joints, _ = OnnxEstimator(session, PENN_ACTION).estimate(picture(64)[None])
    assert np.abs(joints[0] - places).max() < 0.02


def test_onnx_that_does_not_fit_says_so():
    with pytest.raises(ValueError, match=r"reads \('n', 3, 'h', 'w'\).*fixed size"):
        OnnxEstimator(Session(("n", 3, "h", "w"), []), PENN_ACTION)
    with pytest.raises(ValueError, match=r"reads \(4, 3, 8, 8\).*for one picture"):
        OnnxEstimator(Session((4, 3, 8, 8), []), PENN_ACTION)
    with pytest.raises(ValueError, match=r"8\), tensor\(string\); expected"):
        OnnxEstimator(Session((1, 3, 8, 8), [], "tensor(string)"), PENN_ACTION)
    wrong = OnnxEstimator(Session((1, 3, 8, 8), [np.zeros((1, 5))]), PENN_ACTION)
    with pytest.raises(ValueError, match="expected heat maps"):
        wrong.estimate(picture(8)[None])
    nine = OnnxEstimator(Session((1, 3, 64, 64), [np.zeros((1, 9, 16, 16))]), PENN_ACTION)
    with pytest.raises(ValueError, match=r"finds 9 joints; expected 17 \(COCO\)"):
        nine.estimate(picture(64)[None])


class RefusalError(Exception):
    """As onnxruntime has its own."""


def test_what_the_libraries_refuse_is_said(tmp_path, monkeypatch):
    (tmp_path / "pose.onnx").write_bytes(b"no model")
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    with pytest.raises(
        PosecastError, match=r"pose\.onnx is no ONNX model that onnxruntime reads: "
    ):
        load_pose_estimator(tmp_path / "pose.onnx", PENN_ACTION)
    session = Session((1, 3, 64, 64), [], "tensor(double)")

    def refuse(_, feed):
        assert feed["picture"].dtype == np.float64
        raise RefusalError("[ONNXRuntimeError] : 1\nand more")

    monkeypatch.setattr(session, "run", refuse)
    with pytest.raises(PosecastError, match=r"does not run: \[ONNXRuntimeError\] : 1$"):
        OnnxEstimator(session, PENN_ACTION).estimate(picture(64)[None])


def test_mediapipe_landmarks():
    def detect(seen):
        assert seen.shape == (384, 384, 3)
        assert seen[:64].max() == 0  # room around a tight crop
        if seen.max() == 0:
            return []
        points = dict.fromkeys(MEDIAPIPE, (0.5, 0.5)) | dict(
            zip(COCO.joints, PLACES.tolist(), strict=True)
        )
        inside = (np.array([points[name] for name in MEDIAPIPE]) * 256 + 64) / 384
        return [SimpleNamespace(x=x, y=y, visibility=0.9) for x, y in inside]

    estimator = MediaPipeEstimator(detect, PENN_ACTION)
    assert np.all(check(estimator, 1e-9) == 0.9)
    _, nobody = estimator.estimate(np.zeros((1, estimator.size, estimator.size, 3), np.uint8))
    assert np.all(nobody == 0)


def test_the_libraries_are_asked_as_they_document(tmp_path, monkeypatch):
    """Stand-in modules in place of the extras."""
    session = Session((1, 3, 64, 64), [heat_maps((16, 16), PLACES)])
    asked = []

    class Options(SimpleNamespace):
        pass

    landmark = SimpleNamespace(x=(0.25 * 256 + 64) / 384, y=0.5, visibility=None)
    detector = SimpleNamespace(
        detect=lambda image: SimpleNamespace(pose_landmarks=[[landmark] * 33])
    )
    vision = SimpleNamespace(
        PoseLandmarkerOptions=Options,
        PoseLandmarker=SimpleNamespace(
            create_from_options=lambda options: asked.append(options) or detector
        ),
    )
    modules = {
        "onnxruntime": SimpleNamespace(
            InferenceSession=lambda path, providers: asked.append(path) or session
        ),
        "mediapipe": SimpleNamespace(
            tasks=SimpleNamespace(vision=vision, BaseOptions=Options),
            Image=lambda form, data: (form, data.shape),
            ImageFormat=SimpleNamespace(SRGB=1),
        ),
    }
    monkeypatch.setattr("importlib.import_module", modules.__getitem__)
    for name in ("pose.onnx", "pose.task"):
        (tmp_path / name).write_bytes(b"a model")
    check(load_pose_estimator(tmp_path / "pose.onnx", PENN_ACTION), 0.02)
    landmarker = load_pose_estimator(tmp_path / "pose.task", PENN_ACTION)
    joints, confidence = landmarker.estimate(picture(256)[None])
    np.testing.assert_allclose(joints[0], np.tile([0.25, 0.5], (13, 1)))
    assert np.all(confidence == 1)
    assert asked[0] == str(tmp_path / "pose.onnx")
    assert asked[1].min_pose_detection_confidence == 0.1
    assert asked[1].base_options.model_asset_path == str(tmp_path / "pose.task")


def test_a_missing_extra_or_file_says_what_to_do(tmp_path, monkeypatch):
    def absent(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr("importlib.import_module", absent)
    for name in ("pose.onnx", "pose.task", "pose.txt"):
        (tmp_path / name).write_bytes(b"a model")
    for name in ("pose.onnx", "pose.task"):
        with pytest.raises(ValueError, match=r"pip install 'posecast\[estimators\]'"):
            load_pose_estimator(tmp_path / name, PENN_ACTION)
    with pytest.raises(ValueError, match=r"expected shipped weights \(movenet-lightning"):
        load_pose_estimator(tmp_path / "pose.txt", PENN_ACTION)
    with pytest.raises(ValueError, match="no such estimator run or model file"):
        load_pose_estimator(tmp_path / "nowhere", PENN_ACTION)


def test_of_an_onnx_file_it_is_said_what_it_was_fed():
    session = Session((1, 3, 48, 48), [heat_maps((12, 12), PLACES)])
    doubt = doubt_of_pixels(OnnxEstimator(session, PENN_ACTION, pixels="bytes"))
    assert doubt == ". The ONNX file was fed pixels as bytes: if it reads others, say --pixels"
    assert doubt_of_pixels(object()) == ""
