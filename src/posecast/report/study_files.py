"""The files of a preference study: what is shown, what it was, and what people answered.

STUDY/key.json          which side is what; never given to raters
STUDY/page/index.html   the page for raters, with all that it needs in page/
ANSWERS.json            what the page saves for one rater
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from posecast.errors import PosecastError
from posecast.records.configs import ConfigError, config_from_dict
from posecast.records.files import FileError, read_json
from posecast.records.versions import check_format_version

FORMAT_VERSION = 1
Side = Literal["left", "right"]
TRUTH, SPOILT = "truth", "truth upside down"
"""What an attention check shows: whoever looks chooses the first."""


@dataclass(frozen=True)
class StudyPair:
    """Two continuations of one clip, side by side."""

    pair: str
    """Its name on the page."""
    clip: str
    action: str
    left: str
    """Who made it: a method's label, or TRUTH or SPOILT in a check."""
    right: str

    @property
    def is_check(self) -> bool:
        return {self.left, self.right} == {TRUTH, SPOILT}


@dataclass(frozen=True)
class StudyKey:
    """What a study asks, and which side is what."""

    study: str
    """Name of the study in answers."""
    question: str
    seed: int
    comparisons: tuple[tuple[str, str], ...]
    """Labels of methods that are compared, the one that rates are of first."""
    pairs: tuple[StudyPair, ...]
    evaluations: tuple[str, ...]
    """Where the clips come from."""
    format_version: int = FORMAT_VERSION


@dataclass(frozen=True)
class Answer:
    """What one rater chose of one pair."""

    pair: str
    choice: Side
    seconds: float
    """From when the pair was shown."""


@dataclass(frozen=True)
class Answers:
    """All of one rater."""

    study: str
    rater: str
    answers: tuple[Answer, ...]
    format_version: int = FORMAT_VERSION


def read_key(folder: Path) -> StudyKey:
    """FileError where the folder is no study."""
    path = folder / "key.json"
    if not path.is_file():
        raise FileError(f"{folder} is no study: make one with 'posecast study make'")
    return _read(StudyKey, path)


def read_answers(path: Path, key: StudyKey) -> Answers:
    """What a rater's file says; PosecastError where it is of another study, or damaged."""
    answers = _read(Answers, path)
    if answers.study != key.study:
        raise PosecastError(f"{path} answers study {answers.study}, this one is {key.study}")
    known, given = {pair.pair for pair in key.pairs}, [each.pair for each in answers.answers]
    if set(given) - known or len(set(given)) < len(given):
        raise PosecastError(f"{path} answers a pair twice, or one that is not in the study")
    return answers


def _read(kind: type, path: Path):
    stored = read_json(path)
    if not isinstance(stored, dict):
        raise FileError(f"{path}: expected an object, got {type(stored).__name__}")
    check_format_version(stored.get("format_version", 1), FORMAT_VERSION, str(path))
    try:
        return config_from_dict(kind, stored)
    except ConfigError as error:
        raise FileError(f"{path} is damaged: {error}") from error
