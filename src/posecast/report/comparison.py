"""`posecast forecast --compare`: where a video goes on, its forecast beside what came.

Writes a video (truth, forecast and pose side by side) and a page of one file with the same to play,
the errors over time and a verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from posecast import __version__
from posecast.computing.stages import Stages
from posecast.errors import PosecastError
from posecast.evaluation.comparison import Comparison, compare_poses, errors_of_futures, up_to_last
from posecast.forecasting.forecaster import Forecaster
from posecast.forecasting.frame_rates import FrameRates
from posecast.media.videos import VideoSource, probe_video
from posecast.media.writing import mp4_writer
from posecast.own_video.files import check_out
from posecast.own_video.forecast import forecast_video, video_source
from posecast.own_video.poses import OwnVideoConfig, PoseSource
from posecast.own_video.result import OwnForecast
from posecast.own_video.truth import find_truth, second_to_compare_from
from posecast.records.files import filled_with, write_text, write_together
from posecast.report.charts import AHEAD, Figure, Line, legend_of, line_chart
from posecast.report.clip_errors import ErrorChart
from posecast.report.compared_pictures import compare_pictures, movie_of, player_of
from posecast.report.headline import text_lines
from posecast.report.metric_names import MetricStyle
from posecast.report.players import Player
from posecast.report.rendering import render
from posecast.report.tables import Cell, Table, horizons_of

_DISTANCE = MetricStyle("joints", "% of the person's size off", 1, higher_is_better=False)
_PSNR = MetricStyle("frames", "PSNR in dB", 1)
_FORECAST = "forecast"
_OF_FORECASTS = ("separate", "export", "keep_frames", "rrd", "panels", "view_height")
"""What `OwnVideoConfig` asks for that a comparison does not write."""
_STILL = {_DISTANCE: "the last pose stays", _PSNR: "the last frame stays"}


@dataclass(frozen=True, eq=False)
class Compared:
    """A forecast that was held beside what came."""

    comparison: Comparison
    text: str
    """Tables of the errors and, as the last line, a verdict, for a terminal."""
    files: tuple[Path, ...]


def compare_video(
    video: VideoSource,
    forecaster: Forecaster,
    poses: PoseSource,
    out: str | Path,
    config: OwnVideoConfig | None = None,
    from_s: float | None = None,
    stages: Stages | None = None,
) -> Compared:
    """Forecast a video from a second of it on, and hold the forecast beside what came.

    Args:
        out: the video to write, .mp4; the page goes beside it, .html.
        from_s: None leaves `config.steps` frames (at most half of the video) as truth, or more
            where the person is not seen well there.
        stages: a clock that is told of the stages of `forecast_video`, comparing and writing.

    Raises:
        PosecastError: as `forecast_video`; or nothing to compare with after that second, or files
            are asked for that a forecast alone has.
    """
    out, config, stages = Path(out), config or OwnVideoConfig(), stages or Stages()
    if config.everybody:
        raise PosecastError(
            "everybody: a comparison is of one person; leave that out, or say which one",
            " (--person N, without --everybody)",
        )
    if vain := [name for name in _OF_FORECASTS if _is_set(config, name)]:
        raise PosecastError(
            f"{' and '.join(vain)}: a comparison writes a video and a page alone; leave that out",
            ", or forecast without --compare",
        )
    if out.suffix.lower() != ".mp4":
        raise PosecastError(f"{out}: a comparison is written as .mp4, with a page beside it")
    source = video_source(video, forecaster, config)
    check_out(out, source, poses, config)
    rates = FrameRates.of_video(probe_video(source).fps, forecaster.needs, config.fps)
    is_ours = from_s is None
    if from_s is None:
        least = rates.span(forecaster.needs.num_past)
        from_s = second_to_compare_from(source, rates.video, config.steps, least)
    result = forecast_video(source, forecaster, poses, None, config, from_s, stages, is_ours)
    return compare_forecast(forecaster, poses, result, out, stages)


def _is_set(config: OwnVideoConfig, name: str) -> bool:
    return getattr(config, name) != getattr(OwnVideoConfig(), name)


def compare_forecast(
    forecaster: Forecaster, poses: PoseSource, result: OwnForecast, out: Path, stages: Stages
) -> Compared:
    """As `compare_video`, of a forecast that was made already, by the same of these."""
    with stages.stage("comparing", len(result.forecast.visible)):
        truth = find_truth(poses, result, stages.advance)
        errors = compare_poses(forecaster, result, truth)
        pictures = compare_pictures(result, truth)
    psnr = None if pictures.psnr is None else np.array(pictures.psnr)
    comparison = Comparison(result.fps, *errors, psnr)
    figures = _figures(comparison)
    error = _error_chart(errors_of_futures(result, truth), comparison.shown.still)
    player = player_of(pictures, result.fps, "Side by side", _where(result), error)
    page = _page("forecast and what came", comparison.verdict(), player, result, figures)
    with stages.stage("writing"):
        movie = mp4_writer(out, movie_of(pictures), result.fps)
        write_together({out.with_suffix(".html"): filled_with(page.encode()), out: movie})
    tables = ["\n".join([each.table.caption, *text_lines(each.table)]) for each in figures]
    text = "\n\n".join([_where(result), *tables, comparison.verdict()])
    return Compared(comparison, text, (out, out.with_suffix(".html")))


def write_forecast_page(result: OwnForecast, out: Path, why: str) -> None:
    """A page of one file to look at a forecast with, where there is nothing to compare it with;
    `why` says so."""
    pictures = compare_pictures(result, None)
    player = player_of(pictures, result.fps, "Forecast", _where(result), None)
    write_text(out, _page("forecast", why, player, result))


def _page(
    what: str, verdict: str, player: Player, result: OwnForecast, figures: Sequence[Figure] = ()
) -> str:
    """`what` of the video it is; the player has the chart of the first of the figures."""
    return render(
        "comparison.html",
        title=f"{Path(str(result.video)).name}: {what}",
        verdict=verdict,
        player=player,
        legend=legend_of({_FORECAST: 0, "nothing moves": 1}),
        numbers=figures[0].table if figures else None,
        figures=figures[1:],
        notes=[*result.warnings(), *result.chances()],
        version=__version__,
    )


def _error_chart(
    futures: list[Float[np.ndarray, " t"]], still: Float[np.ndarray, " t"]
) -> ErrorChart:
    """The moment that is shown: each future, and that the last pose stays."""
    length = up_to_last(np.isfinite(still))
    lines = [
        _line(_FORECAST, 0, y[:length], n if len(futures) > 1 else 0)
        for n, y in enumerate(futures, start=1)
    ]
    lines.append(_line(_STILL[_DISTANCE], 1, still[:length]))
    title = f"{_DISTANCE.title.capitalize()}, {_DISTANCE.unit}"
    return ErrorChart.of(lines, title, _DISTANCE.direction)


def _line(name: str, style: int, y: Float[np.ndarray, " t"], future: int = 0) -> Line:
    """Over the frames from 1 on."""
    return Line(name, style, np.arange(1, len(y) + 1), y, future=future)


def _where(result: OwnForecast) -> str:
    first = result.past_frames[-1] + 1
    return (
        f"Seen from {result.seen_from_s:.2f} s to {result.seen_to_s:.2f} s, forecast from "
        f"{first / result.fps:.2f} s on, {result.fps:g} frames a second."
    )


def _figures(comparison: Comparison) -> list[Figure]:
    shown, pooled, fps = comparison.shown, comparison.pooled, comparison.fps
    size = "Size: the longer side of the box around the person's joints when last seen."
    figures = [_figure(_DISTANCE, "at the moment shown", (shown.forecast, shown.still), fps, size)]
    if pooled.num_moments > 1:
        where = f"mean over {pooled.num_moments} moments of this video"
        figures.append(_figure(_DISTANCE, where, (pooled.forecast, pooled.still), fps, size))
    if comparison.psnr is not None:
        where, curves = "in the part shown, at the moment shown", comparison.psnr
        figures.append(_figure(_PSNR, where, (curves[0], curves[1]), fps, "Likeness of pixels."))
    return figures


def _figure(
    style: MetricStyle,
    where: str,
    curves: tuple[Float[np.ndarray, " t"], Float[np.ndarray, " t"]],
    fps: float,
    meaning: str,
) -> Figure:
    """A chart of the forecast beside the trivial one, and its table at a few horizons."""
    length = max(up_to_last(np.isfinite(curves[1])), 1)
    names, frames = (_FORECAST, _STILL[style]), horizons_of(length)
    lines = [
        _line(name, number, np.where(np.isinf(y), np.nan, y)[:length])
        for number, (name, y) in enumerate(zip(names, curves, strict=True))
    ]
    ticks = [(float(frame), f"+{frame}", f"{frame / fps:.2f}") for frame in frames]
    title = f"{style.title.capitalize()}, {style.unit}, {where}"
    svg = line_chart(lines, ticks, title, f"{AHEAD}; below, seconds", style.direction)
    rows = [
        (name, tuple(Cell(style.text(float(y[frame - 1]))) for frame in frames))
        for name, y in zip(names, curves, strict=True)
    ]
    columns = ("", *(f"+{frame}" for frame in frames))
    table = Table(
        f"{title}; +1: the first frame after those seen ({style.direction})", columns, tuple(rows)
    )
    return Figure(f"{title}; {style.direction}", meaning, svg, table)
