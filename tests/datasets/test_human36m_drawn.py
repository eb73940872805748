"""Drawn videos for Human3.6M poses, and the whole chain on them from the command line."""

import json
from pathlib import Path

import numpy as np
import pytest

from human36m_files import standing, write_cdf
from posecast.cli import main
from posecast.datasets.drawn.human36m import DrawnVideosConfig, draw_human36m, drawn_film
from posecast.datasets.human36m import Human36M
from posecast.media.videos import probe_video
from posecast.skeletons import HUMAN36M

NUM_FRAMES = 12


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    """Poses of two training clips and a test clip."""
    root = tmp_path_factory.mktemp("raw")
    for subject, name, x in (("S1", "Posing", 400), ("S1", "Posing 1", 450), ("S9", "Eating", 600)):
        write_cdf(root, subject, f"{name}.54138969", standing(NUM_FRAMES, x))
    return root


@pytest.fixture(scope="module")
def drawn(raw, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("drawn") / "out"
    done = draw_human36m(raw, out, DrawnVideosConfig())
    assert (len(done.drawn), done.kept, done.left_out) == (3, (), {})
    return out


def test_videos_have_the_published_size_and_rate(raw, drawn):
    source = Human36M(drawn, every=1)
    assert source.clip_ids() == Human36M(raw, every=1).clip_ids()
    info = probe_video(drawn / "S1" / "Videos" / "Posing 1.54138969.mp4")
    assert (info.width, info.height, info.fps, info.num_frames) == (1000, 1002, 50.0, NUM_FRAMES)
    for clip_id in source.clip_ids():
        original = Human36M(raw).pose_file(clip_id).read_bytes()
        assert source.pose_file(clip_id).read_bytes() == original


def test_the_person_is_where_the_poses_are(raw):
    """Against the same hall with the person elsewhere."""
    poses = Human36M(raw, every=1)
    here, there = (poses.read_poses(f"S1_Posing{trial}.54138969") for trial in ("", "_1"))
    for time in (0, 9):
        here_frame, there_frame = (
            drawn_film(pose, seed=0).frame(time).astype(int) for pose in (here, there)
        )
        change = np.abs(here_frame - there_frame).max(axis=2)
        for name in ("head", "left_wrist", "right_knee", "left_toe_base"):
            x, y = here.joints_px[time, HUMAN36M.index(name)].astype(int)
            assert np.median(change[y - 3 : y + 4, x - 3 : x + 4]) > 8, name
        assert np.median(change) < 5


def test_a_stopped_drawing_goes_on(raw, drawn, tmp_path):
    one = DrawnVideosConfig(clips=("S9_Eating.54138969",), num_frames=3)
    assert draw_human36m(raw, tmp_path / "out", one).drawn == one.clips
    assert draw_human36m(raw, tmp_path / "out", one).kept == one.clips
    clip = Human36M(tmp_path / "out", every=1).read_poses(one.clips[0])
    whole = Human36M(raw, every=1).read_poses(one.clips[0])
    assert Human36M(tmp_path / "out").pose_file(one.clips[0]).suffix == ".mat"
    np.testing.assert_array_equal(clip.joints_px, whole.joints_px[:3])


@pytest.mark.parametrize(
    ("options", "out", "message"),
    [
        ({"seed": 3}, "drawn", "other settings"),
        ({}, "raw", "holds files but no drawn videos"),
        ({"clips": ("S1_Dancing",)}, "new", "no poses of S1_Dancing"),
    ],
)
def test_refused_drawings(raw, drawn, tmp_path, options, out, message):
    folder = {"drawn": drawn, "raw": raw, "new": tmp_path / "new"}[out]
    with pytest.raises(ValueError, match=message):
        draw_human36m(raw, folder, DrawnVideosConfig(**options))
    assert not (tmp_path / "new").exists()


def test_the_whole_chain(drawn, tmp_path, monkeypatch, capsys):
    """Prepare, train both models, forecast from estimated poses; wee networks."""
    monkeypatch.chdir(tmp_path)
    common = ["--skeleton", "human36m", "--store", "store", "--device", "cpu"]
    image = ["--generator.num-heatmaps", "32", "--discriminator.num-heatmaps", "32"]
    models = ["--pose-run", "pose", "--image-run", "image", "--seen-poses", "estimated"]
    stages = [
        ["prepare", "human36m", f"{drawn}", "store", "--every", "1", "--size", "16"],
        ["train", "pose", "tiny", "--model.num-joints", "32", *common, "--run", "pose"],
        ["train", "image", "tiny", *image, *common, "--run", "image"],
        ["import-poses-2017", "estimates", "store"],
        ["predict", "--store", "store", *models, "--out", "o", "--start", "middle", "--steps", "7"],
    ]
    pose = Human36M(drawn, every=1).read_poses("S9_Eating.54138969")
    (tmp_path / "estimates" / "S9_Hourglass").mkdir(parents=True)
    np.savez(
        tmp_path / "estimates" / "S9_Hourglass" / "Eating.54138969.npz",
        all_posex=pose.joints_px[..., 0] - 100,
        all_posey=pose.joints_px[..., 1] - 50,
        box=np.array([100, 50, 900, 850]),
    )
    for words in stages:
        assert main(words) == 0, capsys.readouterr().err
    folder = tmp_path / "o" / "clips" / "S9_Eating.54138969"
    facts = json.loads((folder / "facts.json").read_text())
    assert (facts["fps"], facts["start"], facts["steps"]) == (50.0, 6, 7)
    assert {"forecast.mp4", "forecast.gif"} <= {file.name for file in folder.iterdir()}
