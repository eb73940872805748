"""A forecast of one's own video beside what came: errors over time, and whether to trust it.

Poses are compared from the moment that is shown, and from every half second before and after it
that has something to see and something to compare with: one moment alone says little. Distances are
in % of the person's size, the longer side of the box around the joints in the last seen frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8

from posecast.clips import PoseForecast, SeenVideo
from posecast.evaluation.baselines import LastPose
from posecast.forecasting.forecaster import Forecaster
from posecast.geometry import Crop, sides_of
from posecast.metrics.image import psnr
from posecast.metrics.pose import counted_joints, distance_sums, joint_distances
from posecast.own_video.result import OwnForecast
from posecast.own_video.truth import Truth
from posecast.records.brief import Brief

_APART_S = 0.5
_MOST_MOMENTS = 40
_LEAST_SEEN = 0.4
"""Share of the joints that the last seen frame must show."""
_SIZE_FRAMES = 10
_STILL, _BETTER, _NO_WORSE = 2.0, 0.9, 1.1
_LEAST_REACH_S = 0.15
_ALIKE_DB = 0.05
_FEW = 3


@dataclass(frozen=True, eq=False, repr=False)
class PoseErrors(Brief):
    """Mean distance of joints from where they came to be, over time; NaN where nothing came."""

    forecast: Float[np.ndarray, " t"]
    """% of the person's size."""
    still: Float[np.ndarray, " t"]
    """The same, had each joint stayed where it was seen last."""
    num_moments: int = 1
    """From how many moments of the video forecasts were made."""


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Brief):
    """Everything that was measured."""

    fps: float
    shown: PoseErrors
    """From the moment that is shown."""
    pooled: PoseErrors
    """From all moments."""
    psnr: Float[np.ndarray, "2 t"] | None = None
    """dB of the forecast frames and of the last seen frame, in the person's crop; None where no
    frames were drawn."""

    @property
    def reach(self) -> int:
        """Frames up to which, all in all, the forecast is clearly nearer than standing still."""
        mine, still = (_running_mean(each) for each in (self.pooled.forecast, self.pooled.still))
        return up_to_last(mine <= _BETTER * still)

    @property
    def errors(self) -> tuple[float, float]:
        """Means over time of the forecast from all moments, and of standing still."""
        return float(np.nanmean(self.pooled.forecast)), float(np.nanmean(self.pooled.still))

    def errors_at(self, seconds: float) -> tuple[float, float]:
        """The same so long after the last seen frame; NaN where nothing came."""
        place = round(seconds * self.fps) - 1
        if not 0 <= place < len(self.pooled.still):
            return np.nan, np.nan
        return float(self.pooled.forecast[place]), float(self.pooled.still[place])

    @property
    def psnr_gain(self) -> float:
        """dB by which the forecast frames are nearer than the last frame; NaN where unknown."""
        known = None if self.psnr is None else self.psnr[:, np.isfinite(self.psnr).all(axis=0)]
        return np.nan if known is None or not known.size else float((known[0] - known[1]).mean())

    def facts(self) -> dict[str, Any]:
        """For programs; curves begin with the first frame after the last seen one."""
        psnr, still_psnr = (None, None) if self.psnr is None else self.psnr
        return {
            "verdict": self.verdict().removeprefix("Verdict: "),
            "fps": self.fps,
            "moments": self.pooled.num_moments,
            "joints_percent": self.pooled.forecast,
            "still_joints_percent": self.pooled.still,
            "psnr_db": psnr,
            "still_psnr_db": still_psnr,
        }

    def verdict(self) -> str:
        few = "" if self.pooled.num_moments >= _FEW else "; so few moments tell little"
        return f"Verdict: {self._of_poses()}{self._of_frames()}{few}."

    def _of_poses(self) -> str:
        mine, still = self.errors
        length_s = up_to_last(np.isfinite(self.pooled.still)) / self.fps
        reach_s = self.reach / self.fps
        count = self.pooled.num_moments
        moments = f"{count} moment" + ("" if count == 1 else "s")
        facts = f"{mine:.1f} % of the person's size off, standing still {still:.1f} %, {moments}"
        if still < _STILL:
            return f"the person hardly moves ({facts}), so this video cannot tell"
        if mine <= _BETTER * still:
            share = 100 * (1 - mine / still)
            return (
                f"the forecast is {share:.0f} % nearer to what came than standing still, over "
                f"{length_s:.1f} s ({facts}): on videos like this trust it as a likely course, the "
                "less the further ahead"
            )
        if reach_s >= _LEAST_REACH_S:
            return (
                f"the forecast is better than standing still for {reach_s:.1f} s and not beyond "
                f"({facts}): trust only its beginning on videos like this"
            )
        if mine <= _NO_WORSE * still:
            return f"the forecast is no better than standing still ({facts}): do not rely on it"
        return f"the forecast is worse than standing still ({facts}): do not trust it here"

    def _of_frames(self) -> str:
        more = self.psnr_gain
        if np.isnan(more):
            return ""
        if abs(more) < _ALIKE_DB:
            return "; the frames shown are as near to the truth as the last frame"
        nearer = "nearer to" if more > 0 else "farther from"
        return f"; the frames shown are {abs(more):.1f} dB {nearer} the truth than the last frame"


def up_to_last(marks: Bool[np.ndarray, " t"]) -> int:
    """Frames up to the last that is marked; 0 where none is."""
    return int(np.flatnonzero(marks)[-1]) + 1 if marks.any() else 0


def _running_mean(values: Float[np.ndarray, " t"]) -> Float[np.ndarray, " t"]:
    known = np.isfinite(values)
    return np.cumsum(np.where(known, values, 0)) / np.maximum(np.cumsum(known), 1)


def compare_poses(
    forecaster: Forecaster, result: OwnForecast, truth: Truth
) -> tuple[PoseErrors, PoseErrors]:
    """Errors from the moment that is shown, and from all moments."""
    shown = _sums(result.seen, result.forecast, truth)
    rates, num_seen, steps = result.rates, len(result.seen), len(result.forecast.visible)
    whole = replace(
        result.seen,
        joints_px=np.concatenate([result.seen.joints_px, truth.joints_px]),
        visible=np.concatenate([result.seen.visible, truth.visible]),
        frames=None,
        confidence=None,
    )
    every = [shown]
    for end in _moments(whole, num_seen, rates.span(forecaster.needs.num_past)):
        seen = whole.take(range(end), whole.fps, None)
        came = Truth(*(x[end : end + steps] for x in (whole.joints_px, whole.visible)))
        every.append(_sums(seen, forecaster.forecast_poses_of_video(seen, rates, steps), came))
    return _errors([shown]), _errors(every)


def _moments(whole: SeenVideo, shown: int, least: int) -> list[int]:
    """Numbers of seen frames, half a second apart, but for `shown`; the nearest to it first."""
    step = max(round(_APART_S * whole.fps), 1)
    ends = [end for end in range(shown % step, len(whole) - step // 2, step) if end >= least]
    well = whole.visible.mean(axis=1) >= _LEAST_SEEN
    ends = [end for end in ends if end != shown and well[end - 1]]
    return sorted(ends, key=lambda end: abs(end - shown))[: _MOST_MOMENTS - 1]


_Sums = Float[np.ndarray, "3 t"]
"""Distances of the forecast and of the last pose, and joints counted, in each frame."""


def errors_of_futures(result: OwnForecast, truth: Truth) -> list[Float[np.ndarray, " t"]]:
    """Of each future, from the moment that is shown; % of the person's size, NaN where nothing
    came."""
    count = len(result.forecast.joints_px)
    sums = [_sums(result.seen, result.forecast, truth, sample) for sample in range(count)]
    return [_errors([each]).forecast for each in sums]


def _sums(seen: SeenVideo, forecast: PoseForecast, truth: Truth, sample: int = 0) -> _Sums:
    num_true, steps = len(truth.visible), len(forecast.visible)
    counted = counted_joints(seen.visible, truth.visible)
    recent = seen.last(_SIZE_FRAMES)
    size = max(*sides_of(recent.joints_px, recent.visible), 1.0)
    still = LastPose().forecast_poses([seen], num_true)[0]
    both = (forecast.joints_px[sample, :num_true], still.joints_px[0])
    distances = [100 * joint_distances(each, truth.joints_px, size) for each in both]
    rows = [*(distance_sums(each, counted)[0] for each in distances), counted.sum(axis=1)]
    return np.pad(np.array(rows, float), ((0, 0), (0, steps - num_true)))


def _errors(sums: Sequence[_Sums]) -> PoseErrors:
    """Means over joints and moments, as far as half of the moments reach."""
    forecast, still, count = np.sum(sums, axis=0)
    reaching = np.sum([each[2] > 0 for each in sums], axis=0)
    count = np.where(2 * reaching >= len(sums), count, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        forecast, still = (np.where(count > 0, x / count, np.nan) for x in (forecast, still))
    return PoseErrors(forecast, still, len(sums))


def frame_psnr(
    true: UInt8[np.ndarray, "h w 3"], other: UInt8[np.ndarray, "h w 3"], crop: Crop
) -> float:
    """PSNR of whole frames in the part of the crop that is in the picture, in dB."""
    part = slice(max(crop.y1, 0), max(crop.y2, 0)), slice(max(crop.x1, 0), max(crop.x2, 0))
    return float(psnr(other[part][None], true[part][None])[0])
