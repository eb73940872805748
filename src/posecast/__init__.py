"""posecast: forecast video of people, from a few seen frames, by way of the pose.

The names below are looked up when they are first used, so that `import posecast` takes no time.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from posecast.clips import ClipError, Forecast, PoseClip
    from posecast.estimation import Estimator
    from posecast.forecaster import Forecaster
    from posecast.forecaster_options import ForecasterOptions
    from posecast.forecasts import read_forecast
    from posecast.own_video import forecast_video
    from posecast.prediction import PredictionConfig, predict_store
    from posecast.preparation import PreparationConfig, prepare
    from posecast.skeletons import SKELETONS, Skeleton
    from posecast.store import ClipSelection, Store
    from posecast.training.image import train_image
    from posecast.training.pose import train_pose

__version__ = "0.1.0"

_HOMES = {
    "SKELETONS": "skeletons",
    "ClipError": "clips",
    "ClipSelection": "store",
    "Estimator": "estimation",
    "Forecast": "clips",
    "Forecaster": "forecaster",
    "ForecasterOptions": "forecaster_options",
    "PoseClip": "clips",
    "PredictionConfig": "prediction",
    "PreparationConfig": "preparation",
    "Skeleton": "skeletons",
    "Store": "store",
    "forecast_video": "own_video",
    "predict_store": "prediction",
    "prepare": "preparation",
    "read_forecast": "forecasts",
    "train_image": "training.image",
    "train_pose": "training.pose",
}

__all__ = [
    "SKELETONS",
    "ClipError",
    "ClipSelection",
    "Estimator",
    "Forecast",
    "Forecaster",
    "ForecasterOptions",
    "PoseClip",
    "PredictionConfig",
    "PreparationConfig",
    "Skeleton",
    "Store",
    "__version__",
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
