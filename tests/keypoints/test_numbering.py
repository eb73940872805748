"""Frame numbers of other programs: taken as they stand where they fit, else guessed and said."""

import json
from pathlib import Path

import numpy as np
import pytest

from posecast.keypoints import (
    KeypointError,
    KeypointOptions,
    KeypointTrack,
    read_keypoints,
    read_points,
)
from posecast.keypoints.names import MEDIAPIPE
from posecast.keypoints.numbering import frame_numbers
from posecast.skeletons import COCO

HW, COUNT = (200, 300), 40
WRIST = COCO.index("left_wrist")


def rows(t: int) -> list[float]:
    """A person whose points are at x = 100 + t and below each other."""
    return [value for y in range(17) for value in (99.5 + t, 19.5 + 8 * y, 0.9)]


def write(path: Path, content) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def openpose(folder: Path, numbers: dict[int, int]) -> Path:
    """Of what frame each number is."""
    places = [0, 0, 5, 7, 9, 6, 8, 10, 0, 11, 13, 15, 12, 14, 16, 0, 0, 0, 0, *[0] * 6]
    for number, t in numbers.items():
        body = np.array(rows(t)).reshape(-1, 3)[places].ravel().tolist()
        write(
            folder / f"walk_{number:012d}_keypoints.json", {"people": [{"pose_keypoints_2d": body}]}
        )
    return folder


def coco(folder: Path, numbers: dict[int, int]) -> Path:
    images = [{"id": 700 + n, "file_name": f"frames/img_{n:06d}.jpg"} for n in numbers]
    people = [{"image_id": 700 + n, "keypoints": rows(t)} for n, t in numbers.items()]
    for person in people:
        person["keypoints"] = [v if i % 3 < 2 else 2 for i, v in enumerate(person["keypoints"])]
    return write(folder / "a.json", {"images": images, "annotations": people})


def alphapose(folder: Path, numbers: dict[int, int]) -> Path:
    people = [{"image_id": f"{n}.jpg", "keypoints": rows(t)} for n, t in numbers.items()]
    return write(folder / "a.json", people)


def mmpose(folder: Path, numbers: dict[int, int]) -> Path:
    frames = []
    for n, t in numbers.items():
        points = np.array(rows(t)).reshape(-1, 3)
        person = {"keypoints": points[:, :2].tolist(), "keypoint_scores": points[:, 2].tolist()}
        frames.append({"frame_id": n, "instances": [person]})
    return write(folder / "a.json", frames)


def mediapipe(folder: Path, numbers: dict[int, int]) -> Path:
    frames = []
    for n, t in numbers.items():
        points = [{"x": (100 + t) / 300, "y": 0.1 + 0.02 * k} for k in range(len(MEDIAPIPE))]
        frames.append({"frame": n, "landmarks": points})
    return write(folder / "a.json", frames)


def table(folder: Path, numbers: dict[int, int]) -> Path:
    lines = [
        f"{n},{joint},{100 + t},{20 + 8 * y}"
        for n, t in numbers.items()
        for y, joint in enumerate(COCO.joints)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.csv").write_text("\n".join(["frame,joint,x,y", *lines]))
    return folder / "a.csv"


def deeplabcut(folder: Path, numbers: dict[int, int]) -> Path:
    parts = [joint for joint in COCO.joints for _ in range(3)]
    head = [
        ["scorer", *["DLC_resnet50"] * 51],
        ["bodyparts", *parts],
        ["coords", *["x", "y", "likelihood"] * 17],
    ]
    cells = [
        [n, *[v for y in range(17) for v in (100 + t, 20 + 8 * y, 0.99)]]
        for n, t in numbers.items()
    ]
    folder.mkdir(parents=True, exist_ok=True)
    lines = [",".join(str(cell) for cell in row) for row in [*head, *cells]]
    (folder / "a.csv").write_text("\n".join(lines))
    return folder / "a.csv"


FORMATS = [openpose, coco, alphapose, mmpose, mediapipe, table, deeplabcut]


def found(track: KeypointTrack) -> dict[int, int]:
    """Of what frame the pose in each frame is."""
    frames = np.flatnonzero(track.visible.any(axis=1)).tolist()
    return {frame: round(float(track.joints_px[frame, WRIST, 0]) - 100) for frame in frames}


@pytest.mark.parametrize("write_as", FORMATS)
@pytest.mark.parametrize(
    ("numbers", "frames", "guess"),
    [
        ({n: n for n in range(8, 38)}, {n: n for n in range(8, 38)}, ""),
        ({n: n for n in range(20, 40)}, {n: n for n in range(20, 40)}, ""),
        ({n: n - 1 for n in range(1, 41)}, {n: n for n in range(40)}, "count from 1"),
        ({n: n - 1 for n in range(3, 41)}, {n: n for n in range(2, 40)}, "count from 1"),
        ({n: n - 20 for n in range(20, 60)}, {n: n for n in range(40)}, "20 is taken for the"),
        ({n: n for n in range(0, 40, 2)}, {n: n for n in range(39)}, "were filled: 19"),
        ({n: n - 1 for n in range(2, 41, 2)}, {n: n for n in range(1, 40)}, "count from 1"),
        ({n: n for n in (5, 6, 10, 20)}, {n: n for n in (*range(5, 11), 20)}, "were filled: 3"),
        ({n: n for n in range(41)}, {n: n for n in range(40)}, "the surplus is left out"),
    ],
)
def test_every_format_means_the_same_frames(tmp_path, write_as, numbers, frames, guess):
    track = read_keypoints(write_as(tmp_path / "found", numbers), COCO, COUNT, HW)
    assert found(track) == frames
    assert guess in track.note
    assert bool(track.note) == bool(guess)


@pytest.mark.parametrize("write_as", FORMATS)
def test_the_user_overrules(tmp_path, write_as):
    path = write_as(tmp_path / "found", {n: n - 1 for n in range(1, 31)})
    said = read_keypoints(path, COCO, COUNT, HW, KeypointOptions(first_frame=1))
    assert found(said) == {n: n for n in range(30)}
    assert said.note == ""
    part = read_keypoints(path, COCO, 10, HW, KeypointOptions(first_frame=11))
    assert found(part) == {n: n + 10 for n in range(10)}
    assert "poses of 20 frames outside of the video are left out" in part.note
    with pytest.raises(KeypointError, match="numbers are 1 to 30; with --first-frame 90"):
        read_keypoints(path, COCO, COUNT, HW, KeypointOptions(first_frame=90))


@pytest.mark.parametrize("write_as", FORMATS)
def test_numbers_that_cannot_belong_to_the_video(tmp_path, write_as):
    path = write_as(tmp_path / "found", {n: n for n in range(100, 110)})
    with pytest.raises(KeypointError, match=r"up to frame 109, the video has 40.*--first-frame"):
        read_keypoints(path, COCO, COUNT, HW)


def test_one_that_may_count_from_one_is_said(tmp_path):
    track = read_keypoints(alphapose(tmp_path, {n: n for n in range(1, 39)}), COCO, COUNT, HW)
    assert found(track)[1] == 1
    assert "taken to count from 0; --first-frame says otherwise" in track.note


def test_long_gaps_stay_and_the_future_fills_nothing(tmp_path):
    path = alphapose(tmp_path, {n: n for n in (0, 2, 4, 11, 12)})
    track = read_keypoints(path, COCO, COUNT, HW)
    assert found(track) == {n: n for n in (0, 1, 2, 3, 4, 11, 12)}
    assert np.flatnonzero(track.filled).tolist() == [1, 3]
    # Up to frame 4 the next pose is not known: the two before go on.
    early = read_keypoints(path, COCO, COUNT, HW, until=4)
    assert found(early) == {0: 0, 1: 1, 2: 2, 3: 3}
    later = alphapose(tmp_path / "b", {n: n + 50 * (n > 3) for n in (0, 2, 4, 11, 12)})
    other = read_keypoints(later, COCO, COUNT, HW, until=4)
    np.testing.assert_array_equal(other.joints_px, early.joints_px)
    with pytest.raises(KeypointError, match="nobody is in it before the second to forecast from"):
        read_keypoints(alphapose(tmp_path, {9: 9}), COCO, COUNT, HW, until=4)


def test_a_joint_seen_on_one_side_of_a_gap_is_not_filled(tmp_path):
    people = [{"image_id": n, "keypoints": rows(n)} for n in (0, 2)]
    people[1]["keypoints"][3 * WRIST + 2] = 0.0
    track = read_keypoints(write(tmp_path / "a.json", people), COCO, 3, HW)
    assert track.visible[:, WRIST].tolist() == [True, False, False]
    assert track.visible[1].sum() == 16


def test_mmposes_scripts_count_from_one(tmp_path):
    frames = json.loads(mmpose(tmp_path, {n: n - 1 for n in range(5, 21)}).read_text())
    path = write(tmp_path / "b.json", {"meta_info": {}, "instance_info": frames})
    track = read_keypoints(path, COCO, COUNT, HW)
    assert found(track) == {n: n for n in range(4, 20)}
    assert track.note == ""


def test_frames_of_a_folder_are_called_by_their_names(tmp_path):
    path = alphapose(tmp_path, {n: n for n in (101, 103, 107)})
    track = read_keypoints(path, COCO, 4, HW, numbers=(101, 103, 105, 107))
    assert found(track)[3] == 107 - 0
    assert found(track) == {0: 101, 1: 103, 2: 105, 3: 107}


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["0.jpg", "1.jpg", "12.jpg"], [0, 1, 12]),
        (["p2_000003_keypoints.json", "p2_000004_keypoints.json"], [3, 4]),
        (["walk_12_1080p.jpg", "walk_13_1080p.jpg"], [12, 13]),
        (["frame_000012_jpg.rf.8f3a9c01.jpg"], [12]),
        (["a\\b7\\img0012.png", "a/b7/img0013.png"], [12, 13]),
        (["frame.0007"], [7]),
        ([3.0, 4.0], [3, 4]),
    ],
)
def test_the_number_in_a_name(names, numbers):
    assert frame_numbers(names) == numbers


def test_a_folder_of_two_videos(tmp_path):
    openpose(tmp_path, {3: 3})
    (tmp_path / "run_000000000003_keypoints.json").write_text('{"people": []}')
    (tmp_path / "._walk_000000000003_keypoints.json").write_text("")
    with pytest.raises(KeypointError, match=r"run_0.*_keypoints.json and walk_0.* of frame 3"):
        read_keypoints(tmp_path, COCO, COUNT, HW)


@pytest.mark.parametrize(
    ("key", "number"),
    [("frame", "{}.0"), ("frame", '"{}"'), ("frameNumber", "{}"), ("image", '"img_{:06d}.jpg"')],
)
@pytest.mark.parametrize("write_as", [mmpose, mediapipe])
def test_numbers_in_json_count_however_they_are_written(tmp_path, write_as, key, number):
    path = write_as(tmp_path / "found", {n: n for n in range(8, 38)})
    frames = json.loads(path.read_text())
    name = next(each for each in ("frame", "frame_id") if each in frames[0])
    renamed = [{**frame, key: json.loads(number.format(frame.pop(name)))} for frame in frames]
    write(path, renamed)
    assert found(read_keypoints(path, COCO, COUNT, HW)) == {n: n for n in range(8, 38)}


@pytest.mark.parametrize(
    ("said", "first"),
    [
        (lambda n: {"filename": "walk.mp4"}, 0),
        (lambda n: {"image": "video1.mp4", "index": 0}, 0),
        (lambda n: {"image": "video1", "index": n + 3}, 3),
        (lambda n: {"index": n % 2}, 0),
        (lambda n: {"frame": "walk.mp4", "frame_no": n + 3}, 3),
        (lambda n: {"frame": "walk_1080p", "frame_no": n + 3}, 3),
        (lambda n: {"frame": n / 30}, 0),
        (lambda n: {"frame": True}, 0),
        (lambda n: {"frame": n - 1}, -1),
        (lambda n: {"frame": float(n - 1)}, -1),
        (lambda n: {"frame": float("inf")}, 0),
        (lambda n: {"frame": 4} if n else {}, 0),
    ],
)
@pytest.mark.parametrize("write_as", [mmpose, mediapipe])
def test_what_is_no_frame_number_is_not_taken_for_one(tmp_path, write_as, said, first):
    """The video's name, seconds, true, a camera: the next key counts, or the order."""
    path = write_as(tmp_path / "found", {n: n for n in range(10)})
    frames = json.loads(path.read_text())
    for n, frame in enumerate(frames):
        del frame[next(each for each in ("frame", "frame_id") if each in frame)]
        frame |= said(n)
    people = read_points(write(path, frames)).found.people
    assert [each.frame for each in people] == list(range(first, first + 10))


@pytest.mark.parametrize("write_as", [mmpose, mediapipe])
def test_people_of_one_frame_may_be_entries_of_their_own(tmp_path, write_as):
    path = write_as(tmp_path / "found", {n: n for n in range(8, 38)})
    twice = [frame for frame in json.loads(path.read_text()) for _ in range(2)]
    numbers = [each.frame for each in read_points(write(path, twice)).found.people]
    assert numbers == [n for n in range(8, 38) for _ in range(2)]


@pytest.mark.parametrize(
    "said", [lambda n: {"index": n}, lambda n: {"filename": "walk2.mp4"}, lambda n: {"image": "2"}]
)
def test_mmposes_people_of_one_picture(tmp_path, said):
    frames = json.loads(mmpose(tmp_path / "found", {n: n for n in range(3)}).read_text())
    people = [{**each["instances"][0], **said(n)} for n, each in enumerate(frames)]
    read = read_points(write(tmp_path / "a.json", people)).found.people
    assert [each.frame for each in read] == [0] * 3


def test_mmposes_people_in_one_list_are_of_the_frames_they_say(tmp_path):
    path = mmpose(tmp_path / "found", {n: n for n in range(8, 38)})
    frames = json.loads(path.read_text())
    people = [{"frame_id": each["frame_id"], **each["instances"][0]} for each in frames]
    track = read_keypoints(write(path, people), COCO, COUNT, HW)
    assert (found(track), track.num_people) == ({n: n for n in range(8, 38)}, 1)
    for person in people:  # of one picture, where they do not say
        del person["frame_id"]
    assert read_keypoints(write(path, people), COCO, COUNT, HW).num_people == 30


@pytest.mark.parametrize("name", ["frames/{}/image.jpg", "{}/000001.jpg", ""])
def test_pictures_without_a_number_of_their_own_are_in_their_order(tmp_path, name):
    """9 comes before 10, in folders as in ids."""
    path = coco(tmp_path / "found", {n: n for n in range(COUNT)})
    content = json.loads(path.read_text())
    for image in content["images"]:
        image["id"] = str(image["id"] - 700)
        image["file_name"] = name.format(image["id"])
    for person in content["annotations"]:
        person["image_id"] = str(person["image_id"] - 700)
    content["images"].reverse()
    track = read_keypoints(write(path, content), COCO, COUNT, HW)
    assert found(track) == {n: n for n in range(COUNT)}
