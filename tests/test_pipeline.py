"""The whole chain through the command line, at toy size: drawn people to a page."""

from pathlib import Path

import numpy as np
import pytest

from posecast.cli import main
from posecast.forecasting.forecast_files import read_forecasts


@pytest.mark.slow
def test_from_drawn_people_to_a_page(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for command in (
        "synthesize raw --num-clips 24 --test-share 0.34 --num-frames 24 --image-hw 64 96 "
        "--workers 1",
        "prepare penn-action raw store --size 16 --workers 1",
        "train pose tiny --store store --run pose --windows.num-past 10 --device cpu",
        "train image tiny --store store --run image --device cpu",
        "predict --store store --pose-run pose --image-run image --out forecasts --steps 8 "
        "--device cpu",
        "evaluate --store store --pose-run pose --image-run image --out table --steps 8 "
        "--clips.split test --final --device cpu",
        "report table --out page",
    ):
        assert main(command.split()) == 0, command
    forecasts = list(read_forecasts("forecasts"))
    assert len(forecasts) == 8  # one of three clips of each action is held out
    for forecast in forecasts:
        assert forecast.predicted_joints_px.shape == (1, 8, 13, 2)
        assert np.isfinite(forecast.predicted_joints_px).all()
    folder = next(Path("forecasts/clips").iterdir())
    assert {"forecast.gif", "forecast.mp4", "joints.npz"} <= {f.name for f in folder.iterdir()}
    page = Path("page/index.html").read_text()
    assert "drawn people" in page
    assert "last pose" in page
    assert "clips evaluated" in capsys.readouterr().out
