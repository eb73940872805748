"""The forecaster: tiny random networks, exact promises."""

import numpy as np
import pytest
import torch

from posecast.computing.options import ForecasterOptions
from posecast.forecasting.forecaster import Forecaster
from posecast.heatmaps import draw_heatmaps
from posecast.networks.generator import Generator, GeneratorConfig
from posecast.networks.pose_lstm import PoseLSTM, PoseLSTMConfig
from posecast.skeletons import HUMAN36M, PENN_ACTION

SIZE = 16
CPU = ForecasterOptions(device="cpu")


def tiny_generator() -> Generator:
    torch.manual_seed(1)
    model = Generator(GeneratorConfig(num_heatmaps=48, width=4, size=SIZE))
    torch.nn.init.normal_(model.to_image.weight, std=20.0)
    return model


def tiny_pose_model() -> PoseLSTM:
    torch.manual_seed(0)
    model = PoseLSTM(PoseLSTMConfig(num_joints=13, hidden=8, encoder=4))
    torch.nn.init.normal_(model.decoder.weight, std=0.5)
    return model


@pytest.fixture(scope="module")
def forecaster() -> Forecaster:
    return Forecaster(tiny_pose_model(), tiny_generator(), PENN_ACTION, num_past=4, options=CPU)


def video(num_frames: int, seed: int = 0):
    """Frames, joints in pixels, visibility."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 255, (num_frames, 40, 60, 3), np.uint8)
    joints = rng.uniform(5, 35, (num_frames, 13, 2))
    return frames, joints, rng.random((num_frames, 13)) < 0.8


def test_a_forecast_has_its_shapes_and_frames_of_reference(forecaster):
    frames, joints, visible = video(6)
    visible[:, 3] = False
    forecast = forecaster.predict(frames, joints, visible, steps=5)
    assert forecast.joints_crop.shape == forecast.joints_px.shape == (5, 13, 2)
    assert forecast.frames is not None
    assert forecast.frames.shape == (5, SIZE, SIZE, 3)
    assert forecast.visible.all(axis=0).tolist() == visible[2:].any(axis=0).tolist()
    assert not forecast.visible[:, 3].any()
    # The crop is a square around the seen joints: shares of it and pixels differ by a map.
    scale = (forecast.joints_px[0, 0] - forecast.joints_px[0, 1]) / (
        forecast.joints_crop[0, 0] - forecast.joints_crop[0, 1]
    )
    assert scale[0] == pytest.approx(scale[1], rel=1e-4)
    assert 30 <= scale[0] <= 60


def test_nothing_after_the_last_seen_frame_is_looked_at(forecaster):
    frames, joints, visible = video(12)
    first = forecaster.predict(frames, joints, visible, steps=6, num_seen=7)
    other_frames, other_joints, other_visible = video(12, seed=9)
    frames[7:], joints[7:], visible[7:] = other_frames[7:], other_joints[7:], other_visible[7:]
    joints[9], frames[10] = np.nan, 0
    second = forecaster.predict(frames, joints, visible, steps=6, num_seen=7)
    cut = forecaster.predict(frames[:7], joints[:7], visible[:7], steps=6)
    for other in (second, cut):
        np.testing.assert_array_equal(first.frames, other.frames)
        np.testing.assert_array_equal(first.joints_px, other.joints_px)
        np.testing.assert_array_equal(first.visible, other.visible)
    # The test can fail: the last seen frame and pose do matter.
    frames[6] = 255 - frames[6]
    assert (forecaster.predict(frames[:7], joints[:7], visible[:7], 6).frames != cut.frames).any()
    joints[6, visible[6]] += 1
    moved = forecaster.predict(frames[:7], joints[:7], visible[:7], 6)
    assert (moved.joints_px != cut.joints_px).any()


def test_hidden_joints_are_not_looked_at(forecaster):
    frames, joints, visible = video(4)
    first = forecaster.predict(frames, joints, visible, steps=3)
    joints[~visible] = np.nan
    second = forecaster.predict(frames, joints, visible, steps=3)
    np.testing.assert_array_equal(first.frames, second.frames)
    np.testing.assert_array_equal(first.joints_px, second.joints_px)


def test_poses_are_those_of_the_network_in_its_own_coordinates():
    model = tiny_pose_model().eval()
    forecaster = Forecaster(model, None, PENN_ACTION, num_past=4, options=CPU)
    rng = np.random.default_rng(0)
    past, visible = rng.uniform(0, 1, (3, 4, 13, 2)), rng.random((3, 4, 13)) < 0.7
    predicted = forecaster.predict_poses(past, visible, steps=7)
    x, y = torch.tensor(past[..., 0]), torch.tensor(past[..., 1])
    features = torch.cat([2 * x - 1, 2 * y - 1], dim=2).float()
    with torch.no_grad():
        expected = model(features, torch.tensor(visible), 7).numpy()
    np.testing.assert_allclose(predicted[..., 0], (expected[..., :13] + 1) / 2, atol=1e-6)
    np.testing.assert_allclose(predicted[..., 1], (expected[..., 13:] + 1) / 2, atol=1e-6)


def test_many_clips_at_once_equal_one_by_one(forecaster, monkeypatch):
    monkeypatch.setattr("posecast.forecasting.forecaster.CLIPS_PER_BATCH", 2)
    rng = np.random.default_rng(0)
    past, visible = rng.uniform(0, 1, (5, 4, 13, 2)), rng.random((5, 4, 13)) < 0.7
    together = forecaster.predict_poses(past, visible, steps=3)
    single = [forecaster.predict_poses(past[k : k + 1], visible[k : k + 1], 3) for k in range(5)]
    np.testing.assert_allclose(together, np.concatenate(single), atol=1e-6)


def drawing_inputs():
    rng = np.random.default_rng(3)
    source = rng.integers(0, 255, (SIZE, SIZE, 3), np.uint8)
    joints, visible = rng.uniform(0.1, 0.9, (6, 13, 2)), rng.random((6, 13)) < 0.8
    return source, joints[0], visible[0], joints[1:], visible[1:], (90, 60)


def test_frames_are_those_of_the_network():
    model = tiny_generator().eval()
    forecaster = Forecaster(None, model, PENN_ACTION, options=CPU)
    source, joints, visible, targets, shown, crop_hw = drawing_inputs()
    drawn = forecaster.draw_frames(source, joints, visible, targets, shown, crop_hw)

    def maps(joints_crop, seen):
        hw = torch.tensor([[90.0, 60.0]])
        crop = torch.tensor(joints_crop[None]).float()
        return draw_heatmaps(crop, torch.tensor(seen[None]), hw, PENN_ACTION, SIZE, 8.0)

    image = torch.tensor(source).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        expected = model(image, maps(joints, visible), maps(targets[2], shown[2]))[0]
    levels = (expected.permute(1, 2, 0).numpy() + 1) * 127.5
    assert np.abs(drawn[2] - levels).max() <= 0.5 + 1e-3
    assert np.ptp(levels) > 3


@pytest.mark.parametrize("frames_per_batch", [1, 2, 5, 64])
def test_batches_do_not_change_frames(frames_per_batch):
    options = ForecasterOptions(device="cpu", frames_per_batch=frames_per_batch)
    forecaster = Forecaster(None, tiny_generator(), PENN_ACTION, options=options)
    plain = Forecaster(None, tiny_generator(), PENN_ACTION, options=CPU)
    ours, theirs = (each.draw_frames(*drawing_inputs()) for each in (forecaster, plain))
    # Sums in another order may round a grey level the other way.
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    assert len(ours) == 5


def test_the_source_is_encoded_once():
    model = tiny_generator()
    calls = []
    model.image_encoder.register_forward_hook(lambda *_: calls.append("image"))
    model.pose_encoder.register_forward_hook(lambda *_: calls.append("pose"))
    options = ForecasterOptions(device="cpu", frames_per_batch=2)
    Forecaster(None, model, PENN_ACTION, options=options).draw_frames(*drawing_inputs())
    assert calls == ["image", "pose", "pose", "pose", "pose"]


def test_bf16_is_close():
    options = ForecasterOptions(device="cpu", precision="bf16-mixed")
    fast = Forecaster(None, tiny_generator(), PENN_ACTION, options=options)
    plain = Forecaster(None, tiny_generator(), PENN_ACTION, options=CPU)
    ours, theirs = (each.draw_frames(*drawing_inputs()).astype(int) for each in (fast, plain))
    assert np.abs(ours - theirs).mean() < 1.5


def test_what_does_not_fit_is_said(forecaster):
    frames, joints, visible = video(8)
    with pytest.raises(ValueError, match="expected at least 4"):
        forecaster.predict(frames[:3], joints[:3], visible[:3])
    with pytest.raises(ValueError, match="num_seen is 9, there are 8"):
        forecaster.predict(frames, joints, visible, num_seen=9)
    with pytest.raises(ValueError, match="no joint is visible"):
        forecaster.predict(frames, joints, np.zeros_like(visible))
    with pytest.raises(ValueError, match="mark them as not visible"):
        forecaster.predict(frames, joints * np.nan, visible)
    with pytest.raises(ValueError, match=r"13 joints, skeleton human36m has 32"):
        Forecaster(tiny_pose_model(), None, HUMAN36M, options=CPU)
    with pytest.raises(ValueError, match=r"48 heat maps, skeleton human36m has 32"):
        Forecaster(None, tiny_generator(), HUMAN36M, options=CPU)
    wrong = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(ValueError, match="prepare the store with --size 16"):
        forecaster.draw_frames(wrong, *drawing_inputs()[1:])
    with pytest.raises(ValueError, match="no pose model"):
        Forecaster(None, tiny_generator(), PENN_ACTION, 4, options=CPU).predict(
            frames, joints, visible
        )
    with pytest.raises(ValueError, match="0 or more"):
        ForecasterOptions(frames_per_batch=-1)
    with pytest.raises(ValueError, match="pose run, an image run"):
        Forecaster.load(None, None)
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="no cuda device"):
            ForecasterOptions(device="cuda").pick_device()


def test_poses_only(forecaster):
    poses_only = Forecaster(tiny_pose_model(), None, PENN_ACTION, num_past=4, options=CPU)
    forecast = poses_only.predict(*video(4), steps=3)
    assert forecast.frames is None
    both = forecaster.predict(*video(4), steps=3)
    np.testing.assert_array_equal(forecast.joints_px, both.joints_px)


def test_stride_sees_every_nth_frame():
    forecaster = Forecaster(tiny_pose_model(), None, PENN_ACTION, num_past=3, stride=2, options=CPU)
    frames, joints, visible = video(6)
    first = forecaster.predict(frames, joints, visible, steps=2)
    joints[[0, 2, 4]] = 0  # between the seen ones 1, 3, 5
    second = forecaster.predict(frames, joints, visible, steps=2)
    np.testing.assert_array_equal(first.joints_px, second.joints_px)
    with pytest.raises(ValueError, match="at least 5"):
        forecaster.predict(frames[:4], joints[:4], visible[:4])
