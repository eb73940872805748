"""Writing a prepared store clip by clip, so that a stop at any moment loses only the clip at work.

While a store is made, every finished clip is a piece: its frames at their final place and a file
`pieces/ID.piece` with the rest, both written under a temporary name and renamed, the frames first.
`StoreWriter.finish` gathers the pieces into the index. The same clips and options give the same
bytes, whatever was interrupted in between, and in whatever order or process clips were made.
"""

import contextlib
import dataclasses
import io
import itertools
import json
import math
import shutil
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from posecast.clips import ClipError
from posecast.records.configs import config_to_dict, refuse_differences
from posecast.records.files import make_folder, save_arrays, write_json, write_lines, write_safely
from posecast.records.locks import locked, locked_with_others, refuse_strangers
from posecast.store import files
from posecast.store.reading import Store, StoredClip, clip_from_line, clip_to_line

LEFT_OUT_FILE = "left_out.jsonl"
"""In the store: each clip that could not be used, and why."""

_MOST_LISTED = 20


@contextlib.contextmanager
def store_writer(
    path: Path, info: files.StoreInfo, shared: bool = False
) -> "Iterator[StoreWriter]":
    """Begin a store or go on with one, and hold its lock.

    `shared`: others may write other clips of the same store at the same time; none of them can
    finish it. StoreError where the folder holds something else, was begun with other options, or is
    in use.
    """
    if path.exists() and not path.is_dir():
        raise files.StoreError(f"{path} is a file; name a folder for the store")
    # It may be new, empty, a store, or a store that was stopped before it had a name.
    refuse_strangers(path / "store.json", "store", files.StoreError)
    make_folder(path)
    in_use = files.StoreError(
        f"another process is preparing {path}: wait for it, or stop it; to share the work, "
        "give every process its --shard"
    )
    with (locked_with_others if shared else locked)(path, in_use):
        yield StoreWriter(path, info)


class StoreWriter:
    """A store at work, whose lock is held (`store_writer`)."""

    def __init__(self, path: Path, info: files.StoreInfo) -> None:
        """Notes the options, or compares them with those noted."""
        self.path, self.info, self.finished = path, info, False
        if (path / "store.json").exists():
            stored, self.finished = files.read_info(path)
            settings = (config_to_dict(stored), config_to_dict(info), "a store", ())
            mend = "use the same options, or another folder"
            refuse_differences(path, *settings, files.StoreError, mend)
        else:
            self._describe(finished=False)
        if self.finished:  # a stop right after the end may have left these
            shutil.rmtree(path / "pieces", ignore_errors=True)

    def _describe(self, finished: bool) -> None:
        write_json(self.path / "store.json", config_to_dict(self.info) | {"finished": finished})

    def done(self) -> dict[str, StoredClip]:
        """The clips that need not be made again, by id."""
        if self.finished:
            return {clip.clip_id: clip for clip in Store.open(self.path).clips}
        found = {}
        for file in sorted((self.path / "pieces").glob("*.piece")):
            if (clip := _read_piece(file)) is not None:
                path = files.frames_path(self.path, clip.clip_id)
                length = files.NPY_HEADER_BYTES + clip.num_frames * 3 * self.info.size**2
                if not clip.has_frames or (path.is_file() and path.stat().st_size == length):
                    found[clip.clip_id] = clip
        return found

    def reopen(self) -> None:
        """Take the index of a finished store apart again, to add clips to it."""
        for clip in Store.open(self.path).clips:
            _write_piece(self.path, clip)
        self._describe(finished=False)
        self.finished = False

    def drop(self, clip_id: str) -> None:
        """Forget a clip that has to be made again."""
        _piece_path(self.path, clip_id).unlink(missing_ok=True)

    def finish(self, left_out: dict[str, str]) -> list[StoredClip]:
        """Write the index from the pieces; the store can be used from then on.

        What was left out is listed in left_out.jsonl, and StoreError where nothing is left.
        """
        done = self.done()
        problems = sorted(left_out.items())
        write_lines(
            self.path / LEFT_OUT_FILE,
            [{"clip_id": clip_id, "problem": problem} for clip_id, problem in problems],
        )
        if not done:
            named = list_clips(left_out, "left out", self.path / LEFT_OUT_FILE)
            raise files.StoreError(
                "\n".join([f"no clip of the {self.info.dataset} data set can be used", *named])
            )
        clips = hold_out_validation([done[key] for key in sorted(done)], self.info.validation_share)
        files.write_poses(
            self.path / "poses.npz",
            {clip.clip_id: (clip.joints_px, clip.visible) for clip in clips},
        )
        write_lines(self.path / "clips.jsonl", [clip_to_line(clip) for clip in clips])
        # Half-written frames of processes that were killed, frames of clips now left out.
        shown = [clip.clip_id for clip in clips if clip.has_frames]
        wanted = {files.frames_path(self.path, clip_id) for clip_id in shown}
        for file in (self.path / "frames").glob("*"):
            if file not in wanted:
                file.unlink()
        self._describe(finished=True)
        self.finished = True
        shutil.rmtree(self.path / "pieces", ignore_errors=True)
        return clips


def write_clip(
    path: Path, clip: StoredClip, pictures: Iterable[UInt8[np.ndarray, "s s 3"]] | None
) -> None:
    """Add one finished clip to a store at work; safe in several processes at once.

    `pictures` are its frames, cropped and resized, in order; they stream to the disk. ClipError
    where their number is not that of the poses.
    """
    if pictures is not None:
        frames = files.frames_path(path, clip.clip_id)
        write_safely(frames, lambda partial: _fill(partial, clip, iter(pictures)))
    _write_piece(path, dataclasses.replace(clip, has_frames=pictures is not None))


def list_clips(clips: dict[str, str], what: str, where: str | Path) -> list[str]:
    """Lines that name clips and say what was done to each, of many only some and `where` all are.

    No line where there are no clips.
    """
    if not clips:
        return []
    lines = [f"{len(clips)} {what}:"]
    lines += [f"  clip {name}: {why}" for name, why in sorted(clips.items())[:_MOST_LISTED]]
    if len(clips) > _MOST_LISTED:
        lines.append(f"  and {len(clips) - _MOST_LISTED} more; the complete list: {where}")
    return lines


def hold_out_validation(clips: Sequence[StoredClip], share: float) -> list[StoredClip]:
    """Set the split of each clip.

    The rule: of the n official training clips of each action, sorted by id, the last
    round(share * n) are the validation clips, halves rounded up, but at least one and not all;
    none where n is 1 or the share 0. Official test clips are the test clips.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for clip in sorted(clips, key=lambda clip: clip.clip_id):
        if clip.official_split == "train":
            groups[clip.action].append(clip.clip_id)
    held: set[str] = set()
    for ids in groups.values():
        count = min(max(math.floor(share * len(ids) + 0.5), 1 if share > 0 else 0), len(ids) - 1)
        held.update(ids[len(ids) - count :])
    splits = dict.fromkeys(held, "validation")
    return [
        dataclasses.replace(clip, split=splits.get(clip.clip_id, clip.official_split))
        for clip in clips
    ]


def _fill(path: Path, clip: StoredClip, pictures: Iterator[np.ndarray]) -> None:
    """One .npy file, written picture by picture."""
    first = next(pictures, None)
    with path.open("wb") as file:
        if first is not None:
            shape = (clip.num_frames, *first.shape)
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            assert file.tell() == files.NPY_HEADER_BYTES
        count = 0
        for picture in itertools.chain([] if first is None else [first], pictures):
            file.write(np.ascontiguousarray(picture).data)
            count += 1
        if count != clip.num_frames:
            raise ClipError(
                clip.clip_id,
                f"{count} frames but poses of {clip.num_frames}: frames and labels must come "
                "from the same copy of the data set; fetch the clip again",
            )


def _write_piece(path: Path, clip: StoredClip) -> None:
    """A line of JSON and the poses; the archive's checksums tell a whole piece from a part."""
    content = {
        "line": json.dumps(clip_to_line(clip)),
        "joints": np.ascontiguousarray(clip.joints_px, np.float32),
        "visible": np.ascontiguousarray(clip.visible),
    }
    piece = _piece_path(path, clip.clip_id)
    write_safely(piece, lambda partial: save_arrays(partial, content, np.savez))


def _read_piece(path: Path) -> StoredClip | None:
    """The clip, or None where the piece was cut short by a loss of power."""
    content = io.BytesIO(path.read_bytes())
    try:
        with np.load(content) as piece:
            return clip_from_line(json.loads(str(piece["line"])), piece["joints"], piece["visible"])
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _piece_path(path: Path, clip_id: str) -> Path:
    return path / "pieces" / f"{clip_id}.piece"
