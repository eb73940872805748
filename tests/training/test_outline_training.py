"""Training the outline: what is learned from, samples, the loop, what the run is good for."""

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from benchmarks.outline_masks import LOOK, found, own
from benchmarks.ship_carrying import main as ship
from carrying.scene import picture
from carrying.stick_store import a_clip, write_store
from posecast.carrying.body_parts import part_distances, pose_of
from posecast.carrying.sources import person_mask
from posecast.computing.recording import tensors_in
from posecast.errors import PosecastError
from posecast.forecasting.loading import load_frame_drawer
from posecast.networks.carrying import CarryingConfig, CarryingNetwork
from posecast.networks.kinds import load_network
from posecast.pretrained import DEFAULT_DRAWER
from posecast.records.training_data import read_training_data
from posecast.skeletons import PENN_ACTION
from posecast.store.files import StoreError, frames_path, masks_path
from posecast.store.identity import learned_from
from posecast.store.reading import Store
from posecast.training.carrying import CarryingTrainingConfig, train_carrying
from posecast.training.carrying_samples import View
from posecast.training.carrying_stream import StreamConfig
from posecast.training.groups import ClipPool
from posecast.training.outline import OutlineTrainingConfig, find, overlap, train_outline
from posecast.training.outline_samples import (
    FrameConfig,
    OutlineBatch,
    OutlineBatches,
    OutlineMaker,
)

TINY = OutlineTrainingConfig(
    model=CarryingConfig(mask_widths=(8, 16), refinement_widths=()), hold_out_every=2
).but(steps=4, batch_size=4, validate_every=2, checkpoint_every=2, log_every=1, device="cpu")


def true_masks(name: str) -> np.ndarray:
    """What covers the wall, which is black and then white."""
    clip, _ = a_clip(name, name[0])
    joints = (clip.joints_px - np.array([128, 0])) / 2
    walls = (np.full((64, 64, 3), grey, np.uint8) for grey in (0, 255))
    black, white = (np.stack([picture(each, wall) for each in joints]) for wall in walls)
    return 255 - (white.astype(int) - black).mean(axis=-1).astype(np.uint8)


def carry_a_bag(path: Path, name: str) -> None:
    """On the left or on the right, which the pose does not say: a yellow one, part of the mask."""
    frames, masks = np.load(frames_path(path, name)), true_masks(name)
    for frame, mask in zip(frames, masks, strict=True):
        place = (22 if name[1] == "1" else 41, 45)
        cv2.circle(frame, place, 4, (250, 250, 30), -1)
        cv2.circle(mask, place, 4, 255, -1)
    np.save(frames_path(path, name), frames)
    np.save(masks_path(path, name), masks)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("stores") / "bare")


@pytest.fixture(scope="module")
def masked(tmp_path_factory):
    """A store with true masks, of people who carry a bag."""
    path = write_store(tmp_path_factory.mktemp("stores") / "masked")
    (path / "masks").mkdir()
    for name in ("a1", "a2", "b1", "b2"):
        carry_a_bag(path, name)
    return path


def maker(path: Path, *groups: str) -> OutlineMaker:
    store = Store.open(path)
    clips = [clip for clip in store.clips if clip.action in groups]
    return OutlineMaker(ClipPool.of(store, clips), FrameConfig())


def test_frames_and_their_outlines_move_together(masked):
    of_b = maker(masked, "b")
    clip = of_b.source.clips[0]
    plain = of_b.frame(clip, 15, np.arange(30))
    view = View.around(clip, np.append(np.arange(30), 15))
    true = view.cut(clip.crop, np.load(masks_path(masked, "b1"))[15:16])[0] / 255
    both = np.minimum(plain.outline, true).sum() / np.maximum(plain.outline, true).sum()
    assert both > 0.9
    rng = np.random.default_rng(0)
    for _ in range(5):  # the outline, as drawn, holds the colours of the person and no wall
        varied = of_b.drawn(rng)
        inside = varied.picture[cv2.erode(np.uint8(varied.outline > 0.9), np.ones((3, 3))) > 0]
        spread = inside.max(axis=1).astype(int) - inside.min(axis=1)
        assert np.median(spread) > 90
    assert (varied.joints[varied.visible] > -0.5).all()


def test_hidden_hips_are_guessed_as_where_frames_are_drawn(masked):
    of_b = maker(masked, "b")
    clip, hips = of_b.source.clips[0], [PENN_ACTION.index(f"{x}_hip") for x in ("left", "right")]
    visible = clip.visible.copy()
    visible[12:, hips] = False
    whole = of_b.frame(clip, 15, np.arange(30))
    hidden = of_b.frame(replace(clip, visible=visible), 15, np.arange(30))
    assert hidden.visible.all()
    assert np.abs(hidden.outline - whole.outline).mean() < 0.01


def test_a_batch_depends_on_its_number_alone(masked):
    batches = OutlineBatches((maker(masked, "b"), maker(masked, "a")), (0.7, 0.3), 4, 0)
    again = OutlineBatches((maker(masked, "b"), maker(masked, "a")), (0.7, 0.3), 4, 0)
    second = batches(1)
    batches(0)
    pairs = zip(tensors_in(again(1)), tensors_in(second), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)
    assert not torch.equal(batches(2).pictures, second.pictures)


def test_clips_without_masks_are_left_out(masked, bare, tmp_path):
    store = Store.open(masked)
    assert [store.has_masks(clip) for clip in store.clips] == [True] * 4 + [False]
    with pytest.raises(PosecastError, match=r"none of .* has masks to learn from"):
        train_outline(TINY, bare, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_other_stores_without_masks_are_refused_before_a_run_is_begun(masked, bare, tmp_path):
    with pytest.raises(PosecastError, match=r"none of 5 clips of .*bare has frames and masks"):
        train_outline(replace(TINY, more=(bare,)), masked, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    for share in (-0.1, 1.0):
        with pytest.raises(PosecastError, match="more_share"):
            replace(TINY, more_share=share)


def test_another_store_that_has_changed_is_refused(masked, tmp_path):
    def other(*names):
        path = write_store(tmp_path / "more")
        (path / "masks").mkdir()
        for name in names:
            carry_a_bag(path, name)
        return path

    config = replace(TINY, more=(other("a1", "b1", "b2"),))
    train_outline(config, masked, tmp_path / "run")
    record = read_training_data(tmp_path / "run")
    assert [each.train for each in record.beside] == [("b1", "b2")], "a1 is held out"
    assert learned_from(record, Store.open(masked)) == ({"b1", "b2"}, {"a1", "a2"})
    shutil.rmtree(tmp_path / "more")
    other("a1", "b2")
    with pytest.raises(PosecastError, match="other data 1: train: 2 -> 1; no longer b1"):
        train_outline(config, masked, tmp_path / "run")


@pytest.mark.parametrize("where", ["own", "more"])
def test_clips_with_masks_of_nobody_are_refused_before_a_run_is_begun(masked, tmp_path, where):
    """Masks are there, but no pose to look around at."""
    path = write_store(tmp_path / "store", unseen="b")
    (path / "masks").mkdir()
    for name in ("a1", "a2", "b1", "b2"):
        carry_a_bag(path, name)
    config, first, clips = TINY, path, 2
    if where == "more":
        for name in ("a1", "a2"):
            masks_path(path, name).unlink()
        config, first, clips = replace(TINY, more=(path,)), masked, 5
    with pytest.raises(PosecastError, match=f"none of {clips} clips of .* whose pose is seen"):
        train_outline(config, first, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_held_out_clips_without_people_are_refused_before_a_run_is_begun(tmp_path):
    path = write_store(tmp_path / "store", unseen="a")
    (path / "masks").mkdir()
    for name in ("a1", "a2", "b1", "b2"):
        carry_a_bag(path, name)
    with pytest.raises(PosecastError, match=r"none of 2 held-out clips .*\(a1, \.+\).* judge by"):
        train_outline(TINY, path, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_masks_that_do_not_fit_their_clip_are_refused(bare):
    store = Store.open(bare)
    path = masks_path(bare, "a1")
    with pytest.raises(StoreError, match="no masks"):
        store.read_masks(store.clip("a1"), [0])
    path.parent.mkdir()
    for wrong in (np.zeros((30, 64, 64)), np.zeros((29, 64, 64), np.uint8)):
        np.save(path, wrong)
        with pytest.raises(StoreError, match=r"uint8 \(30, 64, 64\)"):
            store.read_masks(store.clip("a1"), [0])
    path.write_bytes(b"no array")
    with pytest.raises(StoreError, match=r"masks/a1\.npy"):
        store.read_masks(store.clip("a1"), [0])
    path.unlink()


def test_it_learns_where_the_person_is(masked, tmp_path):
    """On people held out better than limbs, and on what side the bag is, which no pose says."""
    longer = TINY.but(steps=80, learning_rate=1e-2, average=0.9, validate_every=80)
    result = train_outline(longer, masked, tmp_path / "run")
    network = load_network(tmp_path / "run", CarryingNetwork).network
    held_out = maker(masked, "a")
    for clip, side in zip(held_out.source.clips, (1, -1), strict=True):
        made = held_out.frame(clip, 15, np.arange(30))
        pose = pose_of(made.joints[None] * 128, made.visible[None], PENN_ACTION, made.size * 128)
        nearest = part_distances(pose[0], 128, made.size * 128).min(axis=0)
        batch = OutlineBatch.of([made])
        limbs = torch.from_numpy(person_mask(nearest[None])[0])[None, None]
        assert result.best_score > overlap(limbs, batch.outlines).item() + 0.02
        said = find(network, batch, PENN_ACTION).sigmoid()[0, 0].detach().numpy()
        places = [PENN_ACTION.index(f"{name}_hip") for name in ("left", "right")]
        hips, columns = made.joints[places, 0] * 128, np.arange(128) + 0.5
        beside = (nearest > 1.3) & (nearest < 1.7) & (np.arange(128)[:, None] > 60)
        sides = (beside & (columns < min(hips)), beside & (columns > max(hips)))
        with_bag, without = (said[each].mean() for each in sides[::side])
        assert with_bag > 0.15
        assert without < 0.3 * with_bag


def test_a_run_can_be_repeated_drawn_with_and_shipped(masked, tmp_path):
    whole = train_outline(TINY, masked, tmp_path / "whole")
    assert (whole.step, whole.ended) == (4, "all steps")
    again = tmp_path / "again"
    train_outline(TINY, masked, again)
    first, second = (
        load_network(path, CarryingNetwork, "last").network for path in (tmp_path / "whole", again)
    )
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)
    assert load_frame_drawer(again).size is None
    ship(Path(DEFAULT_DRAWER), tmp_path / "both.safetensors", outline=again)
    both = load_network(tmp_path / "both.safetensors", CarryingNetwork).network
    known = load_network(DEFAULT_DRAWER, CarryingNetwork).network
    best = load_network(again, CarryingNetwork).network
    assert torch.equal(both.refinement.to_flow.bias, known.refinement.to_flow.bias)
    assert torch.equal(both.mask.last.weight, best.mask.last.weight.half().float())


def test_a_refinement_keeps_the_outline_of_a_run(masked, tmp_path):
    train_outline(TINY, masked, tmp_path / "outline")
    refinement = CarryingTrainingConfig(
        model=CarryingConfig(refinement_widths=(8, 8), refinement_norm="batch"),
        mask=tmp_path / "outline",
        stream=StreamConfig(samples=8, first=4, per_step=4),
        hold_out_every=2,
        fit=replace(TINY.fit, steps=2),
    )
    train_carrying(refinement.but(device="cpu"), masked, tmp_path / "run")
    known, kept = (
        load_network(tmp_path / name, CarryingNetwork).network.mask for name in ("outline", "run")
    )
    assert all(torch.equal(known.state_dict()[n], value) for n, value in kept.state_dict().items())


def test_only_the_outline_is_trained():
    with pytest.raises(PosecastError, match="the outline alone"):
        replace(TINY, model=CarryingConfig())


def test_masks_of_another_program_are_cut_as_the_frames_were(tmp_path):
    clip, _ = a_clip("b1", "b", 2)
    whole = np.zeros((2, 256, 512), np.uint8)
    whole[0, :, 128:256], whole[1, 100:] = 255, 255  # the crop's left half; from row 100 on
    (tmp_path / "b1").mkdir()
    for number, each in enumerate(whole):
        cv2.imwrite(str(tmp_path / "b1" / f"{number:06d}.png"), each)
    masks = own(tmp_path, clip, 64)
    assert masks.shape == (2, 64, 64)
    assert masks[0, :, :32].min() == 255
    assert masks[0, :, 32:].max() == 0
    assert (masks[1, 25:].min(), masks[1, :25].max()) == (255, 0)
    (tmp_path / "b1" / "000001.png").unlink()
    with pytest.raises(PosecastError, match="1 masks"):
        own(tmp_path, clip, 64)


def test_both_looks_of_a_teacher_fall_on_the_same_place():
    """One that takes what is bright for the person."""
    frame = np.zeros((1, 64, 64, 3), np.uint8)
    frame[0, 20:40, 10:30] = 255
    joints = np.zeros((1, 13, 2), np.float32)
    joints[0] = np.random.default_rng(0).uniform((10, 20), (30, 40), (13, 2))
    asked = []

    def bright(picture):
        asked.append(picture.shape)
        return picture[..., 0] / np.float32(255)

    masks = found(bright, frame, joints, np.ones((1, 13), bool))
    assert asked == [(LOOK, LOOK, 3)] * 2
    assert masks[0, 22:38, 12:28].min() > 250
    assert masks[0, :18].max() < 5
    assert masks[0, 42:].max() < 5
