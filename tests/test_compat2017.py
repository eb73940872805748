"""Image networks from 2017 variables: sizes, precision, and what is said of wrong files."""

import numpy as np
import pytest
import torch

from discriminator2017 import discriminator as discriminator2017
from posecast.villegas2017 import conversion

WIDTH, MAPS, SIDE = 2, 5, 32


def variables(dtype: type = np.float32) -> dict[str, np.ndarray]:
    """A generator and a discriminator of the smallest size, named and laid out as in 2017."""
    random, w = np.random.default_rng(0), WIDTH
    encoder = [(w, w), (w, 2 * w), (2 * w, 2 * w), (2 * w, 4 * w), (4 * w, 4 * w), (4 * w, 4 * w)]
    shapes = {}
    for prefix, channels in (("iconv", 3), ("pconv", MAPS)):
        for level, sizes in zip(
            ("1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3"),
            [(channels, w), *encoder],
            strict=True,
        ):
            shapes[f"GEN/enc_{prefix}{level}"] = ((3, 3, *sizes), sizes[1])
    for level, sizes in zip(
        ("3_3", "3_2", "3_1", "2_2", "2_1", "1_2", "1_1"),
        [*((4 * w, 4 * w),) * 2, (4 * w, 2 * w), (2 * w, 2 * w), (2 * w, w), (w, w), (w, 3)],
        strict=True,
    ):
        shapes[f"GEN/dec_deconv{level}"] = ((3, 3, sizes[1], sizes[0]), sizes[1])
    channels = 3 + MAPS
    for level in range(4):
        shapes[f"DIS/dis_h{level}_conv"] = ((5, 5, channels, w * 2**level), w * 2**level)
        channels = w * 2**level
    arrays = {}
    for name, (kernel, bias) in shapes.items():
        arrays[f"{name}/w"] = random.standard_normal(kernel).astype(dtype)
        arrays[f"{name}/biases"] = random.standard_normal(bias).astype(dtype)
    for level in (1, 2, 3):
        arrays[f"DIS/bn{level}/gamma"] = random.standard_normal(w * 2**level).astype(dtype)
        arrays[f"DIS/bn{level}/beta"] = random.standard_normal(w * 2**level).astype(dtype)
    arrays["DIS/dis_h3_lin/Matrix"] = random.standard_normal((8 * w * 4, 1)).astype(dtype)
    arrays["DIS/dis_h3_lin/bias"] = random.standard_normal(1).astype(dtype)
    return arrays


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sizes_and_precision_come_from_the_arrays(dtype: type) -> None:
    generator = conversion.generator(variables(dtype))
    discriminator = discriminator2017(variables(dtype))
    assert (generator.config.num_heatmaps, generator.config.width) == (MAPS, WIDTH)
    assert generator.config.output == "image"
    config = discriminator.config
    assert (config.num_heatmaps, config.width, config.size) == (MAPS, WIDTH, SIDE)
    precision = torch.from_numpy(np.zeros(1, dtype)).dtype
    image, maps = torch.zeros(2, 3, SIDE, SIDE), torch.zeros(2, MAPS, SIDE, SIDE)
    image, maps = image.to(precision), maps.to(precision)
    assert generator(image, maps, maps).dtype == precision
    assert discriminator(image, maps).dtype == precision


def test_every_variable_is_used() -> None:
    for name, array in variables().items():
        changed = variables()
        changed[name] = array + 1
        build = conversion.generator if name.startswith("GEN") else discriminator2017
        pairs = zip(build(variables()).parameters(), build(changed).parameters(), strict=True)
        assert sum(not torch.equal(a, b) for a, b in pairs) == 1, name


def test_missing_and_misshapen_variables_are_named() -> None:
    for name in variables():
        build = conversion.generator if name.startswith("GEN") else discriminator2017
        arrays = variables()
        del arrays[name]
        with pytest.raises(ValueError, match=f"2017 variable {name} is missing"):
            build(arrays)
        arrays = variables()
        arrays[name] = arrays[name][..., None]
        with pytest.raises(ValueError, match=f"2017 variable {name} has shape"):
            build(arrays)


def test_a_discriminator_of_no_square_picture_is_refused() -> None:
    arrays = variables()
    arrays["DIS/dis_h3_lin/Matrix"] = np.zeros((8 * WIDTH * 6, 1), np.float32)
    with pytest.raises(ValueError, match="do not fit a square picture"):
        discriminator2017(arrays)
