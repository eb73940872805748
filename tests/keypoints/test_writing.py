"""Poses for other programs: what is written, and that COCO comes back."""

import json

import numpy as np

from posecast.keypoints import read_keypoints
from posecast.keypoints.trc import read_trc
from posecast.keypoints.writing import write_coco, write_trc
from posecast.skeletons import PENN_ACTION

RANDOM = np.random.default_rng(0)
JOINTS = (RANDOM.uniform(20, 80, (13, 2)) + np.arange(6)[:, None, None]).round(2)
VISIBLE = RANDOM.random((6, 13)) < 0.7
VISIBLE[3] = False


def test_coco_comes_back(tmp_path):
    path = tmp_path / "a.json"
    write_coco(path, JOINTS, VISIBLE, PENN_ACTION, (100, 120))
    track = read_keypoints(path, PENN_ACTION, 6, (100, 120))
    np.testing.assert_array_equal(track.visible & ~track.filled[:, None], VISIBLE)
    np.testing.assert_allclose(track.joints_px[VISIBLE], JOINTS[VISIBLE], atol=1e-9)


def test_coco_names_sides_as_the_person_does(tmp_path):
    """Penn Action's left shoulder is the person's right one."""
    write_coco(tmp_path / "a.json", JOINTS[:1], VISIBLE[:1] | True, PENN_ACTION, (100, 120))
    content = json.loads((tmp_path / "a.json").read_text())
    names = content["categories"][0]["keypoints"]
    place = names.index("right_shoulder")
    points = np.reshape(content["annotations"][0]["keypoints"], (13, 3))
    expected = JOINTS[0, PENN_ACTION.index("left_shoulder")] - 0.5
    np.testing.assert_allclose(points[place], [*expected, 2])
    ends = [names[end - 1] for end in content["categories"][0]["skeleton"][0]]
    assert ends == ["right_shoulder", "left_shoulder"]


def test_trc_has_y_up_and_seconds(tmp_path):
    path = tmp_path / "a.trc"
    write_trc(path, JOINTS, VISIBLE, PENN_ACTION, fps=25.0)
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    assert lines[0] == ["PathFileType", "4", "(X/Y/Z)", "a.trc"]
    assert lines[2] == ["25", "25", "6", "13", "px", "25", "0", "6"]
    assert [name for name in lines[3][2:] if name][1] == "right_shoulder"
    first, width = lines[6], 2 + 3 * 13
    assert [line[:2] for line in lines[6:8]] == [["0", "0.000000"], ["1", "0.040000"]]
    assert {len(line) for line in lines[6:]} == {width}
    joint = int(np.argmax(VISIBLE[0]))
    x, y, z = (float(cell) for cell in first[2 + 3 * joint : 5 + 3 * joint])
    np.testing.assert_allclose([x, -y, z], [*JOINTS[0, joint], 0], atol=1e-3)
    assert lines[9][2:] == [""] * 39


def test_a_trc_file_without_a_rate_does_not_say_one(tmp_path):
    path = tmp_path / "a.trc"
    write_trc(path, JOINTS, VISIBLE, PENN_ACTION, fps=25.0)
    assert read_trc(path.read_text()).fps == 25
    for none in ("0", "nan", "-30"):
        assert read_trc(path.read_text().replace("\n25\t", f"\n{none}\t")).fps is None
