"""Training batches against those of the 2017 code.

The 2017 joints count a label as a pixel index, half a pixel further than ours; here its stored
numbers are taken as positions inside the crop, so the half pixel does not enter.
"""

import numpy as np
import pytest
import torch

from posecast.geometry import crop_to_norm, flatten_joints, px_to_crop
from posecast.store.reading import StoredClip
from posecast.store.seen_windows import seen_and_future
from posecast.windows import ImagePairs, PoseWindows, PoseWindowSampler, fit_gaps
from small_store import stored_clip


def clip_of(
    name: str, joints_in_crop: np.ndarray, visible: np.ndarray, hw: tuple[int, int]
) -> StoredClip:
    """A clip whose joints are given in pixels from the crop's corner."""
    return stored_clip(name, joints_in_crop.astype(np.float32), visible > 0, image_hw=hw)


def penn_clip(old: dict[str, np.ndarray], name: str, exchanged: bool) -> StoredClip:
    """With the stored box as the crop; `exchanged` divides x by the height as 2017 did."""
    x1, y1, x2, y2 = old[f"{name}/bbox"][0].tolist()
    hw = (x2 - x1, y2 - y1) if exchanged else (y2 - y1, x2 - x1)
    joints = np.stack([old[f"{name}/x"], old[f"{name}/y"]], axis=-1)
    return clip_of(name, joints, old[f"{name}/visibility"], hw)


def window_from(clip: StoredClip, start: int, config: PoseWindows) -> tuple[np.ndarray, np.ndarray]:
    """The features and mask of one window, taken from batches of a clip cut to start there."""
    cut = clip_of(
        clip.clip_id,
        clip.joints_px[start:][: config.length],
        clip.visible[start:][: config.length],
        clip.crop.hw,
    )
    batch = PoseWindowSampler([cut], config, batch_size=1).batch(seed=0, step=0)
    return flatten_joints(batch.joints_norm)[0].numpy(), batch.visible[0].numpy()


@pytest.mark.parametrize("exchanged", [True, False])
def test_penn_batch(golden, exchanged):
    """With the divisors exchanged as in 2017 (deviations.md 1) every window is equal; the right way
    round, those of square crops are."""
    old = golden("lstm_batch_penn")
    equal, square = [], []
    for i, name in enumerate(old["clips"].tolist()):
        clip = penn_clip(old, name, exchanged)
        config = PoseWindows(short_clips="repeat")
        features, visible = window_from(clip, int(old["stidx"][i]), config)
        np.testing.assert_array_equal(visible, old["mask_batch"][i] > 0)
        seen = np.concatenate([visible, visible], axis=-1)
        difference = np.abs(features - old["pose_batch"][i])[seen].max()
        equal.append(bool(difference < 1e-6))
        square.append(clip.crop.width == clip.crop.height)
    assert equal == ([True] * 12 if exchanged else square)
    assert 0 < sum(square) < 12


def test_penn_start_frames_of_the_old_random_stream(golden):
    """Starts are uniform on 0 .. frames - 42 (deviations.md 3); the old generator drew these."""
    old = golden("lstm_batch_penn")
    random = np.random.RandomState(int(old["np_random_seed"]))
    for name, stidx in zip(old["clips"].tolist(), old["stidx"].tolist(), strict=True):
        frames = int(old[f"{name}/nframes"])
        assert stidx == (random.randint(0, frames - 42 + 1) if frames >= 42 else 0)


def test_windows_start_at_every_frame_that_2017_started_at():
    frames = np.arange(46)
    joints = np.repeat(frames[:, None, None], 2, axis=2).repeat(13, axis=1)
    clip = clip_of("a", joints, np.ones((46, 13)), (100, 100))
    batch = PoseWindowSampler([clip], PoseWindows(), 400).batch(seed=3, step=0)
    starts = (batch.joints_norm[:, 0, 0, 0] + 1) * 50
    counts = np.bincount(starts.round().int().numpy(), minlength=5)
    assert len(counts) == 5  # starts 0 .. 46 - 42
    assert counts.min() > 50


def test_human36m_batch_with_frame_skip(golden):
    old = golden("lstm_batch_h36m")
    x1, y1, x2, y2 = old["box"].tolist()
    joints = np.stack([old["all_posex"], old["all_posey"]], axis=-1)
    clip = clip_of("a", joints, np.ones(joints.shape[:2]), (y2 - y1, x2 - x1))
    stride, start = int(old["fskip"]), int(old["stidx"])
    window = seen_and_future(clip, 10, 32, start=start, stride=stride)
    joints_px = np.concatenate([window.past.joints_px, window.future_joints_px])
    features = flatten_joints(crop_to_norm(px_to_crop(joints_px, clip.crop)))
    np.testing.assert_allclose(features, old["pose_batch"][0], atol=1e-6)

    # The old start is the one that its generator drew from the range that the sampler draws from.
    random = np.random.RandomState(int(old["np_random_seed"]))
    assert random.randint(0, len(joints) - stride * 42 + 1) == start
    sampler = PoseWindowSampler([clip], PoseWindows(stride=stride), 64)
    drawn = sampler.batch(seed=0, step=0).joints_norm
    every = torch.from_numpy(clip.joints_crop) * 2 - 1
    starts = [int((every == window[0]).all(dim=(1, 2)).nonzero()[0]) for window in drawn]
    assert max(starts) <= len(joints) - stride * 42
    torch.testing.assert_close(drawn[0], every[starts[0] : starts[0] + stride * 42 : stride])


def test_frame_choice_of_the_old_random_stream(golden):
    old = golden("frame_choice_penn")
    steps = int(old["steps"])
    assert ImagePairs().max_gap == steps - 1
    for frames, seed, source, target in old["table"].tolist():
        random = np.random.RandomState(seed)
        gap = random.randint(1, steps)
        gaps, num_starts = fit_gaps(np.array([frames]), np.array([gap]))
        start = random.randint(0, int(num_starts[0]))
        assert (start, start + int(gaps[0])) == (source, target)
