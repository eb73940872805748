"""What a keypoint file says: people in frames, each with named points."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from posecast.errors import PosecastError
from posecast.records.brief import Brief

HALF_PIXEL = 0.5
"""From the centre of the top-left pixel, which other programs call (0, 0), to the corner of the
image, which is that here."""


class KeypointError(PosecastError):
    """Keypoints cannot be used; the message says what was expected and how to mend it."""


@contextmanager
def told_of(what: object) -> Iterator[None]:
    """What is wrong in the block is wrong with this file, or this part of one: the message of a
    KeypointError says so first."""
    try:
        yield
    except KeypointError as error:
        raise KeypointError(f"{what}: {error}") from error


@dataclass(frozen=True, eq=False)
class Detection:
    """One person in one frame."""

    frame: int
    """As numbered in the file."""
    points: Float[np.ndarray, "k 2"]
    """x right, y down, (0, 0) the image's top-left corner; pixels, or shares of the image."""
    confidence: Float[np.ndarray, " k"]
    """0: not found."""
    person: str = ""
    """The file's own name of the person; "" where it names nobody."""

    @property
    def found(self) -> Bool[np.ndarray, " k"]:
        return self.confidence > 0

    def without_unsure(self, least: float) -> "Detection":
        """Points of less confidence, and those without a place, as not found."""
        known = (self.confidence >= least) & np.isfinite(self.points).all(axis=1)
        return replace(self, confidence=np.where(known, self.confidence, 0.0))


@dataclass(frozen=True, eq=False, repr=False)
class Detections(Brief):
    """Everything that a file says."""

    joints: tuple[str, ...]
    """Names of the points, by the person's own left and right."""
    people: tuple[Detection, ...]
    threshold: float
    """Confidence from which this kind of file means a joint that is seen."""
    numbers: tuple[int, ...] = ()
    """Frame numbers that the file has, also of frames without people; () where it does not say."""
    shares: bool = False
    """Points are shares of the image's width and height instead of pixels."""
    counts_from: int | None = None
    """What this kind of file calls a video's first frame; None where it depends."""
    labels: tuple[str, ...] = ()
    """The points' names as the file writes them; () where the format names them."""
    num_points: int = 0
    """Points of each person, where the file has more than those named; 0: those named."""
    fps: float | None = None
    """Frames a second; None where the file does not say."""
    image_hw: tuple[int, int] | None = None
    """Height and width of the pictures, where the file says that all have the same."""
    percent: bool = False
    """Confidences in the file go to 100; here they go to 1."""
    note: str = ""
    """What was guessed of the file, for people."""
    repeated: Mapping[str, Any] = field(default_factory=dict)
    """What a file of the same kind says again when it goes on (`rewriting`)."""


class Gathered:
    """The people of a file that all have the same points, centres of pixels counted from 0."""

    def __init__(self) -> None:
        self.people: list[Detection] = []
        self.joints: tuple[str, ...] = ()
        self.num_points = 0
        """Points that the file has of each."""

    def add(
        self, frame: int, rows: Float[np.ndarray, "k 3"], joints: tuple[str, ...], person: str
    ) -> None:
        """One person; `joints` name the first of the points, the others are left out."""
        if self.people and len(joints) != len(self.joints):
            raise KeypointError("people with different numbers of keypoints")
        self.joints, self.num_points = joints, len(rows)
        rows = rows[: len(joints)]
        self.people.append(Detection(frame, rows[:, :2] + HALF_PIXEL, rows[:, 2], person))

    def detections(self, threshold: float, **facts: Any) -> Detections:
        """All of them; `facts` are further fields by name."""
        people = tuple(self.people)
        return Detections(self.joints, people, threshold, num_points=self.num_points, **facts)


def triples(values: object) -> Float[np.ndarray, "k 3"]:
    """A flat list x, y, confidence, x, y, confidence ... as rows."""
    try:
        numbers = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        numbers = np.zeros(1)
    if numbers.ndim != 1 or len(numbers) == 0 or len(numbers) % 3:
        raise KeypointError(
            f"expected keypoints as a list x, y, confidence, x, y, ..., got {str(values)[:60]!r}"
        )
    return numbers.reshape(-1, 3)


def choose_names(known: Mapping[int, tuple[str, ...]], count: int, kind: str) -> tuple[str, ...]:
    """Names of the first points of so many."""
    if count in known:
        return known[count]
    lengths = ", ".join(str(length) for length in known)
    raise KeypointError(f"{count} keypoints a person; {kind} has {lengths}")


def person_name(value: object) -> str:
    """A person's name in a file: 1, 1.0 and "1" are one name; -1, None and "nan" are none ("")."""
    text = str(value).strip()
    if text.lower() in ("", "nan", "none", "null", "na"):
        return ""
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number >= 0 and number.is_integer() else ""


@dataclass(frozen=True, eq=False, repr=False)
class PointTrack(Brief):
    """One person's points in successive frames, by the names and in the units of a file."""

    points: Float[np.ndarray, "t k 2"]
    """x right, y down; 0 where not seen."""
    confidence: Float[np.ndarray, "t k"]
    """0: not seen."""
    names: tuple[str, ...]
    """By the person's own left and right."""
    first_frame: int = 0
    """Number of the first frame."""
    person: str = ""
    format: str = "csv"
    """What kind of file it was."""
    found: Detections | None = None
    """All that the file says; None where the points come from no file."""
    num_people: int = 1
    note: str = ""
    """What was filled, for people."""
