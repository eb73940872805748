"""Small made-up clips in the published Human3.6M layout, for tests of what reads them."""

from pathlib import Path

import av
import numpy as np
import scipy.io
from cdflib.cdfwrite import CDF

from posecast.media.writing import write_mp4
from posecast.skeletons import HUMAN36M

HEIGHT, WIDTH = 48, 64


def track(seed: int = 0, num_frames: int = 22) -> np.ndarray:
    """Joints (t, 64), x and y of each in turn, inside the picture; float32 as published."""
    rng = np.random.default_rng(seed)
    low, high = np.tile([22, 12], 32), np.tile([42, 40], 32)
    drift = np.linspace(0, 3, num_frames)[:, None]
    return (rng.uniform(low, high) + drift + rng.normal(0, 0.3, (num_frames, 64))).astype("f4")


def write_cdf(root: Path, subject: str, stem: str, joints: np.ndarray, name: str = "Pose") -> Path:
    """A pose file as published: one record of (t, 64) in a variable."""
    path = root / subject / "MyPoseFeatures" / "D2_Positions" / f"{stem}.cdf"
    path.parent.mkdir(parents=True, exist_ok=True)
    file = CDF(path, cdf_spec={"Compressed": 6}, delete=True)
    options = {"Data_Type": 44, "Num_Elements": 1, "Rec_Vary": True, "Var_Type": "zVariable"}
    spec = {"Variable": name, "Dim_Sizes": list(joints.shape), "Compress": 0, **options}
    file.write_var(spec, var_data=joints[None])
    file.close()
    return path


def write_mat(root: Path, subject: str, stem: str, **variables: np.ndarray) -> Path:
    """A pose file as the 2017 MATLAB script made it (variable `data`)."""
    path = root / subject / "MyPoseFeatures" / "D2_Positions" / f"{stem}.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, variables, do_compression=True)
    return path


def picture(frame: int, hw: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    """A grey frame whose brightness is its number."""
    return np.full((*hw, 3), 20 + 4 * (frame % 55), np.uint8)


def number_of(frame: np.ndarray) -> int:
    """Undo `picture`, up to 54."""
    return round((float(frame.mean()) - 20) / 4)


def write_video(
    root: Path, subject: str, stem: str, num_frames: int = 22, hw: tuple[int, int] = (HEIGHT, WIDTH)
) -> Path:
    """A video of `picture`s."""
    path = root / subject / "Videos" / f"{stem}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_mp4(path, (picture(number, hw) for number in range(num_frames)), fps=50.0)
    return path


def index_first(path: Path) -> None:
    """Put a video's index before its frames, as published videos have it."""
    other = path.with_suffix(".tmp.mp4")
    with (
        av.open(str(path)) as source,
        av.open(str(other), "w", options={"movflags": "faststart"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    other.replace(path)


def write_clip_files(root: Path, subject: str, stem: str, seed: int = 0, num_frames: int = 22):
    """Poses and video."""
    write_cdf(root, subject, stem, track(seed, num_frames))
    write_video(root, subject, stem, num_frames)


def standing(num_frames: int, x: float = 500.0) -> np.ndarray:
    """Somebody of about 400 pixels who stands in a camera's picture, waving the left hand."""
    heights = {"hip": 500, "knee": 600, "ankle": 690, "toe_base": 700, "toe_end": 705}
    heights |= {"collar": 380, "shoulder": 390, "elbow": 460, "wrist": 520, "thumb": 540}
    heights |= {"thumb_end": 550, "hand": 540, "hand_end": 560, "head": 330, "head_top": 300}
    heights |= {"neck": 370, "spine": 440, "spine_base": 500, "pelvis": 500}
    pose = np.zeros((num_frames, 32, 2), "f4")
    for number, name in enumerate(HUMAN36M.joints):
        side, _, part = name.partition("_")
        aside = {"left": 35, "right": -35}.get(side, 0)
        pose[:, number] = (x + aside, heights[part if aside else name])
    swing = 60 * np.sin(np.arange(num_frames) / 4)
    for part in ("wrist", "hand", "hand_end", "thumb", "thumb_end"):
        pose[:, HUMAN36M.index(f"left_{part}"), 0] += 40 + swing
    return pose.reshape(num_frames, 64)
