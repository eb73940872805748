"""posecast: forecast video of people, from a few seen frames, by way of the pose.

The names below are looked up when they are first used, so that `import posecast` takes no time.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from posecast.clips import ClipError, Forecast, PoseClip
    from posecast.computing.devices import ForecasterOptions
    from posecast.errors import PosecastError
    from posecast.estimation import PoseEstimator
    from posecast.forecasting.forecast_files import read_forecast
    from posecast.forecasting.forecaster import Forecaster
    from posecast.forecasting.prediction import PredictionConfig, predict_store
    from posecast.own_video.forecast import forecast_video
    from posecast.own_video.keypoints import forecast_keypoints
    from posecast.skeletons import SKELETONS, Skeleton
    from posecast.store.preparation import PreparationConfig, prepare
    from posecast.store.reading import ClipSelection, Store
    from posecast.training.image import train_image
    from posecast.training.pose import train_pose

__version__ = "0.1.0"

_NAMES = {
    "clips": ("ClipError", "Forecast", "PoseClip"),
    "computing.devices": ("ForecasterOptions",),
    "errors": ("PosecastError",),
    "estimation": ("PoseEstimator",),
    "forecasting.forecast_files": ("read_forecast",),
    "forecasting.forecaster": ("Forecaster",),
    "forecasting.prediction": ("PredictionConfig", "predict_store"),
    "own_video.forecast": ("forecast_video",),
    "own_video.keypoints": ("forecast_keypoints",),
    "skeletons": ("SKELETONS", "Skeleton"),
    "store.preparation": ("PreparationConfig", "prepare"),
    "store.reading": ("ClipSelection", "Store"),
    "training.image": ("train_image",),
    "training.pose": ("train_pose",),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names}

__all__ = [
    "SKELETONS",
    "ClipError",
    "ClipSelection",
    "Forecast",
    "Forecaster",
    "ForecasterOptions",
    "PoseClip",
    "PoseEstimator",
    "PosecastError",
    "PredictionConfig",
    "PreparationConfig",
    "Skeleton",
    "Store",
    "__version__",
    "forecast_keypoints",
    "forecast_video",
    "predict_store",
    "prepare",
    "read_forecast",
    "train_image",
    "train_pose",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'posecast' has no attribute {name!r}")
    return getattr(importlib.import_module(f"posecast.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """What a notebook completes."""
    return __all__
