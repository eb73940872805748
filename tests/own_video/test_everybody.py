"""Everybody in a video goes on, each apart."""

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from posecast.clips import PoseForecast
from posecast.errors import PosecastError
from posecast.estimation import FollowOptions
from posecast.forecasting.forecaster import Forecaster
from posecast.geometry import Crop, cut_crop
from posecast.keypoints import reading
from posecast.media.frame_folders import write_picture
from posecast.media.videos import read_video
from posecast.own_video import watching
from posecast.own_video.forecast import forecast_video
from posecast.own_video.people import draw_people
from posecast.own_video.pictures import View, future_frames, poses_alone
from posecast.own_video.poses import EstimatedPoses, KeypointFile, OwnVideoConfig
from posecast.report.comparison import compare_video
from posecast.skeletons import PENN_ACTION
from red_people import RED, LooksBack, NearestEstimator, frame_with, joints_of, write_video

STANDS, NUM_FRAMES = (30, 30, 30, 60), 30
CONFIG = OwnVideoConfig(steps=4, everybody=True, export=("csv",))
BOTH = EstimatedPoses(NearestEstimator())


def moves(t: int) -> tuple[int, int, int, int]:
    return 130 + round(8 * np.sin(0.7 * t)), 35, 30, 60


def two_people(num_frames: int = NUM_FRAMES, gone_from: int = 99) -> list[np.ndarray]:
    frames = []
    for t in range(num_frames):
        frame = frame_with(STANDS if t < gone_from else None)
        x, y, width, height = moves(t)
        frame[y : y + height, x : x + width] = RED
        frames.append(frame)
    return frames


def two_people_as_csv(path: Path) -> Path:
    lines = ["frame,joint,x,y,person"]
    for t in range(NUM_FRAMES):
        for name, box in (("a", moves(t)), ("b", STANDS)):
            for joint, (x, y) in zip(PENN_ACTION.joints, joints_of(box), strict=True):
                lines.append(f"{t},{joint},{x},{y},{name}")
    path.write_text("\n".join(lines))
    return path


class Sinks(LooksBack):
    """Everybody sinks by two pixels a frame; told apart by how much was seen of whom."""

    def __init__(self) -> None:
        self.seen_at = []

    def forecast_poses(self, seen, steps, samples=1):
        (one,) = seen
        self.seen_at.append(one.joints_px[-1, 0])
        down = np.stack([np.zeros(steps), 2.0 * np.arange(1, steps + 1)], axis=-1)
        return [PoseForecast.of(one, (one.joints_px[-1] + down[:, None])[None])]


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "a.mp4", two_people())


def test_each_is_forecast_apart_and_shown_together(video, tmp_path):
    model, out = Sinks(), tmp_path / "out.mp4"
    result = forecast_video(video, Forecaster(model), BOTH, out, CONFIG)
    (other,) = result.others
    assert (result.person, other.person) == (1, 2)
    truths = (joints_of(moves(NUM_FRAMES - 1)), joints_of(STANDS))
    for each, truth in zip((result, other), truths, strict=True):
        assert np.abs(each.seen.joints_px[-1] - truth).max() < 4
        sunk = truth + np.array([0, 8])
        assert np.abs(each.forecast.joints_px[0, -1] - sunk).max() < 4
    names = ["a.mp4", "out-people.png", "out-person-2.csv", "out-person-2.npz"]
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        *names,
        *("out.csv", "out.mp4", "out.npz"),
    ]
    assert {path.name for path in result.files} == {*names[1:], "out.csv", "out.mp4", "out.npz"}
    with np.load(tmp_path / "out-person-2.npz") as arrays:
        assert np.abs(arrays["predicted_joints_px"][0, -1] - truths[1] - np.array([0, 8])).max() < 4
    *_, before, last = read_video(out)
    for x, y, width, height in (moves(NUM_FRAMES - 1), STANDS):
        body = np.s_[y : y + height + 10, x : x + width]
        assert np.abs(last[body].astype(int) - before[body]).max() > 60  # a skeleton that moves
    facts = result.facts()
    (theirs,) = facts["others"]
    assert (facts["person"], theirs["person"]) == (1, 2)
    assert "others" not in theirs
    assert theirs["files"] == [str(tmp_path / f"out-person-2.{kind}") for kind in ("npz", "csv")]
    for number, name in enumerate(("out.csv", "out-person-2.csv"), start=1):
        with (tmp_path / name).open() as file:
            assert {row["person"] for row in csv.DictReader(file)} == {str(number)}
    people = tmp_path / "out-people.png"
    assert result.summary().splitlines() == [
        "seen up to 0.97 s, 4 frames (0.13 s) forecast, of 2 people",
        "seen: person 1 from 0.80 s on, person 2 from 0.80 s on",
        *result.rates.describe().splitlines(),
        f"2 people found: {people} numbers them",
    ]


def test_of_each_it_is_said_where_it_was_lost_and_how_sure_the_forecast_is(video):
    result = forecast_video(video, Forecaster(Sinks()), BOTH, None, CONFIG)
    (other,) = result.others
    other = dataclasses.replace(other, lost=((3, 9), (12, 15)), sureness=((0.25, 0.04), (1.0, 0.1)))
    result = dataclasses.replace(result, others=(other,), sureness=((0.25, 0.06),))
    lines = result.summary().splitlines()
    assert lines[2] == "person 2 was not found from 0.10 to 0.30 s, 0.40 to 0.50 s"
    assert lines[-1] == (
        "how sure: over many videos nine joints of ten are off by at most 6 % after 0.25 s "
        "for person 1; 4 % after 0.25 s, 10 % after 1 s for person 2 (of the person's size); in "
        "one video all may be farther off"
    )


def test_names_are_refused_that_are_read_and_no_others(video, tmp_path):
    def poses(name):
        return KeypointFile(two_people_as_csv(tmp_path / name))

    out = tmp_path / "out.mp4"
    with pytest.raises(PosecastError, match=r"out-person-2\.csv is the file of its poses"):
        forecast_video(video, Forecaster(Sinks()), poses("out-person-2.csv"), out, CONFIG)
    assert not out.exists()
    kept = poses("out-person-3.csv")
    forecast_video(video, Forecaster(Sinks()), kept, out, CONFIG)
    assert "person" in kept.path.read_text().splitlines()[0]


def test_a_photo_is_not_written_over_by_the_picture_that_numbers_people(tmp_path):
    photo = tmp_path / "out-people.png"
    write_picture(photo, two_people(1)[0])
    before = photo.read_bytes()
    model = Sinks()
    model.needs = dataclasses.replace(model.needs, is_strict=False)
    with pytest.raises(PosecastError, match=r"out-people\.png is the video to forecast"):
        forecast_video(photo, Forecaster(model), BOTH, tmp_path / "out.mp4", CONFIG)
    assert photo.read_bytes() == before


def test_poses_beside_the_pictures_are_everybodys(video, tmp_path):
    config = dataclasses.replace(CONFIG, panels=True)
    result = forecast_video(video, Forecaster(Sinks()), BOTH, tmp_path / "out.mp4", config)
    for number in (-1, 0):
        pose = poses_alone(result, number, 64).astype(int)
        halves = pose[:, :32], pose[:, 32:]
        assert all(np.abs(half - half[0, 0]).max() > 60 for half in halves)
    assert len(list(read_video(tmp_path / "out.mp4"))) == len(result.past_frames) + CONFIG.steps


def test_the_one_who_is_asked_for_comes_first(video):
    second = dataclasses.replace(BOTH, person=2)
    result = forecast_video(video, Forecaster(Sinks()), second, None, CONFIG)
    assert (result.person, [other.person for other in result.others]) == (2, [1])
    assert result.seen.joints_px[-1, 0, 0] < 100 < result.others[0].seen.joints_px[-1, 0, 0]


def test_who_is_not_there_at_the_end_stays_away(tmp_path):
    video = write_video(tmp_path / "a.mp4", two_people(gone_from=22))
    poses = dataclasses.replace(BOTH, follow=FollowOptions(watch=10))
    result = forecast_video(video, Forecaster(Sinks()), poses, None, CONFIG)
    assert result.others == ()
    assert "person 2 stays as in the last seen frame, where it is not seen well" in result.note
    gone = dataclasses.replace(poses, person=2)
    result = forecast_video(video, Forecaster(Sinks()), gone, None, CONFIG)
    assert [other.person for other in result.others] == [1]
    assert result.past_frames[-1] == result.others[0].past_frames[-1] == 21
    assert "but from 0.73 s on person 2 is not seen well" in result.note


def with_a_late_one(comes_at: int, num_frames: int) -> list[np.ndarray]:
    """As `two_people`; a third, in orange, comes in between them, from above."""
    frames = two_people(num_frames)
    for t, frame in enumerate(frames[comes_at:], start=1):
        foot = min(4 * t, 90)
        frame[max(foot - 60, 0) : foot, 82:108] = (220, 80, 20)
    return frames


@pytest.mark.parametrize(("comes_at", "num_frames", "times_read"), [(28, 53, 2), (30, 100, 3)])
def test_who_comes_later_goes_on_from_there(
    comes_at, num_frames, times_read, tmp_path, monkeypatch
):
    frames, opened = with_a_late_one(comes_at, num_frames), []
    video, out = write_video(tmp_path / "a.mp4", frames), tmp_path / "out.mp4"
    read = watching.read_video
    monkeypatch.setattr(
        watching, "read_video", lambda *a, **b: (opened.append(a), read(*a, **b))[1]
    )
    model = Sinks()
    model.needs = dataclasses.replace(model.needs, is_strict=False, max_past=200)
    second = dataclasses.replace(BOTH, person=2)
    result = forecast_video(video, Forecaster(model), second, out, CONFIG)
    assert (result.person, [each.person for each in result.others]) == (2, [1, 3])
    late = result.others[1]
    assert comes_at <= late.past_frames[0] <= comes_at + 20
    assert late.past_frames[-1] == result.past_frames[-1] >= num_frames - 2
    assert np.ptp(late.seen.joints_px[late.seen.visible][:, 0]) < 30
    assert np.abs(late.seen.joints_px[-1] - joints_of((82, 30, 26, 60))).max() < 4
    assert len(opened) == times_read  # the last 32 frames are held
    assert (result.num_people, late.num_people) == (3, 3)
    for number in (1, 3):
        assert f"person {number} from" in result.summary()
    assert (tmp_path / "out-person-3.npz").is_file()
    people, last = result.people, list(read(video))[result.past_frames[-1]]
    np.testing.assert_array_equal(people.frame, last)
    assert people.followed == 2
    for each in (result, *result.others):
        numbered = people.poses[each.person - 1].joints_px
        np.testing.assert_array_equal(numbered, each.seen.joints_px[-1])


def test_who_comes_after_the_moment_is_not_looked_for(tmp_path):
    video = write_video(tmp_path / "a.mp4", with_a_late_one(25, 50))
    result = forecast_video(video, Forecaster(Sinks()), BOTH, None, CONFIG, from_s=25 / 30)
    assert [each.person for each in result.others] == [2]
    np.testing.assert_array_equal(result.people.frame, list(read_video(video))[19])


def test_who_left_has_a_number_and_no_place_where_somebody_came(tmp_path):
    frames = with_a_late_one(25, 60)
    for frame in frames[40:]:
        frame[:, :70] = 90
    result = forecast_video(
        write_video(tmp_path / "a.mp4", frames), Forecaster(Sinks()), BOTH, None, CONFIG
    )
    assert [each.person for each in result.others] == [3]
    assert [pose is None for pose in result.people.poses] == [False, True, False]
    assert "person 2 stays as in the last seen frame, where it is not seen well" in result.note
    drawn = draw_people(result.people, PENN_ACTION).astype(int) - result.people.frame
    assert np.abs(drawn[:, :70]).max() == 0 < np.abs(drawn[:, 70:]).max()


@pytest.mark.parametrize("held", [0, 12])
def test_frames_come_back_from_any_one(held, tmp_path):
    frames = [frame_with(None, (40, 60), ground=10 + 4 * t) for t in range(40)]
    past = watching.Past(write_video(tmp_path / "a.mp4", frames), 30.0, first=5)
    seen = list(past.frames())
    for stop in (40, 30, 6):
        back = list(past.frames_back(stop, seen[len(seen) - held :], 40))
        np.testing.assert_array_equal(back, seen[: stop - 5][::-1])


def test_everybody_of_a_file_of_keypoints(video, tmp_path):
    poses = KeypointFile(two_people_as_csv(tmp_path / "a.csv"))
    out = tmp_path / "out.mp4"
    result = forecast_video(video, Forecaster(Sinks()), poses, out, CONFIG)
    assert result.facts()["num_people"] == 2
    (other,) = result.others
    heads = sorted(each.seen.joints_px[-1, 0, 0] for each in (result, other))
    assert heads[0] < 100 < heads[1]


def test_people_of_a_file_keep_their_numbers(video, tmp_path):
    """Who is followed leaves before the end; one is there longer, and one comes only then."""
    shown = {
        "followed": (range(20), moves),
        "longer": (range(5, 30), lambda _: STANDS),
        "later": (range(24, 30), lambda _: (85, 30, 20, 40)),
    }
    lines = ["frame,joint,x,y,person"]
    for name, (when, where) in shown.items():
        for t in when:
            for joint, (x, y) in zip(PENN_ACTION.joints, joints_of(where(t)), strict=True):
                lines.append(f"{t},{joint},{x},{y},{name}")
    lines += [f"{t},left_eye,150,20,an eye alone" for t in range(20)]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    poses = KeypointFile(tmp_path / "a.csv", person=2)
    result = forecast_video(video, Forecaster(Sinks()), poses, None, CONFIG)
    (other,) = result.others
    assert (result.past_frames[-1], other.past_frames[-1], other.person) == (19, 19, 1)
    assert np.abs(other.seen.joints_px[-1, 0] - joints_of(STANDS)[0]).max() < 1
    for number in (3, 4):
        stays = f"person {number} stays as in the last seen frame, where it is not seen well"
        assert stays in result.note


def test_frames_and_poses_are_read_once(video, tmp_path, monkeypatch):
    opened = []

    def counted(name, function):
        return lambda *args, **kwargs: (opened.append(name), function(*args, **kwargs))[1]

    monkeypatch.setattr(watching, "read_video", counted("video", watching.read_video))
    monkeypatch.setattr(reading, "open_keypoints", counted("file", reading.open_keypoints))
    forecast_video(video, Forecaster(Sinks()), BOTH, None, CONFIG)
    assert opened == ["video"]
    poses = KeypointFile(two_people_as_csv(tmp_path / "a.csv"))
    result = forecast_video(video, Forecaster(Sinks()), poses, None, CONFIG)
    assert len(result.others) == 1
    assert sorted(opened[1:]) == ["file", "video"]


def test_nobody_is_hidden_by_the_room_where_another_stood(video):
    """Who is nearer walks away, and the other steps to where they were."""
    result = forecast_video(video, Forecaster(Sinks()), BOTH, None, CONFIG)
    (other,), last, crop = result.others, result.seen.pictures[-1], Crop(0, -40, 200, 160)

    def drawn(each, left, comes_to):
        frame, (x, y, width, height) = last.copy(), comes_to
        frame[:, left : left + 60] = 90
        frame[y : y + height, x : x + width] = RED
        frames = np.stack([cut_crop(frame, crop, 200, "area")] * CONFIG.steps)[None]
        joints = np.stack([joints_of(comes_to)] * CONFIG.steps)[None]
        return dataclasses.replace(each.forecast, joints_px=joints, frames=frames, crop=crop)

    other = dataclasses.replace(other, forecast=drawn(other, 15, (130, 30, 30, 60)))
    nearer = dataclasses.replace(result, forecast=drawn(result, 115, (168, 35, 30, 60)))
    both = dataclasses.replace(nearer, others=(other,))
    picture = next(future_frames(both, View.of((120, 200), 0)))
    for x in (145, 183):  # both stand there
        assert np.abs(picture[45:80, x - 5 : x + 5].astype(int) - RED).mean() < 8
    assert np.abs(picture[45:80, 30:60].astype(int) - 90).max() < 12


def test_no_picture_is_held_twice(video):
    result = forecast_video(video, Forecaster(Sinks()), BOTH, None, CONFIG)
    (other,) = result.others
    assert len(other.seen.pictures) == 1
    assert np.shares_memory(other.seen.pictures, result.seen.pictures)


def test_who_is_alone_is_everybody(tmp_path):
    frames = [frame_with(moves(t)) for t in range(12)]
    video = write_video(tmp_path / "a.mp4", frames)
    result = forecast_video(video, Forecaster(Sinks()), BOTH, None, CONFIG)
    assert result.others == ()


def test_what_does_not_go_with_everybody(video, tmp_path):
    with pytest.raises(PosecastError, match="everybody and 3 futures"):
        dataclasses.replace(CONFIG, futures=3)
    out, boxed = tmp_path / "out.mp4", dataclasses.replace(BOTH, box=(1.0, 2.0, 30.0, 40.0))
    for to in (out, None):
        with pytest.raises(PosecastError, match="everybody, and a box that says who it is"):
            forecast_video(video, Forecaster(Sinks()), boxed, to, CONFIG)
    with pytest.raises(PosecastError, match="everybody: a comparison is of one person"):
        compare_video(video, Forecaster(Sinks()), BOTH, out, dataclasses.replace(CONFIG, export=()))
