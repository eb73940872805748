"""What a bug report needs: versions, devices, extras, encoders, shipped weights, and a self-test.

Names no file, folder or user of the machine; nothing is sent anywhere.
"""

import importlib.metadata
import os
import platform
import re
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from av.codec import Codec
from av.error import FFmpegError

from posecast.computing.stages import Stages
from posecast.errors import PosecastError
from posecast.estimation import load_pose_estimator
from posecast.forecasting.forecaster import Forecaster
from posecast.media.videos import read_video
from posecast.own_video.forecast import forecast_video
from posecast.own_video.poses import EstimatedPoses, OwnVideoConfig
from posecast.pretrained import DEFAULT_DRAWER, DEFAULT_ESTIMATOR, SHIPPED, shipped_file
from posecast.records.versions import code_versions, version_of
from posecast.sample import SAMPLE

_ENCODERS = {"libx264": "MP4", "aac": "sound"}
_TEST_FROM_S, _TEST_STEPS = 0.6, 8


@dataclass(frozen=True)
class Findings:
    """What was found."""

    versions: dict[str, str]
    """Of posecast, its commit, python, the system and the libraries that count."""
    devices: dict[str, str]
    """Processor, and the GPUs that PyTorch sees."""
    extras: dict[str, dict[str, str]]
    """Extra -> its packages and their versions, or "absent"."""
    encoders: dict[str, str]
    """Of PyAV: "ok" or what is wrong."""
    weights: dict[str, str]
    """Shipped weights: "ok" or what is wrong."""
    self_test: dict[str, Any] = field(default_factory=dict)
    """A short forecast of the sample: "result" ("ok" or what is wrong) and seconds by stage; {}
    where it was not asked for."""

    @property
    def problems(self) -> list[str]:
        """What does not work; extras may be absent."""
        rows = {**self.encoders, **self.weights}
        rows |= {"self-test": self.self_test["result"]} if self.self_test else {}
        return [f"{name}: {text}" for name, text in rows.items() if text != "ok"]


def examine(self_test: bool = True) -> Findings:
    """Look at this installation; with the self-test it takes about ten seconds."""
    return Findings(
        versions=code_versions(),
        devices=_devices(),
        extras=_extras(),
        encoders={name: _encoder(name) for name in _ENCODERS},
        weights={name: _weights(name) for name in SHIPPED},
        self_test=_self_test() if self_test else {},
    )


def _devices() -> dict[str, str]:
    cores, threads = os.cpu_count() or 0, torch.get_num_threads()
    found = {"cpu": f"{platform.machine()}, {cores} cores, PyTorch uses {threads} threads"}
    for number in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(number)
        found[f"cuda:{number}"] = f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB"
    if torch.backends.mps.is_available():
        found["mps"] = "Apple GPU"
    return found


def _extras() -> dict[str, dict[str, str]]:
    """The optional packages that posecast's metadata names, but for those of developers."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for line in importlib.metadata.requires("posecast") or ():
        named = re.match(r"([\w.-]+)[^;]*;.*extra == ['\"](\w+)['\"]", line)
        if named and named[2] != "dev":
            found[named[2]][named[1]] = version_of(named[1])
    return dict(found)


def _encoder(name: str) -> str:
    try:
        Codec(name, "w")
    except (ValueError, FFmpegError):
        return f"PyAV has no such encoder: {_ENCODERS[name]} cannot be written"
    return "ok"


def _weights(name: str) -> str:
    try:
        shipped_file(name)
    except PosecastError as error:
        return str(error)
    return "ok"


def _self_test() -> dict[str, Any]:
    """Forecast a few frames of the sample with everything that ships, write them, read them."""
    stages = Stages()
    try:
        with tempfile.TemporaryDirectory() as folder:
            result = _forecast_sample(Path(folder) / "sample.mp4", stages)
    except PosecastError as error:
        result = str(error)
    return {"result": result, "seconds": {k: round(s, 2) for k, s in stages.seconds.items()}}


def _forecast_sample(out: Path, stages: Stages) -> str:
    with stages.stage("loading"):
        forecaster = Forecaster.pretrained(DEFAULT_DRAWER)
        poses = EstimatedPoses(load_pose_estimator(DEFAULT_ESTIMATOR, forecaster.skeleton))
    config = OwnVideoConfig(steps=_TEST_STEPS)
    result = forecast_video(SAMPLE, forecaster, poses, out, config, _TEST_FROM_S, stages)
    with stages.stage("reading back"):
        num_frames = sum(1 for _ in read_video(out))
    if num_frames != len(result.past_frames) + _TEST_STEPS:
        return f"the written video has {num_frames} frames"
    if result.seen.visible.mean() < 0.9:
        return f"only {100 * result.seen.visible.mean():.0f} % of the joints were found"
    moved = np.linalg.norm(result.forecast.joints_px[0, 0] - result.seen.joints_px[-1], axis=-1)
    size = np.ptp(result.seen.joints_px[-1], axis=0).max()
    if not moved.max() < 0.1 * size:
        return f"a joint leaps by {100 * moved.max() / size:.0f} % of the person in one frame"
    return "ok"
