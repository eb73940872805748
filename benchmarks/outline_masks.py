"""Masks of the person in each frame of a store, for `posecast train outline` to learn from.

    pip install mediapipe==0.10.14
    python -m benchmarks.outline_masks STORE
    python -m benchmarks.outline_masks STORE --own FOLDER

Writes STORE/masks/CLIP.npy (`Store.read_masks`); clips that have one are left as they are.
MediaPipe's selfie segmentation (Apache-2.0, Google) looks at each frame four times: at all that is
stored and at the square around the person, each as it is and in a mirror; outside of that square
counts half. What else of people it finds is of no matter: `train outline` believes a mask near the
body alone.

--own takes masks of another program or of your hand: FOLDER/CLIP is a folder of pictures, one a
frame in the order of their numbers, or FOLDER/CLIP.mp4 a video, white where the person is, of whole
frames of the source.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import tyro
from jaxtyping import Bool, Float, UInt8

from posecast.errors import PosecastError
from posecast.geometry import cut_crop
from posecast.media.frame_folders import FrameFolder
from posecast.media.videos import read_video
from posecast.records.files import make_folder, write_safely
from posecast.store.files import masks_path
from posecast.store.reading import Store, StoredClip

LOOK = 256
"""Side of what the segmentation looks at."""
_AROUND, _SMALLEST, _FEWEST = 1.35, 24.0, 4
Masks = UInt8[np.ndarray, "t s s"]
Segment = Callable[[UInt8[np.ndarray, "l l 3"]], Float[np.ndarray, "l l"]]


def selfie_segmentation() -> Segment:
    """MediaPipe's; PosecastError where it is not installed."""
    try:
        from mediapipe.python.solutions.selfie_segmentation import SelfieSegmentation  # pyright: ignore
    except ImportError as error:
        raise PosecastError(
            f"masks are found by MediaPipe, which cannot be imported ({error}): pip install "
            "mediapipe==0.10.14 (an environment of its own will do), or bring masks: --own FOLDER"
        ) from error
    network = SelfieSegmentation(model_selection=0)

    def once(picture: np.ndarray) -> np.ndarray:
        return network.process(np.ascontiguousarray(picture)).segmentation_mask

    return lambda picture: (once(picture) + once(picture[:, ::-1])[:, ::-1]) / 2


def found(
    segment: Segment,
    frames: UInt8[np.ndarray, "t s s 3"],
    joints: Float[np.ndarray, "t j 2"],
    visible: Bool[np.ndarray, "t j"],
) -> Masks:
    """Means of both looks; `joints` in pixels of the frames."""
    side, masks = frames.shape[1], []
    for frame, joints_there, shown in zip(frames, joints, visible, strict=True):
        places = joints_there[shown]
        whole = segment(cv2.resize(frame, (LOOK, LOOK)))
        mask = cv2.resize(whole, (side, side), interpolation=cv2.INTER_AREA)
        if len(places) >= _FEWEST:
            low, high = places.min(axis=0), places.max(axis=0)
            scale = LOOK / max(_AROUND * float((high - low).max()), _SMALLEST)
            # Centres of pixels lie at halves.
            shift = LOOK / 2 - scale * (low + high) / 2 + (scale - 1) / 2
            there = np.column_stack([np.eye(2) * scale, shift])
            near = cv2.warpAffine(frame, there, (LOOK, LOOK), borderMode=cv2.BORDER_REPLICATE)
            back = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
            mask = (mask + cv2.warpAffine(segment(near), there, (side, side), flags=back)) / 2
        masks.append(np.clip(255 * mask + 0.5, 0, 255).astype(np.uint8))
    return np.stack(masks)


def own(folder: Path, clip: StoredClip, size: int) -> Masks:
    """Masks of whole frames, cut as the frames were; PosecastError where they do not fit."""
    pictures = folder / clip.clip_id
    source = (
        FrameFolder(pictures) if pictures.is_dir() else pictures.with_name(f"{pictures.name}.mp4")
    )
    whole = list(read_video(source))
    if len(whole) != clip.num_frames or whole[0].shape[:2] != clip.image_hw:
        raise PosecastError(
            f"{source} has {len(whole)} masks of {whole[0].shape[:2]} pixels, clip {clip.clip_id} "
            f"{clip.num_frames} frames of {clip.image_hw}: give one for each frame, of its size"
        )
    return np.stack([cut_crop(each, clip.crop, size, "area")[..., 0] for each in whole])


def main(
    store: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="STORE")],
    own_masks: Annotated[Path | None, tyro.conf.arg(name="own")] = None,
) -> None:
    """Write the masks.

    Args:
        store: store of clips with frames.
        own_masks: folder of masks that you have.
    """
    opened = Store.open(store)
    segment = None if own_masks else selfie_segmentation()
    for clip in (clip for clip in opened.clips if clip.has_frames):
        path = masks_path(store, clip.clip_id)
        if path.is_file():
            continue
        if segment is None:
            assert own_masks is not None
            masks = own(own_masks, clip, opened.size)
        else:
            joints = (clip.joints_crop * opened.size).astype(np.float32)
            masks = found(segment, opened.read_frames(clip), joints, clip.visible)
        make_folder(path.parent)
        write_safely(path, lambda partial, masks=masks: _save(partial, masks))
        print(
            f"{clip.clip_id}: {len(masks)} masks, {100 * masks.mean() / 255:.0f} % person",
            flush=True,
        )


def _save(path: Path, masks: Masks) -> None:
    with path.open("wb") as file:
        np.save(file, masks)


if __name__ == "__main__":
    tyro.cli(main)
