"""Preparation at work: several processes, a full disk, what is said meanwhile."""

import io
import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from posecast.clips import ClipError, PoseClip
from posecast.computing import clip_workers
from posecast.datasets.penn_action import PennAction
from posecast.skeletons import PENN_ACTION, Skeleton
from posecast.store.preparation import PreparationConfig, PreparationError, prepare
from test_preparation import SMALL, content, prepared, write_raw


@pytest.fixture
def raw(tmp_path) -> Path:
    return write_raw(tmp_path / "raw")


def test_full_disk_keeps_what_is_done(raw, tmp_path):
    """A limit on the length of files stands in for a full disk."""
    prepared(raw, tmp_path / "whole")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (128 + 5 * 16 * 16 * 3 + 100, limits[1]))
    try:
        with pytest.raises(PreparationError, match="Finished clips are kept: mend the cause"):
            prepared(raw, tmp_path / "store")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list((tmp_path / "store").glob("frames/*.partial"))
    report = prepared(raw, tmp_path / "store")
    assert report.num_kept == 2
    assert content(tmp_path / "store") == content(tmp_path / "whole")


@dataclass(frozen=True)
class FatalSource:
    """A data set whose clip "b" ends the process that reads it; see the tests with processes."""

    fatal: str = "b"

    @property
    def name(self) -> str:
        return "fatal"

    @property
    def skeleton(self) -> Skeleton:
        return PENN_ACTION

    def clip_ids(self) -> list[str]:
        return ["a", "b", "c", "d"]

    def read_poses(self, clip_id: str) -> PoseClip:
        joints, boxes = np.full((3, 13, 2), 9.0), np.tile([2.0, 2, 30, 30], (3, 1))
        visible = np.ones((3, 13), bool)
        return PoseClip(clip_id, "", "train", 25.0, (32, 32), joints, visible, boxes)

    def read_frames(self, clip_id: str) -> Iterator[np.ndarray]:
        for frame in range(3):
            if clip_id == self.fatal == "b":
                os._exit(1)
            if clip_id == self.fatal:
                raise ClipError(clip_id, "no good")
            yield np.full((32, 32, 3), frame, np.uint8)


def test_processes_give_the_same_bytes_and_their_end_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(clip_workers, "_SECONDS_ALONE", 0.0)
    alone = prepare(FatalSource("c"), tmp_path / "alone", SMALL)
    together = PreparationConfig(size=16, workers=2)
    both = prepare(FatalSource("c"), tmp_path / "both", together)
    assert alone.left_out == both.left_out == {"c": "no good"}
    assert content(tmp_path / "alone") == content(tmp_path / "both")
    with pytest.raises(PreparationError, match=r"worker process was killed .* --workers 1"):
        prepare(FatalSource("b"), tmp_path / "fatal", together)


def test_log_files_get_plain_lines(raw, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(clip_workers, "_SECONDS_BETWEEN_LINES", 0.0)
    prepare(PennAction(raw), tmp_path / "store", SMALL)
    assert capsys.readouterr().err.splitlines()[-1] == "5 of 5 clips, 0 left out"


def test_terminals_get_a_bar(raw, tmp_path, monkeypatch):
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=80)
    monkeypatch.setattr(clip_workers, "Console", lambda stderr: console)
    prepare(PennAction(raw), tmp_path / "store", SMALL)
    assert "5/5" in text.getvalue()
