"""Frames -> poses: a trained estimator or a model file, one crop or a whole video at a time."""

from posecast.estimation.estimator import EstimatorOptions, JointFinder, PoseEstimator
from posecast.estimation.following import Box, Followed, FollowOptions, People, box_around, follow
from posecast.estimation.model_files import load_pose_estimator
from posecast.estimation.stored import EstimationConfig, EstimationReport, estimate_store

__all__ = [
    "Box",
    "EstimationConfig",
    "EstimationReport",
    "EstimatorOptions",
    "FollowOptions",
    "Followed",
    "JointFinder",
    "People",
    "PoseEstimator",
    "box_around",
    "estimate_store",
    "follow",
    "load_pose_estimator",
]
