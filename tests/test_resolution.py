"""The same scene in any resolution is drawn alike; a prepared store counts in its own pixels."""

import dataclasses

import numpy as np
import pytest
import torch
from jaxtyping import Float, UInt8

from posecast.clips import SeenVideo
from posecast.computing.devices import ForecasterOptions
from posecast.forecasting.generator_drawer import CROP_SIDES_PX, GeneratorDrawer
from posecast.forecasting.loading import load_frame_drawer
from posecast.geometry import cut_crop
from posecast.networks.generator import Generator, GeneratorConfig
from posecast.records.weights import WeightsFacts, write_weights
from posecast.skeletons import PENN_ACTION

SIZE = 64
CPU = ForecasterOptions(device="cpu")


def generator() -> Generator:
    """Untrained, but its pictures depend strongly on the poses."""
    torch.manual_seed(1)
    model = Generator(GeneratorConfig(width=4, size=SIZE))
    torch.nn.init.normal_(model.to_image.weight, std=0.3)
    with torch.no_grad():
        for weights in model.pose_encoder.parameters():
            weights.mul_(2.5)
    return model


def drawer(crop_side_px: float | None = 150.0) -> GeneratorDrawer:
    return GeneratorDrawer(generator(), PENN_ACTION, 8.0, CPU, crop_side_px)


def scene(scale: int) -> tuple[SeenVideo, Float[np.ndarray, "t j 2"], UInt8[np.ndarray, "h w 3"]]:
    """What was seen, poses to draw, and a true picture, `scale` times as large as the first."""
    rng = np.random.default_rng(0)
    grid = np.indices((200, 300)).sum(axis=0)
    shades = [
        128 + 90 * np.sin(grid / period + turn) for period, turn in rng.uniform(9, 20, (6, 2))
    ]
    pictures = np.stack([np.stack(shades[:3], -1), np.stack(shades[3:], -1)]).astype(np.uint8)
    enlarged = pictures.repeat(scale, axis=1).repeat(scale, axis=2)
    joints = scale * np.stack([rng.uniform([100, 40], [180, 150], (13, 2)) for _ in range(5)])
    seen = SeenVideo(
        joints[:1], np.ones((1, 13), bool), 30.0, (200 * scale, 300 * scale), enlarged[:1]
    )
    return seen, joints[1:], enlarged[1]


def draw(each: GeneratorDrawer, scale: int) -> tuple[np.ndarray, float]:
    """Frames, and their PSNR to the true picture in dB."""
    seen, joints, true = scene(scale)
    drawn = each.draw_frames(seen, joints, np.ones(joints.shape[:2], bool)).astype(float)
    truth = cut_crop(true, seen.person_crop, SIZE, "area")
    return drawn, 10 * np.log10(255**2 / np.mean((drawn - truth) ** 2))


def test_the_same_scene_is_drawn_alike_in_any_resolution() -> None:
    ours = drawer()
    first, psnr = draw(ours, 1)
    for scale in (2, 4, 8):
        drawn, again = draw(ours, scale)
        assert abs(again - psnr) < 0.2  # blobs of 8 px in every resolution: 0.9 dB
        assert np.abs(drawn - first).mean() < 2
    assert first.std(axis=0).mean() > 5  # poses do matter


def test_a_prepared_store_counts_in_its_own_pixels() -> None:
    """As in 2017: the width of the blobs follows the pixels of the stored crop."""
    ours, frames = drawer(), []
    for scale in (1, 4):
        seen, joints, _ = scene(scale)
        crop = seen.person_crop
        stored = dataclasses.replace(seen, frames=seen.cut(crop, SIZE), crop=crop)
        frames.append(ours.draw_frames(stored, joints, np.ones(joints.shape[:2], bool)))
    assert np.abs(frames[0].astype(int) - frames[1]).mean() > 8
    # At the scale of the training crops a video of one's own is drawn as a store is.
    seen, joints, _ = scene(1)
    same = drawer(float(seen.person_crop.width))
    own = same.draw_frames(seen, joints, np.ones(joints.shape[:2], bool))
    np.testing.assert_array_equal(own, frames[0])


@pytest.mark.parametrize(("recorded", "used"), [(231.0, 231.0), (None, 248.0)])
def test_the_scale_is_read_from_the_weights(tmp_path, recorded, used) -> None:
    assert CROP_SIDES_PX["penn_action"] == 248.0
    model = generator()
    facts = WeightsFacts(
        "image", dataclasses.asdict(model.config), "penn_action", crop_side_px=recorded
    )
    write_weights(tmp_path / "image.safetensors", model.state_dict(), facts)
    loaded = load_frame_drawer(tmp_path / "image.safetensors", CPU)
    seen, joints, _ = scene(2)
    visible = np.ones(joints.shape[:2], bool)
    expected = drawer(used).draw_frames(seen, joints, visible)
    np.testing.assert_array_equal(loaded.draw_frames(seen, joints, visible), expected)
