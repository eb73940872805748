"""Estimators from what a user names: shipped weights, a run, a file of ours or of others.

MediaPipe Tasks (.task) and ONNX (.onnx) are extras that are imported only here, when they are asked
for: pip install 'posecast[estimators]'.
"""

from pathlib import Path

from posecast.errors import PosecastError
from posecast.estimation.estimator import EstimatorOptions, JointFinder, PoseEstimator
from posecast.estimation.mediapipe_files import MediaPipeEstimator, open_landmarker
from posecast.estimation.onnx_files import OnnxEstimator, open_onnx, told_by_library
from posecast.pretrained import DEFAULT_ESTIMATOR, is_shipped
from posecast.pretrained.pulled import is_hub_name
from posecast.records.arguments import as_path, check_settings
from posecast.records.versions import load_extra
from posecast.skeletons import Skeleton


def load_pose_estimator(
    source: str | Path, skeleton: Skeleton, options: EstimatorOptions | None = None
) -> JointFinder:
    """Shipped weights by their name, a trained run by its folder, or a file by its suffix.

    `skeleton` is what joints are mapped to, by their names; a trained run has its own.
    PosecastError: nothing there, another kind of file, or the extra is not installed.
    """
    path = as_path(source, "estimator", ", or the name of shipped weights")
    options = check_settings(options or EstimatorOptions(), EstimatorOptions, "options")
    if is_shipped(source) or is_hub_name(source) or path.is_dir():
        return PoseEstimator.load(source, options, skeleton)
    if not path.is_file():
        raise PosecastError(
            f"{path}: no such estimator run or model file; shipped: {DEFAULT_ESTIMATOR}"
        )
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        return PoseEstimator.load(source, options, skeleton)
    if suffix == ".task":
        mediapipe = load_extra("mediapipe", "estimators")
        with told_by_library(f"{path} is no file that mediapipe reads"):
            detect = open_landmarker(mediapipe, path)
        return MediaPipeEstimator(detect, skeleton, options.min_confidence)
    if suffix == ".onnx":
        session = open_onnx(str(path), "estimators")
        return OnnxEstimator(session, skeleton, options.min_confidence, options.pixels)
    raise PosecastError(
        f"{path}: expected shipped weights ({DEFAULT_ESTIMATOR}), the folder of a 'posecast train "
        "estimator' run, or a .safetensors, MediaPipe .task or .onnx file"
    )
