"""The drawer that carries the person along, in the place of an image run."""

from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
import torch

from carrying.scene import SKIN, picture, pose, wall
from posecast.carrying.body_maps import NUM_MAPS
from posecast.carrying.composing import composed
from posecast.clips import EarlierPictures, PoseForecast, SeenVideo
from posecast.errors import PosecastError
from posecast.forecasting.carried import CarriedDrawer
from posecast.forecasting.forecaster import Forecaster
from posecast.forecasting.loading import load_frame_drawer
from posecast.forecasting.protocols import FrameDrawer
from posecast.geometry import Crop
from posecast.media.grey_levels import to_bytes
from posecast.networks.carrying import CarryingConfig, CarryingNetwork, Changes, LayerBatch, refined
from posecast.own_video.pictures import paste
from posecast.pretrained import CARRIED
from posecast.records.weights import WeightsFacts, write_weights
from posecast.skeletons import PENN_ACTION

UNTRAINED = CarryingConfig(mask_widths=(), refinement_widths=())
SMALL = CarryingConfig(mask_widths=(8, 8), refinement_widths=(8, 16))
ALL = np.ones((4, 13), bool)
RAISED = {"left_elbow": (38.0, 44.0), "left_wrist": (24.0, 34.0)}


def seen(size=128, **changes):
    """Four frames of a person who stands still, whole pictures."""
    frames = np.stack([picture(pose(), wall(size))] * 4)
    joints = np.stack([pose() * (size / 128)] * 4)
    return replace(SeenVideo(joints, ALL, 30.0, (size, size), frames), **changes)


def drawer(config=UNTRAINED):
    torch.manual_seed(0)
    return CarriedDrawer(CarryingNetwork(config), PENN_ACTION)


def test_it_is_a_frame_drawer():
    assert isinstance(drawer(), FrameDrawer)


def test_frames_of_a_store_come_back_in_the_stores_size():
    stored = seen(crop=Crop(0, 0, 128, 128))
    drawn = drawer().draw_frames(stored, pose(**RAISED)[None], ALL[:1])
    assert drawn.shape == (1, 128, 128, 3)
    assert np.array_equal(drawn[0, :, 108:], stored.pictures[-1][:, 108:])


@pytest.mark.parametrize(
    ("lost", "part"),
    [
        (("left_hip", "right_hip"), np.s_[44:68, 74:86]),
        (("left_knee", "left_ankle"), np.s_[80:118, 40:80]),
    ],
    ids=["an arm hides hips", "a blur hides a leg"],
)
def test_what_is_hidden_for_a_while_is_drawn_where_it_goes(lost, part):
    shown = np.ones((5, 13), bool)
    shown[2:, [PENN_ACTION.index(name) for name in lost]] = False
    walked = pose()[None] + np.float32([16, 0])
    one = seen(crop=Crop(0, 0, 128, 128), visible=shown[:4])
    drawn, whole = (
        drawer().draw_frames(each, walked, visible)[0].astype(int)
        for each, visible in ((one, shown[4:]), (replace(one, visible=ALL), ALL[:1]))
    )
    assert np.abs(drawn - whole)[part].mean() < 5


def seen_before(moves=0, hidden=False):
    """A green arm was raised once, long ago; the person has stood still since, in red."""
    raised = picture(pose(**RAISED), wall())
    raised[(raised[..., 0] > 190) & (raised[..., 1] < 110)] = (60, 230, 60)
    frames = np.stack([picture(pose(), np.roll(wall(), -moves * t, axis=1)) for t in range(-31, 1)])
    joints = np.stack([pose(**RAISED)] * 6 + [pose()] * 38)
    visible = np.ones((44, 13), bool)
    if hidden:
        visible[12:, [PENN_ACTION.index(name) for name in RAISED]] = False
    earlier = EarlierPictures((0, 5), np.stack([raised] * 2))
    return SeenVideo(joints, visible, 30.0, (128, 128), frames, earlier=earlier)


def green_of(own):
    drawn = drawer().draw_frames(own, pose(**RAISED)[None], ALL[:1], Crop(0, 0, 128, 128))
    forearm = drawn[0, 36:42, 27:34].reshape(-1, 3).astype(int)
    return (forearm[:, 1] > forearm[:, 0] + 60).mean()


def test_what_was_seen_long_ago_is_drawn_from_its_own_picture():
    assert green_of(seen_before()) > 0.8
    assert green_of(replace(seen_before(), earlier=None)) == 0


def test_frames_in_memory_give_pictures_from_before_as_a_video_does(monkeypatch):
    given = []

    def end_with(_, seen, *rest):
        given.append(seen)
        raise PosecastError("seen enough")

    monkeypatch.setattr(Forecaster, "forecast_poses_of_video", end_with)
    monkeypatch.setattr("posecast.forecasting.protocols.MOST_PICTURES", 4)
    monkeypatch.setattr("posecast.forecasting.protocols.MOST_EARLIER", 3)
    frames = np.arange(12, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)
    joints = np.stack([pose()] * 12)
    forecaster = Forecaster(Forecaster.pretrained().poses, drawer())
    with pytest.raises(PosecastError, match="seen enough"):
        forecaster.predict(frames, joints, np.ones((12, 13), bool))
    assert given[0].earlier.numbers == (0, 4, 7)
    assert given[0].earlier.frames[:, 0, 0, 0].tolist() == [0, 4, 7]
    assert given[0].pictures[:, 0, 0, 0].tolist() == [8, 9, 10, 11]


def test_where_the_camera_moves_single_pictures_from_before_tell_nothing():
    own = seen_before(moves=1)
    without = drawer().draw_frames(replace(own, earlier=None), pose(**RAISED)[None], ALL[:1])
    assert np.array_equal(drawer().draw_frames(own, pose(**RAISED)[None], ALL[:1]), without)


def test_an_arm_that_has_been_hidden_for_long_does_not_come_back():
    own = seen_before(hidden=True)
    without = drawer().draw_frames(replace(own, earlier=None), pose(**RAISED)[None], ALL[:1])
    assert np.array_equal(drawer().draw_frames(own, pose(**RAISED)[None], ALL[:1]), without)


def test_who_was_not_found_long_ago_is_not_taken_for_the_room():
    """The person stood there all the time: when it goes, it was still there, too."""
    own = seen_before()
    own.visible[:12], own.earlier.frames[:] = False, own.pictures[0]
    gone = pose()[None] + (60.0, 0)
    without = drawer().draw_frames(replace(own, earlier=None), gone, ALL[:1])
    assert np.array_equal(drawer().draw_frames(own, gone, ALL[:1]), without)


def test_a_crop_that_is_no_square_is_carried_upright():
    wide = Crop(0, 0, 128, 64)
    frames = np.stack([cv2.resize(each[:64], (128, 128)) for each in seen().pictures])
    shown = ALL & (seen().joints_px[:, :, 1] < 64)
    stored = seen(frames=frames, crop=wide, visible=shown)
    up = {"left_wrist": (30.0, 42.0), "left_elbow": (40.0, 40.0)}
    drawn = drawer().draw_frames(stored, pose(**up)[None], shown[:1])
    square = seen(frames=seen().frames, crop=Crop(0, 0, 128, 128), visible=shown)
    whole = drawer().draw_frames(square, pose(**up)[None], shown[:1])
    assert np.array_equal(drawn[0, :, 110:], frames[-1][:, 110:])
    moved = np.abs(drawn[0].astype(int) - frames[-1]).mean(axis=-1)
    wanted = np.abs(whole[0, :64].astype(int) - square.pictures[-1][:64]).mean(axis=-1)
    wanted = cv2.resize(wanted.astype(np.float32), (128, 128))
    assert moved.max() > 40
    assert np.abs(moved - wanted).mean() < 0.15 * wanted.mean() + 0.5


def test_an_own_video_is_drawn_in_its_own_pixels():
    own = seen(size=300)
    crop = drawer().crop_of(own, own.joints_px[:1], ALL[:1])
    drawn = drawer().draw_frames(own, own.joints_px[:1], ALL[:1])
    assert drawn.shape == (1, crop.height, crop.width, 3)
    assert np.array_equal(drawn[0], own.cut(crop, crop.width)[-1])


def test_what_the_edge_of_the_picture_cuts_off_is_not_made_up():
    """A head that was half out of the picture comes down: no column of skin above it."""
    cut = pose() - (0, 24)
    frames = np.stack([picture(cut, wall())] * 4)
    own = SeenVideo(np.stack([cut] * 4), ALL, 30.0, (128, 128), frames)
    crop = drawer().crop_of(own, pose()[None], ALL[:1])
    drawn = drawer().draw_frames(own, pose()[None], ALL[:1])[0]
    whole = cv2.resize(drawn, (crop.width, crop.height))[-crop.y1 :, -crop.x1 :].astype(int)
    is_skin = np.abs(whole - SKIN).max(axis=-1) < 25
    assert is_skin[24:31, 60:68].mean() > 0.5  # what was seen of the head
    assert not is_skin[:16, 56:72].any()


def test_who_goes_away_from_where_they_were_seen_is_drawn_there():
    """Beyond the square around what was seen, in each of two futures and in one crop for both."""
    room, start, shift = wall(512), np.array((180, 190), np.float32), 150

    def shown(left, top):
        frame = room.copy()
        part = frame[top : top + 128, left : left + 128]
        part[:] = picture(pose(), part.copy())
        return frame

    seen_joints = np.stack([pose() + start] * 4)
    own = SeenVideo(seen_joints, ALL, 30.0, (512, 512), np.stack([shown(180, 190)] * 4))
    futures = seen_joints[:1] + np.array([(-shift, 0), (0, shift)])[:, None, None]
    ours = drawer()
    forecast = Forecaster(None, ours).draw(own, PoseForecast.of(own, futures), drawn=2)
    assert forecast.frames is not None
    for (frame,), place in zip(forecast.frames, ((30, 190), (180, 340)), strict=True):
        true = shown(*place).astype(int)
        error = np.abs(paste(own.pictures[-1], frame, forecast.crop) - true).sum()
        assert error < 0.35 * np.abs(own.pictures[-1] - true).sum()
    away = ours.crop_of(own, futures + np.float32(1000), ALL[:1])
    assert (away.x2, away.y2) == (512, 512)  # who leaves the picture needs no more than that


@pytest.mark.parametrize("config", [UNTRAINED, SMALL], ids=["untrained", "small"])
@pytest.mark.parametrize("place", [np.nan, -1e4])
def test_where_hidden_joints_are_said_to_be_changes_nothing(config, place):
    shown, moves = ALL.copy(), np.stack([pose(**RAISED)] * 2)
    shown[:, 3] = shown[2, 7] = shown[-1, 9] = False
    will = np.repeat(shown.any(axis=0)[None], 2, axis=0)
    drawn = []
    for hidden in (0.0, place):
        joints = np.where(shown[..., None], seen().joints_px, hidden)
        future = np.where(will[..., None], moves, hidden)
        drawn.append(
            drawer(config).draw_frames(seen(joints_px=joints, visible=shown), future, will)
        )
    np.testing.assert_array_equal(*drawn)


def test_a_person_of_whom_no_torso_and_no_leg_was_seen_stays():
    stored = seen(crop=Crop(0, 0, 128, 128), visible=ALL & (np.arange(13) < 1))
    drawn = drawer().draw_frames(stored, pose(**RAISED)[None], ALL[:1])
    assert np.array_equal(drawn[0], stored.pictures[-1])


def test_without_frames_there_is_nothing_to_draw_from():
    with pytest.raises(PosecastError, match="no frames"):
        drawer().draw_frames(seen(frames=None), pose()[None], ALL[:1])


def test_a_refinement_that_was_not_trained_changes_nothing():
    own, future = seen(crop=Crop(0, 0, 128, 128)), pose(**RAISED)[None]
    plain = drawer().draw_frames(own, future, ALL[:1])
    config = CarryingConfig(mask_widths=(), refinement_widths=(8, 16))
    assert np.array_equal(drawer(config).draw_frames(own, future, ALL[:1]), plain)


def test_what_the_refinement_asks_for_happens_near_the_body_only():
    torch.manual_seed(0)
    network = CarryingNetwork(SMALL)
    torch.nn.init.constant_(network.refinement.to_shares.get_parameter("bias")[5 * 4 :], 0.5)
    torch.nn.init.constant_(network.refinement.to_shares.get_parameter("bias")[4 * 4 : 5 * 4], 9.0)
    pictures = torch.zeros(1, 12, 128, 128)
    distance = torch.full((1, 1, 128, 128), 9.0)
    distance[..., :64] = 0
    shares = torch.full((1, 4, 128, 128), 1 / 4)
    layers = LayerBatch(pictures, shares, distance, torch.zeros_like(distance))
    with torch.no_grad():
        drawn = refined(layers, network.refinement(layers, torch.zeros(1, 11, 64, 64)))
    assert drawn[..., :60].min() > 0.4
    assert drawn[..., 64:].abs().max() == 0


def test_frames_are_drawn_as_they_are_trained():
    """In boxes of bytes as by tensors: a grey level apart at most, but for some edges."""
    rng = np.random.default_rng(0)

    def smooth(*shape):
        noise = rng.normal(size=(*shape, 16, 16)).astype(np.float32).reshape(-1, 16, 16)
        grown = [cv2.resize(each, (128, 128), interpolation=cv2.INTER_CUBIC) for each in noise]
        return np.stack(grown).reshape(*shape, 128, 128)

    pictures = (110 + 50 * smooth(4, 3)).clip(0, 255).astype(np.uint8)
    shares = torch.from_numpy(smooth(4)).mul(3).softmax(0)
    distance = np.abs(smooth()) * 4
    flow = np.stack([cv2.resize(each, (64, 64)) for each in smooth(8)])
    said = (smooth(5) / 2, smooth(3) / 4, flow / 2)
    changes = Changes(*(torch.from_numpy(each)[None] for each in said))
    values = (torch.from_numpy(pictures.reshape(1, 12, 128, 128)) / 127.5 - 1, shares[None])
    given = torch.from_numpy(distance)[None, None]
    with torch.no_grad():
        wanted = to_bytes(refined(LayerBatch(*values, given, given), changes))[0].numpy()
    layers = tuple(np.ascontiguousarray(each.transpose(1, 2, 0)) for each in pictures)
    same = partial(cv2.resize, dsize=(128, 128))
    asked = next(changes.of_frames()).fitted(same, 128)
    drawn = composed(layers, list(shares.numpy()), distance, asked)
    apart = np.abs(drawn.astype(int) - wanted)
    assert (apart > 1).mean() < 0.01
    assert apart.mean() < 0.3
    plain = composed(layers, list(shares.numpy()), distance)
    assert np.abs(plain.astype(int) - wanted).mean() > 5


def test_norms_over_the_batch_become_part_of_the_convolutions():
    torch.manual_seed(0)
    network = CarryingNetwork(replace(SMALL, refinement_norm="batch"))
    for module in network.refinement.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.get_buffer("running_mean"), -0.5, 0.5)
            torch.nn.init.uniform_(module.get_buffer("running_var"), 0.5, 2.0)
    torch.nn.init.normal_(network.refinement.to_shares.weight, std=0.1)
    shares = torch.full((1, 4, 128, 128), 1 / 4)
    layers = LayerBatch(torch.rand(1, 12, 128, 128), shares, *torch.rand(2, 1, 1, 128, 128))
    maps = torch.rand(1, 11, 64, 64)
    with torch.no_grad():
        before = network.eval()(layers, maps)
        after = network.without_norms()(layers, maps)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())
    assert torch.allclose(before, after, atol=1e-4)
    assert not torch.allclose(before, layers.mixed(), atol=1e-2)


def test_it_ships_under_a_name_and_has_nothing_learned():
    loaded = load_frame_drawer(CARRIED)
    own, future = seen(crop=Crop(0, 0, 128, 128)), pose(**RAISED)[None]
    plain = drawer().draw_frames(own, future, ALL[:1])
    assert np.array_equal(loaded.draw_frames(own, future, ALL[:1]), plain)


def test_weights_say_what_they_are(tmp_path):
    facts = WeightsFacts(
        kind="carrying",
        config={"mask_widths": [8, 8], "refinement_widths": [8, 16]},
        skeleton="penn_action",
    )
    path = tmp_path / "carrying.safetensors"
    write_weights(path, CarryingNetwork(SMALL).state_dict(), facts)
    loaded = load_frame_drawer(path)
    own = seen(size=160)
    drawn = loaded.draw_frames(own, own.joints_px[:1], ALL[:1])
    assert drawn.shape[1:] == (*loaded.crop_of(own, own.joints_px[:1], ALL[:1]).hw, 3)


def test_large_kernels_see_pixels_put_together_two_by_two():
    network = CarryingNetwork(SMALL).mask
    assert network is not None
    pictures, maps = torch.rand(2, 3, 16, 16), torch.rand(2, NUM_MAPS, 8, 8)
    together = torch.cat([torch.nn.functional.pixel_unshuffle(pictures, 2), maps], dim=1)
    with torch.no_grad():
        seen = network.body._together(pictures, maps)
        assert torch.allclose(seen, network.body.first(together), atol=1e-5)


def test_changes_cannot_be_chequered():
    network = CarryingNetwork(replace(SMALL, mask_widths=())).eval()
    with torch.no_grad():
        network.refinement.to_shares.get_parameter("bias").copy_(
            torch.tensor([1.0, -1, -1, 1]).repeat(8)
        )
    shares, marks = torch.full((1, 4, 128, 128), 0.25), torch.ones(2, 1, 1, 128, 128)
    layers = LayerBatch(torch.rand(1, 12, 128, 128), shares, *marks)
    changes = network.refinement(layers, torch.zeros(1, 11, 64, 64))
    assert changes.logits[..., 1:-1, 1:-1].abs().max() < 1e-6
