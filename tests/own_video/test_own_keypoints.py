"""Keypoints without pixels: a squat goes on as it went, in the format in which it came."""

import csv
import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

import posecast
from posecast.cli import main
from posecast.errors import PosecastError
from posecast.keypoints import PointTrack, read_points
from posecast.keypoints.names import own_side_name
from posecast.motion.rigid import carry
from posecast.skeletons import COCO, HUMAN36M, PENN_ACTION, Skeleton

PERIOD, SEEN = 40, 120

# x, y of somebody who stands, and how far down and aside each goes in the middle of a squat.
_BODY = {
    "head": (0, 10, 70, 20),
    "neck": (0, 40, 70, 15),
    "shoulder": (25, 45, 70, 15),
    "elbow": (35, 85, 40, 30),
    "wrist": (35, 125, 0, 60),
    "pelvis": (0, 110, 60, -15),
    "hip": (15, 110, 60, -15),
    "knee": (15, 160, 10, 25),
    "ankle": (15, 210, 0, 0),
    "toe_base": (25, 215, 0, 0),
}
_NEAREST = {
    **dict.fromkeys(("nose", "eye", "ear", "head_top"), "head"),
    **dict.fromkeys(("spine", "collar"), "neck"),
    **dict.fromkeys(("hand", "hand_end", "thumb", "thumb_end"), "wrist"),
    "spine_base": "pelvis",
    "toe_end": "toe_base",
}


def squats(name: str, frames: np.ndarray) -> np.ndarray:
    """Where a joint is, (t, 2)."""
    part = name.rpartition("left_" if name.startswith("left_") else "right_")[2] or name
    x, y, down, aside = _BODY[_NEAREST.get(part, part)]
    sign = -1 if name.startswith("left_") else 1
    offset = len(part) % 5 if part in _NEAREST else 0
    depth = (1 - np.cos(2 * np.pi * frames / PERIOD)) / 2
    return np.stack([300 + sign * x + offset + aside * depth, 60 + y + down * depth], axis=-1)


def track_of(names, frames=SEEN) -> PointTrack:
    points = np.stack([squats(name, np.arange(frames)) for name in names], axis=1)
    return PointTrack(points, np.ones(points.shape[:2]), tuple(names))


def names_of(skeleton: Skeleton) -> list[str]:
    return [own_side_name(joint, skeleton) for joint in skeleton.joints]


@pytest.mark.parametrize("skeleton", [PENN_ACTION, COCO, HUMAN36M], ids=lambda each: each.name)
def test_a_squat_goes_on_with_its_period(skeleton):
    names = names_of(skeleton)
    future = posecast.forecast_keypoints(track_of(names), steps=64, fps=30.0)
    assert future.points.shape == (1, 64, len(names), 2)
    assert future.visible.all()
    truth = np.stack([squats(name, np.arange(SEEN, SEEN + 64)) for name in names], axis=1)
    last = truth[-1:] * 0 + np.stack([squats(name, np.array([SEEN - 1])) for name in names], axis=1)
    error, still = (np.linalg.norm(x - truth, axis=-1).mean() for x in (future.points[0], last))
    assert error < 0.35 * still
    hip = future.points[0, :, names.index("left_hip"), 1]
    lowest = [int(np.argmax(hip[:PERIOD])), int(np.argmax(hip[PERIOD:])) + PERIOD]
    assert abs(lowest[0] - (PERIOD // 2)) <= 3
    assert np.ptp(hip) > 45


def test_what_is_no_joint_is_carried_with_its_limb():
    """A racket in the hand: where it is in the lower arm's frame it stays."""
    names = names_of(PENN_ACTION)
    track = track_of(names)
    elbow, wrist = (track.points[:, names.index(f"left_{part}")] for part in ("elbow", "wrist"))
    arm = wrist - elbow
    racket = wrist + 0.5 * arm + 0.2 * arm[:, ::-1] * [-1, 1]
    points = np.concatenate([track.points, racket[:, None]], axis=1)
    with_racket = PointTrack(points, np.ones(points.shape[:2]), (*names, "racket"))
    future = posecast.forecast_keypoints(with_racket, steps=40)
    assert future.carried == ("racket",)
    assert "carried with a limb: racket" in future.note
    elbow, wrist, racket = (
        future.points[0, :, [*names, "racket"].index(name)]
        for name in ("left_elbow", "left_wrist", "racket")
    )
    # The arm may come to be a little longer or shorter, the racket does not.
    along = (wrist - elbow) / np.linalg.norm(wrist - elbow, axis=1, keepdims=True)
    angle = np.arctan2(*(racket - wrist).T[::-1]) - np.arctan2(*along.T[::-1])
    np.testing.assert_allclose(np.angle(np.exp(1j * (angle - angle[0]))), 0, atol=0.15)
    alone = posecast.forecast_keypoints(track, steps=40)
    np.testing.assert_allclose(future.points[:, :, :-1], alone.points, atol=1e-6)


def test_carry_turns_with_the_limb_and_goes_with_the_rest_where_there_is_none():
    joints = np.array([[[0.0, 0.0], [10.0, 0.0]]] * 3)
    points = np.array([[[12.0, 1.0], [0.0, 0.0]]] * 3)
    seen = np.array([[True, False]] * 3)
    future = np.array([[[5.0, 5.0], [5.0, 15.0]]])  # a quarter of a turn, and moved
    visible = np.ones((3, 2), bool)
    moved = carry(points, seen, joints, visible, future, [((0,), (1,))])
    np.testing.assert_allclose(moved, [[[4.0, 17.0], [0.0, 0.0]]], atol=1e-9)
    moved = carry(points, seen, joints, visible, future, [])
    np.testing.assert_allclose(
        moved[0, 0], [12.0, 11.0]
    )  # the mean joint goes from (5, 0) to (5, 10)


def test_units_and_place_change_nothing():
    names = names_of(PENN_ACTION)
    pixels = posecast.forecast_keypoints(track_of(names), steps=20)
    track = track_of(names)
    metres = PointTrack(track.points / 120 - 3, track.confidence, track.names)
    np.testing.assert_allclose(
        (posecast.forecast_keypoints(metres, steps=20).points + 3) * 120, pixels.points, atol=1e-3
    )


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder with a squat as a table of COCO's joints, hidden ones among them."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)  # nobody repeats himself to the pixel
    with Path("squat.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["frame", "joint", "x", "y", "person"])
        for t in range(SEEN):
            for name in COCO.joints:
                if name != "left_ear":
                    x, y = (squats(name, np.array([t]))[0] + rng.normal(0, 1, 2)).tolist()
                    rows.writerow([t + 7, name, x, y, "anna"])
                    rows.writerow([t + 7, name, 40 + x / 9, 50 + y / 9, "far away"])
            rows.writerow([t + 7, "left_ear", "", "", "anna"])
    return tmp_path


def test_the_command_writes_the_future_in_the_same_format(here, capsys):
    assert main(["forecast-poses", "squat.csv", "--seconds", "1", "--futures", "3"]) == 0
    said = capsys.readouterr()
    first, *notes = said.out.splitlines()
    assert first == (
        "squat-future.csv, squat-future-2.csv, squat-future-3.csv: "
        f"frames {SEEN + 7} to {SEEN + 36} (1.00 s)"
    )
    assert notes == [
        "30 frames a second assumed (--fps)",
        "2 people; one is forecast (--person)",
        "no joints of the pose model, carried with a limb: nose, left_eye, right_eye, right_ear",
        "not forecast, written as not found: left_ear",
    ]
    futures = [read_points(f"squat-future{n}.csv") for n in ("", "-2", "-3")]
    assert [each.first_frame for each in futures] == [SEEN + 7] * 3
    assert {each.person for each in futures} == {"anna"}
    assert len({each.points.tobytes() for each in futures}) == 3
    whole = posecast.forecast_keypoints("squat.csv", steps=30, fps=30.0)
    np.testing.assert_allclose(futures[0].points, whole.points[0], atol=1e-3)


def test_which_person(here):
    """The one who is asked for is forecast, where she is."""
    second = posecast.forecast_keypoints("squat.csv", steps=5, person=2)
    assert second.futures[0].person == "far away"
    assert second.points[..., 0].max() < 100


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("missing.csv", "no such keypoint file"),
        ("squat.csv --person 3", "no person 3, it has 2"),
        ("squat.csv --steps 0", "steps is 0; expected a whole number, 1 to 10000"),
        (
            "squat.csv --futures 1000000000",
            "futures is 1000000000; expected a whole number, 1 to 1",
        ),
        ("squat.csv --futures 2 --out .", "cannot write .: it is a folder; name a file in it"),
        ("squat.csv --min-confidence 101", "min_confidence is 101.0; it must be -1 to 100"),
        ("squat.csv --out squat.csv", "is the file to forecast"),
        ("squat-2.csv --futures 2 --out squat.csv", "is the file to forecast"),
        ("found --out found/alphapose-results.json", "is the file to forecast"),
        ("squat.csv --seconds -1", "must be 0 or more"),
        ("tail.csv", "none of the points"),
    ],
)
def test_errors_say_what_to_do(here, capsys, words, message):
    Path("tail.csv").write_text("frame,joint,x,y\n0,tail,3,4\n")
    shutil.copy("squat.csv", "squat-2.csv")
    Path("found").mkdir()
    Path("found/alphapose-results.json").write_text("[]")
    assert main(["forecast-poses", *words.split()]) == 2
    assert message in capsys.readouterr().err
    assert not list(here.glob("*-future*"))


@pytest.mark.parametrize("count", [1, 2, 9])
def test_a_pose_or_two_have_a_future(count):
    forecast = posecast.forecast_keypoints(track_of(names_of(PENN_ACTION), count), steps=20)
    assert forecast.points.shape[:2] == (1, 20)
    assert np.isfinite(forecast.points).all()


def test_tracks_of_no_frames_or_joints_are_refused():
    track = track_of(names_of(PENN_ACTION))
    hidden = PointTrack(track.points, 0 * track.confidence, track.names)
    with pytest.raises(PosecastError, match="not one joint"):
        posecast.forecast_keypoints(hidden)


def test_of_a_few_poses_those_before_the_person_left_will_do():
    track = track_of(names_of(PENN_ACTION), 6)
    track.confidence[4:] = 0
    forecast = posecast.forecast_keypoints(track, steps=5)
    few = posecast.forecast_keypoints(track_of(names_of(PENN_ACTION), 4), steps=5)
    np.testing.assert_allclose(forecast.points, few.points, atol=1e-3)


@pytest.mark.usefixtures("unchecked")
def test_points_of_ones_own_are_arrays_of_any_kind():
    track = track_of(names_of(PENN_ACTION))
    points, sure = track.points.copy(), track.confidence.copy()
    sure[7, 4] = 0
    hidden = posecast.forecast_keypoints(PointTrack(points, sure, track.names), steps=5)
    points[7, 4] = np.nan
    far = PointTrack(np.where(np.isnan(points), 1e9, points), track.confidence, track.names)
    spelled = tuple(name.replace("left_", "L").replace("right_", "R") for name in track.names)
    for given in (
        PointTrack(points, track.confidence, track.names),
        far,
        PointTrack(points.tolist(), (sure > 0).tolist(), list(spelled)),
    ):
        future = posecast.forecast_keypoints(given, steps=5)
        np.testing.assert_array_equal(future.points, hidden.points)
    assert np.isnan(points[7, 4]).all()
    noted = posecast.forecast_keypoints(dataclasses.replace(far, note="of a camera"), steps=5)
    assert "of a camera; points far from all others, taken for not seen: 1" in noted.note


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("points", "confidence", "message"),
    [
        (np.zeros((4, 13, 3)), np.ones((4, 13)), r"points \(4, 13, 3\), .* expected"),
        (np.zeros((4, 12, 2)), np.ones((4, 12)), "13 names, 13 different ones; expected"),
        (np.zeros((4, 13, 2)), None, r"confidence \(\) .* expected"),
        (np.zeros((4, 13, 2)), "sure", "no arrays of numbers"),
    ],
)
def test_points_that_do_not_fit_are_explained(points, confidence, message):
    track = PointTrack(points, confidence, tuple(names_of(PENN_ACTION)))
    with pytest.raises(PosecastError, match=message):
        posecast.forecast_keypoints(track)
