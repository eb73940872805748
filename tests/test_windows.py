"""Batches: what is in them, and that they depend on seed and step alone."""

import dataclasses

import numpy as np
import pytest
import torch

from posecast import windows
from posecast.clips import ClipError, ImageBatch, PoseBatch
from posecast.geometry import Crop
from posecast.store.reading import Store, StoredClip
from posecast.store.seen_windows import seen_and_future
from posecast.windows import ImagePairs, ImagePairSampler, PoseWindows, PoseWindowSampler
from small_store import stored_clip

NUM_JOINTS = 13
SIZE = 8


def make_clip(number: int, num_frames: int) -> StoredClip:
    """Joint 0 sits at x = frame number, y = clip number, in a crop of 100 x 200 px."""
    joints = np.zeros((num_frames, NUM_JOINTS, 2), np.float32)
    joints[:, 0, 0] = np.arange(num_frames) + 10
    joints[:, 0, 1] = number + 20
    facts = {"image_hw": (300, 400), "crop": Crop(10, 20, 110, 220), "has_frames": True}
    return stored_clip(f"{number:04}", joints, **facts)


LENGTHS = (5, 18, 42, 60, 100, 300, 1)
CLIPS = [make_clip(number, length) for number, length in enumerate(LENGTHS)]


class PaintedStore(Store):
    """Frames without files: each is painted with its clip and frame number."""

    def __init__(self) -> None:
        """Nothing on disk to open."""

    def read_frames(self, clip, indices=slice(None)):
        frames = np.zeros((len(indices), SIZE, SIZE, 3), np.uint8)
        frames[..., 0] = int(clip.clip_id)
        frames[..., 1] = (np.asarray(indices) % 256)[:, None, None]
        return frames


def same(a: PoseBatch | ImageBatch, b: PoseBatch | ImageBatch) -> bool:
    pairs = zip(dataclasses.astuple(a), dataclasses.astuple(b), strict=True)
    return all(bool((torch.as_tensor(x) == torch.as_tensor(y)).all()) for x, y in pairs)


def samplers(batch_size: int, share: slice = windows.WHOLE):
    return (
        PoseWindowSampler(CLIPS, PoseWindows(), batch_size, share),
        ImagePairSampler(PaintedStore(), CLIPS, ImagePairs(), batch_size, share),
    )


def frames_and_clips(batch: PoseBatch) -> tuple[np.ndarray, np.ndarray]:
    """Frame number of every place, and clip number of every window, read off joint 0."""
    crop = (batch.joints_norm + 1) / 2
    frames = (crop[..., 0, 0] * 100).round().int().numpy()
    return frames, (crop[:, 0, 0, 1] * 200).round().int().numpy()


def test_a_window_is_consecutive_frames_of_one_clip():
    batch = PoseWindowSampler(CLIPS[2:6], PoseWindows(), 64).batch(seed=1, step=0)
    assert batch.joints_norm.shape == (64, 42, NUM_JOINTS, 2)
    assert batch.num_past == 10
    assert bool(batch.visible.all())
    frames, clips = frames_and_clips(batch)
    assert (np.diff(frames, axis=1) == 1).all()
    last = np.array(LENGTHS)[clips] - 1
    assert (frames[:, -1] <= last).all()


def test_stride_skips_frames():
    batch = PoseWindowSampler(CLIPS[5:6], PoseWindows(stride=4), 8).batch(seed=1, step=0)
    frames, _ = frames_and_clips(batch)
    assert (np.diff(frames, axis=1) == 4).all()


def test_a_short_clip_is_masked():
    batch = PoseWindowSampler(CLIPS[1:2], PoseWindows(), 2).batch(seed=1, step=0)
    assert bool(batch.visible[:, :18].all())
    assert not bool(batch.visible[:, 18:].any())
    assert bool((batch.joints_norm[:, 18:] == 0).all())
    assert frames_and_clips(batch)[0][0, :18].tolist() == list(range(18))


def test_a_short_clip_repeats_its_last_frame_as_in_2017():
    config = PoseWindows(short_clips="repeat")
    batch = PoseWindowSampler(CLIPS[1:2], config, 2).batch(seed=1, step=0)
    assert bool(batch.visible.all())
    assert frames_and_clips(batch)[0][0, 17:].tolist() == [17] * 25


def test_x_is_divided_by_width_and_y_by_height():
    clip = CLIPS[2]
    joints = clip.joints_px.copy()
    joints[:] = (clip.crop.x2, clip.crop.y2)
    edge = dataclasses.replace(clip, joints_px=joints)
    batch = PoseWindowSampler([edge], PoseWindows(), 1).batch(seed=0, step=0)
    torch.testing.assert_close(batch.joints_norm, torch.ones_like(batch.joints_norm))


def test_invisible_joints_are_zero_even_when_they_hold_nothing():
    clip = make_clip(0, 42)
    clip.joints_px[:, 3] = np.nan
    clip.visible[:, 3] = False
    batch = PoseWindowSampler([clip], PoseWindows(), 1).batch(seed=0, step=0)
    assert bool((batch.joints_norm[:, :, 3] == 0).all())
    assert not bool(batch.visible[:, :, 3].any())


@pytest.mark.parametrize("kind", [0, 1])
def test_batches_depend_on_seed_and_step_alone(kind):
    one, other = samplers(6)[kind], samplers(6)[kind]
    for step in (7, 0, 3):
        other.batch(5, step)
    assert same(one.batch(5, 3), other.batch(5, 3))
    assert not same(one.batch(5, 3), one.batch(5, 4))
    assert not same(one.batch(5, 3), one.batch(6, 3))


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("num_ranks", [2, 3])
def test_processes_share_the_batch_of_one(kind, num_ranks):
    whole = samplers(12)[kind].batch(2, 5)
    shares = [
        samplers(12, slice(rank, None, num_ranks))[kind].batch(2, 5) for rank in range(num_ranks)
    ]
    for name, rows in vars(whole).items():
        if name == "num_past":
            continue
        for rank, share in enumerate(shares):
            torch.testing.assert_close(getattr(share, name), rows[rank::num_ranks])


@pytest.mark.parametrize("batch_size", [2, 3, 7, 20])
def test_every_pass_holds_every_clip_once(batch_size):
    sampler = PoseWindowSampler(CLIPS, PoseWindows(), batch_size)
    clips = np.concatenate(
        [frames_and_clips(sampler.batch(9, step))[1] for step in range(2 * len(CLIPS))]
    )
    passes = clips.reshape(-1, len(CLIPS))
    assert (np.sort(passes, axis=1) == np.arange(len(CLIPS))).all()
    assert len(np.unique(passes, axis=0)) > 1


def test_pairs_show_the_frames_that_their_joints_belong_to():
    batch = ImagePairSampler(PaintedStore(), CLIPS, ImagePairs(), 70).batch(seed=4, step=1)
    assert batch.source_images.shape[1] == batch.source_joints_crop.shape[1] == 1
    for images, joints in (
        (batch.source_images[:, 0], batch.source_joints_crop[:, 0]),
        (batch.target_images, batch.target_joints_crop),
    ):
        assert images.dtype == torch.uint8
        frames = (joints[:, 0, 0] * 100).round()
        clips = (joints[:, 0, 1] * 200).round()
        assert (images[:, 0, 0, 0] == clips).all()
        assert (images[:, 0, 0, 1] == frames % 256).all()
    assert bool((batch.crop_hw == torch.tensor([200.0, 100.0])).all())


def test_gaps_of_pairs_follow_the_2017_rule():
    batch = ImagePairSampler(PaintedStore(), CLIPS, ImagePairs(), 700).batch(seed=4, step=0)
    clips = batch.source_images[:, 0, 0, 0, 0].numpy()
    source, target = (
        (joints[:, 0, 0] * 100).round().int().numpy()
        for joints in (batch.source_joints_crop[:, 0], batch.target_joints_crop)
    )
    long = np.array(LENGTHS)[clips] > 31
    gaps = (target - source)[long]
    assert gaps.min() == 1
    assert gaps.max() == 29
    assert (target[long] < np.array(LENGTHS)[clips][long] - 1).all()
    assert (target - source)[clips == 6].tolist() == [0] * 100  # a clip of one frame


def test_a_gap_that_does_not_fit_takes_first_and_last_frame():
    gaps, num_starts = windows.fit_gaps(np.array([10, 10, 10]), np.array([8, 9, 29]))
    assert gaps.tolist() == [8, 9, 9]
    assert num_starts.tolist() == [1, 1, 1]


def test_the_first_window_of_a_clip_that_ends_early():
    window = seen_and_future(CLIPS[1], num_past=10, num_future=12)
    assert window.past_frames.tolist() == list(range(10))
    assert window.future_frames.tolist() == list(range(10, 22))
    assert window.future_exists.tolist() == [True] * 8 + [False] * 4
    np.testing.assert_array_equal(window.past.joints_px, CLIPS[1].joints_px[:10])
    assert (window.past.crop, window.past.fps) == (CLIPS[1].crop, CLIPS[1].fps)
    assert window.num_truth == 8
    assert not window.future_visible[8:].any()
    assert (window.future_joints_px[8:] == 0).all()


@pytest.mark.parametrize(("start", "first"), [("first", 0), ("middle", 50), (90, 90)])
def test_where_windows_start(start, first):
    window = seen_and_future(CLIPS[4], 10, 5, start=start)
    assert window.past_frames[0] == first
    assert window.future_frames[0] == first + 10


def test_a_middle_without_enough_frames_after_it_moves_forward():
    assert seen_and_future(CLIPS[1], 10, 5, start="middle").past_frames[0] == 8


@pytest.mark.parametrize(
    ("clip", "start", "message"),
    [
        (CLIPS[0], "first", r"clip 0000: has 5 frames, expected at least 10"),
        (CLIPS[4], 91, r"clip 0004: cannot be seen from frame 91"),
        (CLIPS[4], -1, r"expected a frame of 0 to 90"),
    ],
)
def test_windows_that_do_not_fit_are_errors(clip, start, message):
    with pytest.raises(ClipError, match=message):
        seen_and_future(clip, 10, 5, start=start)


def test_wrong_settings_are_errors():
    with pytest.raises(ValueError, match="num_past is 0; it must be 1 or more"):
        PoseWindows(num_past=0)
    with pytest.raises(ValueError, match="max_gap"):
        ImagePairs(max_gap=0)
    with pytest.raises(ValueError, match="at least one clip"):
        PoseWindowSampler([], PoseWindows(), 8)


def test_image_pairs_need_frames():
    without = dataclasses.replace(CLIPS[2], has_frames=False)
    with pytest.raises(ValueError, match=r"0002.*no frames"):
        ImagePairSampler(PaintedStore(), [*CLIPS[3:5], without], ImagePairs(), 2)
