"""Formats as their users have them: MMPose, whole bodies, pandas, DeepLabCut."""

import json
from typing import get_args

import numpy as np
import pytest

from posecast.keypoints import KeypointError, KeypointOptions, read_keypoints
from posecast.keypoints.names import HALPE, WHOLE_BODY, plain_name
from posecast.keypoints.opening import Format
from posecast.skeletons import COCO, HUMAN36M

HW = (240, 480)


def points(count: int, t: int = 0) -> np.ndarray:
    return np.array([(60.0 + 5 * k % 300 + t, 20.0 + k % 200) for k in range(count)])


def instance(count: int, t: int = 0, **more) -> dict:
    return {
        "keypoints": points(count, t).tolist(),
        "keypoint_scores": [0.9] * count,
        "bbox": [[0.0, 0.0, 9.0, 9.0]],
    } | more


MMPOSE = {
    "script": lambda people: {
        "meta_info": {"dataset_name": "coco"},
        "instance_info": [{"frame_id": n, "instances": p} for n, p in enumerate(people, 1)],
    },
    "inferencer": lambda people: [{"frame_id": n, "instances": p} for n, p in enumerate(people)],
    "predictions": lambda people: {"predictions": people, "visualization": []},
    "results": lambda people: [{"predictions": [p], "visualization": []} for p in people],
    "lists": lambda people: people,
}


@pytest.mark.parametrize("kind", MMPOSE)
@pytest.mark.parametrize("count", [17, 26, 133, 136])
def test_mmpose(tmp_path, kind, count):
    people = [[instance(count, t)] for t in range(3)]
    people[1] = []
    path = tmp_path / "a.json"
    path.write_text(json.dumps(MMPOSE[kind](people)))
    track = read_keypoints(path, COCO, 3, HW)
    assert track.format == "mmpose"
    np.testing.assert_allclose(track.joints_px[2], points(17, 2) + 0.5)
    assert track.filled.tolist() == [False, True, False]


def test_mmposes_names_of_points_and_low_scores(tmp_path):
    names = [*COCO.joints[::-1], "tail"]
    meta = {"keypoint_id2name": {str(n): name for n, name in enumerate(names)}}
    person = instance(18)
    person["keypoint_scores"][0] = 0.05
    content = {"meta_info": meta, "instance_info": [{"frame_id": 1, "instances": [person]}]}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    track = read_keypoints(path, COCO, 1, HW)
    np.testing.assert_allclose(track.joints_px[0, 0], points(18)[16] + 0.5)
    assert track.visible[0].tolist() == [True] * 16 + [False]


def test_mmpose_rows_with_their_score(tmp_path):
    rows = np.column_stack([points(17), np.full(17, 0.9)]).tolist()
    (tmp_path / "a.json").write_text(json.dumps([[{"keypoints": rows, "bbox": [1, 2, 3, 4]}]]))
    assert read_keypoints(tmp_path / "a.json", COCO, 1, HW).visible.all()


def test_bad_mmpose_says_so(tmp_path):
    path = tmp_path / "a.json"
    person = instance(17)
    person["keypoint_scores"] = [1.0]
    path.write_text(json.dumps([{"frame_id": 0, "instances": [person]}]))
    with pytest.raises(KeypointError, match="frame 0: expected MMPose's instances with"):
        read_keypoints(path, COCO, 1, HW)
    path.write_text(json.dumps([{"frame_id": 0, "instances": [instance(21)]}]))
    with pytest.raises(KeypointError, match="21 keypoints a person; MMPose has 17, 26, 133, 136"):
        read_keypoints(path, COCO, 1, HW)
    path.write_text(json.dumps({"instance_info": []}))
    with pytest.raises(KeypointError, match="nobody is in it"):
        read_keypoints(path, COCO, 1, HW)


@pytest.mark.parametrize("count", [17, 26, 133, 136])
@pytest.mark.parametrize("kind", ["results", "annotations"])
def test_whole_bodies_begin_with_the_body(tmp_path, count, kind):
    rows = np.column_stack([points(count), np.full(count, 2.0)]).ravel().tolist()
    content: object = [{"image_id": 0, "keypoints": rows}]
    if kind == "annotations":
        content = {"images": [{"id": 0, "file_name": "0.jpg"}], "annotations": content}
    (tmp_path / "a.json").write_text(json.dumps(content))
    track = read_keypoints(tmp_path / "a.json", COCO, 1, HW)
    np.testing.assert_allclose(track.joints_px[0], points(17) + 0.5)
    toes = read_keypoints(tmp_path / "a.json", HUMAN36M, 1, HW)
    big = {26: HALPE, 136: HALPE, 133: WHOLE_BODY}.get(count, ())
    assert toes.visible[0, HUMAN36M.index("left_toe_end")] == bool(big)
    if big:
        expected = points(count)[big.index("left_big_toe")] + 0.5
        np.testing.assert_allclose(toes.joints_px[0, HUMAN36M.index("left_toe_end")], expected)


def test_feet_of_133_points_are_where_coco_whole_body_has_them():
    assert WHOLE_BODY[17:] == (
        *("left_big_toe", "left_small_toe", "left_heel"),
        *("right_big_toe", "right_small_toe", "right_heel"),
    )


def csv_lines(separator=",", frame="{}", missing="", comma=".") -> str:
    lines = [separator.join(["", "frame", "joint", "x", "y", "confidence"])]
    for t in range(2):
        for k, joint in enumerate(COCO.joints):
            x, y = (f"{50.25 + k + t}", f"{30.5 + k}") if k != 4 else (missing, missing)
            cells = [str(k), frame.format(t), joint, x, y, "0.0" if k == 4 else "0.9"]
            lines.append(separator.join(cell.replace(".", comma) for cell in cells))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        csv_lines(),
        csv_lines(frame="{}.0"),
        csv_lines(missing="nan"),
        csv_lines(missing="NaN", frame="{}.0"),
        csv_lines(";"),
        csv_lines(";", "{}.0", comma=","),
        csv_lines("\t"),
        csv_lines().replace("\n", "\r\n"),
        csv_lines().replace("\n", "\n\n"),
        "\ufeff" + csv_lines(),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_tables_as_pandas_and_spreadsheets_write_them(tmp_path, text, encoding):
    (tmp_path / "a.csv").write_bytes(text.lstrip("\ufeff").encode(encoding))
    if text[0] == "\ufeff" and encoding == "utf-8":
        (tmp_path / "a.csv").write_bytes(text.encode())
    track = read_keypoints(tmp_path / "a.csv", COCO, 2, HW)
    assert track.visible.sum(axis=1).tolist() == [16, 16]
    assert not track.visible[:, 4].any()
    np.testing.assert_allclose(track.joints_px[1, 3], (54.25, 33.5))


def test_visible_as_words_and_a_bad_frame_number(tmp_path):
    head = "frame,joint,x,y,visible\n"
    (tmp_path / "a.csv").write_text(head + "0,nose,5,6,True\n0,left_ear,5,6,False\n")
    track = read_keypoints(tmp_path / "a.csv", COCO, 1, HW)
    assert np.flatnonzero(track.visible[0]).tolist() == [0]
    for bad in ("0.5", "nan", "-1"):
        (tmp_path / "a.csv").write_text(head + f"{bad},nose,5,6,1\n")
        with pytest.raises(KeypointError, match=r"line 2: expected whole frame numbers from 0"):
            read_keypoints(tmp_path / "a.csv", COCO, 1, HW)


def deeplabcut(individuals=(), index="{}", likelihood=True) -> str:
    kinds = ("x", "y", "likelihood") if likelihood else ("x", "y")
    people = individuals or ("",)
    columns = [(who, joint, kind) for who in people for joint in COCO.joints for kind in kinds]
    rows = [["scorer", *["DLC_resnet50_walkshuffle1_50000"] * len(columns)]]
    rows += [["individuals", *[who for who, _, _ in columns]]] if individuals else []
    rows += [["bodyparts", *[joint for _, joint, _ in columns]]]
    rows += [["coords", *[kind for _, _, kind in columns]]]
    for t in range(3):
        cells = [index.format(t)]
        for who, joint, kind in columns:
            k = COCO.index(joint)
            values = {"x": 50.5 + k + 150 * people.index(who), "y": 20.5 + 4 * k + t}
            hidden = joint == "left_eye" and t == 1
            value = values.get(kind, 0.2 if joint == "nose" else 0.95)
            cells.append("" if hidden else str(value))
        rows.append(cells)
    return "\n".join(",".join(row) for row in rows) + "\n"


@pytest.mark.parametrize("index", ["{}", "{}.0", "labeled-data/walk2/img{:04d}.png"])
def test_deeplabcut(tmp_path, index):
    (tmp_path / "a.csv").write_text(deeplabcut(index=index))
    track = read_keypoints(tmp_path / "a.csv", COCO, 3, HW)
    assert (track.format, track.num_people) == ("deeplabcut", 1)
    np.testing.assert_allclose(track.joints_px[2, 4], (54.5, 38.5))
    assert not track.visible[:, 0].any()  # below DeepLabCut's own limit of 0.6
    assert track.visible[:, 1].tolist() == [True, False, True]
    easy = KeypointOptions(min_confidence=0.1)
    assert read_keypoints(tmp_path / "a.csv", COCO, 3, HW, easy).visible[:, 0].all()


def test_deeplabcut_of_several_and_of_labels(tmp_path):
    (tmp_path / "a.csv").write_text(deeplabcut(("anna", "ben")))
    assert read_keypoints(tmp_path / "a.csv", COCO, 3, HW).num_people == 2
    second = read_keypoints(tmp_path / "a.csv", COCO, 3, HW, person=2)
    assert {50.5 + 4, 200.5 + 4} == {
        float(each.joints_px[0, 4, 0])
        for each in (second, read_keypoints(tmp_path / "a.csv", COCO, 3, HW))
    }
    (tmp_path / "b.csv").write_text(deeplabcut(likelihood=False))
    assert read_keypoints(tmp_path / "b.csv", COCO, 3, HW).visible[:, 0].all()
    three = deeplabcut(likelihood=False).replace("scorer,", "scorer,,,")
    three = three.replace("bodyparts,", "bodyparts,,,").replace("coords,", "coords,,,")
    for t in range(3):
        three = three.replace(f"\n{t},", f"\nlabeled-data,walk,img{t:03d}.png,")
    (tmp_path / "c.csv").write_text(three)
    track = read_keypoints(tmp_path / "c.csv", COCO, 3, HW)
    np.testing.assert_allclose(track.joints_px[2, 4], (54.5, 38.5))
    (tmp_path / "d.csv").write_text(deeplabcut().replace("95", "abc"))
    with pytest.raises(KeypointError, match="line 4: expected numbers"):
        read_keypoints(tmp_path / "d.csv", COCO, 3, HW)


@pytest.mark.parametrize(
    "name", ["leftshoulder", "lshoulder", "shoulder_L", "shoulderL", "shoulder.left", "L.Shoulder"]
)
def test_more_ways_to_write_a_name(name):
    assert plain_name(name) == "left_shoulder"
    assert plain_name("right_eye_inner") == "right_eye_inner"


def test_alphaposes_other_files(tmp_path):
    """--format open writes OpenPose's JSON as 12.json; the results lie in a folder of the video."""
    rows = np.column_stack([points(18), np.ones(18)]).ravel().tolist()
    for t in range(3):
        person = {"people": [{"pose_keypoints_2d": rows}]}
        (tmp_path / f"{t}.json").write_text(json.dumps(person))
    assert read_keypoints(tmp_path, COCO, 3, HW).format == "openpose"
    rows = np.column_stack([points(17), np.ones(17)]).ravel().tolist()
    content = [{"image_id": "1.jpg", "keypoints": rows}]
    (tmp_path / "alphapose-results.json").write_text(json.dumps(content))
    assert read_keypoints(tmp_path, COCO, 3, HW).format == "coco or alphapose"


def test_formats_by_name(tmp_path):
    assert {"mmpose", "deeplabcut"} <= set(get_args(Format))
    (tmp_path / "a.json").write_text(json.dumps([[instance(17)]]))
    named = read_keypoints(tmp_path / "a.json", COCO, 1, HW, KeypointOptions(format="mmpose"))
    assert named.visible.all()
    with pytest.raises(KeypointError, match="not keypoints of the kind mediapipe"):
        read_keypoints(tmp_path / "a.json", COCO, 1, HW, KeypointOptions(format="mediapipe"))
