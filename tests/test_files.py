"""What a user can do to files ends in one line that names the file, not in a traceback."""

import os
from pathlib import Path

import numpy as np
import pytest

from posecast.cli import main
from posecast.records.files import (
    FileError,
    WriteError,
    append_line,
    check_place,
    entries,
    make_folder,
    partial_path,
    read_json,
    read_text,
    reading,
    write_safely,
    write_text,
)

FULL = Path("/dev/full")


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\xff")
    for read, name in (
        (read_text, "absent.txt"),
        (read_text, "bytes.txt"),
        (read_json, "absent.json"),
        (read_json, "bad.json"),
    ):
        with pytest.raises(FileError, match=f"cannot read .*{name}"):
            read(tmp_path / name)
    with pytest.raises(FileError, match=r"cannot read .*x: Is a directory"), reading(Path("x")):
        raise IsADirectoryError(21, "Is a directory")


def test_a_file_where_a_folder_should_be_and_the_other_way_round(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    for write in (
        lambda: make_folder(tmp_path / "file"),
        lambda: write_text(tmp_path / "file" / "a.txt", "text"),
        lambda: write_text(tmp_path / "folder", "text"),
        lambda: append_line(tmp_path / "folder", "text"),
    ):
        with pytest.raises(WriteError, match=r"cannot write .*(file|folder)"):
            write()
    with pytest.raises(WriteError, match="it is a folder; name a file in it"):
        write_text(Path(), "text")
    assert (tmp_path / "file").read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="rights bind")
def test_a_folder_without_rights(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(WriteError, match=r"cannot write .*a\.txt: Permission denied"):
        write_text(tmp_path / "a.txt", "text")


def test_two_who_write_one_file_do_not_mix(tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "out.txt"

    def write(partial: Path) -> None:
        partial.write_text("a")
        monkeypatch.setattr(os, "getpid", lambda: 2)
        write_text(file, "another process, meanwhile")
        assert file.read_text() == "another process, meanwhile"
        partial.write_text(partial.read_text() + "b")

    monkeypatch.setattr(os, "getpid", lambda: 1)
    write_safely(file, write)
    assert file.read_text() == "ab"
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]


@pytest.mark.parametrize("name", ["out[1].mp4", "n" * 250])
def test_what_killed_processes_left_is_cleared_away(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    long_ago, another = partial_path(file), partial_path(file.with_suffix(".npz"))
    at_work = long_ago.with_name(long_ago.name.replace(str(os.getpid()), "at-work"))
    for partial in (long_ago, at_work, another):
        partial.write_text("half")
        assert len(partial.name) < 256
    for partial in (long_ago, another):
        os.utime(partial, (0, 0))
    write_text(file, "whole")
    assert set(tmp_path.iterdir()) == {file, at_work, another}


def test_of_a_folder_that_was_not_finished_nothing_stays(tmp_path: Path) -> None:
    left = tmp_path / "poses.0.partial"
    left.mkdir()
    (left / "1.json").write_text("{}")
    os.utime(left, (0, 0))

    def fill(folder: Path) -> None:
        folder.mkdir()
        (folder / "1.json").write_text("{}")
        raise OSError(28, "No space left on device")

    with pytest.raises(WriteError, match=r"poses: No space left on device; free some"):
        write_safely(tmp_path / "poses", fill)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_is_not_there_is_named(monkeypatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda _: False)  # as Windows says of Z: and all in it
    with pytest.raises(WriteError, match=r"cannot write .*out\.mp4: there is no "):
        check_place(Path("videos/out.mp4"))


@pytest.mark.skipif(not FULL.exists(), reason="no disk here is always full")
def test_a_full_disk_is_called_so_also_by_numpy(tmp_path: Path) -> None:
    with FULL.open("wb", buffering=0) as file, pytest.raises(WriteError) as told:
        write_safely(tmp_path / "frames.npy", lambda _: np.zeros(99_999).tofile(file))
    assert "frames.npy: No space left on device; free some" in str(told.value)


def test_a_folder_is_written_over_what_a_process_of_the_same_number_left(
    tmp_path: Path, monkeypatch
) -> None:
    left = partial_path(tmp_path / "poses")
    left.mkdir()
    (left / "old.json").write_text("{}")
    flushed, fsync = [], os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda file: flushed.append(os.fstat(file).st_ino) or fsync(file)
    )

    def fill(folder: Path) -> None:
        (folder / "inside").mkdir(parents=True)
        (folder / "inside" / "1.json").write_text("{}")

    write_safely(tmp_path / "poses", fill)
    assert list(tmp_path.iterdir()) == [tmp_path / "poses"]
    made = list((tmp_path / "poses").rglob("*"))
    assert [path.name for path in made] == ["inside", "1.json"]
    assert {path.stat().st_ino for path in made if path.is_file() or os.name != "nt"} <= {*flushed}


def test_a_folder_is_searched_for_leftovers_once(tmp_path: Path, monkeypatch) -> None:
    searched, glob = [], Path.glob

    def counting(folder, pattern, **how):
        searched.extend([folder] * (folder == tmp_path))
        return glob(folder, pattern, **how)

    monkeypatch.setattr(Path, "glob", counting)
    for number in range(3):
        write_text(tmp_path / f"{number}.txt", "whole")
    assert len(searched) == 1


POSES = ("--pose-run", "POSE", "--steps", "3", "--clips.split", "validation")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("train", "pose", "tiny", "--store", "STORE", "--run", "FILE"), "FILE"),
        (("synthesize", "FILE"), "FILE"),
        (("prepare", "penn-action", "absent", "STORE"), "absent"),
        (("predict", "--frames", "none", "--store", "STORE", *POSES, "--out", "FILE"), "FILE"),
        (("evaluate", "--store", "STORE", "--pose-run", "FILE", "--out", "out"), "FILE"),
        (("report", "FILE", "--out", "page"), "FILE"),
        (("import-2017", "absent.npz", "run"), "absent.npz"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_commands_name_the_file(
    words: tuple[str, ...],
    named: str,
    release: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FILE").write_text("mine")
    places = {"STORE": str(release / "store"), "POSE": str(release / "pose")}
    assert main([places.get(word, word) for word in words]) == 2
    said = capsys.readouterr().err
    assert named in said
    assert "Traceback" not in said
    assert (tmp_path / "FILE").read_text() == "mine"


def test_errors_of_the_system_that_nobody_foresaw_keep_their_traceback(monkeypatch) -> None:
    def broken(words: list[str]) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("posecast.cli._run", broken)
    with pytest.raises(OSError, match="Input/output"):
        main(["predict"])


def test_what_is_in_a_folder(tmp_path: Path, monkeypatch) -> None:
    for name in ("b", "a"):
        (tmp_path / name).write_text("")
    assert [path.name for path in entries(tmp_path)] == ["a", "b"]
    assert entries(tmp_path / "absent") == entries(tmp_path / "a") == []
    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(FileError, match=f"cannot read {tmp_path}: Permission denied"):
        entries(tmp_path)


def refuse(path: Path) -> None:
    """As the system does; root, who runs many tests, may read everything."""
    raise PermissionError(13, "Permission denied", str(path))


@pytest.mark.parametrize("words", [["synthesize"], ["forecast"], ["prepare", "penn-action", "."]])
def test_folders_that_may_not_be_read_end_commands_in_one_message(
    tmp_path: Path, monkeypatch, capsys, words
) -> None:
    for name in ("labels", "frames"):
        (tmp_path / "raw" / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "raw")
    (tmp_path / "raw" / "labels" / "0001.mat").write_bytes(b"")
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.setattr(Path, "iterdir", refuse)
    assert main([*words, str(folder)]) == 2
    assert "folder: Permission denied" in capsys.readouterr().err


def test_a_file_that_may_not_be_looked_at_ends_a_command_in_one_message(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(Path, "is_dir", refuse)
    assert main(["prepare", "penn-action", str(tmp_path), str(tmp_path / "store")]) == 2
    assert f"Permission denied: '{tmp_path}" in capsys.readouterr().err
