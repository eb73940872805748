"""The database of motion finds what is in it, and reads what it wrote."""

from dataclasses import replace

import numpy as np
import pytest

from motion.moving_people import MIRROR, people
from posecast.errors import PosecastError
from posecast.motion.basis import HORIZON, cosine_basis, from_cosines, to_cosines
from posecast.motion.neighbours import NUM_NEIGHBOURS, MotionBase
from posecast.motion.seen import see
from posecast.training.motion_windows import build_base


@pytest.fixture(scope="module")
def base() -> MotionBase:
    return build_base(people(30), MIRROR, {"skeleton": "penn_action"}, every_clip=2)[0]


def seen_at(track, end):
    return see(track.joints_px[None, end - 9 : end + 1], track.visible[None, end - 9 : end + 1])


def test_an_entry_finds_itself(base):
    track = people(30)[5]
    seen = seen_at(track, 9)

    found = base.find(seen)

    truth = (track.joints_px[10:50] - seen.last_px[0]) / seen.size_px[0]
    nearest = from_cosines(found.cosines[0, 0])[:40]
    assert np.abs(nearest - truth).mean() < 0.1 * np.abs(truth).mean()
    assert found.cosines.shape[1] == NUM_NEIGHBOURS
    assert found.weights.sum() == pytest.approx(1, abs=1e-5)
    assert (np.diff(found.weights[0]) <= 1e-7).all()


def test_the_mirror_image_of_a_motion_has_mirrored_neighbours(base):
    track = people(30)[5]
    joints = track.joints_px[:, MIRROR] * np.array([-1, 1], np.float32)
    mine, turned = seen_at(track, 9), seen_at(replace(track, joints_px=joints), 9)

    found, other = base.find(mine).mean, base.find(turned).mean

    expected = found[..., MIRROR, :] * np.array([-1, 1])
    np.testing.assert_allclose(other, expected, atol=1e-3)


def test_entries_that_are_apart_are_passed_over(base):
    seen = seen_at(people(30)[5], 9)
    nearest = base.find(seen)
    everything_but_few = np.ones((1, len(base)), bool)
    everything_but_few[0, -NUM_NEIGHBOURS:] = False

    found = base.find(seen, everything_but_few)

    assert found.facts[0, 0] > nearest.facts[0, 0]


def test_what_is_written_is_read(base, tmp_path):
    base.save(tmp_path / "base.safetensors")

    again = MotionBase.load(tmp_path / "base.safetensors")

    seen = seen_at(people(30)[5], 9)
    np.testing.assert_array_equal(again.find(seen).cosines, base.find(seen).cosines)
    assert again.facts == {"skeleton": "penn_action"}


def test_other_files_are_refused(tmp_path):
    with pytest.raises(PosecastError, match="no database of motion at"):
        MotionBase.load(tmp_path / "none.safetensors")
    with pytest.raises(PosecastError, match="too few"):
        build_base(people(3), MIRROR, {})


def test_cosines_join_the_seen_motion():
    assert np.allclose(cosine_basis().T @ cosine_basis(), np.eye(20), atol=1e-5)
    moved = from_cosines(np.random.default_rng(0).normal(size=(20, 13, 2)).astype(np.float32))
    before_first = np.abs(np.diff(moved, axis=0)).max()
    assert np.abs(moved[0]).max() < 2 * before_first
    smooth = np.linspace(0, 1, HORIZON + 1)[1:, None, None] ** 2 * np.ones((1, 13, 2))
    assert np.abs(from_cosines(to_cosines(smooth)) - smooth)[:60].max() < 0.02
