"""The image generator against the 2017 code's own graph (golden/notes.md sections 2 and 3)."""

import numpy as np
import pytest
import torch

from posecast.villegas2017 import conversion


def as_channels_first(array: np.ndarray, dtype: torch.dtype) -> torch.Tensor:
    return torch.from_numpy(array.transpose(0, 3, 1, 2).copy()).to(dtype)


def variables_of(numbers: dict[str, np.ndarray], dtype: type) -> dict[str, np.ndarray]:
    return {name[3:]: a.astype(dtype) for name, a in numbers.items() if name.startswith("w0/")}


@pytest.mark.parametrize("name", ["generator_48", "generator_32"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_draws_the_pictures_of_2017(golden, name: str, dtype: type) -> None:
    numbers = golden(name)
    network = conversion.generator(variables_of(numbers, dtype))
    precision = torch.float64 if dtype is np.float64 else torch.float32
    image, source, target = (as_channels_first(numbers[k], precision) for k in ("xt", "pt", "ptpn"))
    with torch.no_grad():
        drawn = network(image, source, target)
        in_two_steps = network.draw(network.encode_source(image, source), target)
    expected = as_channels_first(numbers["G"][:, :, :, 0], precision)
    assert drawn.dtype == precision
    assert (drawn - expected).abs().max() < 1e-6
    assert (in_two_steps - expected).abs().max() < 1e-6
