"""Forecasts on disk: what prediction leaves behind and evaluation reads.

    OUT/prediction.json      how the forecasts were made: settings, runs, store, versions
    OUT/index.jsonl          one line a clip: its `ForecastFacts`; written when all clips are done
    OUT/left_out.jsonl       clips that could not be forecast, and why
    OUT/clips/ID/facts.json  the clip's line of the index
    OUT/clips/ID/joints.npz  the arrays of `StoredForecast`, by their names, float32 and bool
    OUT/clips/ID/frames.npy  predicted frames of the first n futures, uint8 (n, t, h, w, 3) RGB, or
                             frames/000001.png ..., and of the second future frames-2/000001.png ...
    OUT/clips/ID/forecast.mp4, forecast.gif   to look at: forecast, truth and pose side by side

A clip's folder appears when all in it is whole. Frames are crops, scaled to the size of the image
model; measure on them, never on the MP4 or GIF.

Format version 2 has an axis of futures ("samples"), the likeliest first; `read_forecast` and
`read_frames` give it to files of version 1 (one future, without that axis) too.
"""

import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, UInt8

from posecast.geometry import Crop
from posecast.media.frame_folders import read_picture, write_picture
from posecast.records.arguments import as_path
from posecast.records.brief import Brief
from posecast.records.configs import config_from_dict, config_to_dict
from posecast.records.files import FileError, entries, read_json, write_json, write_lines, writing
from posecast.records.versions import FormatVersionError, check_format_version

FrameFormat = Literal["npy", "png", "none"]
PoseOrigin = Literal["forecast", "true"]

FORMAT_VERSION = 2


class ForecastError(FileError):
    """A folder of forecasts cannot be used as asked; the message says how to mend it."""


@dataclass(frozen=True)
class ForecastFacts:
    """What is known of one forecast besides its arrays."""

    clip_id: str
    action: str
    """What the person does; "" where nobody said."""
    split: str
    """Use of the clip in its store: "train", "validation" or "test"."""
    fps: float
    """Frames a second of seen and forecast frames (the clip's own, divided by the stride)."""
    image_hw: tuple[int, int]
    """Height and width of the source frames in pixels."""
    crop: tuple[int, int, int, int]
    """Half-open box x1, y1, x2, y2 of source pixels that frames and `joints_crop` refer to."""
    box_px: tuple[float, float, float, float]
    """Union of the annotated boxes of the whole clip, x1, y1, x2, y2: pose errors are divided by
    its longer side."""
    start: int
    """Number of the first seen frame in the clip, from 0."""
    num_past: int
    """How many frames were seen."""
    stride: int
    """From one of these frames to the next, in frames of the clip."""
    steps: int
    """Forecast frames, the first right after the last seen one."""
    num_truth: int
    """For how many of them the clip has a true frame; the first ones."""
    poses: PoseOrigin
    """Frames are drawn from forecast poses, or (oracle) from the true future ones."""
    frames: FrameFormat
    """How predicted frames are stored; "none" where only poses were asked for."""
    num_samples: int = 1
    """Futures, the likeliest first."""
    num_drawn: int = 1
    """Of so many of them there are frames."""
    format_version: int = FORMAT_VERSION


@dataclass(frozen=True, eq=False, repr=False)
class StoredForecast(Brief):
    """One forecast; index 0 of future and predicted arrays is the first frame after the seen ones.

    Coordinates mean nothing where the joint is not visible; where the clip has no true frame any
    more, `future_joints_px` is NaN and `future_visible` is False.
    """

    facts: ForecastFacts
    past_joints_px: Float[np.ndarray, "p j 2"]
    past_visible: Bool[np.ndarray, "p j"]
    future_joints_px: Float[np.ndarray, "t j 2"]
    future_visible: Bool[np.ndarray, "t j"]
    predicted_joints_px: Float[np.ndarray, "s t j 2"]
    predicted_visible: Bool[np.ndarray, "t j"]
    """Joints that were seen at least once (with true poses: the visible ones)."""
    weights: Float[np.ndarray, " s"]
    """How likely each future is; their sum is 1."""

    @property
    def crop(self) -> Crop:
        return Crop(*self.facts.crop)


ARRAYS = tuple(name for name in StoredForecast.__dataclass_fields__ if name != "facts")


# --- writing ----------------------------------------------------------------------------------


@contextmanager
def writing_clip(out_path: str | Path, clip_id: str) -> Iterator[Path]:
    """A folder to fill, which becomes the clip's when all went well and is removed otherwise."""
    final = Path(out_path) / "clips" / clip_id
    partial = final.with_name(f".{clip_id}.{os.getpid()}.part")
    try:
        with writing(final):
            partial.mkdir(parents=True)
            yield partial
            partial.rename(final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_arrays(folder: Path, forecast: StoredForecast) -> None:
    """Write facts and joints of one clip into its folder."""
    arrays = {name: getattr(forecast, name) for name in ARRAYS}
    floats = {k: v.astype(np.float32) if v.dtype != bool else v for k, v in arrays.items()}
    np.savez_compressed(folder / "joints.npz", **floats)
    write_json(folder / "facts.json", config_to_dict(forecast.facts))


def write_frames(
    folder: Path, frames: UInt8[np.ndarray, "n t h w 3"], frame_format: FrameFormat
) -> None:
    """Write the predicted frames of one clip, of one or more futures, into its folder."""
    if frame_format == "npy":
        np.save(folder / "frames.npy", frames)
    elif frame_format == "png":
        for sample, future in enumerate(frames):
            for path, frame in zip(_pictures(folder, sample, len(future)), future, strict=True):
                write_picture(path, frame)


def finish_forecasts(out_path: str | Path, left_out: Mapping[str, str]) -> list[ForecastFacts]:
    """Write the index of all clips that are there, and what was left out (clip id -> why)."""
    out_path = Path(out_path)
    for partial in (out_path / "clips").glob(".*.part"):
        shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
    folders = [path for path in entries(out_path / "clips") if path.is_dir()]
    facts = [read_facts(folder) for folder in folders]
    write_lines(out_path / "index.jsonl", [config_to_dict(entry) for entry in facts])
    lines = [{"clip_id": clip_id, "problem": why} for clip_id, why in sorted(left_out.items())]
    write_lines(out_path / "left_out.jsonl", lines)
    return facts


# --- reading ----------------------------------------------------------------------------------


def read_index(out_path: str | Path) -> list[ForecastFacts]:
    """The facts of every forecast in a folder, sorted by clip.

    ForecastError: prediction has not ended there, or the index is damaged.
    """
    path = Path(out_path) / "index.jsonl"
    if not path.is_file():
        raise ForecastError(
            f"{out_path} holds no finished forecasts (no index.jsonl): "
            "run the same 'posecast predict' again, it goes on where it stopped"
        )
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [_facts(line) for line in lines]
    except FormatVersionError:
        raise
    except ValueError as error:
        raise ForecastError(f"{path} is damaged: {error}; predict again") from error


def read_settings(out_path: str | Path) -> dict[str, Any]:
    """How the forecasts of a folder were made; FileError where there are none."""
    if not (file := Path(out_path) / "prediction.json").is_file():
        raise FileError(f"{out_path} holds no forecasts: make some with 'posecast predict'")
    return read_json(file)


def read_facts(folder: Path) -> ForecastFacts:
    """Of one forecast, from its folder OUT/clips/ID; FileError where there is none."""
    return _facts(read_json(folder / "facts.json"))


def read_forecast(path: str | Path) -> StoredForecast:
    """One forecast from its folder OUT/clips/ID, without its frames (see `read_frames`).

    Raises:
        FileError: no forecast there, or a damaged one.
    """
    path = as_path(path, "forecast")
    facts = read_facts(path)
    try:
        with (path / "joints.npz").open("rb") as file, np.load(file) as stored:
            if facts.format_version == 1:
                names = [name for name in ARRAYS if name != "weights"]
                arrays = {name: stored[name] for name in names} | {"weights": np.ones(1)}
                arrays["predicted_joints_px"] = arrays["predicted_joints_px"][None]
            else:
                arrays = {name: stored[name] for name in ARRAYS}
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ForecastError(f"{path / 'joints.npz'} is damaged ({error}): predict again") from error
    return StoredForecast(facts, **arrays)


def read_forecasts(out_path: str | Path) -> Iterator[StoredForecast]:
    """All forecasts of a finished folder, one at a time, sorted by clip."""
    for facts in read_index(out_path):
        yield read_forecast(Path(out_path) / "clips" / facts.clip_id)


def read_frames(path: str | Path) -> UInt8[np.ndarray, "n t h w 3"]:
    """Predicted frames of one forecast, of its first n futures, from its folder OUT/clips/ID; RGB.

    FileError: only poses were forecast, or files are damaged.
    """
    path = Path(path)
    facts = read_facts(path)
    try:
        if facts.frames == "npy":
            frames = np.load(path / "frames.npy")
            return frames[None] if facts.format_version == 1 else frames
        if facts.frames == "png":
            pictures = [_pictures(path, n, facts.steps) for n in range(facts.num_drawn)]
            return np.stack([np.stack([read_picture(each) for each in row]) for row in pictures])
    except (OSError, ValueError) as error:
        raise ForecastError(f"{path}: frames are damaged ({error}): predict again") from error
    raise ForecastError(f"{path} holds poses only: predict with frames to have them")


def _pictures(folder: Path, sample: int, steps: int) -> list[Path]:
    """Where the frames of one future lie."""
    name = f"frames-{sample + 1}" if sample else "frames"
    return [folder / name / f"{number:06d}.png" for number in range(1, steps + 1)]


def _facts(stored: dict[str, Any]) -> ForecastFacts:
    """Of any format; FormatVersionError where a newer posecast wrote it."""
    what = f"forecast of clip {stored.get('clip_id')}"
    check_format_version(stored.get("format_version", 1), FORMAT_VERSION, what)
    added = {"num_samples": 1, "num_drawn": 1, "format_version": 1}
    return config_from_dict(ForecastFacts, added | stored)
