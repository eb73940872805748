"""The commands around own videos and estimated poses, as they are typed."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from made_runs import make_run
from posecast.keypoints import write_table
from posecast.media import videos, writing
from posecast.media.frame_folders import FrameFolder, read_picture, write_picture
from posecast.networks.generator import Generator, GeneratorConfig
from posecast.networks.hourglass import Hourglass, HourglassConfig
from posecast.networks.pose_lstm import PoseLSTM, PoseLSTMConfig
from posecast.own_video.files import videos_of
from posecast.skeletons import PENN_ACTION
from posecast.store.reading import Store
from posecast.training.estimator import EstimatorTrainingConfig
from posecast.training.image import ImageTrainingConfig
from posecast.training.image_setup import load_feature_networks
from posecast.training.pose import PoseTrainingConfig
from posecast.windows import PoseWindows
from red_people import RED, NearestEstimator, RedEstimator, frame_with, joints_of
from typed import run

SIZE = 16


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Untrained runs of all three kinds: pose, image, estimator."""
    root = tmp_path_factory.mktemp("runs")
    torch.manual_seed(0)
    pose = PoseTrainingConfig(model=PoseLSTMConfig(hidden=8, encoder=4), windows=PoseWindows(4, 5))
    image = ImageTrainingConfig(generator=GeneratorConfig(width=4, size=SIZE))
    estimator = EstimatorTrainingConfig(
        model=HourglassConfig(stacks=1, width=8, depth=2, size=SIZE)
    )
    networks = {
        "pose": (pose, PoseLSTM(pose.model)),
        "image": (image, Generator(image.generator)),
        "estimator": (estimator, Hourglass(estimator.model)),
    }
    for kind, (config, network) in networks.items():
        make_run(root / kind, config, kind).save_weights("best", network, step=1)
    return root


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty folder to be in, with one video and its poses."""
    monkeypatch.chdir(tmp_path)
    boxes = [(20 + 2 * t, 30, 24, 48) for t in range(12)]
    writing.write_mp4("walk.mp4", [frame_with(box) for box in boxes], 30.0, crf=4)
    joints = np.stack([joints_of(box) for box in boxes])
    write_table(Path("walk.csv"), joints, np.ones((12, 13), bool), PENN_ACTION)
    return tmp_path


def models(runs: Path) -> tuple[str, ...]:
    return (
        *("--image-run", str(runs / "image"), "--pose-run", str(runs / "pose")),
        *("--device", "cpu", "--steps", "3", "--view-height", "40"),
    )


def test_forecast_with_poses_of_another_program(capsys, here, runs):
    status, out, err = run(
        capsys, "forecast", "walk.mp4", *models(runs), "--poses", "walk.csv", "--keep-frames"
    )
    assert (status, err) == (0, "")
    assert out.startswith("walk-forecast.mp4: seen from 0.27 to 0.37 s, 3 frames")
    assert len(list(videos.read_video("walk-forecast.mp4"))) == 12 + 3
    with np.load("walk-forecast.npz") as arrays:
        assert arrays["predicted_frames"].shape == (1, 3, SIZE, SIZE, 3)


def test_forecast_says_what_it_guessed(capsys, here, runs):
    """Poses that count from 20; and a folder of frames in place of the video."""
    head, *lines = Path("walk.csv").read_text().splitlines()
    late = [f"{int(line.split(',')[0]) + 20},{line.split(',', 1)[1]}" for line in lines]
    Path("late.csv").write_text("\n".join([head, *late]))
    words = ("forecast", "walk.mp4", *models(runs), "--poses", "late.csv")
    status, out, _ = run(capsys, *words)
    assert status == 0
    assert "keypoints: frame numbers 20 to 31 of 12 frames: 20 is taken for the first" in out
    status, out, _ = run(capsys, *words, "--first-frame", "20")
    assert (status, "keypoints" in out) == (0, False)
    for number, frame in enumerate(videos.read_video("walk.mp4"), start=20):
        write_picture(f"frames of it/{number}.png", frame)
    status, out, _ = run(capsys, "forecast", "frames of it", *words[2:])
    assert status == 0
    assert out.startswith("frames of it-forecast.mp4: seen from 0.27 to 0.37 s")


def test_forecast_with_an_estimator(capsys, here, runs, monkeypatch):
    monkeypatch.setattr("posecast.cli.forecast.load_pose_estimator", lambda *_: RedEstimator())
    words = ("forecast", "walk.mp4", *models(runs), "--estimator-run", "any", "--out", "a.gif")
    status, out, err = run(capsys, *words, "--from", "0.3", "--box", "18,28,28,52")
    assert (status, err) == (0, "")
    assert "a.gif: seen from 0.17 to 0.27 s" in out
    assert Path("a.npz").is_file()


def test_of_several_people_a_numbered_picture_is_written(capsys, here, runs, monkeypatch):
    monkeypatch.setattr("posecast.cli.forecast.load_pose_estimator", lambda *_: NearestEstimator())
    frames = [frame_with((30, 30, 30, 60)) for _ in range(12)]
    for t, frame in enumerate(frames):
        frame[30:90, 130 + t : 160 + t] = RED
    writing.write_mp4("two.mp4", frames, 30.0)
    words = ("forecast", "two.mp4", *models(runs), "--person", "2")
    status, out, err = run(capsys, *words)
    assert (status, err) == (0, "")
    assert "2 people found, number 2 followed: two-forecast-people.png has a number" in out
    assert "another person: --person N, or --box" in out
    assert read_picture("two-forecast-people.png").shape == (120, 200, 3)
    with np.load("two-forecast.npz") as arrays:
        assert arrays["past_joints_px"][..., 0].max() < 70  # the one who stands
    status, _, err = run(capsys, *words[:-1], "3")
    assert (status, "person 3 was asked for, 2 found" in err) == (2, True)


def test_many_videos_go_on_past_bad_ones(capsys, here, runs, monkeypatch):
    monkeypatch.setattr("posecast.cli.forecast.load_pose_estimator", lambda *_: RedEstimator())
    Path("empty.mp4").touch()
    Path("bad.mp4").write_bytes(Path("walk.mp4").read_bytes()[:900])
    writing.write_mp4("nobody.mp4", [frame_with(None)] * 12, 30.0)
    names = ("bad.mp4", "walk.mp4", "empty.mp4", "nobody.mp4")
    status, out, err = run(capsys, "forecast", *names, *models(runs), "--out", "made")
    assert status == 1
    assert out.startswith("made/walk-forecast.mp4: seen from")
    *reasons, last = err.splitlines()
    assert last == "posecast: 3 of 4 videos failed"
    for reason, name in zip(reasons, (names[0], *names[2:]), strict=True):
        assert reason.startswith(f"posecast: left out: {name}: ")
    assert sorted(p.name for p in Path("made").iterdir()) == [
        "walk-forecast.mp4",
        "walk-forecast.npz",
    ]
    status, out, err = run(capsys, "forecast", "bad.mp4", "empty.mp4", *models(runs), "--json")
    assert (status, json.loads(out)["videos"]) == (2, [])
    assert [each["video"] for each in json.loads(out)["failed"]] == ["bad.mp4", "empty.mp4"]


def test_forecast_for_a_program(capsys, here, runs, monkeypatch):
    monkeypatch.setattr("posecast.cli.forecast.load_pose_estimator", lambda *_: RedEstimator())
    words = ("forecast", "walk.mp4", *models(runs), "--json", "--futures", "2")
    status, out, err = run(capsys, *words)
    assert (status, err) == (0, "")
    (said,) = json.loads(out)["videos"]
    assert said["files"] == ["walk-forecast.npz", "walk-forecast.mp4"]
    assert (said["forecast_frames"], said["lost_s"], said["weights"]) == (3, [], [1.0])
    assert {"loading", "finding", "drawing", "writing"} <= set(said["stages_s"])
    assert "30 poses a second assumed" in said["warnings"][0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give a video to forecast, or --sample"),
        (("walk.mp4", "b.mp4", "--out", "a.mp4"), "is one video, 2 are asked for: name a folder"),
        (("walk.mp4", "b/walk.mp4"), "walk.mp4-forecast.mp4 would be written twice"),
        (("walk.mp4", "b.mp4", "--box", "1,2,3,4"), "are of one video"),
    ],
)
def test_what_cannot_be_asked_of_many(capsys, here, words, message):
    status, out, err = run(capsys, "forecast", *words)
    assert (status, out, message in err) == (2, "", True)


def test_videos_of_one_name_and_other_endings_go_together(capsys, here, runs, monkeypatch):
    monkeypatch.setattr("posecast.cli.forecast.load_pose_estimator", lambda *_: RedEstimator())
    (here / "both").mkdir()
    for name in ("walk.mp4", "walk.mov", "b.mp4"):
        (here / "both" / name).write_bytes((here / "walk.mp4").read_bytes())
    for _ in range(2):  # what was made of them is none of them
        status, out, _ = run(capsys, "forecast", "both", "--out", "both", *models(runs), "--json")
        made = [each["files"][-1] for each in json.loads(out)["videos"]]
    names = ("b", "walk.mov", "walk.mp4")
    assert (status, made) == (0, [f"both/{name}-forecast.mp4" for name in names])


def test_the_folder_of_frames_where_one_is_has_a_name(capsys, here, runs, monkeypatch):
    monkeypatch.setattr("posecast.cli.forecast.load_pose_estimator", lambda *_: RedEstimator())
    (here / "walk").mkdir()
    for number in range(12):
        write_picture(here / f"walk/{number}.png", frame_with((20 + 2 * number, 30, 24, 48)))
    monkeypatch.chdir(here / "walk")
    for words in ((".",), (".", "../walk.mp4")):
        status, out, err = run(capsys, "forecast", *words, "--out", "../made", *models(runs))
        assert (status, err) == (0, "")
        assert out.startswith("../made/walk-forecast.mp4: seen from")
    assert "../made/walk.mp4-forecast.mp4: seen from" in out


@pytest.mark.parametrize("words", ["clips", "clips/*.mp4", "clips/[a-b].mp4"])
def test_a_folder_of_videos_or_a_pattern_that_no_shell_read(capsys, here, runs, monkeypatch, words):
    monkeypatch.setattr("posecast.cli.forecast.load_pose_estimator", lambda *_: RedEstimator())
    (here / "clips").mkdir()
    for name in ("b.mp4", "a.mp4", "._a.mp4"):  # the last one is what a Mac puts beside a video
        (here / "clips" / name).write_bytes((here / "walk.mp4").read_bytes())
    status, out, err = run(capsys, "forecast", words, *models(runs), "--json")
    assert (status, err) == (0, "")
    assert [each["video"] for each in json.loads(out)["videos"]] == ["clips/a.mp4", "clips/b.mp4"]


def test_pictures_that_a_shell_names_are_said_to_be_forecast_one_by_one(capsys, here, runs):
    for number in range(2):
        write_picture(here / f"{number}.png", frame_with((20, 30, 24, 48)))
    _, _, err = run(capsys, "forecast", "0.png", "1.png", *models(runs))
    assert "posecast: 2 pictures, each forecast alone; give their folder to forecast one" in err


def test_a_folder_of_both_says_what_is_taken(tmp_path):
    def put(*names: str) -> tuple[list[str], str]:
        for name in names:
            (tmp_path / name).touch()
        videos, note = videos_of(tmp_path)
        return [video.name for video in videos], note

    assert put("a.mp4") == (["a.mp4"], "")
    assert put("a.jpg")[0] == ["a.mp4"]
    taken = ["a.mp4", "b.mov"]
    assert put("b.mov") == (taken, f"{tmp_path}: videos are taken (2), passed over: a.jpg")
    # What an earlier call has made there: the forecasts were forecast, or the call refused.
    made = ("a-forecast.mp4", "a-forecast-people.png", "b-forecast-1.mp4", "b-compare.mp4")
    told = "a-forecast-people.png, a-forecast.mp4, a.jpg and 2 more"
    assert put(*made) == (taken, f"{tmp_path}: videos are taken (2), passed over: {told}")
    assert put("own-forecast.mp4")[0] == [*taken, "own-forecast.mp4"]
    frames = [f"{number}.png" for number in range(9)]
    assert put(*frames)[0] == [tmp_path.name]
    assert "pictures are taken, as frames of one video (10), passed over: a-f" in put()[1]
    read = {picture.name for picture in FrameFolder(tmp_path).pictures()}
    assert read == {"a.jpg", *frames}  # not a-forecast-people.png, as is said


def test_no_forecast_is_written_over_a_video_that_is_asked_for_too(capsys, here):
    later = here / "out" / "walk-forecast.mp4"
    later.parent.mkdir()
    later.write_bytes((here / "walk.mp4").read_bytes())
    words = ("forecast", "walk.mp4", "out/walk-forecast.mp4", "--out", "out")
    status, out, err = run(capsys, *words)
    assert (status, out, "walk-forecast.mp4 is a video to forecast" in err) == (2, "", True)
    assert later.read_bytes() == (here / "walk.mp4").read_bytes()


def test_a_second_call_passes_over_what_the_first_has_made(capsys, here, runs):
    made = here / "walk-forecast.mp4"
    made.write_bytes(b"an earlier forecast")
    words = ("walk.mp4", made.name, *models(runs), "--poses", "walk.csv")
    status, _, err = run(capsys, "forecast", *words)
    assert (status, f"passed over: {made.name} was made of another" in err) == (0, True)
    assert made.stat().st_size > 1000
    assert not (here / "walk-forecast-forecast.mp4").exists()


@pytest.mark.slow
def test_ctrl_c_leaves_nothing(here):
    """A real process, stopped while it writes the video."""
    command = [sys.executable, "-m", "posecast", "forecast", "--sample", "--out", "out"]
    # Whoever starts the tests in the background makes them, and what they start, pass over Ctrl-C.
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heard) as process:
        while process.poll() is None and not list(here.glob("out/*.mp4.*.partial")):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "posecast: stopped; 0 of 1 videos were done\n")
    assert not list(here.glob("out/*"))


def test_an_untrained_estimator_finds_nobody(capsys, here, runs):
    words = ("forecast", "walk.mp4", *models(runs), "--estimator-run", str(runs / "estimator"))
    status, _, err = run(capsys, *words, "--min-confidence", "0.9")
    assert status == 2
    assert "no person found in 12 frames" in err
    assert sorted(path.name for path in here.iterdir()) == ["walk.csv", "walk.mp4"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--poses", "walk.csv", "--box", "1,2,3,4"), "--box is for an estimator"),
        (
            ("--poses", "walk.csv", "--estimator-run", "b"),
            "--estimator-run is for an estimator; --p",
        ),
        (("--first-frame", "3"), "--first-frame is for --poses FILE"),
        (("--onnx", "folder"), "--onnx is for --backend onnx"),
        (("--backend", "onnx", "--pixels", "bytes"), "--pixels is for --backend torch; what was"),
        (("--estimator-run", "b", "--box", "1,2,3"), "expected four numbers x,y,width,height"),
        (("--poses", "walk.csv", "--person", "2"), "no person 2, it has 1"),
        (("--poses", "walk.csv", "--format", "coco"), "cannot be read as JSON"),
        (("--poses", "nowhere"), "no such keypoint file"),
        (("--estimator-run", "nowhere"), "no such estimator run"),
        (("--poses", "walk.csv", "--from", "9"), "lasts 0.40 s"),
    ],
)
def test_wrong_input_is_one_message(capsys, here, runs, words, message):
    status, _, err = run(capsys, "forecast", "walk.mp4", *models(runs), *words)
    assert status == 2
    assert message in err
    assert err.startswith("posecast: error: ")
    assert len(err.splitlines()) == 1
    assert not Path("walk-forecast.mp4").exists()


def test_a_store_of_own_videos_to_estimates(capsys, here, runs):
    Path("clips").mkdir()
    Path("clips/walk.mp4").write_bytes(Path("walk.mp4").read_bytes())
    Path("keypoints").mkdir()
    Path("keypoints/walk.csv").write_bytes(Path("walk.csv").read_bytes())
    words = ("prepare", "videos", "clips", "store", "--size", str(SIZE), "--workers", "1")
    status, out, err = run(capsys, *words, "--poses", "keypoints", "--crop", "union")
    assert (status, "it knows what it should forecast" in err) == (2, True)
    status, out, err = run(capsys, *words, "--poses", "keypoints", "--validation-share", "0")
    assert (status, "1 clips prepared" in out) == (0, True), err
    status, out, err = run(
        capsys, "estimate", "store", "--run", str(runs / "estimator"), "--estimator.device", "cpu"
    )
    assert (status, "PCK@0.2" in out, "mean pose" in out) == (0, True, True), err
    words = ("estimate", "store", "--run", str(runs / "estimator"), "--estimator.device", "cpu")
    status, out, err = run(capsys, *words, "--json")
    said = json.loads(out)
    assert (status, said["num_estimated"] + said["num_kept"]) == (0, 1), err
    assert [group["num_clips"] for group in said["groups"]] == [1]
    assert len(Store.open(Path("store")).with_poses("estimated").clips) == 1


def test_poses_of_own_videos_by_an_estimator(capsys, here, monkeypatch):
    monkeypatch.setattr("posecast.cli.prepare.load_pose_estimator", lambda *_: RedEstimator())
    words = ("prepare", "videos", ".", "store", "--size", "16", "--workers", "1")
    status, out, err = run(capsys, *words, "--estimator-run", "any", "--validation-share", "0")
    assert (status, "1 clips prepared" in out) == (0, True), err
    assert [path.name for path in Path("store-poses").iterdir()] == ["walk.csv"]
    again, poses = (*words, "--estimator-run", "any"), Path("store-poses/walk.csv")
    assert "is younger" not in run(capsys, *again, "--validation-share", "0")[1]
    os.utime(poses, (0, 0))  # the video was changed since
    found = poses.read_bytes()
    status, out, err = run(capsys, *again, "--validation-share", "0")
    assert (status, f"walk.mp4 is younger than {poses}: remove that" in out) == (0, True), err
    assert poses.read_bytes() == found


def test_poses_of_the_store_where_one_is_lie_beside_it(capsys, here, monkeypatch):
    monkeypatch.setattr("posecast.cli.prepare.load_pose_estimator", lambda *_: RedEstimator())
    Path("store").mkdir()
    monkeypatch.chdir("store")
    words = ("prepare", "videos", "..", ".", "--size", "16", "--workers", "1")
    status, out, err = run(capsys, *words, "--validation-share", "0")
    assert (status, "1 clips prepared" in out) == (0, True), err
    assert [path.name for path in (here / "store-poses").iterdir()] == ["walk.csv"]


def test_image_training_takes_an_estimator_run(capsys, runs):
    """Command line to configuration; what training does with it is tested there."""
    words = ("--store", "s", "--run", "r", "--pose-features", str(runs / "estimator"), "--dry-run")
    status, out, _ = run(capsys, "train", "image", "tiny", *words)
    assert (status, f'"pose_features": "{runs / "estimator"}"' in out) == (0, True)


def test_an_estimator_as_feature_network_is_frozen(runs):
    config = ImageTrainingConfig(
        feature_weight=0.0, pose_feature_weight=1.0, pose_features=runs / "estimator"
    )
    features = load_feature_networks(config).pose
    assert isinstance(features, torch.nn.Module)
    assert not features.training
    assert not any(module.training for module in features.modules())
    assert not any(weight.requires_grad for weight in features.parameters())
    picture = torch.rand(1, 3, SIZE, SIZE, requires_grad=True)
    features(picture).sum().backward()
    assert picture.grad.abs().sum() > 0
    features.train()  # as a training loop does with all of its networks
    before = {name: value.clone() for name, value in features.state_dict().items()}
    features(torch.rand(4, 3, SIZE, SIZE))
    after = features.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_compare_says_whether_to_trust_it(capsys, here, runs):
    words = (*models(runs)[:-2], "--poses", "walk.csv", "--compare")  # it has no --view-height
    words = ("forecast", "walk.mp4", *words)
    status, out, err = run(capsys, *words)
    assert (status, err) == (0, "")
    assert "Frames, PSNR in dB" in out
    verdict, files, took = out.splitlines()[-3:]
    assert "comparing" in took
    assert verdict.startswith("Verdict: ")
    assert files == "walk-compare.mp4, walk-compare.html"
    assert {path.name for path in here.iterdir()} == {"walk.mp4", "walk.csv", *files.split(", ")}
    (said,) = json.loads(run(capsys, *words, "--json")[1])["videos"]
    assert said["verdict"] == verdict.removeprefix("Verdict: ")
    assert len(said["joints_percent"]) == 3


def test_compared_videos_end_with_one_table(capsys, here, runs, monkeypatch):
    monkeypatch.setattr("posecast.cli.forecast.load_pose_estimator", lambda *_: RedEstimator())
    Path("also.mp4").write_bytes(Path("walk.mp4").read_bytes())
    Path("bad.mp4").touch()
    words = ("forecast", "walk.mp4", "also.mp4", "bad.mp4", *models(runs)[:-2], "--compare")
    status, out, err = run(capsys, *words, "--no-frames")
    assert (status, "1 of 3 videos failed" in err) == (1, True)
    *_, one, other, everything, told = out.splitlines()
    assert (one.split()[0], other.split()[0], everything.split()[0]) == (
        "walk.mp4",
        "also.mp4",
        "all",
    )
    assert "of 2 videos; all in all" in told
    said = json.loads(run(capsys, *words, "--json")[1])
    assert (said["together"]["videos"], said["together"]["share_after_s"]["2"]) == (2, None)
