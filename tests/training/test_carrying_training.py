"""Training what helps to carry a person: samples, their stream, the loop."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from carrying.scene import pose
from carrying.stick_store import a_clip, write_store
from posecast.errors import PosecastError
from posecast.forecasting.loading import load_frame_drawer
from posecast.geometry import Crop
from posecast.networks.carrying import CarryingConfig, CarryingNetwork, LayerBatch
from posecast.networks.kinds import load_network
from posecast.pretrained import CARRIED, DEFAULT_DRAWER, shipped_file
from posecast.skeletons import PENN_ACTION
from posecast.store.reading import Store
from posecast.training.carrying import CarryingTrainingConfig, carrying_step, train_carrying
from posecast.training.carrying_samples import (
    DISTANCE_STEPS,
    MixedMaker,
    SampleMaker,
    View,
    WindowConfig,
    disturbed,
)
from posecast.training.carrying_stream import CarryingBatch, SampleStream, StreamConfig
from posecast.training.groups import ClipPool

TINY = CarryingTrainingConfig(
    model=CarryingConfig(refinement_widths=(8, 8), refinement_norm="batch"),
    mask=Path(CARRIED),
    stream=StreamConfig(samples=16, first=8, per_step=4),
    hold_out_every=2,
).but(steps=4, batch_size=4, validate_every=2, checkpoint_every=2, log_every=1, device="cpu")


@pytest.fixture(scope="module")
def store_path(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("stores") / "store")


def maker(store_path, **changes) -> MixedMaker:
    store = Store.open(store_path)
    clips = [clip for clip in store.clips if clip.action == "b"]
    windows = WindowConfig(**{"targets": 4, **changes})
    one = SampleMaker(ClipPool.of(store, clips), None, windows, seed=0)
    return MixedMaker((one,), (1.0,), 0)


def test_a_view_shows_the_joints_where_it_says():
    clip, pictures = a_clip("a1", "a")
    view = View.around(clip, np.array([0])).varied(0.2, 20.0, np.random.default_rng(3))
    joints, _ = view.place(clip, np.array([0]))
    seen = view.cut(clip.crop, pictures[:1])[0]
    ankle = clip.joints_px[0, PENN_ACTION.index("left_ankle")]
    knee, foot = (joints[0, PENN_ACTION.index(f"left_{part}")] for part in ("knee", "ankle"))
    red, green, blue = seen[tuple(np.round((knee + foot) / 2 - 0.5).astype(int)[::-1])].tolist()
    assert red > 1.5 * max(green, blue)
    assert np.allclose(view.linear @ ankle + view.shift, foot, atol=1e-3)


def test_what_lies_outside_of_the_video_does_not_count():
    clip, _ = a_clip("a1", "a")
    low = replace(
        clip, joints_px=clip.joints_px + np.array([0, 100]), crop=Crop(128, 100, 384, 356)
    )
    inside = View.around(low, np.array([0])).inside(low)
    assert inside[10, 64] == 255
    assert inside[-10, 64] == 0


def test_samples_are_of_the_wanted_frames(store_path):
    one = maker(store_path).makers[0]
    clip = one.source.clips[0]
    samples = one.window(clip, np.arange(10), np.array([13, 20]), None)
    true = samples.pictures[..., 12:]
    view = View.around(clip, np.array([*range(10), 13, 20]))
    frames = Store.open(store_path).read_frames(clip, [13, 20])
    assert np.array_equal(true, view.cut(clip.crop, frames))
    assert samples.shares.astype(int).sum(axis=-1).min() >= 253
    joints = np.round(samples.joints * 128 - 0.5).astype(int)
    near = samples.marks[0, joints[0, :, 1], joints[0, :, 0], 0] / DISTANCE_STEPS
    assert near.max() < 0.3


def test_a_hidden_hip_is_guessed_as_where_frames_are_drawn(store_path):
    one = maker(store_path).makers[0]
    clip = one.source.clips[0]
    visible = clip.visible.copy()
    visible[4:, PENN_ACTION.index("right_hip")] = False
    wanted = (np.arange(10), np.array([13, 20]), None)
    whole, hidden = one.window(clip, *wanted), one.window(replace(clip, visible=visible), *wanted)
    assert hidden.visible.all()
    assert np.allclose(hidden.joints, whole.joints, atol=0.02)
    assert np.mean(hidden.shares != whole.shares) < 0.1


def test_disturbed_poses_are_off_alike_in_all_frames():
    joints = np.stack([pose()] * 5)
    off = disturbed(joints, np.ones((5, 13), bool), 40.0, np.random.default_rng(0))[0] - joints
    assert np.allclose(off, off[:1], atol=1e-4)
    assert 0.2 < np.abs(off).mean() < 4


def test_a_run_goes_on_with_its_own_outline(store_path, tmp_path):
    """Whatever has become of the file meanwhile."""
    shutil.copy(shipped_file(DEFAULT_DRAWER), tmp_path / "mask.safetensors")
    config = replace(TINY, mask=tmp_path / "mask.safetensors").but(steps=2, schedule="constant")
    train_carrying(config, store_path, tmp_path / "run")
    shutil.copy(shipped_file(CARRIED), tmp_path / "mask.safetensors")
    train_carrying(config.but(steps=4), store_path, tmp_path / "run")
    assert_same_outline(tmp_path / "run", DEFAULT_DRAWER)


def test_the_outline_of_a_run_is_its_best_one(store_path, tmp_path):
    (tmp_path / "outline").mkdir()
    for name, source in (("best", DEFAULT_DRAWER), ("last", CARRIED)):
        shutil.copy(shipped_file(source), tmp_path / "outline" / f"weights-{name}.safetensors")
    config = replace(TINY, mask=tmp_path / "outline").but(steps=2)
    train_carrying(config, store_path, tmp_path / "run")
    assert_same_outline(tmp_path / "run", DEFAULT_DRAWER)


def assert_same_outline(run, source):
    both = (load_network(each, CarryingNetwork, "last").network for each in (run, source))
    found, own = (each.mask for each in both)
    for name, value in own.state_dict().items():
        assert torch.equal(found.state_dict()[name], value), name


def test_a_batch_depends_on_its_number_alone(store_path):
    settings = (TINY.fit, torch.device("cpu"))
    stream = SampleStream(maker(store_path), TINY.stream, *settings)
    first, second = stream(0), stream(1)
    again = SampleStream(maker(store_path), replace(TINY.stream, makers=2), *settings)(1)
    assert torch.equal(again.true, second.true)
    assert torch.equal(again.layers.pictures, second.layers.pictures)
    assert not torch.equal(first.true, second.true)


def test_layers_and_truth_change_alike():
    rng = np.random.default_rng(1)
    joints = torch.rand(16, 13, 2) * 0.8 + 0.1
    rows, columns = (joints.permute(2, 0, 1).flip(0) * 32).long()
    pictures = torch.rand(16, 12, 32, 32)
    for n in range(16):  # each joint is marked by its number
        pictures[n, 3:6, rows[n], columns[n]] = torch.arange(13) / 13
    marks = torch.ones(3, 16, 1, 32, 32)
    layers = LayerBatch(pictures, torch.ones(16, 4, 32, 32), *marks[:2])
    visible = torch.ones(16, 13, dtype=torch.bool)
    true = pictures[:, 3:6].clone()
    batch = CarryingBatch(layers, true, marks[2], joints, visible, torch.ones(16, 1, 1))
    changed = batch.varied(rng, PENN_ACTION)
    assert torch.equal(changed.layers.pictures[:, 3:6], changed.true)
    mirrored = ~torch.isclose(changed.joints, joints).all(dim=2).all(dim=1)
    assert torch.equal(mirrored[::2], mirrored[1::2])
    assert 0 < mirrored.sum() < 16
    assert not torch.allclose(changed.true[~mirrored], true[~mirrored])
    places = (changed.joints * 32).long()
    for n in mirrored.nonzero()[:, 0]:  # a left wrist is a right one in a mirror, where it is
        found = changed.true[n][:, places[n, :, 1], places[n, :, 0]]
        sides = list(PENN_ACTION.mirror)
        there = true[n][:, rows[n], columns[n]][:, sides]
        assert torch.corrcoef(torch.stack([found.mean(dim=0), there.mean(dim=0)]))[0, 1] > 0.99


def test_pairs_of_photos_fill_a_group(store_path):
    one = maker(store_path, targets=6).makers[0]
    store = one.source.store
    clips = [clip for clip in store.clips if clip.action == "c"]
    samples = replace(one, source=ClipPool.of(store, clips))(0)
    assert len(samples.size) == 6
    assert np.array_equal(samples.pictures[0], samples.pictures[1])
    assert not np.array_equal(samples.pictures[1], samples.pictures[2])


def test_it_learns_one_batch(store_path):
    torch.manual_seed(0)
    network = CarryingNetwork(replace(TINY.model, mask_widths=()))
    one = maker(store_path, disturbed=0.0)
    batch = SampleStream(one, TINY.stream, TINY.fit, torch.device("cpu"))(0)
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    losses = []
    for _ in range(25):
        loss, said = carrying_step(network, batch, PENN_ACTION, TINY.weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(said)
    assert abs(float(losses[0]["gain_db"])) < 1e-4
    assert float(losses[-1]["loss"]) < 0.9 * float(losses[0]["loss"])
    assert float(losses[-1]["gain_db"]) > 0.5


def test_a_run_holds_groups_out_and_goes_on_to_the_same_weights(store_path, tmp_path):
    result = train_carrying(TINY, store_path, tmp_path / "whole")
    assert (result.step, result.ended) == (4, "all steps")
    data = json.loads((tmp_path / "whole" / "data.json").read_text())
    assert (data["train"], data["validation"]) == (["b1", "b2"], ["a1", "a2"])
    assert load_frame_drawer(tmp_path / "whole").size is None
    again = train_carrying(TINY, store_path, tmp_path / "again")
    first, second = (
        load_network(tmp_path / name, weights="last").network.state_dict()
        for name in ("whole", "again")
    )
    assert again.best_score == result.best_score
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_one_group_cannot_be_trained_and_held_out(store_path, tmp_path):
    alone = replace(TINY, clips=replace(TINY.clips, actions=("a",)))
    with pytest.raises(PosecastError, match="are of one group"):
        train_carrying(alone, store_path, tmp_path / "run")


def test_stores_that_nothing_can_be_learned_or_judged_by_are_refused(store_path, tmp_path):
    photos = write_store(tmp_path / "photos", frames=1)
    with pytest.raises(PosecastError, match=r"none of 5 clips of .*photos has frames and at least"):
        train_carrying(replace(TINY, more=(photos,)), store_path, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    empty = write_store(tmp_path / "empty", unseen="a")
    with pytest.raises(PosecastError, match=r"none of 2 held-out clips .* judge by"):
        train_carrying(TINY, empty, tmp_path / "run")
