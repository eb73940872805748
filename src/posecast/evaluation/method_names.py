"""Names of methods in tables: the folders of their runs, told apart where they are the same."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from posecast.errors import PosecastError


def distinct_names(paths: Sequence[Path], taken: Iterable[str] = ()) -> list[str]:
    """The last part of each path, with as many of those above it as tell all apart.

    Folders a/pose and b/pose are "a pose" and "b pose"; a weight file goes without its ending.
    PosecastError for a path that is given twice, or a name that is among `taken`.
    """
    whole = [_without_ending(Path(os.path.abspath(path))) for path in paths]  # noqa: PTH100
    if len(set(whole)) < len(whole):
        raise PosecastError(f"the same run twice: {', '.join(map(str, paths))}; give each one once")
    parts = [path.parts for path in whole]
    names: list[str] = []
    for depth in range(1, max(map(len, parts), default=0) + 1):
        names = [" ".join(each[-depth:]) for each in parts]
        if len(set(names)) == len(names):
            break
    for name in names:
        if name in set(taken):
            raise PosecastError(f"a run cannot be called {name!r}, a method is: rename its folder")
    return names


def _without_ending(path: Path) -> Path:
    return path.with_suffix("") if path.suffix == ".safetensors" else path
