"""The page: reads evaluations, writes OUT/index.html and OUT/files/ beside it.

Computes no metric; all numbers come from the tables. Everything is in the folder, which can be
copied, zipped, opened from disk and printed.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from posecast.evaluation.examples import read_example, read_facts
from posecast.evaluation.guard import without_record_text
from posecast.evaluation.record import read_record
from posecast.evaluation.summary import Summary, summarise
from posecast.records.arguments import check_settings
from posecast.records.files import FileError, csv_text, read_json, write_json, write_text
from posecast.report import tables
from posecast.report.charts import AHEAD, Figure, Line, legend_of, line_chart
from posecast.report.clip_errors import error_chart, read_clip_errors
from posecast.report.headline import verdicts
from posecast.report.metric_names import MetricStyle, style_of
from posecast.report.players import Player, write_player
from posecast.report.rendering import render
from posecast.skeletons import SKELETONS

FILES = "files"
"""Folder beside the page with pictures, tables and configurations."""
_OURS = b"Made by posecast"
"""Stands on all our pages."""


@dataclass(frozen=True)
class ReportConfig:
    """What the page says and how intervals are drawn."""

    title: str = "Forecasting video of people"
    introduction: str = ""
    """A paragraph for the reader, plain text."""
    num_draws: int = 1000
    """Bootstrap samples behind the intervals."""
    seed: int = 0
    """Of those samples."""


def write_report(
    evaluations: str | Path | Sequence[str | Path],
    out_path: str | Path,
    config: ReportConfig | None = None,
) -> Path:
    """Write the page of one or several finished evaluations; returns OUT/index.html.

    What an earlier report left in OUT is replaced; other files there are not touched.
    PosecastError: an evaluation is missing, unfinished or damaged, or OUT has a page that is no
    report.
    """
    config = check_settings(config or ReportConfig(), ReportConfig, "config")
    paths = [evaluations] if isinstance(evaluations, str | Path) else list(evaluations)
    out_path = Path(out_path)
    _check_page(out_path / "index.html")
    chapters = [_chapter(Path(path), out_path, n, config) for n, path in enumerate(paths, start=1)]
    write_text(out_path / "index.html", render("template.html", config=config, chapters=chapters))
    return out_path / "index.html"


def _check_page(page: Path) -> None:
    """FileError where it would be written over, and is not ours."""
    if page.is_file() and _OURS not in page.read_bytes():
        raise FileError(f"{page} is there already, and no report: give another folder")


def _chapter(path: Path, out_path: Path, number: int, config: ReportConfig) -> dict[str, Any]:
    """What `template.html` reads of one evaluation."""
    facts = read_record(path)
    if not facts["finished"]:
        raise FileError(f"{path} is not finished: the command that began it goes on where it was")
    summary = summarise(path, config.num_draws, config.seed)
    metrics = tables.curve_metrics(summary)
    main = _main_metrics(metrics)
    whole = tables.whole_metrics(summary)
    forecasts = [each["name"] for each in facts["methods"] if each["kind"] == "forecast"]
    has_actions, moves = len(set(summary.actions)) > 1, len(summary.clips) >= 4
    return {
        "anchor": f"evaluation-{number}",
        "title": _title(facts, summary),
        "facts": _facts(facts, summary),
        "warnings": _warnings(facts),
        "legend": legend_of({name: n for n, name in enumerate(summary.methods)}),
        "verdicts": verdicts(summary, forecasts),
        "headline": tables.headline_tables(summary, main),
        "figures": [_figure(summary, metric) for metric in metrics],
        "whole": tables.whole_table(summary, whole) if whole else None,
        "actions": [tables.action_table(summary, metric) for metric in main if has_actions],
        "movement": [_movement_figure(summary, metric) for metric in main if moves],
        "players": _players(path, facts, summary.methods, out_path / FILES, number),
        "players_from": _players_from(path, summary, with_frames="psnr" in metrics),
        "command": facts.get("command", ""),
        "links": _write_files(facts, summary, metrics, out_path / FILES, number),
    }


def _main_metrics(metrics: Sequence[str]) -> list[str]:
    """The few that the headline, the actions and the movement are shown in."""
    wanted = [name for name in ("pck@0.05", "distance", "psnr", "ssim", "lpips") if name in metrics]
    return wanted or list(metrics[:3])


def _title(facts: dict[str, Any], summary: Summary) -> str:
    split = facts["config"]["clips"]["split"]
    what = "chosen" if facts["config"]["clips"]["clips"] else split
    return f"{facts['store']['dataset'].replace('_', ' ')}: {len(summary.clips)} {what} clips"


def _facts(facts: dict[str, Any], summary: Summary) -> tuple[tuple[str, str], ...]:
    config, store = facts["config"], facts["store"]
    apart = "" if config["stride"] == 1 else f", every {config['stride']}. frame"
    start = "the clip's start" if config["start"] == "first" else "the middle of the clip"
    future = "knows the whole clip" if store["crop"] != "seen" else "from seen frames alone"
    actions = config["clips"]["actions"]
    return (
        ("Clips", f"{len(summary.clips)} of {len(set(summary.actions))} actions"),
        ("Chosen by", ", ".join(actions).replace("_", " ") if actions else "all actions"),
        ("Seen", f"{config['num_past']} frames from {start}{apart}, poses: {config['seen_poses']}"),
        ("Forecast", f"up to {config['steps']} frames; a clip counts while it has true frames"),
        ("Crop", f"{store['crop']} ({future}), {store['size']} x {store['size']} pixels"),
        ("Intervals", f"95 %, from {summary.num_draws} bootstrap samples of the clips"),
        (
            "Code",
            "; ".join(
                f"posecast {each['posecast']}, {each['git_commit'][:12]}"
                for each in facts["versions"]
            ),
        ),
    )


def _warnings(facts: dict[str, Any]) -> tuple[str, ...]:
    warnings = []
    if facts["trained_on"]:
        shown = ", ".join(facts["trained_on"][:8])
        warnings.append(
            f"{len(facts['trained_on'])} of these clips were trained on ({shown}): the numbers "
            "say how well they were learned, not what a new clip would give."
        )
    if facts["left_out"]:
        warnings.append(
            f"{len(facts['left_out'])} clips were left out: "
            + "; ".join(list(facts["left_out"].values())[:5])
        )
    for run, count in facts["test_uses"].items():
        if count > 1:
            warnings.append(
                f"Test clips have been looked at {count} times with the run {Path(run).name}: the "
                "more looks, the less such a number is worth."
            )
    warnings += [without_record_text(Path(run).name) for run in facts["without_record"]]
    return tuple(warnings)


def _figure(summary: Summary, metric: str) -> Figure:
    style = style_of(metric)
    table = tables.horizon_table(summary, metric)
    lines = []
    for number, name in enumerate(summary.methods):
        if summary.has(name, metric):
            curve = summary.curve(name, metric)
            y, low, high = (style.scale * row for row in (curve.values, curve.low, curve.high))
            lines.append(Line(name, number, curve.frames, y, low, high))
    counts = tables.clips_by_frame(summary, metric)
    ticks = [
        (float(frame), f"+{frame}", str(counts.get(frame, 0)))
        for frame in tables.horizons_of(max(counts))
    ]
    label = f"{AHEAD}; below, clips with truth"
    return _with_chart(style, lines, ticks, "over frames", label, table)


def _movement_figure(summary: Summary, metric: str) -> Figure:
    """A metric over groups of clips, from those that move least to those that move most."""
    style = style_of(metric)
    groups = summary.by_movement(min(10, max(1, len(summary.clips) // 2)))  # few clips: fewer
    lines, rows = [], []
    for number, name in enumerate(summary.methods):
        if summary.has(name, metric):
            points = [summary.overall(name, metric, group) for group in groups]
            values = [[point.values[0], point.low[0], point.high[0]] for point in points]
            y, low, high = style.scale * np.transpose(values)
            lines.append(Line(name, number, np.arange(1, len(groups) + 1), y, low, high))
            rows.append((name, tuple(tables.Cell(style.text(point.values[0])) for point in points)))
    ticks = [(float(n), str(n), str(len(group))) for n, group in enumerate(groups, start=1)]
    columns = ("Method", *(str(n) for n in range(1, len(groups) + 1)))
    caption = f"{style.heading}, mean over all frames, groups from still to lively"
    label = "groups of clips, from still to lively; below, clips"
    table = tables.Table(caption, columns, tuple(rows))
    return _with_chart(style, lines, ticks, "by how much the clips move", label, table)


def _with_chart(
    style: MetricStyle,
    lines: Sequence[Line],
    ticks: Sequence[tuple[float, str, str]],
    over: str,
    x_label: str,
    table: tables.Table,
) -> Figure:
    described = f"{style.direction}; the table below has the numbers"
    svg = line_chart(lines, ticks, f"{style.heading} {over}", x_label, described)
    return Figure(f"{style.heading}, {style.direction}", style.meaning, svg, table)


def _players(
    path: Path, facts: dict[str, Any], methods: Sequence[str], folder: Path, number: int
) -> tuple[Player, ...]:
    """Of several examples of a rank the first of each rank before the second ones."""
    skeleton = SKELETONS[facts["store"]["skeleton"]]
    kept = read_facts(path)
    errors = read_clip_errors(path, list(kept.values()))
    players: list[tuple[int, Player]] = []
    ranks = Counter[str]()
    for place, (file, each) in enumerate(kept.items(), start=1):
        chart, name = error_chart(each, errors[each.clip_id], methods), f"clip-{number}-{place}"
        player = write_player(read_example(file, each), skeleton, folder, name, chart)
        players.append((ranks[each.rank], player))
        ranks[each.rank] += 1
    return tuple(player for _, player in sorted(players, key=lambda pair: pair[0]))


def _players_from(path: Path, summary: Summary, with_frames: bool) -> str:
    """What the clips are the best and worst of, and by which number.

    Clips with frames are shown where there are any, so the ranks are among them alone.
    """
    shown = f"all {len(summary.clips)} clips"
    if with_frames:
        shown = f"the {summary.num_clips('psnr')} clips that have frames"
    text = f"The best, the middle and the worst of {shown}"
    facts = next(iter(read_facts(path).values()), None)
    if facts is None:
        return f"{text}."
    style = style_of(facts.metric)
    return (
        f"{text}, ranked by the '{style.title}' of '{facts.method}'. {style.title}: {style.meaning}"
    )


def _write_files(
    facts: dict[str, Any], summary: Summary, metrics: Sequence[str], folder: Path, number: int
) -> tuple[tuple[str, str], ...]:
    """Copies of what the numbers were made with: text and file of each link."""
    links = [("settings, versions and methods", f"evaluation-{number}.json")]
    write_json(folder / links[0][1], facts)
    links.append(("all curves as CSV", f"curves-{number}.csv"))
    write_text(folder / links[1][1], _curves_csv(summary, metrics))
    runs = (run["path"] for method in facts["methods"] for run in method.get("runs", ()))
    for run in map(Path, dict.fromkeys(runs)):
        for name in ("config.json", "versions.json", "data.json"):
            if (run / name).is_file():
                file = f"run-{run.name}-{name}"
                write_json(folder / file, read_json(run / name))
                links.append((f"run {run.name}: {name}", file))
    return tuple((text, f"{folder.name}/{file}") for text, file in links)


def _curves_csv(summary: Summary, metrics: Sequence[str]) -> str:
    rows: list[tuple[Any, ...]] = [("metric", "method", "frame", "value", "low", "high", "clips")]
    for metric in metrics:
        for name in tables.methods_with(summary, metric):
            curve = summary.curve(name, metric)
            columns = (curve.frames, curve.values, curve.low, curve.high, curve.num_clips)
            for frame, *numbers, count in zip(*columns, strict=True):
                rows.append((metric, name, frame, *(f"{each:.6g}" for each in numbers), count))
    return csv_text(rows)
