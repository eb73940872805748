"""The page on models of one's own runs as it stands, and does what it says."""

import itertools
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np

import posecast
from penn_files import write_clip_files
from posecast.cli import main
from posecast.datasets.penn_action import PennAction
from posecast.evaluation.summary import summarise
from posecast.forecasting.protocols import PoseForecaster
from posecast.media.videos import read_video
from posecast.media.writing import write_mp4
from posecast.store.preparation import PreparationConfig, prepare

PAGE = Path(__file__).resolve().parents[1] / "docs" / "your-models.md"


def test_the_python_of_the_page_runs(tmp_path, monkeypatch):
    for name in ("0001", "0002"):
        write_clip_files(tmp_path / "Penn_Action", name, num_frames=12)
    source = PennAction(tmp_path / "Penn_Action")
    prepare(source, tmp_path / "store", PreparationConfig(size=16, workers=1))
    sample = Path(posecast.__file__).parent / "sample" / "squats.mp4"
    write_mp4(tmp_path / "my.mp4", itertools.islice(read_video(sample, 30.0), 11), 30.0)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for text in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        exec(text, names)  # the page is ours
    assert isinstance(names["Damped"](), PoseForecaster)
    assert isinstance(names["Mine"](), posecast.estimation.JointFinder)
    assert {"damped", "forecast", "last pose"} == set(names["table"].methods)
    assert Path("page/index.html").is_file()
    (command,) = re.findall(r"^posecast (evaluate .*)$", PAGE.read_text(), re.MULTILINE)
    assert main(shlex.split(command)) == 0
    theirs = summarise("numbers-theirs", num_draws=1)
    assert np.isfinite(theirs.curve("theirs", "distance").values).all()
    assert names["result"].forecast.joints_px.shape == (4, 64, 13, 2)
    assert names["ahead"].joints_px.shape == (1, 8, 13, 2)
    assert names["followed"].visible.mean() > 0.9
    assert (len(names["past"]), names["next_half"].joints_px.shape) == (11, (1, 15, 13, 2))
    assert names["joints"].shape == (8, 42, 13, 2)
    assert names["future"].shape == (8, 16, 16, 3)
    np.testing.assert_allclose(names["total"] / names["count"], np.hypot(3, 3) / 200)
