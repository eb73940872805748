"""Frames -> poses: a trained estimator or a model file, one crop or a whole video at a time."""

from posecast.estimation.estimator import EstimatorOptions, JointFinder, PoseEstimator
from posecast.estimation.followers import Box, FollowOptions, Moment, People
from posecast.estimation.following import (
    Followed,
    box_around,
    follow,
    follow_back,
    follow_everybody,
)
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
    "Moment",
    "People",
    "PoseEstimator",
    "box_around",
    "estimate_store",
    "follow",
    "follow_back",
    "follow_everybody",
    "load_pose_estimator",
]
