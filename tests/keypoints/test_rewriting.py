"""Points go out in the format in which they came: names, numbers, people, units; they come back."""

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from test_keypoints import (
    HW,
    NUM_FRAMES,
    SOURCES,
    alphapose,
    landmarks,
    openpose,
    place,
    write_json,
)
from test_strange_formats import instance

from posecast.keypoints import KeypointError, PointTrack, read_keypoints, read_points, write_points
from posecast.keypoints.names import HALPE, WHOLE_BODY
from posecast.records.files import WriteError
from posecast.skeletons import COCO, PENN_ACTION

LABELS = ("Nose", "LShoulder", "RShoulder", "LHip", "RHip", "Tail")
PLAIN = ("nose", "left_shoulder", "right_shoulder", "left_hip", "right_hip", "tail")


def deeplabcut(path: Path, individuals: bool = False) -> Path:
    heads = [["scorer", *["Net_1"] * 18]]
    heads += [["individuals", *["m1"] * 18]] if individuals else []
    heads.append(["bodyparts", *(label for label in LABELS for _ in range(3))])
    heads.append(["coords", *("x", "y", "likelihood") * 6])
    rows = [
        [t, *(cell for name in PLAIN for cell in (*place(name, t), 0.9))] for t in range(NUM_FRAMES)
    ]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([*heads, *rows])
    return path


def trc(path: Path, units: str = "m", depth: float = 0.0) -> Path:
    """As OpenSim and Sports2D have it: y up, here in metres (100 pixels each)."""
    scale = 100 if units == "m" else 1
    lines = [
        ["PathFileType", "4", "(X/Y/Z)", "walk.trc"],
        ["DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units", "OrigDataRate"],
        ["25", "25", str(NUM_FRAMES), str(len(LABELS)), units, "25"],
        ["Frame#", "Time", *(cell for label in LABELS for cell in (label, "", ""))],
        ["", "", *(f"{axis}{n}" for n in range(1, len(LABELS) + 1) for axis in "XYZ")],
        [""],
    ]
    for t in range(NUM_FRAMES):
        points = [(x / scale, -y / scale, depth * t) for x, y in (place(n, t) for n in PLAIN)]
        lines.append([str(t), f"{t / 25}", *(str(value) for row in points for value in row)])
    path.write_text("\n".join("\t".join(line) for line in lines))
    return path


def lines(path: Path) -> Path:
    path.write_text("\n".join(json.dumps(landmarks(t)) for t in range(NUM_FRAMES)))
    return path


ALL = {
    **SOURCES,
    "deeplabcut": lambda path: deeplabcut(path.with_suffix(".csv")),
    "deeplabcut, individuals": lambda path: deeplabcut(path.with_suffix(".csv"), True),
    "trc": lambda path: trc(path.with_suffix(".trc")),
    "a line a frame": lambda path: lines(path.with_suffix(".jsonl")),
    "mmpose": lambda path: write_json(
        path.with_suffix(".json"),
        [{"frame_id": t, "instances": [instance(26, t)]} for t in range(NUM_FRAMES)],
    ),
    "mmpose, script": lambda path: write_json(
        path.with_suffix(".json"),
        {
            "meta_info": {"dataset_name": "coco_wholebody"},
            "instance_info": [
                {"frame_id": t + 1, "instances": [instance(133, t)]} for t in range(NUM_FRAMES)
            ],
        },
    ),
}


def later(track: PointTrack) -> PointTrack:
    """The next frames: two pixels to the right of those that were read, one point not found."""
    sure = track.confidence.copy()
    sure[:, 1] = 0
    points = np.where(sure[..., None] > 0, track.points * [1.02, 1.0], 0)
    first = track.first_frame + NUM_FRAMES
    return dataclasses.replace(track, points=points, confidence=sure, first_frame=first)


@pytest.mark.parametrize("kind", ALL)
def test_what_is_written_is_read_again(tmp_path, kind):
    path = ALL[kind](tmp_path / "found")
    future = later(read_points(path))
    out = path.with_name(f"out{path.suffix}")
    write_points(out, future, fps=25.0)
    again = read_points(out)
    assert (again.format, again.names, again.first_frame) == (
        *(future.format, future.names, future.first_frame),
    )
    assert again.person == future.person
    np.testing.assert_array_equal(again.confidence > 0, future.confidence > 0)
    np.testing.assert_allclose(again.points, future.points, atol=2e-3)
    assert again.found.labels == future.found.labels
    assert again.found.num_points == future.found.num_points
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("kind", ["trc", "mmpose"])
def test_letters_that_windows_writes(tmp_path, kind, encoding):
    path = ALL[kind](tmp_path / "found")
    points, text = read_points(path).points, path.read_text()
    said = text.replace("PathFileType\t4", "PathFileType\tJ\xfcrg").replace(
        "[{", '[{"by": "J\xfcrg", '
    )
    path.write_bytes(said.encode(encoding))
    np.testing.assert_array_equal(read_points(path).points, points)


def test_a_folder_holds_nothing_of_a_write_that_failed(tmp_path, monkeypatch):
    future = later(read_points(openpose(tmp_path / "json", first=5)))
    write_bytes = Path.write_bytes

    def fails_at_the_third(path: Path, content: bytes) -> int:
        if "10_keypoints" in path.name:
            raise OSError(28, "No space left on device")
        return write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", fails_at_the_third)
    with pytest.raises(WriteError):
        write_points(tmp_path / "next", future, 30.0)
    assert [path.name for path in tmp_path.iterdir()] == ["json"]


def test_frames_are_called_as_before(tmp_path):
    folder = openpose(tmp_path / "json", first=5)
    write_points(tmp_path / "next", later(read_points(folder)), 30.0)
    names = sorted(file.name for file in (tmp_path / "next").iterdir())
    assert names == [f"walk_{n:012d}_keypoints.json" for n in (8, 9, 10)]
    results = alphapose(tmp_path / "a.json")
    write_points(tmp_path / "b.json", later(read_points(results)), 30.0)
    content = json.loads((tmp_path / "b.json").read_text())
    assert [each["image_id"] for each in content] == ["3.jpg", "4.jpg", "5.jpg"]
    assert {each["idx"] for each in content} == {1}


def test_heads_of_tables_stay(tmp_path):
    path = deeplabcut(tmp_path / "a.csv", individuals=True)
    write_points(tmp_path / "b.csv", later(read_points(path)), 30.0)
    before, after = (file.read_text().splitlines() for file in (path, tmp_path / "b.csv"))
    assert after[:4] == before[:4]
    assert after[4].startswith("3,102.0")
    path = trc(tmp_path / "a.trc")
    write_points(tmp_path / "b.trc", later(read_points(path)), 25.0)
    lines = [line.split("\t") for line in (tmp_path / "b.trc").read_text().splitlines()]
    assert lines[2][:5] == ["25", "25", "3", "6", "m"]
    assert [cell for cell in lines[3][2:] if cell] == list(LABELS)
    assert lines[6][:5] == ["3", "0.120000", "1.020000", "-0.300000", "0.000000"]


def test_seconds_of_a_trc_file_go_on(tmp_path):
    """OpenSim's frames count from 1 and its seconds from 0."""
    path = trc(tmp_path / "a.trc")
    lines = path.read_text().split("\n")
    rows = [line.split("\t", 1) for line in lines[6:]]
    path.write_text("\n".join([*lines[:6], *(f"{int(n) + 1}\t{rest}" for n, rest in rows)]))
    write_points(tmp_path / "b.trc", later(read_points(path)), 25.0)
    written = (tmp_path / "b.trc").read_text().splitlines()[6:]
    assert [row.split("\t")[:2] for row in written] == [
        ["4", "0.120000"],
        ["5", "0.160000"],
        ["6", "0.200000"],
    ]
    write_points(tmp_path / "b.trc", later(read_points(path)), 10.0)  # at a rate that is asked for
    written = (tmp_path / "b.trc").read_text().splitlines()[6:]
    assert [row.split("\t")[1] for row in written] == ["0.180000", "0.280000", "0.380000"]


@pytest.mark.parametrize(
    ("cell", "second"),
    [("1.2.3", 0.12), (".", 0.12), ("", 0.12), ("inf", 0.12), ("-0.5", -0.46), ("1e-3", 0.041)],
)
def test_times_of_a_trc_file_as_they_may_be_written(tmp_path, cell, second):
    """0.04 seconds after the last one; where it is none, as the frames' numbers say."""
    path = trc(tmp_path / "a.trc")
    path.write_text(path.read_text().replace("\n2\t0.08\t", f"\n2\t{cell}\t"))
    write_points(tmp_path / "b.trc", later(read_points(path)), 25.0)
    assert (tmp_path / "b.trc").read_text().splitlines()[6].split("\t")[1] == f"{second:.6f}"


@pytest.mark.parametrize(("count", "names"), [(133, WHOLE_BODY), (136, HALPE)])
def test_face_and_hands_are_written_as_not_found(tmp_path, count, names):
    row = [value for k in range(count) for value in (9.0 + k, 20.0 + k, 0.9)]
    content = [{"image_id": f"{t}.jpg", "keypoints": row} for t in range(NUM_FRAMES)]
    path = write_json(tmp_path / "a.json", content)
    write_points(tmp_path / "b.json", later(read_points(path)), 30.0)
    written = json.loads((tmp_path / "b.json").read_text())[0]["keypoints"]
    assert len(written) == 3 * count
    assert written[3 * len(names) :] == [0.0] * 3 * (count - len(names))


def test_trc_can_be_the_poses_of_a_video(tmp_path):
    track = read_keypoints(trc(tmp_path / "a.trc", units="px"), PENN_ACTION, NUM_FRAMES, HW)
    expected = place("right_hip", 2)
    np.testing.assert_allclose(track.joints_px[2, PENN_ACTION.index("left_hip")], expected)


def test_bad_files_say_what_is_wrong(tmp_path):
    with pytest.raises(KeypointError, match="move in depth"):
        read_points(trc(tmp_path / "a.trc", depth=0.5))
    (tmp_path / "b.trc").write_text("Frame#\tTime\n1\t2\n")
    with pytest.raises(KeypointError, match=r"not a \.trc file as OpenSim reads it"):
        read_points(tmp_path / "b.trc")
    (tmp_path / "c.trc").write_text("\n".join((tmp_path / "a.trc").read_text().split("\n")[:6]))
    with pytest.raises(KeypointError, match="no frame"):
        read_points(tmp_path / "c.trc")
    folder = openpose(tmp_path / "json")
    with pytest.raises(KeypointError, match="is there already"):
        write_points(folder, read_points(folder), 30.0)


def test_points_of_no_file_become_a_table(tmp_path):
    points = np.arange(34.0).reshape(1, 17, 2) + 10
    write_points(tmp_path / "a.csv", PointTrack(points, np.ones((1, 17)), COCO.joints), 30.0)
    track = read_keypoints(tmp_path / "a.csv", COCO, 1, (100, 100))
    np.testing.assert_allclose(track.joints_px, points)


def test_points_of_a_table_keep_their_order(tmp_path):
    (tmp_path / "a.csv").write_text("frame,joint,x,y\n0,nose,1,2\n0,left_hip,3,4\n1,head,5,6\n")
    assert read_points(tmp_path / "a.csv").names == ("nose", "left_hip", "head")


@pytest.mark.parametrize("name", ["b.json", "b.npz", "b.trc"])
def test_a_name_of_another_format_is_refused(tmp_path, name):
    track = PointTrack(np.ones((1, 17, 2)), np.ones((1, 17)), COCO.joints)
    with pytest.raises(KeypointError, match=r"in the format of what was read \(csv\).* b\.csv"):
        write_points(tmp_path / name, track, 30.0)
    write_points(tmp_path / "b.txt", track, 30.0)


def test_cells_of_a_tsv_are_parted_by_tabs(tmp_path):
    track = PointTrack(np.ones((1, 1, 2)), np.ones((1, 1)), ("nose",))
    write_points(tmp_path / "a.tsv", track, 30.0)
    head, line = (tmp_path / "a.tsv").read_text().splitlines()
    assert head.split("\t") == ["frame", "joint", "x", "y", "confidence", "person"]
    assert line.split("\t")[:4] == ["0", "nose", "1.000", "1.000"]
    assert read_points(tmp_path / "a.tsv").names == ("nose",)
