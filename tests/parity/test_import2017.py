"""Weights of the 2017 code, imported as runs, forecast what its own graphs forecast."""

from pathlib import Path

import numpy as np
import pytest
import torch

from posecast.clips import SeenVideo
from posecast.forecasting.forecaster import Forecaster
from posecast.geometry import Crop, unflatten_joints
from posecast.networks.generator import Generator
from posecast.networks.kinds import load_network
from posecast.villegas2017.conversion import import_2017


def _save_variables(numbers: dict[str, np.ndarray], path: Path, suffix: str = "") -> Path:
    variables = {k.removeprefix("w0/"): v for k, v in numbers.items() if k.startswith("w0/")}
    np.savez(path, **{name + suffix: value for name, value in variables.items()})
    return path


@pytest.mark.parametrize("suffix", ["", ":0"])
def test_an_imported_pose_run_forecasts_as_in_2017(golden, tmp_path: Path, suffix: str) -> None:
    numbers = golden("lstm_predict")
    file = _save_variables(numbers, tmp_path / "pose.npz", suffix)
    assert import_2017(file, tmp_path / "run") == "pose"
    forecaster = Forecaster.load(tmp_path / "run")
    past = unflatten_joints(numbers["seq"][:, :10])
    visible = numbers["mask"][:, :10, : past.shape[2]] > 0
    crop = Crop(0, 0, 1, 1)  # pixels are shares of the crop
    seen = [
        SeenVideo((joints + 1) / 2, shown, 30.0, crop.hw, crop=crop)
        for joints, shown in zip(past, visible, strict=True)
    ]
    predicted = [each.joints_px[0] for each in forecaster.forecast_poses(seen, steps=64)]
    expected = (unflatten_joints(numbers["output"][:, 10:]) + 1) / 2
    np.testing.assert_allclose(np.stack(predicted), expected, atol=1e-6)


def test_an_imported_image_run_draws_in_rgb_what_2017_drew_in_bgr(golden, tmp_path: Path) -> None:
    numbers = golden("generator_48")
    assert import_2017(_save_variables(numbers, tmp_path / "g.npz"), tmp_path / "run") == "image"
    generator = load_network(tmp_path / "run", Generator).network
    image, source, target = (
        torch.from_numpy(numbers[name]).permute(0, 3, 1, 2) for name in ("xt", "pt", "ptpn")
    )
    with torch.no_grad():
        drawn = generator(image.flip(1), source, target).flip(1)
    expected = torch.from_numpy(numbers["G"][:, :, :, 0]).permute(0, 3, 1, 2)
    torch.testing.assert_close(drawn, expected, atol=1e-6, rtol=0)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    message = r"holds neither a pose model .* first variables: weights"
    with pytest.raises(ValueError, match=message):
        import_2017(tmp_path / "other.npz", tmp_path / "run")
