"""A numbered picture of the people that were found in a video, so that one can choose."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from posecast.clips import SeenVideo
from posecast.estimation import People
from posecast.estimation.finding import SAME
from posecast.estimation.looking import Pose, distance
from posecast.media.pictures import draw_pose
from posecast.skeletons import Skeleton


def draw_people(people: People, skeleton: Skeleton) -> UInt8[np.ndarray, "h w 3"]:
    """The frame with everybody's pose, and the number above it."""
    picture = people.frame
    seen = [(number, pose) for number, pose in enumerate(people.poses, start=1) if pose]
    for _, pose in seen:
        picture = draw_pose(picture, pose.joints_px, pose.seen, skeleton)
    image = Image.fromarray(picture)
    size = max(round(min(picture.shape[:2]) / 14), 10)
    font, pen = ImageFont.load_default(size), ImageDraw.Draw(image)
    for number, pose in seen:
        x1, y1, x2, _ = pose.extent
        place = ((x1 + x2) / 2, max(y1 - size / 2, size))
        pen.text(place, str(number), "white", font, "mb", stroke_width=2, stroke_fill="black")
    return np.asarray(image).copy()


def is_same_person(one: SeenVideo, other: SeenVideo) -> bool:
    """Whether both were seen last in one place."""
    poses = (Pose(each.joints_px[-1], each.visible[-1].astype(float), 0.5) for each in (one, other))
    return distance(*poses) <= SAME


def people_path(out: Path) -> Path:
    """Where their picture goes, beside the video OUT: NAME-people.png."""
    return out.with_name(f"{out.stem}-people.png")


def tell_of_people(people: People | None, out: Path | None, everybody: bool) -> str:
    """A line that says so where there are several, and how to choose; "" where not."""
    if people is None:
        return ""
    text = f"{len(people.poses)} people found"
    if everybody:
        return text if out is None else f"{text}: {people_path(out)} numbers them"
    text = f"{text}, number {people.followed} followed"
    return text if out is None else f"{text}: {people_path(out)} has a number to choose each by"
