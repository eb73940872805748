"""The forecaster: tiny random networks, exact promises."""

import dataclasses

import numpy as np
import pytest
import torch

from posecast.clips import PoseForecast, SeenVideo
from posecast.computing.devices import ForecasterOptions
from posecast.forecasting.forecaster import Forecaster
from posecast.forecasting.generator_drawer import GeneratorDrawer
from posecast.forecasting.lstm import LSTMForecaster
from posecast.forecasting.protocols import FrameDrawer, Needs, TrainedPoseForecaster
from posecast.geometry import Crop, crop_to_px, px_to_crop
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


def pose_forecaster() -> LSTMForecaster:
    return LSTMForecaster(tiny_pose_model(), PENN_ACTION, num_past=4)


def drawer(options: ForecasterOptions = CPU) -> GeneratorDrawer:
    return GeneratorDrawer(tiny_generator(), PENN_ACTION, options=options)


@pytest.fixture(scope="module")
def forecaster() -> Forecaster:
    return Forecaster(pose_forecaster(), drawer())


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
    assert forecast.joints_px.shape == (1, 5, 13, 2)
    assert forecast.frames.shape == (1, 5, SIZE, SIZE, 3)
    assert (forecast.weights.tolist(), forecast.fps) == ([1.0], 30.0)
    assert forecast.visible.all(axis=0).tolist() == visible[2:].any(axis=0).tolist()
    assert not forecast.visible[:, 3].any()
    # The crop is a square around the seen joints.
    assert forecast.crop.width == forecast.crop.height
    assert 30 <= forecast.crop.width <= 60
    shares = px_to_crop(joints[2:][visible[2:]], forecast.crop)
    assert ((shares >= 0) & (shares <= 1)).all()


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


CROP = Crop(7, -3, 67, 87)


def seen_poses(count: int) -> list[SeenVideo]:
    """Random poses of four frames, as shares of CROP from 0 to 1."""
    rng = np.random.default_rng(0)
    past, visible = rng.uniform(0, 1, (count, 4, 13, 2)), rng.random((count, 4, 13)) < 0.7
    return [
        SeenVideo(crop_to_px(joints, CROP), shown, 30.0, (100, 100), crop=CROP)
        for joints, shown in zip(past, visible, strict=True)
    ]


def test_poses_are_those_of_the_network_in_its_own_coordinates():
    model, seen = tiny_pose_model().eval(), seen_poses(3)
    predicted = LSTMForecaster(model, PENN_ACTION, num_past=4).forecast_poses(seen, steps=7)
    past = np.stack([px_to_crop(each.joints_px, CROP) for each in seen])
    x, y = torch.tensor(past[..., 0]), torch.tensor(past[..., 1])
    features = torch.cat([2 * x - 1, 2 * y - 1], dim=2).float()
    with torch.no_grad():
        visible = torch.tensor(np.stack([each.visible for each in seen]))
        expected = model(features, visible, 7).numpy()
    shares = px_to_crop(np.stack([each.joints_px[0] for each in predicted]), CROP)
    np.testing.assert_allclose(shares[..., 0], (expected[..., :13] + 1) / 2, atol=1e-6)
    np.testing.assert_allclose(shares[..., 1], (expected[..., 13:] + 1) / 2, atol=1e-6)


def test_many_clips_at_once_equal_one_by_one(forecaster, monkeypatch):
    monkeypatch.setattr("posecast.forecasting.forecaster.CLIPS_PER_BATCH", 2)
    seen = seen_poses(5)
    together = forecaster.forecast_poses(seen, steps=3)
    single = [forecaster.forecast_poses([each], steps=3)[0] for each in seen]
    for ours, theirs in zip(together, single, strict=True):
        np.testing.assert_allclose(ours.joints_px, theirs.joints_px, atol=1e-4)


def drawing_inputs():
    """What was seen (of one frame), and five poses to draw."""
    rng = np.random.default_rng(3)
    source = rng.integers(0, 255, (1, SIZE, SIZE, 3), np.uint8)
    joints, visible = rng.uniform(0.1, 0.9, (6, 13, 2)), rng.random((6, 13)) < 0.8
    pixels = crop_to_px(joints, CROP)
    seen = SeenVideo(pixels[:1], visible[:1], 30.0, (100, 100), source, CROP)
    return seen, pixels[1:], visible[1:]


def test_frames_are_those_of_the_network():
    model = tiny_generator().eval()
    seen, targets, shown = drawing_inputs()
    drawn = GeneratorDrawer(model, PENN_ACTION, options=CPU).draw_frames(seen, targets, shown)

    def maps(joints_px, visible):
        hw = torch.tensor([[90.0, 60.0]])
        crop = torch.tensor(px_to_crop(joints_px, CROP)[None]).float()
        return draw_heatmaps(crop, torch.tensor(visible[None]), hw, PENN_ACTION, SIZE, 8.0)

    image = torch.tensor(seen.pictures).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        source_map = maps(seen.joints_px[0], seen.visible[0])
        expected = model(image, source_map, maps(targets[2], shown[2]))[0]
    levels = (expected.permute(1, 2, 0).numpy() + 1) * 127.5
    assert np.abs(drawn[2] - levels).max() <= 0.5 + 1e-3
    assert np.ptp(levels) > 3


def test_a_drawer_cuts_the_crop_out_of_whole_pictures():
    """An own video and a store of the same crop are drawn alike."""
    frames, joints, visible = video(4)
    side = SeenVideo(joints, visible, 30.0, (40, 60)).person_crop.width
    drawer = GeneratorDrawer(tiny_generator(), PENN_ACTION, options=CPU, crop_side_px=float(side))
    forecaster = Forecaster(pose_forecaster(), drawer)
    own = forecaster.predict(frames, joints, visible, steps=3)
    whole = SeenVideo(joints, visible, 30.0, (40, 60), frames)
    cut = whole.cut(own.crop, SIZE)
    stored = SeenVideo(joints, visible, 30.0, (40, 60), cut, own.crop)
    again = forecaster.forecast(stored, steps=3)
    assert again.crop == own.crop == whole.person_crop
    np.testing.assert_array_equal(own.frames, again.frames)
    np.testing.assert_array_equal(own.joints_px, again.joints_px)


@pytest.mark.parametrize("frames_per_batch", [1, 2, 5, 64])
def test_batches_do_not_change_frames(frames_per_batch):
    options = ForecasterOptions(device="cpu", frames_per_batch=frames_per_batch)
    ours, theirs = (drawer(each).draw_frames(*drawing_inputs()) for each in (options, CPU))
    # Sums in another order may round a grey level the other way.
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    assert len(ours) == 5


def test_the_source_is_encoded_once():
    model = tiny_generator()
    calls = []
    model.image_encoder.register_forward_hook(lambda *_: calls.append("image"))
    model.pose_encoder.register_forward_hook(lambda *_: calls.append("pose"))
    options = ForecasterOptions(device="cpu", frames_per_batch=2)
    GeneratorDrawer(model, PENN_ACTION, options=options).draw_frames(*drawing_inputs())
    assert calls == ["image", "pose", "pose", "pose", "pose"]


def test_bf16_is_close():
    options = ForecasterOptions(device="cpu", precision="bf16-mixed")
    drawn = (drawer(each).draw_frames(*drawing_inputs()) for each in (options, CPU))
    ours, theirs = (frames.astype(int) for frames in drawn)
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
        LSTMForecaster(tiny_pose_model(), HUMAN36M)
    with pytest.raises(ValueError, match=r"48 heat maps, skeleton human36m has 32"):
        GeneratorDrawer(tiny_generator(), HUMAN36M, options=CPU)
    seen, *targets = drawing_inputs()
    wrong = dataclasses.replace(seen, frames=np.zeros((1, 8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match="prepare the store at its size"):
        drawer().draw_frames(wrong, *targets)
    with pytest.raises(ValueError, match="poses but no frames"):
        drawer().draw_frames(dataclasses.replace(seen, frames=None), *targets)
    long = np.concatenate([frames, frames]), np.tile(joints, (2, 1, 1)), np.tile(visible, (2, 1))
    with pytest.raises(ValueError, match="no pose model"):
        Forecaster(None, drawer()).predict(*long)
    with pytest.raises(ValueError, match=r"joints \(7, 13, 2\) .* do not fit 8 frames"):
        forecaster.predict(list(frames), joints[:7], visible[:7])
    model = Generator(GeneratorConfig(num_heatmaps=HUMAN36M.num_heatmaps, width=4, size=SIZE))
    with pytest.raises(ValueError, match="use two runs of one data set"):
        Forecaster(pose_forecaster(), GeneratorDrawer(model, HUMAN36M, options=CPU))
    with pytest.raises(ValueError, match="0 or more"):
        ForecasterOptions(frames_per_batch=-1)
    with pytest.raises(ValueError, match="pose run, an image run"):
        Forecaster.load(None, None)
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="no cuda device"):
            ForecasterOptions(device="cuda").pick_device()


def test_poses_only(forecaster):
    poses_only = Forecaster(pose_forecaster())
    forecast = poses_only.predict(*video(4), steps=3)
    assert forecast.frames is None
    both = forecaster.predict(*video(4), steps=3)
    np.testing.assert_array_equal(forecast.joints_px, both.joints_px)


def test_pictures_nobody_draws_from_are_not_put_together():
    fan = Fan()
    Forecaster(fan).predict(*video(4), steps=3)
    assert (fan.seen[0].frames, fan.seen[0].image_hw) == (None, (40, 60))


def test_stride_sees_every_nth_frame():
    forecaster = Forecaster(LSTMForecaster(tiny_pose_model(), PENN_ACTION, num_past=3, stride=2))
    frames, joints, visible = video(6)
    first = forecaster.predict(frames, joints, visible, steps=2)
    joints[[0, 2, 4]] = 0  # between the seen ones 1, 3, 5
    second = forecaster.predict(frames, joints, visible, steps=2)
    np.testing.assert_array_equal(first.joints_px, second.joints_px)
    assert first.fps == 30.0
    with pytest.raises(ValueError, match=r"at least 5: .* trained to see 3 at 15 a second"):
        forecaster.predict(frames[:4], joints[:4], visible[:4])


class Fan:
    """Futures that go several ways at once; remembers what it was shown."""

    needs = Needs(PENN_ACTION, num_past=2, max_past=5)

    def forecast_poses(self, seen, steps, samples=1):
        self.seen = seen
        ahead = np.arange(1, steps + 1)[None, :, None, None]
        speeds = np.arange(samples)[:, None, None, None] * np.array([1.0, 0.0])
        weights = np.arange(samples, 0, -1) / np.arange(samples, 0, -1).sum()
        return [PoseForecast.of(e, e.joints_px[-1] + speeds * ahead, weights) for e in seen]


class Painter:
    """Draws the number of pictures that it was shown."""

    skeleton, size = PENN_ACTION, 8

    def crop_of(self, seen, *poses):
        return seen.shown

    def draw_frames(self, seen, joints_px, visible, crop=None):
        self.pictures = seen.pictures
        return np.full((len(joints_px), 8, 8, 3), round(joints_px[-1, 0, 0]), np.uint8)


def test_several_futures_of_all_that_was_seen():
    """A model of another kind: all frames are shown to it in full, its futures keep their order."""
    forecaster = Forecaster(Fan(), Painter())
    frames, joints, visible = video(7)
    joints[-1, 0] = 10.0
    forecast = forecaster.predict(frames, joints, visible, steps=4, samples=3)
    (seen,) = forecaster.poses.seen
    np.testing.assert_array_equal(seen.joints_px, joints[2:])
    np.testing.assert_array_equal(forecaster.drawer.pictures, frames[2:])
    assert forecast.joints_px.shape == (3, 4, 13, 2)
    assert forecast.joints_px[:, -1, 0, 0].tolist() == [10, 14, 18]
    assert forecast.weights == pytest.approx([3 / 6, 2 / 6, 1 / 6])
    assert forecast.crop == Crop(0, 0, 60, 40)
    assert forecast.frames[:, 0, 0, 0, 0].tolist() == [10]
    both = forecaster.forecast(seen, steps=4, samples=3, drawn=2)
    assert both.frames[:, 0, 0, 0, 0].tolist() == [10, 14]
    # With fewer frames than are of use it does with what there is, but not with too few.
    forecaster.predict(frames[:3], joints[:3], visible[:3], steps=1)
    assert len(forecaster.poses.seen[0]) == 3
    with pytest.raises(ValueError, match="expected at least 2"):
        forecaster.predict(frames[:1], joints[:1], visible[:1], steps=1)


def test_both_are_what_the_protocols_ask_for():
    for poses in (pose_forecaster(), Fan()):
        assert isinstance(poses, TrainedPoseForecaster)
    for each in (drawer(), Painter()):
        assert isinstance(each, FrameDrawer)
