"""Estimates beside the labels of a store: written, scored against known answers, kept."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from made_runs import make_run
from posecast.estimation import EstimationConfig, EstimatorOptions, PoseEstimator, estimate_store
from posecast.estimation import stored as stored_module
from posecast.estimation.scores import JointScores, VisibilityScores, score_clip
from posecast.networks.hourglass import Hourglass, HourglassConfig, decode_joint_maps
from posecast.records.configs import config_to_dict
from posecast.records.files import WriteError
from posecast.records.final_looks import read_test_uses
from posecast.skeletons import PENN_ACTION
from posecast.store.reading import ClipSelection, Store
from red_people import RedEstimator, joints_of
from small_store import INFO, a_clip, write_store

SIZE = INFO.size
CPU = EstimationConfig(estimator=EstimatorOptions(device="cpu"))


@dataclass(frozen=True)
class RunConfig:
    """As far as an estimator run's configuration is read here."""

    model: HourglassConfig
    skeleton: str = "penn_action"


def red_frames(clip) -> np.ndarray:
    """A red rectangle of 8 x 10 of the 16 pixels, that moves to the right."""
    frames = np.full((clip.num_frames, SIZE, SIZE, 3), 60, np.uint8)
    for t, frame in enumerate(frames):
        frame[3:13, t % 6 + 1 : t % 6 + 9] = (220, 20, 20)
    return frames


def red_clip(clip_id: str, split: str, off_px: float = 0.0):
    """Labels lie `off_px` beside the rectangle; the head is hidden."""
    clip = a_clip(clip_id, 0.0, split, frames=5, has_frames=True)
    scale = clip.crop.width / SIZE
    joints = [joints_of((scale * (t + 1), scale * 3, scale * 8, scale * 10)) for t in range(5)]
    visible = clip.visible.copy()
    visible[:, 0] = False
    moved = (np.array(joints) + np.array([off_px, 0])).astype(np.float32)
    return dataclasses.replace(clip, joints_px=moved, visible=visible)


@pytest.fixture
def store(tmp_path) -> Store:
    """Box sides are 200 px; 0003 is labelled 50 px off, 0004 is a test clip, 0005 has no frames."""
    clips = [red_clip("0001", "train"), red_clip("0002", "train"), red_clip("0003", "train", 50)]
    clips += [red_clip("0004", "test"), a_clip("0005", 1.0, "train")]
    shown = [(clip, red_frames(clip) if clip.has_frames else None) for clip in clips]
    return Store.open(write_store(tmp_path / "store", shown, validation_share=0.34))


@pytest.fixture
def red_run(tmp_path, monkeypatch) -> Path:
    """A run that was trained on 0001, and in place of its network the finder of red people."""
    monkeypatch.setattr(stored_module, "load_pose_estimator", lambda *_: RedEstimator())
    run = tmp_path / "run"
    run.mkdir()
    facts = {"store": config_to_dict(INFO), "train": ["0001"], "validation": []}
    stored_module.write_json(run / "data.json", facts)
    return run


def test_estimates_lie_beside_the_labels(store, red_run):
    report = estimate_store(store.path, red_run, CPU)
    assert (report.num_estimated, report.num_kept, report.num_unscored) == (4, 0, 1)
    estimated = Store.open(store.path).with_poses("estimated")
    assert [clip.clip_id for clip in estimated.clips] == ["0001", "0002", "0003", "0004"]
    np.testing.assert_allclose(
        estimated.clip("0002").joints_px, store.clip("0002").joints_px, atol=1e-3
    )
    np.testing.assert_allclose(
        estimated.clip("0003").joints_px, store.clip("0003").joints_px - [50, 0], atol=1e-3
    )
    assert estimated.clip("0004").visible.all()
    np.testing.assert_array_equal(
        Store.open(store.path).clip("0001").visible, store.clip("0001").visible
    )


def test_where_nothing_can_be_written_nothing_is_estimated(store, red_run, monkeypatch):
    monkeypatch.setattr(stored_module, "_estimate", None)
    (store.path / "estimates.json").mkdir()
    with pytest.raises(WriteError, match=r"cannot write .*estimates\.json: a folder of this name"):
        estimate_store(store.path, red_run, CPU)


class Blind(RedEstimator):
    """Finds nobody."""

    blind_until = 10**9

    def __init__(self) -> None:
        self.num_pictures = 0


def test_finding_nobody_is_said(store, red_run, monkeypatch):
    assert "NOBODY" not in estimate_store(store.path, red_run, CPU).summary()
    monkeypatch.setattr(stored_module, "load_pose_estimator", lambda *_: Blind())
    said = estimate_store(store.path, red_run, CPU).summary()
    assert "NOBODY was found: not one joint is as sure as --estimator.min-confidence 0.3" in said


def test_scores_are_of_clips_that_were_not_trained_on(store, red_run):
    report = estimate_store(store.path, red_run, CPU)
    fair = report.group("not trained on")
    assert fair.num_clips == 2
    # 0002 is right, 0003 is 50 px off: 0.25 of the box, further than 0.2 of it.
    assert fair.scores.pck == pytest.approx(50)
    assert fair.scores.mean_distance == pytest.approx(0.125, abs=1e-4)
    assert fair.scores.counts.tolist() == [0] + [10] * 12
    # Heads are hidden: a twentieth of the box stands for half of their length.
    assert fair.scores.pckh == pytest.approx(50)
    assert fair.visibility == VisibilityScores(120, 120, 10, 10)
    assert VisibilityScores(4, 3).summary().endswith("the labels show, they hide none")
    assert report.group("that the estimator was trained on").scores.pck == 100
    text = report.summary()
    assert "poses of 4 clips estimated" in text
    assert "mean pose" in text
    assert "left_wrist" in text
    assert "1 test clips were estimated but not scored" in text


def test_the_mean_pose_is_the_baseline(store, red_run):
    report = estimate_store(store.path, red_run, CPU)
    train = [clip for clip in store.clips if clip.split == "train"]
    shown = np.concatenate([clip.visible for clip in train])[..., None]
    mean = (np.concatenate([clip.joints_px for clip in train]) * shown).sum(0) / np.maximum(
        shown.sum(0), 1
    )
    clip = store.clip("0002")
    expected = score_clip(np.broadcast_to(mean, clip.joints_px.shape), clip, PENN_ACTION)
    expected += score_clip(
        np.broadcast_to(mean, clip.joints_px.shape), store.clip("0003"), PENN_ACTION
    )
    got = report.group("not trained on").mean_pose
    np.testing.assert_allclose(got.near_box, expected.near_box)
    np.testing.assert_allclose(got.distance, expected.distance, rtol=1e-5)


def test_final_scores_test_clips(store, red_run):
    report = estimate_store(store.path, red_run, dataclasses.replace(CPU, final=True))
    assert report.num_unscored == 0
    assert report.group("not trained on").num_clips == 3


def test_runs_remember_that_test_clips_were_scored(store, red_run):
    final = dataclasses.replace(CPU, final=True)
    estimate_store(store.path, red_run, CPU)  # test clips are estimated, nobody sees their scores
    part = dataclasses.replace(final, clips=ClipSelection(clips=("0001", "0002")))
    assert estimate_store(store.path, red_run, part).test_uses == {}
    assert read_test_uses(red_run) == []
    report = estimate_store(store.path, red_run, final)
    assert report.test_uses == {str(red_run.resolve()): 1}
    assert f"looked at once with {red_run.resolve()}" in report.summary()
    (use,) = read_test_uses(red_run)
    assert use["num_clips"] == 1
    assert use["out"] == str(store.path.resolve() / "estimates.npz")
    assert estimate_store(store.path, red_run, final).test_uses == {str(red_run.resolve()): 1}
    surer = dataclasses.replace(final, estimator=EstimatorOptions(min_confidence=0.5))
    assert estimate_store(store.path, red_run, surer).test_uses == {str(red_run.resolve()): 2}


def test_a_model_file_has_no_folder_to_remember_in(store, red_run):
    file = red_run / "model.task"
    file.write_bytes(b"")
    report = estimate_store(store.path, file, dataclasses.replace(CPU, final=True))
    assert (report.num_unscored, report.test_uses) == (0, {})
    assert read_test_uses(red_run) == []


def test_a_part_keeps_what_the_same_run_estimated(store, red_run):
    one = dataclasses.replace(CPU, clips=ClipSelection(clips=("0001",)))
    two = dataclasses.replace(CPU, clips=ClipSelection(clips=("0002",)))
    estimate_store(store.path, red_run, one)
    report = estimate_store(store.path, red_run, two)
    assert (report.num_estimated, report.num_kept) == (1, 1)
    assert len(Store.open(store.path).with_poses("estimated").clips) == 2
    surer = dataclasses.replace(two, estimator=EstimatorOptions(min_confidence=0.5))
    report = estimate_store(store.path, red_run, surer)
    assert (report.num_estimated, report.num_kept) == (1, 0)
    assert len(Store.open(store.path).with_poses("estimated").clips) == 1


def test_half_the_head_is_a_length():
    clip = red_clip("0001", "train")
    clip = dataclasses.replace(clip, visible=np.ones_like(clip.visible))
    names = ("head", "left_shoulder", "right_shoulder")
    head, left, right = (clip.joints_px[:, PENN_ACTION.index(name)] for name in names)
    half = 0.5 * np.linalg.norm(head - (left + right) / 2, axis=1)[0]
    for moved, hits in ((0.99 * half, 13 * 5), (1.01 * half, 0)):
        scores = score_clip(clip.joints_px.astype(float) + np.array([moved, 0]), clip, PENN_ACTION)
        assert scores.near_head.sum() == hits
    assert np.isnan(JointScores.none(13).pck)


def save_estimator(path: Path, size: int = SIZE) -> Hourglass:
    torch.manual_seed(0)
    config = RunConfig(HourglassConfig(stacks=1, width=8, depth=2, size=size))
    network = Hourglass(config.model)
    make_run(path, config, "estimator").save_weights("best", network, step=3)
    return network


def test_a_trained_run_estimates(store, tmp_path):
    network = save_estimator(tmp_path / "run")
    estimator = PoseEstimator.load(tmp_path / "run", EstimatorOptions(device="cpu", mirror=False))
    assert (estimator.size, estimator.skeleton.name) == (SIZE, "penn_action")
    frames = store.read_frames(store.clip("0001"))
    joints, confidence = estimator.estimate(frames)
    pictures = torch.from_numpy(frames).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.no_grad():
        expected = decode_joint_maps(network.eval()(pictures)[-1].sigmoid())
    np.testing.assert_allclose(joints, expected[0].numpy(), atol=1e-4)
    np.testing.assert_allclose(confidence, expected[1].numpy(), atol=1e-4)
    mirrored = PoseEstimator.load(tmp_path / "run", EstimatorOptions(device="cpu"))
    there, sure = mirrored.estimate(frames)
    back, sure_back = mirrored.estimate(np.ascontiguousarray(frames[:, :, ::-1]))
    order = list(PENN_ACTION.mirror)
    np.testing.assert_allclose(sure, sure_back[:, order], atol=1e-4)
    np.testing.assert_allclose(there[..., 1], back[:, order, 1], atol=1e-3)
    report = estimate_store(store.path, tmp_path / "run", CPU)
    assert report.num_estimated == 4


def test_frames_of_another_size_are_resized(store, tmp_path):
    save_estimator(tmp_path / "run", size=32)
    assert estimate_store(store.path, tmp_path / "run", CPU).num_estimated == 4


def test_what_does_not_fit_is_said(store, tmp_path):
    save_estimator(tmp_path / "run")
    poses_only = dataclasses.replace(CPU, clips=ClipSelection(clips=("0005",)))
    with pytest.raises(ValueError, match="no clip asked for has frames"):
        estimate_store(store.path, tmp_path / "run", poses_only)
    with pytest.raises(ValueError, match="no such estimator run"):
        estimate_store(store.path, tmp_path / "nowhere", CPU)
    with pytest.raises(ValueError, match="min_confidence is 2"):
        EstimatorOptions(min_confidence=2.0)
