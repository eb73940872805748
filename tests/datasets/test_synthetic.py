"""The drawn people: the layout they are written in, their joints, how hard they are."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from posecast.clips import PoseClip
from posecast.datasets.drawn.actions import ACTIONS
from posecast.datasets.drawn.clips import SyntheticConfig, draw_clip, draw_label_clip
from posecast.datasets.drawn.drawing import draw_person, hidden_joints
from posecast.datasets.drawn.figure import moment
from posecast.datasets.drawn.labels import filled_joints, label_figure
from posecast.datasets.drawn.motion import View, perform
from posecast.datasets.drawn.people import clip_ids, write_penn_layout
from posecast.datasets.drawn.wardrobe import random_person
from posecast.datasets.matlab import read_matlab
from posecast.datasets.penn_action import PAPER_ACTIONS, PennAction
from posecast.errors import PosecastError
from posecast.geometry import cut_crop, union_crop
from posecast.skeletons import PENN_ACTION

TINY = SyntheticConfig(num_clips=3, image_hw=(64, 96), num_frames=5)
LEFT, RIGHT = (PENN_ACTION.index(f"{side}_shoulder") for side in ("left", "right"))


def files_of(root):
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


@pytest.fixture(scope="module")
def tiny_set(tmp_path_factory):
    root = tmp_path_factory.mktemp("drawn") / "set"
    report = write_penn_layout(TINY, root)
    assert report.drawn == ("0001", "0002", "0003")
    return root


def test_a_mistyped_folder_of_poses_leaves_no_settings_behind(tmp_path):
    with pytest.raises(PosecastError, match="absent is not a folder"):
        write_penn_layout(replace(TINY, poses=tmp_path / "absent"), tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_the_reader_reads_what_was_drawn(tiny_set):
    source = PennAction(tiny_set)
    assert source.clip_ids() == ["0001", "0002", "0003"]
    for clip_id in source.clip_ids():
        drawn, read = draw_clip(TINY, clip_id), source.read_poses(clip_id)
        expected = drawn.pose
        assert (read.action, read.split, read.image_hw) == (expected.action, "train", (64, 96))
        np.testing.assert_array_equal(read.visible, expected.visible)
        shown = expected.visible
        np.testing.assert_allclose(read.joints_px[shown], expected.joints_px[shown], atol=1e-9)
        np.testing.assert_allclose(read.boxes_px, expected.boxes_px, atol=1e-9)
        frames = list(source.read_frames(clip_id))
        assert len(frames) == 5
        for stored, frame in zip(frames, drawn.frames, strict=True):
            assert np.abs(stored.astype(int) - frame).mean() < 6  # JPEG loss


def test_label_files_hold_the_published_variables(tiny_set, shared):
    ours = read_matlab(tiny_set / "labels" / "0001.mat")
    real = read_matlab(shared / "data" / "penn_action" / "labels" / "0050.mat")
    assert ours.keys() == real.keys()
    for name in ("x", "y", "visibility", "bbox", "dimensions", "nframes", "train"):
        assert ours[name].ndim == real[name].ndim, name
        assert ours[name].shape[1:] == real[name].shape[1:], name
    assert ours["dimensions"].tolist() == [[64, 96, 5]]
    assert ours["pose"] in ("front", "back", "left", "right")


def test_some_unseen_joints_lie_in_the_corner(tmp_path):
    # A third of Penn Action's unseen joints are at (1, 1), the others have a guessed place.
    config = SyntheticConfig(image_hw=(48, 64), num_clips=3, num_frames=24)
    write_penn_layout(config, tmp_path / "set")
    corner = guessed = 0
    for clip_id in clip_ids(config):
        labels = read_matlab(tmp_path / "set" / "labels" / f"{clip_id}.mat")
        unseen = labels["visibility"] == 0
        at_corner = (labels["x"] == 1) & (labels["y"] == 1)
        assert not (at_corner & ~unseen).any()
        corner, guessed = corner + at_corner.sum(), guessed + (unseen & ~at_corner).sum()
    assert corner > 0
    assert guessed > 0


def test_the_same_settings_give_the_same_bytes(tiny_set, tmp_path):
    again = tmp_path / "again"
    write_penn_layout(TINY, again)
    assert files_of(again) == files_of(tiny_set)
    shorter = tmp_path / "shorter"  # a clip does not depend on how many others are drawn
    write_penn_layout(SyntheticConfig(num_clips=2, image_hw=(64, 96), num_frames=5), shorter)
    assert files_of(shorter).items() <= files_of(tiny_set).items()
    other = draw_clip(SyntheticConfig(seed=1, image_hw=(64, 96), num_frames=5), "0001")
    assert np.abs(other.pose.joints_px - draw_clip(TINY, "0001").pose.joints_px).max() > 1


def test_frames_can_be_drawn_in_any_order():
    film = draw_clip(TINY, "0002").film
    last = film.frame(4)
    film.frame(0)
    np.testing.assert_array_equal(film.frame(4), last)


def test_a_stopped_run_is_finished(tiny_set, tmp_path):
    root = tmp_path / "set"
    write_penn_layout(TINY, root)
    (root / "labels" / "0002.mat").unlink()
    (root / "frames" / "0002" / "000003.jpg").write_bytes(b"half a frame")
    report = write_penn_layout(TINY, root)
    assert (report.drawn, report.kept) == (("0002",), ("0001", "0003"))
    assert files_of(root) == files_of(tiny_set)


def test_folders_with_other_things_are_refused(tiny_set, tmp_path):
    with pytest.raises(ValueError, match=r"drawn clips of other settings[^;]*seed: 0 -> 7"):
        write_penn_layout(SyntheticConfig(3, 7, (64, 96), 5), tiny_set)
    (tmp_path / "labels").mkdir()
    with pytest.raises(ValueError, match="holds files but no drawn clips"):
        write_penn_layout(TINY, tmp_path)
    with pytest.raises(ValueError, match="is not a folder"):
        clip_ids(SyntheticConfig(poses=tmp_path / "absent"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"actions": ("juggling",)}, r"actions \['juggling'\] cannot be performed; choose among"),
        ({"num_clips": 0}, "num_clips is 0; it must be 1 or more"),
        ({"num_frames": 1}, "num_frames is 1; it must be 2 or more"),
        ({"image_hw": (20, 200)}, "image_hw must be 48 or more each"),
        ({"test_share": 1.5}, "test_share is 1.5; it must be 0 to 1"),
        ({"seed": -1}, "seed is -1; it must be 0 or more"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        SyntheticConfig(**settings)


def test_both_splits_hold_every_action():
    config = SyntheticConfig(num_clips=64, num_frames=2, image_hw=(48, 48))
    poses = [draw_clip(config, clip_id).pose for clip_id in clip_ids(config)]
    for action in PAPER_ACTIONS:
        splits = [pose.split for pose in poses if pose.action == action]
        assert (len(splits), splits.count("test")) == (8, 2)


def test_a_clip_lasts_as_long_as_its_action():
    for index, action in enumerate(PAPER_ACTIONS, start=1):
        low, high = ACTIONS[action].num_frames
        assert low <= draw_clip(SyntheticConfig(), f"{index:04d}").pose.num_frames <= high


@pytest.mark.parametrize("action", PAPER_ACTIONS)
def test_joints_lie_on_the_drawn_body(action):
    rng = np.random.default_rng(3)
    figure = perform(ACTIONS[action], 30, View(170.0, 4.0, 6.0), 150.0, rng)
    person = random_person(ACTIONS[action].tool, rng)
    shift = np.array([240.0, 160.0])
    moved = type(figure)(
        figure.points_px + shift,
        figure.depth,
        figure.scale_px,
        figure.head_axes,
        figure.tool_px + shift,
        figure.tool_depth,
    )
    for time in (0, 13, 22):
        canvas = np.full((320, 480, 3), 1000, np.float32)
        draw_person(canvas, person, moved, float(time))
        body = (canvas < 990).all(axis=-1)
        for x, y in moved.joints_px[time]:
            assert body[int(y), int(x)]
        assert 0.01 < body.mean() < 0.25


def test_penn_action_left_is_the_left_of_a_front_view():
    # In the published labels left_shoulder is on the viewer's left when the person faces them.
    for turn, sign in ((180.0, 1), (0.0, -1)):
        figure = perform(
            ACTIONS["jumping_jacks"], 20, View(turn, 0.0, 6.0), 100.0, np.random.default_rng(0)
        )
        across = figure.joints_px[:, RIGHT, 0] - figure.joints_px[:, LEFT, 0]
        assert (np.sign(across) == sign).all()


def test_some_people_are_left_handed():
    # Seen from behind, the racket is on the right of right-handed people when the ball is hit.
    sides = []
    for seed in range(40):
        figure = perform(
            ACTIONS["tennis_forehand"], 60, View(0.0, 0.0, 6.0), 100.0, np.random.default_rng(seed)
        )
        reach = figure.tool_px[20:35, 1, 0] - figure.joints_px[20:35, [LEFT, RIGHT], 0].mean(axis=1)
        sides.append(reach[np.abs(reach).argmax()] > 0)
    assert 1 <= sides.count(False) <= 12


def test_the_far_side_is_hidden_in_a_side_view():
    hidden = {}
    for turn in (180.0, 90.0):
        figure = perform(
            ACTIONS["jumping_jacks"], 60, View(turn, 0.0, 8.0), 150.0, np.random.default_rng(1)
        )
        hidden[turn] = hidden_joints(figure, 1.0).mean()
    assert hidden[180.0] < 0.02
    assert hidden[90.0] > 0.15


def test_motion_is_smooth_between_frames():
    figure = perform(
        ACTIONS["golf_swing"], 60, View(180.0, 0.0, 6.0), 100.0, np.random.default_rng(0)
    )
    assert np.abs(np.diff(figure.joints_px, axis=0)).max() < 22  # of a body of 100 px
    halfway = moment(figure, 10.5).points
    np.testing.assert_allclose(halfway, figure.points_px[10:12].mean(axis=0))


def held_still(clip):
    """PSNR and SSIM of frame 10 held still for 4, 8 and 16 frames, as docs/synthetic.md says."""
    crop = union_crop(clip.pose.boxes_px, clip.pose.image_hw)
    seen, *later = (cut_crop(clip.film.frame(9 + k), crop, 128) for k in (0, 4, 8, 16))
    grey = cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY)
    return [
        (
            peak_signal_noise_ratio(frame, seen),
            structural_similarity(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), grey),
        )
        for frame in later
    ]


def test_as_hard_as_real_footage():
    """The fixed drawing code: what 8 real clips score, within 1.5 dB and 0.06 SSIM."""
    config = SyntheticConfig()
    scores = np.mean([held_still(draw_clip(config, f"{i:04d}")) for i in range(1, 33)], axis=0)
    np.testing.assert_allclose(scores[:, 0], [21.6, 18.8, 19.0], atol=1.5)
    np.testing.assert_allclose(scores[:, 1], [0.80, 0.72, 0.68], atol=0.06)


def label_clip(visible_share=1.0, seed=0):
    """Somebody standing, 12 frames, some joints unseen in the corner."""
    rng = np.random.default_rng(seed)
    figure = perform(ACTIONS["jumping_jacks"], 12, View(180.0, 0.0, 6.0), 60.0, rng)
    joints = figure.joints_px + np.array([80.0, 50.0])
    visible = rng.random(joints.shape[:2]) < visible_share
    joints[~visible] = 0.5
    boxes = np.tile([45.0, 5.0, 115.0, 95.0], (12, 1))
    return PoseClip("0007", "pullup", "train", 30.0, (100, 160), joints, visible, boxes)


def test_unseen_joints_are_carried_over_in_time():
    pose = label_clip(visible_share=0.6)
    true = label_clip().joints_px
    filled = filled_joints(pose)
    np.testing.assert_array_equal(filled[pose.visible], pose.joints_px[pose.visible])
    assert np.linalg.norm(filled - true, axis=-1).max() < 30  # never in the corner
    knee = PENN_ACTION.index("left_knee")
    pose.visible[:, knee], pose.joints_px[:, knee] = False, 0.5
    other = filled_joints(pose)[:, knee]
    np.testing.assert_allclose(other, filled_joints(pose)[:, PENN_ACTION.index("right_knee")])
    for side in ("left", "right"):
        ankle = PENN_ACTION.index(f"{side}_ankle")
        pose.visible[:, ankle], pose.joints_px[:, ankle] = False, 0.5
        assert (filled_joints(pose)[:, ankle, 1] > 70).all()  # at the foot of the box


def test_labels_are_drawn_as_people():
    pose = label_clip(visible_share=0.8)
    frames = list(draw_label_clip(pose, "front", seed=0).frames)
    again = list(draw_label_clip(pose, "front", seed=0).frames)
    np.testing.assert_array_equal(frames, again)
    assert np.shape(frames) == (12, 100, 160, 3)
    canvas = np.full((100, 160, 3), 1000, np.float32)
    figure = label_figure(pose, "front")
    draw_person(canvas, random_person("", np.random.default_rng(0)), figure, 4.0)
    body = (canvas < 990).all(axis=-1)
    assert all(body[int(y), int(x)] for x, y in pose.joints_px[4][pose.visible[4]])


def test_real_labels_become_a_set(shared, tmp_path):
    labels = shared / "data" / "penn_action" / "labels"
    few = tmp_path / "few" / "labels"
    few.mkdir(parents=True)
    for name in ("1516", "1142"):
        (few / f"{name}.mat").write_bytes((labels / f"{name}.mat").read_bytes())
    report = write_penn_layout(SyntheticConfig(poses=few), tmp_path / "set")
    assert report.drawn == ("1142",)
    assert list(report.left_out) == ["1516"]
    assert "no joint is visible" in report.left_out["1516"]
    source = PennAction(tmp_path / "set")
    assert source.clip_ids() == ["1142"]
    assert len(list(source.read_frames("1142"))) == 36
    assert (tmp_path / "set" / "labels" / "1142.mat").read_bytes() == (
        labels / "1142.mat"
    ).read_bytes()
