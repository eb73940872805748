"""Units of files: confidences in percent, pictures of another size, shares, commas in numbers."""

import json

import numpy as np
import pytest

from posecast.keypoints import (
    KeypointError,
    KeypointOptions,
    read_keypoints,
    read_points,
    write_points,
)
from posecast.keypoints.reading import leave_out_strays
from posecast.skeletons import COCO

HW = (200, 300)
PLACES = np.column_stack([np.linspace(60, 92, 17), np.linspace(30, 62, 17)])


def table(path, sure=lambda k: 1, head="confidence", scale=(1.0, 1.0), form="{:.2f}"):
    lines = [f"frame,joint,x,y,{head}"]
    for frame in range(3):
        for k, (name, place) in enumerate(zip(COCO.joints, PLACES * scale, strict=True)):
            x, y = (form.format(value) for value in place)
            lines.append(f"{frame},{name},{x},{y},{sure(k)}")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_confidences_in_percent(tmp_path):
    path = table(tmp_path / "a.csv", lambda k: 10 if k < 5 else 92.5)
    track = read_keypoints(path, COCO, 3, HW)
    assert track.visible.sum(axis=1).tolist() == [12] * 3
    assert "percent" in track.note
    for asked in (0.95, 95.0):
        message = r"nobody is in it: no point is as sure as 0\.95, the surest is 0\.925"
        with pytest.raises(KeypointError, match=message):
            read_keypoints(path, COCO, 3, HW, KeypointOptions(min_confidence=asked))
    points = read_points(path)
    assert "percent (1 asked for is 100 %)" in points.note
    sure = table(tmp_path / "c.csv", lambda k: 10 if k < 5 else 100)
    for asked, count in ((1.0, 12), (1.5, 17)):
        track = read_keypoints(sure, COCO, 3, HW, KeypointOptions(min_confidence=asked))
        assert track.visible.sum(axis=1).tolist() == [count] * 3
    write_points(tmp_path / "b.csv", points, 30.0)  # goes on in the file's own units
    sure = [line.split(",")[4] for line in (tmp_path / "b.csv").read_text().splitlines()[1:]]
    assert {float(each) for each in sure} == {0.0, 99.0}
    with pytest.raises(KeypointError, match="up to 255: expected 0 to 1, or percent"):
        read_keypoints(table(tmp_path / "d.csv", lambda k: 255), COCO, 3, HW)


def test_confidences_a_little_over_one_are_none_in_percent(tmp_path):
    track = read_keypoints(table(tmp_path / "a.csv", lambda k: 0.2 if k < 5 else 7.1), COCO, 3, HW)
    assert (track.visible.sum(axis=1).tolist(), track.note) == ([12] * 3, "")


@pytest.mark.parametrize("head", ["likelihood", "score", "conf", "Visibility"])
def test_other_names_of_the_column_of_confidences(tmp_path, head):
    path = table(tmp_path / "a.csv", lambda k: 0.01 if k < 5 else 0.9, head)
    assert read_keypoints(path, COCO, 3, HW).visible.sum(axis=1).tolist() == [12] * 3


def test_people_by_other_names_of_their_column(tmp_path):
    one = table(tmp_path / "a.csv", lambda k: "a", "track_id").read_text()
    other = table(tmp_path / "b.csv", lambda k: "b", "track_id").read_text()
    (tmp_path / "c.csv").write_text(one + other.split("\n", 1)[1])  # at one place, yet two
    assert {read_points(tmp_path / "c.csv", person=n).person for n in (1, 2)} == {"a", "b"}


def test_shares_of_the_image_are_no_pixels(tmp_path):
    path = table(tmp_path / "a.csv", scale=(1 / 300, 1 / 200), form="{:.6f}")
    with pytest.raises(KeypointError, match="not shares of its size"):
        read_keypoints(path, COCO, 3, HW)


def test_a_comma_that_may_part_thousands_is_not_guessed(tmp_path):
    path = table(tmp_path / "a.csv", scale=(50, 1), form='"{:,.0f}"')
    with pytest.raises(KeypointError, match=r"does the comma in '3,000' part thousands"):
        read_keypoints(path, COCO, 3, (200, 6000))
    path.write_text("frame;joint;x;y\n0;nose;3,125;30,5\n")  # there it parts decimals
    np.testing.assert_allclose(read_keypoints(path, COCO, 3, HW).joints_px[0, 0], (3.125, 30.5))


def test_spreadsheets_of_western_europe(tmp_path):
    """Excel's "sep=" line, and the letters of Windows in a person's name."""
    path = tmp_path / "a.csv"
    path.write_bytes(
        "sep=;\r\nframe;joint;x;y;person\r\n0;nose;3,5;30,5;J\xfcrg\r\n".encode("cp1252")
    )
    track = read_points(path)
    assert (track.person, track.names) == ("J\xfcrg", ("nose",))
    np.testing.assert_allclose(track.points[0, 0], (3.5, 30.5))


@pytest.mark.parametrize("above", ["", "sep=,\n", "sep=,\r\n", "\n"])
def test_errors_name_the_line_as_an_editor_counts_it(tmp_path, above):
    path = tmp_path / "a.csv"
    path.write_bytes(f"{above}frame,joint,x,y\n0,nose,3,30\n\n1,nose,here,30\n".encode())
    with pytest.raises(KeypointError, match=f"a.csv: line {5 if above else 4}: expected whole"):
        read_points(path)
    head = "scorer,n,n\nbodyparts,nose,nose\ncoords,x,y\n"
    path.write_bytes(f"{above}{head}0,3,30\n1,here,30\n".encode())
    with pytest.raises(KeypointError, match=f"a.csv: line {6 if above else 5}: expected numbers"):
        read_points(path)


def test_mediapipe_frames_whose_time_stamps_leap_are_not_taken_by_order_in_silence(tmp_path):
    """Live streams leave out frames; stamps alone do not say which number a frame has."""
    points = [{"x": 0.5, "y": 0.5, "visibility": 0.9}] * 33
    for stamps, leaps in (((0, 33, 67, 100), 0), ((0, 33, 133, 167), 1)):
        frames = [{"timestampMs": each, "landmarks": points} for each in stamps]
        (tmp_path / "a.json").write_text(json.dumps(frames))
        note = read_keypoints(tmp_path / "a.json", COCO, 6, HW).note
        assert (f"their time stamps leap {leaps} times" in note) == bool(leaps)


@pytest.mark.parametrize(("mark", "seen"), [(0.9, True), (1, True), (0.1, False)])
def test_coco_marks_without_a_2_are_confidences(tmp_path, mark, seen):
    """Beside points marked 2 those marked 1 are hidden; of files without a 2 none would count."""
    path = coco(tmp_path / "a.json", HW)
    content = json.loads(path.read_text())
    for each in content["annotations"]:
        each["keypoints"][2::3] = [mark] + [0.95] * 16
    path.write_text(json.dumps(content))
    track = read_keypoints(path, COCO, 3, HW)
    assert track.visible.sum(axis=1).tolist() == [17 if seen else 16] * 3
    assert "marks are taken for confidences" in track.note


@pytest.mark.parametrize("stray", [None, 3])
def test_one_empty_or_stray_mark_leaves_those_of_coco_as_they_are(tmp_path, stray):
    """It stands at the nose; of the other points nine are marked as visible, seven as hidden."""
    path = coco(tmp_path / "a.json", HW)
    content = json.loads(path.read_text())
    for each in content["annotations"]:
        each["keypoints"][2::3] = [stray, *[2] * 9, *[1] * 7]
    path.write_text(json.dumps(content))
    track = read_keypoints(path, COCO, 3, HW)
    assert track.visible[:, 1:].sum(axis=1).tolist() == [9] * 3
    assert track.note == ""


def coco(path, hw, scale=(1.0, 1.0)):
    size = {"height": hw[0], "width": hw[1]}
    rows = np.column_stack([PLACES * scale - 0.5, np.full(17, 2)]).ravel().tolist()
    images = [{"id": t, "file_name": f"{t}.jpg", **size} for t in range(3)]
    people = [{"image_id": t, "keypoints": rows} for t in range(3)]
    path.write_text(json.dumps({"images": images, "annotations": people}))
    return path


@pytest.mark.parametrize(
    ("hw", "scale"),
    [
        *((HW, 1), ((100, 150), 0.5), ((400, 600), 2), ((300, 200), 1), ((201, 301), 1)),
        *(((1, 1), 1), ((float("inf"), float("inf")), 1), (([1], [2]), 1), ((True, True), 1)),
        *(
            ((10**400, 10**400), 1),
            (("200", 300), 1),
            ((200.0, 300.0), 1),
            ((float("nan"), 300), 1),
        ),
    ],
)
def test_pictures_of_another_size(tmp_path, hw, scale):
    """COCO's files say what size of pictures their points are in; an odd side may have gained a
    row, sides that have changed places say nothing of the points, nor does a made-up size."""
    track = read_keypoints(coco(tmp_path / "a.json", hw, (scale, scale)), COCO, 3, HW)
    np.testing.assert_allclose(track.joints_px[1], PLACES)
    said = f"its pictures are {hw[1]} x {hw[0]} pixels, the video has 300 x 200: the points are"
    assert track.note == (f"{said} scaled to it" if scale != 1 else "")


def test_the_points_of_all_people_tell_the_size_of_the_pictures(tmp_path):
    """One is in the upper left, and would fit smaller ones; the other would not."""
    path = coco(tmp_path / "a.json", (100, 150))
    content = json.loads(path.read_text())
    other = np.column_stack([PLACES + np.array([149.5, 89.5]), np.full(17, 2)]).ravel().tolist()
    more = [{"image_id": t, "keypoints": other} for t in range(3)]
    path.write_text(json.dumps({**content, "annotations": content["annotations"] + more}))
    tracks = [read_keypoints(path, COCO, 3, HW, person=n) for n in (1, 2)]
    found = sorted(track.joints_px[0, 0].tolist() for track in tracks)
    np.testing.assert_allclose(found, [(60, 30), (210, 120)])
    assert [track.note for track in tracks] == ["", ""]


def test_pictures_of_another_shape(tmp_path):
    """A made-up size does not matter where the points are the video's."""
    track = read_keypoints(coco(tmp_path / "a.json", (640, 640)), COCO, 3, HW)
    np.testing.assert_allclose(track.joints_px[1], PLACES)
    said = "its pictures are 640 x 640 pixels, the video has 300 x 200"
    assert track.note == f"{said}: points are taken for pixels of the video"
    with pytest.raises(KeypointError, match=f"{said}, another shape"):
        read_keypoints(coco(tmp_path / "a.json", (640, 640), (4, 4)), COCO, 3, HW)


def test_a_point_far_from_all_others_is_not_seen(tmp_path):
    path = table(tmp_path / "a.csv")
    lines = path.read_text().splitlines()
    lines[-1] = "2,right_ankle,90000,62,1"
    path.write_text("\n".join(lines))
    track = read_keypoints(path, COCO, 3, HW)
    assert track.visible.sum(axis=1).tolist() == [17, 17, 16]
    points = read_points(path)
    assert (points.confidence > 0).sum(axis=1).tolist() == [17, 17, 16]
    for read in (track, points):
        assert read.note == "points far from all others, taken for not seen: 1"


def test_feet_are_not_far_from_a_face_of_many_points():
    turns = np.linspace(0, 6, 60)
    face = np.stack([50 + 4 * np.cos(turns), 20 + 5 * np.sin(turns)], axis=1)
    body = [[x, y] for y in (40, 60, 80, 100, 130, 160) for x in (40, 60)]
    lone = [[90000, 30], [90000, 31]]
    points = np.tile(np.concatenate([face, body, lone]), (4, 1, 1))
    sure = np.ones(points.shape[:2])
    sure[0, :3] = 0
    assert leave_out_strays(points, sure).endswith("taken for not seen: 8")
    assert (sure.sum(axis=0) > 0).tolist() == [True] * 72 + [False] * 2
    assert (sure[0, :3] == 0).all()
