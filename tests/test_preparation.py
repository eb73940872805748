"""Preparation: crops, resuming after a kill, refused mix-ups, bad clips, several processes."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from penn_files import label_values, write_clip_files, write_labels
from posecast.cli import main
from posecast.datasets.penn_action import PennAction
from posecast.geometry import cut_crop, seen_crop, tube_crop, union_crop
from posecast.store.files import StoreError
from posecast.store.preparation import PreparationConfig, PreparationReport, prepare
from posecast.store.reading import Store

SMALL = PreparationConfig(size=16, workers=1)


@pytest.fixture
def raw(tmp_path) -> Path:
    return write_raw(tmp_path / "raw")


def write_raw(root: Path) -> Path:
    """Four clips with frames, one with poses only, two actions."""
    for number in range(1, 5):
        action = "bowl" if number < 3 else "squat"
        write_clip_files(root, f"{number:04d}", number, num_frames=4 + number, action=action)
    write_labels(root, "0005", 5, train=-1)
    return root


def prepared(raw: Path, path: Path, **options) -> PreparationReport:
    config = PreparationConfig(**({"size": 16, "workers": 1} | options))
    return prepare(PennAction(raw), path, config)


def content(path: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    files = (file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


def test_store_holds_cut_frames_and_poses(raw, tmp_path):
    report = prepared(raw, tmp_path / "store")
    assert (report.num_new, report.left_out, report.finished) == (5, {}, True)
    assert report.splits == {"train": 2, "validation": 2, "test": 1}
    store, source = Store.open(tmp_path / "store"), PennAction(raw)
    assert [clip.clip_id for clip in store.clips] == source.clip_ids()
    assert [clip.has_frames for clip in store.clips] == [True] * 4 + [False]
    for clip in store.clips[:4]:
        original = source.read_poses(clip.clip_id)
        np.testing.assert_allclose(clip.joints_px, original.joints_px, atol=1e-5)
        np.testing.assert_array_equal(clip.visible, original.visible)
        assert clip.crop == union_crop(original.boxes_px, original.image_hw, 5)
        frames = [cut_crop(frame, clip.crop, 16) for frame in source.read_frames(clip.clip_id)]
        np.testing.assert_array_equal(store.read_frames(clip), np.stack(frames))


def test_crop_policies(raw, tmp_path):
    original = PennAction(raw).read_poses("0002")
    hw, boxes = original.image_hw, original.boxes_px
    expected = {
        "union": union_crop(boxes, hw, 3),
        "tube": tube_crop(boxes.reshape(-1, 2, 2), hw, 3),
        "seen": seen_crop(boxes[:2], hw),
    }
    for policy, crop in expected.items():
        prepared(raw, tmp_path / policy, crop=policy, margin_px=3, num_seen=2, clips=("0002",))
        store = Store.open(tmp_path / policy)
        assert store.clip("0002").crop == crop
        assert store.read_frames(store.clip("0002")).shape == (6, 16, 16, 3)


def test_seen_crop_does_not_look_at_later_frames(tmp_path):
    bbox = label_values(1)["bbox"]
    later = bbox + np.where(np.arange(6) < 3, 0, 9)[:, None]
    crops = []
    for name, boxes in (("a", bbox), ("b", later)):
        write_labels(tmp_path / name, "0001", 1, bbox=boxes)
        prepared(tmp_path / name, tmp_path / f"{name}-store", crop="seen", num_seen=3)
        crops.append(Store.open(tmp_path / f"{name}-store").clip("0001").crop)
    assert crops[0] == crops[1]


def test_same_input_same_bytes(raw, tmp_path):
    prepared(raw, tmp_path / "one")
    prepared(raw, tmp_path / "two")
    assert content(tmp_path / "one") == content(tmp_path / "two")
    before = content(tmp_path / "one")
    report = prepared(raw, tmp_path / "one")
    assert (report.num_new, report.num_kept) == (0, 5)
    assert content(tmp_path / "one") == before


class StopError(Exception):
    """Stands for whatever may end a preparation."""


@dataclass(frozen=True)
class StoppedSource(PennAction):
    """Ends with an error of its own after so many frames of a clip."""

    after: tuple[str, int] = ("", 0)

    def read_frames(self, clip_id: str) -> Iterator[np.ndarray] | None:
        frames = super().read_frames(clip_id)
        if clip_id != self.after[0] or frames is None:
            return frames
        return self._cut_short(frames)

    def _cut_short(self, frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        for _ in range(self.after[1]):
            yield next(frames)
        raise StopError


def test_goes_on_after_a_stop_with_the_same_bytes(raw, tmp_path, monkeypatch):
    prepared(raw, tmp_path / "whole")
    monkeypatch.setattr("posecast.store.preparation._source_options", lambda source: {})
    for clip_id, count in (("0001", 0), ("0002", 3), ("0002", 5), ("0004", 1)):
        with pytest.raises(StopError):
            prepare(StoppedSource(raw, (clip_id, count)), tmp_path / "store", SMALL)
        with pytest.raises(StoreError, match="is not finished"):
            Store.open(tmp_path / "store")
    report = prepared(raw, tmp_path / "store")
    assert (report.num_new, report.num_kept) == (1, 4)
    assert content(tmp_path / "store") == content(tmp_path / "whole")


SLOW_PREPARATION = """
import sys, time
from pathlib import Path
from posecast.store import preparation
from posecast.datasets.penn_action import PennAction
whole = preparation.cut_crop
def slow(*arguments):
    time.sleep(0.05)
    return whole(*arguments)
preparation.cut_crop = slow
config = preparation.PreparationConfig(size=16, workers=1)
preparation.prepare(PennAction(Path(sys.argv[1])), Path(sys.argv[2]), config)
"""


def test_killed_process_loses_only_the_clip_at_work(raw, tmp_path):
    prepared(raw, tmp_path / "whole")
    path = tmp_path / "store"
    process = subprocess.Popen([sys.executable, "-c", SLOW_PREPARATION, str(raw), str(path)])
    try:
        end = time.monotonic() + 240
        while len(list(path.glob("frames/*.npy"))) < 2 and time.monotonic() < end:
            time.sleep(0.01)
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert list(path.glob("frames/*.partial")) or list(path.glob("pieces/*.piece"))
    report = prepared(raw, path)
    assert report.num_kept >= 1
    assert content(path) == content(tmp_path / "whole")


def test_a_piece_cut_short_is_made_again_and_one_that_cannot_be_read_is_an_error(
    raw, tmp_path, monkeypatch
):
    prepared(raw, tmp_path / "whole")
    path = tmp_path / "store"
    piece = stopped_in("files.write_poses", raw, path, monkeypatch)
    piece.write_bytes(piece.read_bytes()[:-20])
    prepared(raw, path)
    assert content(path) == content(tmp_path / "whole")

    other = tmp_path / "other"
    piece, read = stopped_in("files.write_poses", raw, other, monkeypatch), Path.read_bytes

    def refuse(self):
        if self == piece:
            raise PermissionError(13, "Permission denied", str(self))
        return read(self)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refuse)
        with pytest.raises(ValueError, match=r"Permission denied.*Finished clips are kept"):
            prepared(raw, other)
    assert piece.is_file()
    prepared(raw, other)
    assert content(other) == content(tmp_path / "whole")


def stopped_in(name: str, raw, path: Path, monkeypatch) -> Path:
    """A store whose writing ends in a function of this name, and a piece, where there is one."""

    def stop(*arguments, **options):
        raise StopError

    with monkeypatch.context() as patch:
        patch.setattr(f"posecast.store.writing.{name}", stop)
        with pytest.raises(StopError):
            prepared(raw, path)
    return next(iter(sorted(path.glob("pieces/*.piece"))), path)


def test_stop_while_finishing_is_made_good(raw, tmp_path, monkeypatch):
    prepared(raw, tmp_path / "whole")
    for name in ("files.write_poses", "write_lines", "shutil.rmtree"):
        path = tmp_path / name
        stopped_in(name, raw, path, monkeypatch)
        prepared(raw, path)
        assert content(path) == content(tmp_path / "whole"), name


def test_other_options_are_refused(raw, tmp_path):
    prepared(raw, tmp_path / "store", clips=("0001",))
    for options, difference in (
        ({"size": 8}, "size: 16 -> 8"),
        ({"crop": "seen"}, "crop: 'union' -> 'seen'"),
        ({"clips": ()}, r"clips: \['0001'\] -> \[\]"),
    ):
        with pytest.raises(StoreError, match=rf"other settings .*\n  {difference}\nuse the same"):
            prepared(raw, tmp_path / "store", **({"clips": ("0001",)} | options))


def test_strange_folders_are_left_alone(raw, tmp_path):
    with pytest.raises(StoreError, match="holds files but no store"):
        prepared(raw, raw)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="is a file; name a folder"):
        prepared(raw, tmp_path / "file")


def damage(raw: Path) -> None:
    (raw / "labels" / "0001.mat").write_bytes(b"damaged")
    (raw / "frames" / "0002" / "000002.jpg").write_bytes(b"")
    (raw / "frames" / "0003" / "000001.jpg").unlink()


def test_bad_clips_are_reported_and_left_out(raw, tmp_path):
    damage(raw)
    write_labels(raw, "0006", 6, bbox=np.tile([90.0, 2, 99, 20], (6, 1)))
    write_labels(raw, "a\nb", 7)
    report = prepared(raw, tmp_path / "store")
    assert [clip.clip_id for clip in Store.open(tmp_path / "store").clips] == ["0004", "0005"]
    assert sorted(report.left_out) == ["0001", "0002", "0003", "0006", "a\nb"]
    assert Store.open(tmp_path / "store").left_out() == report.left_out
    summary = report.summary()
    assert "5 left out" in summary
    assert "clip 0001: cannot read" in summary
    assert "clip 0002: cannot read" in summary
    assert "clip 0003: " in summary
    assert "000001.jpg is missing" in summary
    assert not list((tmp_path / "store" / "frames").glob("*0002*"))


def test_left_out_clips_count_as_failure_only_when_strict(raw, tmp_path):
    damage(raw)
    command = ["prepare", "penn-action", str(raw), str(tmp_path / "store")]
    command += ["--size", "16", "--workers", "1"]
    assert main(command) == 0
    assert main([*command, "--strict"]) == 1


def test_mended_clips_join_a_finished_store(raw, tmp_path):
    prepared(raw, tmp_path / "whole")
    good = content(raw)
    damage(raw)
    assert len(prepared(raw, tmp_path / "store").left_out) == 3
    for name, data in good.items():
        (raw / name).write_bytes(data)
    report = prepared(raw, tmp_path / "store")
    assert (report.num_new, report.num_kept, report.left_out) == (3, 2, {})
    assert content(tmp_path / "store") == content(tmp_path / "whole")


def test_frames_that_arrive_later_are_added(raw, tmp_path):
    prepared(raw, tmp_path / "whole")
    (raw / "frames").rename(tmp_path / "elsewhere")
    prepared(raw, tmp_path / "store")
    assert not any(clip.has_frames for clip in Store.open(tmp_path / "store").clips)
    (tmp_path / "elsewhere").rename(raw / "frames")
    report = prepared(raw, tmp_path / "store")
    assert (report.num_new, report.num_kept) == (4, 1)
    assert content(tmp_path / "store") == content(tmp_path / "whole")


def test_nothing_usable_is_an_error(tmp_path):
    write_labels(tmp_path / "raw", "0001", visibility=np.zeros((6, 13)))
    with pytest.raises(
        StoreError, match=r"no clip of the penn_action .*\n.*\n  clip 0001: no joint"
    ):
        prepared(tmp_path / "raw", tmp_path / "store")


def test_of_many_damaged_clips_twenty_are_named_and_all_are_listed(tmp_path):
    for number in range(23):
        write_labels(tmp_path / "raw", f"{number:04d}", visibility=np.zeros((6, 13)))
    with pytest.raises(StoreError) as found:
        prepared(tmp_path / "raw", tmp_path / "store")
    lines = str(found.value).splitlines()
    listed = tmp_path / "store" / "left_out.jsonl"
    assert lines[1] == "23 left out:"
    assert lines[21].startswith("  clip 0019: ")
    assert lines[22:] == [f"  and 3 more; the complete list: {listed}"]
    assert len(listed.read_text().splitlines()) == 23
    write_labels(tmp_path / "raw", "0000")  # mended: the same command goes on
    report = prepared(tmp_path / "raw", tmp_path / "store")
    assert f"and 2 more; the complete list: {listed}" in report.summary()
    assert len(listed.read_text().splitlines()) == 22


def test_unknown_clips_are_named(raw, tmp_path):
    with pytest.raises(ValueError, match="unknown clip '00055'; did you mean '0005'"):
        prepared(raw, tmp_path / "store", clips=("00055",))
    assert not (tmp_path / "store").exists()


def test_shares_make_the_same_store(raw, tmp_path):
    prepared(raw, tmp_path / "whole")
    for index in (1, 0):
        report = prepared(raw, tmp_path / "store", shard_index=index, num_shards=2)
        assert not report.finished
        assert "without a share finishes it" in report.summary()
    report = prepared(raw, tmp_path / "store")
    assert (report.num_new, report.num_kept) == (0, 5)
    assert content(tmp_path / "store") == content(tmp_path / "whole")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 4}, "size is 4; it must be 8 to 4096"),
        ({"margin_px": -1}, "margin_px"),
        ({"num_seen": 0}, "num_seen"),
        ({"workers": -1}, "workers"),
        ({"validation_share": 1.0}, "validation_share"),
        ({"shard_index": 2, "num_shards": 2}, "shard_index is 2; it must be 0 to 1"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        PreparationConfig(**options)


def test_eight_real_clips(shared: Path, tmp_path):
    raw = shared / "data" / "penn_action"
    ids = ("0050", "0280", "0445", "0544", "0992", "1142", "1370", "1755")
    report = prepared(raw, tmp_path / "store", size=128, clips=ids)
    assert (report.num_new, report.left_out, report.num_with_frames) == (8, {}, 8)
    store = Store.open(tmp_path / "store")
    assert [clip.clip_id for clip in store.clips] == list(ids)
    for clip in store.clips:
        joints = clip.joints_crop[clip.visible]
        assert (joints > 0).all(), clip.clip_id
        assert (joints < 1).all(), clip.clip_id
        frames = store.read_frames(clip, [0, clip.num_frames - 1])
        assert 20 < frames.mean() < 235, clip.clip_id
