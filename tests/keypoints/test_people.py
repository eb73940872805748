"""Who is who: names that repeat, that change, and nearness where they say nothing."""

import json
from pathlib import Path

import numpy as np
import pytest

from posecast.keypoints import KeypointTrack, read_keypoints
from posecast.skeletons import COCO

HW, COUNT = (240, 480), 12


def rows(x: float, size: float = 1.0) -> np.ndarray:
    return np.array([(x + 2.0 * k, 20 + size * 8.0 * k, 0.9) for k in range(17)])


def alphapose(path: Path, people) -> Path:
    """`people`: frame, name, rows."""
    entries = [
        {"image_id": f"{t}.jpg", "idx": name, "keypoints": each.ravel().tolist()}
        for t, name, each in people
    ]
    path.write_text(json.dumps(entries))
    return path


def coco(path: Path, people) -> Path:
    images = [{"id": t, "file_name": f"{t}.jpg"} for t in range(COUNT)]
    entries = []
    for t, name, each in people:
        each = each.copy()
        each[:, 2] = 2
        entries.append({"image_id": t, "track_id": name, "keypoints": each.ravel().tolist()})
    path.write_text(json.dumps({"images": images, "annotations": entries}))
    return path


def mmpose(path: Path, people) -> Path:
    frames = [{"frame_id": t, "instances": []} for t in range(COUNT)]
    for t, name, each in people:
        instance = {"keypoints": each[:, :2].tolist(), "keypoint_scores": each[:, 2].tolist()}
        frames[t]["instances"].append(instance | {"track_id": name})
    path.write_text(json.dumps(frames))
    return path


def table(path: Path, people) -> Path:
    path = path.with_suffix(".csv")
    lines = [
        f"{t},{joint},{x + 0.5},{y + 0.5},{name}"
        for t, name, each in people
        for joint, (x, y, _) in zip(COCO.joints, each, strict=True)
    ]
    path.write_text("\n".join(["frame,joint,x,y,person", *lines]))
    return path


def table_by_joint(path: Path, people) -> Path:
    """The same lines, sorted by frame and joint."""
    path = table(path, people)
    head, *lines = path.read_text().splitlines()
    lines.sort(key=lambda line: (int(line.split(",")[0]), line.split(",")[1]))
    path.write_text("\n".join([head, *lines]))
    return path


FORMATS = [alphapose, coco, mmpose, table, table_by_joint]


def noses(track: KeypointTrack) -> list[float]:
    return [float(x) for x in track.joints_px[:, 0, 0]]


@pytest.mark.parametrize("write_as", FORMATS)
@pytest.mark.parametrize("name", [0, 1, "person"])
def test_two_of_one_name_are_two_people(tmp_path, write_as, name):
    """In changing order; the one on the left is larger."""
    people = []
    for t in range(COUNT):
        pair = [(t, name, rows(50 + t, 1.2)), (t, name, rows(300 - t))]
        people += pair if t % 3 else pair[::-1]
    path = write_as(tmp_path / "a.json", people)
    first = read_keypoints(path, COCO, COUNT, HW)
    assert first.num_people == 2
    np.testing.assert_allclose(noses(first), [50.5 + t for t in range(COUNT)])
    second = read_keypoints(path, COCO, COUNT, HW, person=2)
    np.testing.assert_allclose(noses(second), [300.5 - t for t in range(COUNT)])


@pytest.mark.parametrize("write_as", FORMATS)
def test_a_change_of_name_is_followed(tmp_path, write_as):
    """1 becomes 7 after a frame without it, and 1 again; 2 stays apart and stands nearby."""
    people = []
    for t in range(COUNT):
        if t != 5:
            people.append((t, 7 if 4 < t < 9 else 1, rows(50 + t, 1.2)))
        people.append((t, 2, rows(110 + t)))
    path = write_as(tmp_path / "a.json", people)
    track = read_keypoints(path, COCO, COUNT, HW)
    assert track.num_people == 2
    np.testing.assert_allclose(noses(track), [50.5 + t for t in range(COUNT)])
    other = read_keypoints(path, COCO, COUNT, HW, person=2)
    np.testing.assert_allclose(noses(other), [110.5 + t for t in range(COUNT)])


def test_a_name_begins_far_away_or_beside_the_old_one_is_somebody_else(tmp_path):
    far = [(t, 1, rows(50)) for t in range(6)] + [(t, 2, rows(300)) for t in range(6, 12)]
    assert read_keypoints(alphapose(tmp_path / "a.json", far), COCO, COUNT, HW).num_people == 2
    # 2 comes where 1 was lost for a moment, and both are there later.
    near = [(t, 1, rows(50 + t)) for t in (0, 1, 2, 6, 7, 8)]
    near += [(t, 2, rows(60 + t)) for t in (3, 4, 5, 6, 7, 8)]
    path = alphapose(tmp_path / "b.json", near)
    assert read_keypoints(path, COCO, COUNT, HW).num_people == 2


def test_names_that_name_nobody(tmp_path):
    """-1, null and "nan" on two people; a list is what AlphaPose writes without a tracker."""
    for number, name in enumerate((-1, None, "nan", [0.0], "")):
        people = [(t, name, rows(x)) for t in range(COUNT) for x in (50 + t, 300 - t)]
        path = alphapose(tmp_path / f"{number}.json", people)
        track = read_keypoints(path, COCO, COUNT, HW)
        assert track.num_people == 2
        assert np.abs(np.diff(noses(track))).max() < 2


def test_a_name_holds_over_a_long_absence_and_whatever_its_type(tmp_path):
    lines = [
        f"{t},{joint},{x},{y},{name}"
        for t, name in ((0, "1"), (1, "1.0"), (30, "1"))
        for joint, (x, y, _) in zip(COCO.joints, rows(50 + 5 * t), strict=True)
    ]
    (tmp_path / "a.csv").write_text("\n".join(["frame,joint,x,y,person", *lines]))
    assert read_keypoints(tmp_path / "a.csv", COCO, 31, HW).num_people == 1


def test_a_crowd_is_linked_in_time(tmp_path):
    """100 frames of 20 people without names."""
    rng = np.random.default_rng(0)
    starts = rng.uniform(0, 400, 20)
    people = [(t, -1, rows(start + 0.05 * t)) for t in range(100) for start in starts]
    path = alphapose(tmp_path / "a.json", people)
    assert read_keypoints(path, COCO, 100, HW).visible.any(axis=1).all()


@pytest.mark.parametrize("write_as", FORMATS)
def test_people_who_exchange_their_names_stay_who_they_are(tmp_path, write_as):
    """A tracker takes one for the other from frame 6 on, and back again at frame 9."""
    people = []
    for t in range(COUNT):
        swapped = 6 <= t < 9
        people += [(t, 2 if swapped else 1, rows(50.0 + t, 1.5))]
        people += [(t, 1 if swapped else 2, rows(300.0 - t))]
    path = write_as(tmp_path / "poses.json", people)
    tracks = [read_keypoints(path, COCO, COUNT, HW, person=number) for number in (1, 2)]
    assert tracks[0].num_people == 2
    assert noses(tracks[0]) == pytest.approx([50.5 + t for t in range(COUNT)])
    assert noses(tracks[1]) == pytest.approx([300.5 - t for t in range(COUNT)])


def test_names_win_where_people_cross_or_one_leaps(tmp_path):
    """Those who pass each other keep their names; so does one whose detection is wild once."""
    crossing = [
        (t, name, rows(100.0 + way * 4 * (t - 6)))
        for t in range(COUNT)
        for name, way in ((1, 1), (2, -1))
    ]
    track = read_keypoints(alphapose(tmp_path / "a.json", crossing), COCO, COUNT, HW, person=1)
    straight = [100.5 + 4 * (t - 6) for t in range(COUNT)]
    assert noses(track) in (straight, [201.0 - x for x in straight])
    wild = [(t, 1, rows(400.0 if t == 5 else 50.0, 1.5)) for t in range(COUNT)]
    wild += [(t, 2, rows(300.0)) for t in range(COUNT)]
    track = read_keypoints(alphapose(tmp_path / "b.json", wild), COCO, COUNT, HW, person=1)
    assert noses(track) == [400.5 if t == 5 else 50.5 for t in range(COUNT)]


def test_a_file_of_every_30th_frame_is_of_one_person(tmp_path):
    """Also one whose numbers are milliseconds; nobody is new in each of its frames."""
    path = table(tmp_path / "a.csv", [(30 * t, "", rows(100 + t)) for t in range(8)])
    track = read_keypoints(path, COCO, 240, HW)
    seen = np.flatnonzero(track.visible.any(axis=1)).tolist()
    assert (track.num_people, seen) == (1, [30 * t for t in range(8)])
