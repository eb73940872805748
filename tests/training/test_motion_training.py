"""Training the motion network: stops and goes on, learns, and leaves what a forecast needs."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.motion_mixing import learn_mixing
from benchmarks.motion_pack import pack
from benchmarks.ship_motion import main as ship
from benchmarks.ship_motion import of_runs
from made_runs import weights_of
from motion.moving_people import people
from posecast.clips import SeenVideo
from posecast.datasets.pose_tracks import pose_tracks_of, read_pose_tracks
from posecast.errors import PosecastError
from posecast.forecasting.loading import load_pose_forecaster
from posecast.forecasting.motion import MotionForecaster
from posecast.motion.neighbours import BASE_FILE, MotionBase
from posecast.networks.kinds import facts_of, load_network
from posecast.networks.moment_weights import MomentWeights
from posecast.networks.motion_residual import MotionResidual, MotionResidualConfig
from posecast.store.reading import Store
from posecast.training.motion import MotionTrainingConfig, tracks_of, train_motion
from posecast.training.motion_augmentation import MotionAugmentation
from posecast.training.motion_moments import learn_moments
from posecast.training.motion_windows import WindowChoice
from posecast.training.settings import choose_clips
from small_store import stored_clip, write_store

TINY = MotionTrainingConfig(
    model=MotionResidualConfig(width=16, blocks=2),
    windows=WindowChoice(rounds_clip=1, rounds_video=1, first=2, others=4, every=12),
).but(steps=4, batch_size=20, validate_every=2, checkpoint_every=100, log_every=1, device="cpu")


@pytest.fixture(scope="module")
def store_path(tmp_path_factory):
    """Training clips of people who swing, a tenth for validation."""
    clips = []
    for track in people(20):
        low, high = track.joints_px.min(axis=(0, 1)), track.joints_px.max(axis=(0, 1))
        facts = {"action": track.action, "box_px": tuple(np.concatenate([low, high]).tolist())}
        clips.append((stored_clip(track.name, track.joints_px, track.visible, **facts), None))
    return write_store(tmp_path_factory.mktemp("stores") / "store", clips)


@pytest.fixture(scope="module")
def tracks_file(tmp_path_factory):
    """Twelve videos of six groups; one joint leaps, one is not sure, one video has a cut."""
    videos = people(12, 90, is_clip=False)
    joints = np.concatenate([track.joints_px for track in videos])
    confidence = np.full(joints.shape[:2], 200, np.uint8)
    joints[30, 5] += 90
    confidence[31, 6] = 20
    path = tmp_path_factory.mktemp("tracks") / "tracks.npz"
    np.savez(
        path,
        joints_px_x16=np.round(joints * 16).astype(np.int16),
        confidence=confidence,
        lengths=np.full(12, 90),
        fps=np.full(12, 30.0, np.float32),
        group=np.array([f"m{number // 2}" for number in range(12)]),
        clip=np.array([f"{number:04d}" for number in range(12)]),
        cut_track=np.array([1]),
        cut_frame=np.array([40]),
    )
    return path


def test_tracks_end_at_cuts_and_hide_what_is_not_sure(tracks_file):
    tracks = read_pose_tracks(tracks_file)

    assert len(tracks) == 13
    assert [len(track) for track in tracks[:3]] == [90, 40, 50]
    assert {track.trimmed for track in tracks} == {False}
    assert not tracks[0].visible[30, 5]
    assert not tracks[0].visible[31, 6]
    assert tracks[0].visible.sum() == 90 * 13 - 2
    held_out = pose_tracks_of(tracks_file, held_out=True)
    assert {track.group for track in held_out} == {"m0", "m5"}
    with pytest.raises(PosecastError, match="no file of pose tracks"):
        read_pose_tracks(tracks_file.with_name("none.npz"))


def test_the_same_seed_gives_the_same_weights(store_path, tracks_file, tmp_path):
    config = TINY.but(tracks=(tracks_file,))
    for name in ("one", "two"):
        result = train_motion(config, store_path, tmp_path / name)
        assert result.step == 4
    other = TINY.but(tracks=(tracks_file,), seed=1)
    train_motion(other, store_path, tmp_path / "other")

    one, two, third = (weights_of(tmp_path / name) for name in ("one", "two", "other"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["members.0.read.weight"], third["members.0.read.weight"])


def test_tracks_that_have_changed_are_refused(store_path, tracks_file, tmp_path):
    file = tmp_path / "tracks.npz"
    shutil.copy(tracks_file, file)
    config = TINY.but(tracks=(file,), steps=2)
    train_motion(config, store_path, tmp_path / "run")
    train_motion(config, store_path, tmp_path / "run")  # which goes on with the same
    with np.load(file) as stored:
        arrays = dict(stored)
    arrays["joints_px_x16"][-90:] += 16
    np.savez(file, **arrays)
    before = (tmp_path / "run" / "data.json").read_bytes()
    train_motion(config, store_path, tmp_path / "run")  # of a group that is held out
    arrays["joints_px_x16"][:] += 16
    np.savez(file, **arrays)
    with pytest.raises(
        PosecastError, match="other data 1: clips of the same names with other poses"
    ):
        train_motion(config, store_path, tmp_path / "run")
    assert (tmp_path / "run" / "data.json").read_bytes() == before


def test_a_run_is_a_forecaster(store_path, tmp_path):
    train_motion(TINY, store_path, tmp_path / "run")

    assert (tmp_path / "run" / BASE_FILE).is_file()
    facts = facts_of(tmp_path / "run")
    assert (facts.kind, facts.skeleton) == ("motion", "penn_action")
    assert facts.config["actions"] == ["bow", "wave"]
    forecaster = load_pose_forecaster(tmp_path / "run")
    joints = people(20)[3].joints_px[:10]
    seen = SeenVideo(joints, np.ones((10, 13), bool), 30.0, (200, 200))
    assert forecaster.forecast_poses([seen], 20, 5)[0].joints_px.shape == (5, 20, 13, 2)


def test_it_learns(store_path, tmp_path):
    config = TINY.but(
        model=MotionResidualConfig(width=64, blocks=2, dropout=0.0),
        augmentation=MotionAugmentation(0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        steps=150,
        validate_every=0,
        learning_rate=3e-3,
    )

    train_motion(config, store_path, tmp_path / "run")

    lines = (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    errors = [json.loads(line)["bold"] for line in lines]
    assert np.mean(errors[-10:]) < 0.8 * np.mean(errors[:10])


def test_weights_of_moments_are_learned_first_and_once(
    store_path, tracks_file, tmp_path, monkeypatch
):
    config = TINY.but(tracks=(tracks_file,), moment_steps=3, schedule="constant")
    train_motion(config.but(steps=2), store_path, tmp_path / "run")
    train_motion(config, store_path, tmp_path / "straight")

    def again(*_):
        raise AssertionError("learned twice")

    monkeypatch.setattr("posecast.training.motion.learn_moments", again)
    train_motion(config, store_path, tmp_path / "run")
    train_motion(config.but(init_from=tmp_path / "run"), store_path, tmp_path / "further")

    names = ("run", "straight", "further")
    first, straight, further = (weights_of(tmp_path / name) for name in names)
    assert all(torch.equal(first[name], straight[name]) for name in straight)
    chosen = choose_clips(config, Store.open(store_path))
    learned = learn_moments(tracks_of(config, chosen.train), seed=0, steps=3).state_dict()
    for name, value in learned.items():
        assert torch.equal(first[f"moments.{name}"], value)
        assert torch.equal(further[f"moments.{name}"], value)
    network = load_network(tmp_path / "run", MotionResidual).network
    two, _ = of_runs([tmp_path / "run", tmp_path / "further"])
    assert network.config.learned_moments
    assert torch.equal(two.moments.usual, learned["usual"])


def test_windows_weigh_moments_apart_from_the_network_wherever_that_goes(
    store_path, tracks_file, tmp_path, monkeypatch
):
    def made(*given):
        raise PosecastError(given[-1].__self__.usual.device.type)

    def moved(network, *_):
        network.to("meta")

    monkeypatch.setattr("posecast.training.motion.MotionData.make", made)
    monkeypatch.setattr("posecast.training.motion.Descent", moved)
    monkeypatch.setattr("posecast.training.motion.fitted", lambda *_: None)
    config = TINY.but(tracks=(tracks_file,), moment_steps=1)
    with pytest.raises(PosecastError, match="cpu"):
        train_motion(config, store_path, tmp_path / "run")


def test_networks_read_moments_as_they_were_learned_to_count(store_path, tracks_file, tmp_path):
    config = TINY.but(tracks=(tracks_file,), steps=2)
    for name, steps in (("fixed", 0), ("learned", 40)):
        train_motion(config.but(moment_steps=steps), store_path, tmp_path / name)

    def validated(name: str) -> dict:
        lines = (tmp_path / name / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        return next(record for line in lines if "validation_videos" in (record := json.loads(line)))

    fixed, learned = validated("fixed"), validated("learned")
    assert learned["validation_videos"] != fixed["validation_videos"]


def test_trust_in_the_own_past_is_learned_anew_and_ten_seen_frames_stay_to_the_bit(
    store_path, tracks_file, tmp_path, monkeypatch
):
    pack(store_path, tracks_file, tmp_path)
    base = MotionBase.load(tmp_path / BASE_FILE)
    torch.manual_seed(0)
    network = MotionResidual(replace(TINY.model, learned_moments=True, members=2)).eval()
    joints = people(20)[3].joints_px
    seen = [SeenVideo(joints[:n], np.ones((n, 13), bool), 30.0, (200, 200)) for n in (10, 50)]

    def forecast() -> list[np.ndarray]:
        forecaster = MotionForecaster(network, base)
        return [forecaster.forecast_poses([each], 20)[0].joints_px for each in seen]

    before = forecast()
    monkeypatch.setattr("benchmarks.motion_mixing.STEPS", 20)
    learn_mixing(network, base, tmp_path)
    after = forecast()

    assert np.array_equal(before[0], after[0])
    came = joints[None, 50:]
    before_50, after_50 = (np.abs(each[1][:, :10] - came).mean() for each in (before, after))
    assert after_50 < before_50


def test_trust_is_told_of_clips_where_both_kinds_are_trained_on_and_stays_so(
    store_path, tracks_file, tmp_path, caplog
):
    asking = replace(TINY, model=replace(TINY.model, trimmed=True))
    info = json.loads((store_path / "store.json").read_text(encoding="utf-8"))
    of_actions = tmp_path / "store"
    shutil.copytree(store_path, of_actions)
    info["dataset"] = "penn_action"
    (of_actions / "store.json").write_text(json.dumps(info), encoding="utf-8")

    train_motion(asking, of_actions, tmp_path / "clips")
    assert "trust is not told whether clips are cut" in caplog.text
    train_motion(asking.but(tracks=(tracks_file,)), of_actions, tmp_path / "both")
    train_motion(TINY.but(init_from=tmp_path / "both"), of_actions, tmp_path / "further")

    told = [facts_of(tmp_path / name).config["trimmed"] for name in ("clips", "both", "further")]
    assert told == [False, True, True]


def test_where_nothing_is_long_enough_moments_keep_their_fixed_weights(
    store_path, tmp_path, monkeypatch, caplog
):
    def shorter(*asked):
        tracks = 3 * tracks_of(*asked)
        first = [(track, track.joints_px[:27], track.visible[:27]) for track in tracks]
        return [replace(track, joints_px=px, visible=shown) for track, px, shown in first]

    monkeypatch.setattr("posecast.training.motion.tracks_of", shorter)
    train_motion(TINY.but(moment_steps=3), store_path, tmp_path / "run")

    assert "no recording is long enough to learn what moments" in caplog.text
    assert not facts_of(tmp_path / "run").config["learned_moments"]


def test_a_finished_run_says_so_before_windows_are_made(store_path, tmp_path, monkeypatch, capsys):
    first = train_motion(TINY, store_path, tmp_path / "run")

    def made(*_):
        raise AssertionError("minutes spent on windows")

    monkeypatch.setattr("posecast.training.motion.MotionData.make", made)
    assert train_motion(TINY, store_path, tmp_path / "run") == first
    assert "has made 4 steps already" in capsys.readouterr().out


def test_runs_from_before_there_were_weights_of_moments_go_on(store_path, tmp_path):
    config = TINY.but(schedule="constant")
    train_motion(config.but(steps=2), store_path, tmp_path / "run")
    stored = json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))
    del stored["config"]["moment_steps"], stored["config"]["model"]["learned_moments"]
    (tmp_path / "run" / "config.json").write_text(json.dumps(stored), encoding="utf-8")

    assert train_motion(config, store_path, tmp_path / "run").step == 4
    with pytest.raises(PosecastError, match="moment_steps"):
        train_motion(config.but(moment_steps=3), store_path, tmp_path / "run")


def test_runs_from_before_parts_were_weighed_by_themselves_go_on(
    store_path, tracks_file, tmp_path, monkeypatch
):
    config = TINY.but(tracks=(tracks_file,), schedule="constant", moment_steps=3)
    found = {"learned_moments": True, "moment_parts": False, "trimmed": False}
    with monkeypatch.context() as before:
        before.setattr("posecast.training.motion._found", lambda *_: found)
        before.setattr("posecast.training.motion.learn_moments", lambda *_: MomentWeights())
        train_motion(config.but(steps=2), store_path, tmp_path / "run")
    stored = json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))
    del stored["config"]["model"]["moment_parts"]
    (tmp_path / "run" / "config.json").write_text(json.dumps(stored), encoding="utf-8")

    assert train_motion(config, store_path, tmp_path / "run").step == 4
    assert weights_of(tmp_path / "run")["moments.usual"].shape == MomentWeights().usual.shape


def test_who_starts_from_a_run_keeps_its_moments_or_that_it_has_none(
    store_path, tracks_file, tmp_path
):
    without = TINY.but(tracks=(tracks_file,), steps=2)
    learning = without.but(moment_steps=3)
    for name, config in (("without", without), ("learning", learning)):
        train_motion(config, store_path, tmp_path / name)
    earlier, learned = tmp_path / "without", tmp_path / "learning"
    train_motion(learning.but(init_from=earlier), store_path, tmp_path / "one")
    train_motion(without.but(init_from=learned), store_path, tmp_path / "two")

    assert not facts_of(tmp_path / "one").config["learned_moments"]
    kept, usual = weights_of(tmp_path / "two"), weights_of(learned)["moments.usual"]
    assert torch.equal(kept["moments.usual"], usual)
    assert train_motion(without.but(init_from=learned), store_path, tmp_path / "two").step == 2


def test_who_begins_afresh_keeps_nothing_of_the_run_that_was_there(
    store_path, tracks_file, tmp_path, monkeypatch
):
    """Also in a process that looks before the first one has cleared the folder."""
    config = TINY.but(tracks=(tracks_file,), steps=2, moment_steps=3)
    for seed, path in ((1, "other"), (0, "run")):
        train_motion(config.but(seed=seed), store_path, tmp_path / path)
    monkeypatch.setattr("posecast.training.motion.has_weights", lambda _: True)
    train_motion(config.but(seed=1), store_path, tmp_path / "run", fresh=True)
    one, two = (weights_of(tmp_path / name)["moments.usual"] for name in ("other", "run"))
    assert torch.equal(one, two)
    train_motion(config.but(moment_steps=0), store_path, tmp_path / "run", fresh=True)
    assert not facts_of(tmp_path / "run").config["learned_moments"]


def test_mixing_without_weights_of_moments_is_refused(store_path, tmp_path, monkeypatch, capsys):
    train_motion(TINY.but(steps=2), store_path, tmp_path / "run")
    words = [str(tmp_path / "run"), "base", str(store_path), str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", ["ship", *words, "--packed", "packed"])
    with pytest.raises(SystemExit):
        ship()
    assert "give --moments" in capsys.readouterr().err
