"""Keypoints of other programs: each format, joints by name, one of several people, bad files."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from posecast.datasets.matlab import read_matlab
from posecast.datasets.penn_action import PennAction
from posecast.keypoints import KeypointError, KeypointOptions, read_keypoints, write_table
from posecast.keypoints.formats import load_json
from posecast.keypoints.names import HALPE, MEDIAPIPE, OPENPOSE, own_side_name, plain_name
from posecast.skeletons import COCO, HUMAN36M, PENN_ACTION

HW = (200, 300)
NUM_FRAMES = 3

# Where each point is in frame 0, by the person's own sides; the person faces the camera, so its
# right side is on the left of the image. Frame t adds 2 t to x.
_FRONT = {
    "nose": (100, 30),
    "left_eye": (103, 27),
    "right_eye": (97, 27),
    "left_ear": (108, 30),
    "right_ear": (92, 30),
    "neck": (100, 50),
    "head_top": (100, 15),
    "left_shoulder": (120, 50),
    "right_shoulder": (80, 50),
    "left_elbow": (130, 75),
    "right_elbow": (70, 75),
    "left_wrist": (135, 95),
    "right_wrist": (65, 95),
    "pelvis": (100, 100),
    "left_hip": (110, 100),
    "right_hip": (90, 100),
    "left_knee": (112, 130),
    "right_knee": (88, 130),
    "left_ankle": (114, 160),
    "right_ankle": (86, 160),
}


def place(name: str, t: int, shift: float = 0.0) -> tuple[float, float]:
    x, y = _FRONT.get(name, (100, 100))
    return x + 2.0 * t + shift, float(y)


def flat(names, t: int, shift: float = 0.0, confidence: float = 0.9) -> list[float]:
    """x, y, confidence of points whose pixel centres are meant: half a pixel less."""
    rows = [(*place(name, t, shift), confidence) for name in names]
    return [value for x, y, c in rows for value in (x - 0.5, y - 0.5, c)]


def write_json(path: Path, content) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def openpose(folder: Path, names=OPENPOSE[0], first=0) -> Path:
    for t in range(NUM_FRAMES):
        people = [{"person_id": [-1], "pose_keypoints_2d": flat(names, t)}]
        write_json(folder / f"walk_{first + t:012d}_keypoints.json", {"people": people})
    return folder


def coco(path: Path, _=None) -> Path:
    images = [{"id": 900 + t, "file_name": f"{t + 1:06d}.jpg"} for t in range(NUM_FRAMES)]
    people = [
        {"image_id": 900 + t, "keypoints": flat(COCO.joints, t, confidence=2)}
        for t in range(NUM_FRAMES)
    ]
    categories = [{"id": 1, "name": "person", "keypoints": list(COCO.joints)}]
    return write_json(path, {"images": images, "annotations": people, "categories": categories})


def alphapose(path: Path, names=COCO.joints) -> Path:
    people = [
        {"image_id": f"{t}.jpg", "keypoints": flat(names, t), "score": 2.9, "idx": 1}
        for t in range(NUM_FRAMES)
    ]
    return write_json(path, people)


def landmarks(t: int) -> list[dict]:
    points = [place(name, t) for name in MEDIAPIPE]
    return [{"x": x / HW[1], "y": y / HW[0], "z": 0.1, "visibility": 0.8} for x, y in points]


def mediapipe(path: Path) -> Path:
    return write_json(path, [landmarks(0), {"poseLandmarks": landmarks(1)}, [landmarks(2)]])


def yolo(folder: Path, confidence: bool = True, person: str = "") -> Path:
    folder.mkdir()
    for t in range(NUM_FRAMES):
        points = np.array([place(name, t) for name in COCO.joints]) / HW[::-1]
        rows = np.column_stack([points, np.full(17, 0.9)])[:, : 2 + confidence]
        words = ["0", *["0.5"] * 4, *(f"{value:.9f}" for value in rows.ravel()), person]
        (folder / f"walk_{t + 1}.txt").write_text(" ".join(words) + "\n")
    return folder


def table(path: Path, names=COCO.joints) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["frame", "joint", "x", "y"])
        for t in range(NUM_FRAMES):
            writer.writerows((t, name, *place(name, t)) for name in names)
    return path


SOURCES = {
    "openpose 25": lambda path: openpose(path),
    "openpose 18": lambda path: openpose(path, OPENPOSE[1], first=1),
    "openpose 15": lambda path: openpose(path, OPENPOSE[2]),
    "coco": lambda path: coco(path.with_suffix(".json")),
    "alphapose 17": lambda path: alphapose(path.with_suffix(".json")),
    "alphapose 26": lambda path: alphapose(path.with_suffix(".json"), HALPE),
    "mediapipe": lambda path: mediapipe(path.with_suffix(".json")),
    "yolo": lambda path: yolo(path),
    "yolo, tracked": lambda path: yolo(path, person="0.87 2"),
    "yolo without confidence": lambda path: yolo(path, False),
    "csv": lambda path: table(path.with_suffix(".csv")),
}


@pytest.mark.parametrize("source", SOURCES)
def test_every_format_gives_the_same_pose(tmp_path, source):
    track = read_keypoints(SOURCES[source](tmp_path / "found"), PENN_ACTION, NUM_FRAMES, HW)
    assert track.visible.all()
    for t in range(NUM_FRAMES):
        for number, joint in enumerate(PENN_ACTION.joints[1:], start=1):
            # Penn Action calls the person's right side left.
            expected = place(own_side_name(joint, PENN_ACTION), t)
            np.testing.assert_allclose(track.joints_px[t, number], expected, atol=1e-6)
    head = track.joints_px[0, PENN_ACTION.index("head")]
    np.testing.assert_allclose(head, (100, 32.5 if "15" in source else 30), atol=1e-6)


def test_penn_actions_left_is_the_persons_right(shared):
    """On the labels themselves: people seen from the front and from behind."""
    assert own_side_name("left_hip", PENN_ACTION) == "right_hip"
    assert own_side_name("head", PENN_ACTION) == "head"
    assert own_side_name("left_hip", COCO) == "left_hip"
    source = PennAction(shared / "data" / "penn_action")
    left, right = (PENN_ACTION.index(f"{side}_shoulder") for side in ("left", "right"))
    leftmost = {"front": [], "back": []}
    for clip_id in source.clip_ids()[600:1000:4]:  # bowling from behind, jumping from the front
        facing = str(read_matlab(source.root / "labels" / f"{clip_id}.mat")["pose"])
        if facing in leftmost:
            clip = source.read_poses(clip_id)
            both = clip.visible[:, left] & clip.visible[:, right]
            offset = clip.joints_px[both, left, 0] - clip.joints_px[both, right, 0]
            leftmost[facing] += (offset < 0).tolist()
    assert len(leftmost["front"]) > 100
    assert len(leftmost["back"]) > 100
    # The person's left shoulder would be the other way round.
    assert np.mean(leftmost["front"]) > 0.9
    assert np.mean(leftmost["back"]) < 0.3


def test_other_skeletons_take_what_there_is(tmp_path):
    path = alphapose(tmp_path / "found.json")
    same = read_keypoints(path, COCO, NUM_FRAMES, HW)
    np.testing.assert_allclose(same.joints_px[1, COCO.index("left_wrist")], (137, 95))
    other = read_keypoints(path, HUMAN36M, NUM_FRAMES, HW)
    np.testing.assert_allclose(other.joints_px[0, HUMAN36M.index("pelvis")], (100, 100))
    np.testing.assert_allclose(other.joints_px[0, HUMAN36M.index("left_wrist")], (135, 95))
    assert not other.visible[:, HUMAN36M.index("head_top")].any()


def test_joints_that_a_source_lacks_are_derived_or_not_seen(tmp_path):
    rows = flat(COCO.joints, 0)
    for name in ("left_ear", "right_ear", "left_knee"):
        rows[3 * COCO.index(name) + 2] = 0.0
    path = write_json(tmp_path / "a.json", [{"image_id": 0, "keypoints": rows, "score": 1}])
    track = read_keypoints(path, PENN_ACTION, 1, HW)
    np.testing.assert_allclose(track.joints_px[0, 0], (100, 27))  # between the eyes
    missing = [PENN_ACTION.joints[j] for j in np.flatnonzero(~track.visible[0])]
    assert missing == ["right_knee"]


def test_frames_without_the_person_are_not_seen(tmp_path):
    people = [{"image_id": t, "keypoints": flat(COCO.joints, t), "score": 1} for t in (1, 8)]
    track = read_keypoints(write_json(tmp_path / "a.json", people), PENN_ACTION, 10, HW)
    assert np.flatnonzero(track.visible.any(axis=1)).tolist() == [1, 8]
    assert track.visible.any(axis=1).sum() == 2


def test_the_largest_person_that_stays_or_another_one(tmp_path):
    """Two people cross the frames in changing order; a third, large one is there once."""
    people = []
    for t in range(NUM_FRAMES):
        pair = [(100.0, 1.0), (0.0, 0.5)]
        for shift, size in pair if t % 2 else reversed(pair):
            rows = np.array(flat(COCO.joints, t, shift)).reshape(-1, 3)
            rows[:, :2] *= size
            people.append({"image_id": t, "keypoints": rows.ravel().tolist(), "score": 1})
    giant = np.array(flat(COCO.joints, 0)).reshape(-1, 3)
    giant[:, :2] *= 1.25
    people.append({"image_id": 1, "keypoints": giant.ravel().tolist(), "score": 1})
    path = write_json(tmp_path / "a.json", people)
    first = read_keypoints(path, COCO, NUM_FRAMES, HW)
    assert first.num_people == 3
    assert first.visible.all()
    np.testing.assert_allclose(first.joints_px[:, 0, 0], [200, 202, 204])
    second = read_keypoints(path, COCO, NUM_FRAMES, HW, person=2)
    np.testing.assert_allclose(np.diff(second.joints_px[:, 0, 0]), 1)
    third = read_keypoints(path, COCO, NUM_FRAMES, HW, person=3)
    assert third.visible.any(axis=1).sum() == 1
    with pytest.raises(KeypointError, match=r"no person 4, it has 3 \(1: frames 0 to 2"):
        read_keypoints(path, COCO, NUM_FRAMES, HW, person=4)


def test_names_of_people_in_the_file_decide(tmp_path):
    """The two pass each other; nearness alone would leave each where it is."""
    people = [
        {"image_id": t, "idx": name, "keypoints": flat(COCO.joints, t, shift), "score": 1}
        for t in range(2)
        for name, shift in ((1, 20.0 * t), (2, 20.0 * (1 - t)))
    ]
    path = write_json(tmp_path / "a.json", people)
    xs = [read_keypoints(path, COCO, 2, HW, person=n).joints_px[:, 0, 0].tolist() for n in (1, 2)]
    assert sorted(xs) == [[100, 122], [120, 102]]


def test_confidence_becomes_visibility(tmp_path):
    rows = flat(COCO.joints, 0)
    rows[3 * COCO.index("left_wrist") + 2] = 0.15
    path = write_json(tmp_path / "a.json", [{"image_id": 0, "keypoints": rows, "score": 1}])
    wrist = COCO.index("left_wrist")
    assert not read_keypoints(path, COCO, 1, HW).visible[0, wrist]
    easy = KeypointOptions(min_confidence=0.1)
    assert read_keypoints(path, COCO, 1, HW, easy).visible[0, wrist]


def test_a_table_comes_back(tmp_path):
    rng = np.random.default_rng(0)
    joints, visible = rng.uniform(5, 195, (4, 13, 2)), rng.random((4, 13)) < 0.7
    write_table(tmp_path / "a.csv", joints, visible, PENN_ACTION)
    track = read_keypoints(tmp_path / "a.csv", PENN_ACTION, 4, HW)
    np.testing.assert_array_equal(track.visible, visible)
    np.testing.assert_allclose(track.joints_px[visible], joints[visible], atol=0.006)
    with (tmp_path / "a.csv").open() as file:
        row = next(row for row in csv.DictReader(file) if row["joint"] == "left_hip")
    # In the file, left is the person's own left.
    right = joints[int(row["frame"]), PENN_ACTION.index("right_hip")]
    assert float(row["x"]) == pytest.approx(right[0], abs=0.006)


def test_what_a_table_calls_forecast_was_not_seen(tmp_path):
    joints, visible = np.full((4, 13, 2), 50.0), np.ones((4, 13), bool)
    told = {"forecast": [0, 0, 1, 1]}
    write_table(tmp_path / "a.csv", joints, visible, PENN_ACTION, more=told)
    track = read_keypoints(tmp_path / "a.csv", PENN_ACTION, 3, HW)  # where the video ends earlier
    assert track.visible.any(axis=1).tolist() == [True, True, False]
    assert track.note == "lines of forecast frames that are left out: 26"
    write_table(tmp_path / "b.csv", joints[2:], visible[2:], PENN_ACTION, more={"forecast": [1, 1]})
    with pytest.raises(KeypointError, match="all lines are forecast ones"):
        read_keypoints(tmp_path / "b.csv", PENN_ACTION, 4, HW)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("LShoulder", "left_shoulder"),
        ("left-shoulder", "left_shoulder"),
        ("rightKnee", "right_knee"),
        ("R Ankle", "right_ankle"),
        ("MidHip", "pelvis"),
        ("mouth_left", "left_mouth"),
        ("head", "head"),
    ],
)
def test_names_are_read_as_people_write_them(name, plain):
    assert plain_name(name) == plain


BAD = {
    "no such keypoint file": ("missing.json", None),
    "cannot be read as JSON": ("a.json", "{"),
    "not keypoints of any known kind": ("b.json", '{"a": 1}'),
    "nobody is in it": ("c.json", '{"images": [], "annotations": []}'),
    "51 keypoints a person": (
        "d.json",
        json.dumps([{"image_id": 0, "keypoints": [0.0] * 153, "score": 1}]),
    ),
    "has poses up to frame 9, the video has 3": (
        "e.json",
        json.dumps([{"image_id": 9, "keypoints": flat(COCO.joints, 0), "score": 1}]),
    ),
    "has no frame number": (
        "f.json",
        json.dumps([{"image_id": "walk.jpg", "keypoints": flat(COCO.joints, 0), "score": 1}]),
    ),
    "expected 33 landmarks": ("g.json", json.dumps([[{"x": 0.5, "y": 0.5}]])),
    "of the points lie outside the video": (
        "h.json",
        json.dumps([{"image_id": 0, "keypoints": flat(COCO.joints, 0, 900), "score": 1}]),
    ),
    "the first line has to name the columns": ("i.csv", "time,x,y\n1,2,3\n"),
    "line 3: expected whole frame numbers": ("j.csv", "frame,joint,x,y\n0,nose,1,2\nx,nose,1,2\n"),
    r"line 2: expected whole frame .* \(got 'a'\)": ("l.csv", "frame,joint,x,y\n0,nose,a,2\n"),
    r"line 3: 3 cells, .* names 4 columns \(frame, joint, x, y\)": (
        "m.csv",
        "frame,joint,x,y\n0,nose,1,2\n1,nose,1\n",
    ),
    "line 2: 6 cells, .* write decimals with a point": (
        "n.csv",
        "frame,joint,x,y\n0,nose,1,5,2,5\n",
    ),
    "n2.csv: expected DeepLabCut's rows 'bodyparts' and 'coords'": (
        "n2.csv",
        "scorer,n,n,n\nbodyparts,nose\ncoords,x,y,likelihood\n0,1,2,1\n",
    ),
    "n3.csv: expected DeepLabCut's rows 'bodyparts' and 'coords'": (
        "n3.csv",
        "scorer,n,n,n\nbodyparts,nose,nose,nose\ncoords,a,b,c\n0,1,2,1\n",
    ),
    "is a joint of skeleton penn_action": ("k.csv", "frame,joint,x,y\n0,tail,1,2\n"),
    "a folder of keypoints holds OpenPose's": (".", None),
    "give the folder of such files": ("o.json", '{"people": [{"pose_keypoints_2d": []}]}'),
    "p.npz: files of this ending hold no keypoints": ("p.npz", "PK"),
    "q.csv: .* one line a joint, not one a frame; it lacks joint": ("q.csv", "frame,nose_x\n0,1\n"),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_files_say_what_is_wrong(tmp_path, message):
    name, content = BAD[message]
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(KeypointError, match=message) as caught:
        read_keypoints(tmp_path / name, PENN_ACTION, NUM_FRAMES, HW)
    assert str(tmp_path) in str(caught.value) or "skeleton" in message


def test_frames_may_be_a_line_each(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"landmarks": landmarks(t)}) + "\n" for t in range(3)))
    assert read_keypoints(path, COCO, 3, HW).visible.all()
    path.write_text(path.read_text() + '{"landmarks": [')  # the program was stopped
    with pytest.raises(KeypointError, match=r"a\.jsonl: cannot be read as JSON .*line 4"):
        read_keypoints(path, COCO, 3, HW)
    path.write_text(json.dumps([landmarks(0), {"by": "a\u2028b"}], ensure_ascii=False), "utf-8")
    assert load_json(path) == [[landmarks(0), {"by": "a\u2028b"}]]


def test_columns_by_other_names(tmp_path):
    path = table(tmp_path / "a.csv")
    path.write_text(path.read_text().replace("frame,joint", "frame_number,bodypart"))
    assert read_keypoints(path, COCO, NUM_FRAMES, HW).visible.all()


def test_yolo_leaves_out_frames_and_says_what_is_wrong(tmp_path):
    folder = yolo(tmp_path / "labels", person="0.5")
    (folder / "walk_2.txt").unlink()
    track = read_keypoints(folder, COCO, 4, HW)
    assert track.visible.any(axis=1).tolist() == [True, True, True, False]
    assert track.filled.tolist() == [False, True, False, False]
    (folder / "walk_3.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    with pytest.raises(KeypointError, match=r"walk_3\.txt, line 1: .* got 5 numbers"):
        read_keypoints(folder, COCO, 4, HW)
    with pytest.raises(KeypointError, match=r"walk_1\.txt: .* one file a frame; give their fol"):
        read_keypoints(folder / "walk_1.txt", COCO, 4, HW, KeypointOptions("yolo"))


def test_openpose_shares_of_the_image(tmp_path):
    rows = np.array(flat(OPENPOSE[0], 0)).reshape(-1, 3)
    rows[:, :2] = (rows[:, :2] + 0.5) / [HW[1], HW[0]]
    person = {"pose_keypoints_2d": rows.ravel().tolist()}
    write_json(tmp_path / "a_000000_keypoints.json", {"people": [person]})
    track = read_keypoints(tmp_path, COCO, 1, HW)
    np.testing.assert_allclose(track.joints_px[0, 0], (100, 30), atol=1e-6)
    rows[:, :2] = 2 * rows[:, :2] - 1
    person = {"pose_keypoints_2d": rows.ravel().tolist()}
    write_json(tmp_path / "a_000000_keypoints.json", {"people": [person]})
    with pytest.raises(KeypointError, match="keypoint_scale"):
        read_keypoints(tmp_path, COCO, 1, HW)
