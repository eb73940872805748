"""The real Human3.6M tracks: names, splits, sizes, and the 2017 test window and scaling."""

from pathlib import Path

import numpy as np
import pytest

from posecast.datasets.human36m import ACTIONS, Human36M, action_of
from posecast.geometry import Crop, crop_to_px, tube_crop


@pytest.fixture(scope="module")
def root(shared: Path) -> Path:
    return shared / "data" / "human36m"


def test_all_real_tracks_are_read(root):
    source = Human36M(root)
    clips = [source.read_poses(clip_id) for clip_id in source.clip_ids()]
    assert len(clips) == 24
    assert {clip.split for clip in clips if clip.clip_id.startswith("S1_")} == {"train"}
    assert {clip.split for clip in clips if clip.clip_id.startswith("S9_")} == {"test"}
    assert sorted({clip.action for clip in clips}) == [
        *("greeting", "phoning", "posing", "sitting", "walk_together", "walking")
    ]
    for clip in clips:
        assert (clip.fps, clip.image_hw) == (12.5, (1002, 1000))
        assert 248 <= clip.num_frames <= 956
        assert (clip.joints_px > -80).all(), clip.clip_id
        assert (clip.joints_px < 1000).all(), clip.clip_id
        assert source.read_frames(clip.clip_id) is None


def test_every_name_of_the_2017_lists_has_an_action(root):
    for name, count in (("train", 600), ("test", 239)):
        stems = [Path(line).stem for line in (root / f"{name}_list.txt").read_text().splitlines()]
        assert len(stems) == count
        actions = [action_of(stem.split(".")[0].split(" ")[0]) for stem in stems]
        assert sorted(set(actions)) == sorted(ACTIONS)


def test_thinned_tracks_have_the_crop_of_whole_ones(root):
    thin, whole = Human36M(root), Human36M(root, every=1)
    for clip_id in ("S1_Walking.54138969", "S9_Greeting_1.54138969"):
        kept, track = thin.read_poses(clip_id), whole.read_poses(clip_id)
        np.testing.assert_array_equal(kept.joints_px, track.joints_px[::4])
        expected = tube_crop(track.joints_px, track.image_hw, 20)
        assert tube_crop(kept.boxes_px.reshape(-1, 2, 2), kept.image_hw, 20) == expected


def test_scale_of_forecast_poses(golden):
    """2017 went by a picture of 128 px to the crop's size, x by its width, and rounded (19)."""
    old = golden("test_time_h36m")
    x1, y1, x2, y2 = old["box"].tolist()
    stored = old["joints_px128"]
    shares = np.stack([stored[..., :32], stored[..., 32:]], axis=-1) / 128
    ours = crop_to_px(shares, Crop(x1, y1, x2, y2)) - np.array([x1, y1])
    theirs = np.stack([old["out_x"], old["out_y"]], axis=-1)
    np.testing.assert_array_equal(theirs, np.round(theirs))
    assert 0.4 < np.abs(ours - theirs).max() <= 0.5 + 1e-9
    assert (x2 - x1) != (y2 - y1)  # width and height cannot be taken for each other
