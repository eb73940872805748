"""A video of one's own -> its forecast, as a video: whole frames, with the skeleton beside them.

    OUT.mp4 or OUT.gif   the seen frames, then the forecast ones, pasted into the last seen frame
    OUT.npz              the seen and the forecast joints, see `result.ARRAYS`

The video streams through twice, once for the poses and once for the seen frames, so its length and
size cost no memory. Nothing after the last seen frame is looked at for the forecast.
"""

from posecast.own_video.forecasting import forecast_video
from posecast.own_video.poses import EstimatedPoses, KeypointFile, OwnVideoConfig
from posecast.own_video.result import OwnForecast

__all__ = [
    "EstimatedPoses",
    "KeypointFile",
    "OwnForecast",
    "OwnVideoConfig",
    "forecast_video",
]
