"""Published forecasters that ours is compared with: what they read, and what they learn from."""

import numpy as np
import pytest
import torch

from benchmarks.motion_judged import cut
from benchmarks.motion_peers import Batch, Moments, distance, learn, of_peer
from benchmarks.peer_networks import MotionAttention, SiMLPe, cosines
from posecast.motion.basis import HORIZON
from posecast.motion.tracks import MotionTrack

KINDS = pytest.mark.parametrize("kind", [SiMLPe, MotionAttention])


def _track(frames: int, name: str = "a", **facts: object) -> MotionTrack:
    angle = np.arange(frames) / 5
    joints = 100 + 50 * np.random.default_rng(0).random((13, 2)) + np.zeros((frames, 13, 2))
    joints[:, 3:6, 1] += 20 * np.sin(angle)[:, None]
    shown = np.ones((frames, 13), bool)
    return MotionTrack(name, name, "", joints.astype(np.float32), shown, **facts)  # pyright: ignore[reportArgumentType]


def test_all_cosines_of_frames_are_the_frames_again():
    rows = cosines(16, 16)
    torch.testing.assert_close(rows.T @ rows, torch.eye(16), rtol=0, atol=1e-5)


@KINDS
def test_untrained_people_hardly_move(kind):
    network, window = kind(13).eval(), cut(_track(200), 119, 0)
    future = of_peer(network)([window])[0]
    stays = np.repeat(window.seen.joints_px[-1:], HORIZON, axis=0)
    np.testing.assert_allclose(future, stays, atol=3.0)


@KINDS
def test_what_comes_later_is_not_looked_at(kind):
    track = _track(200)
    changed = track.joints_px.copy()
    changed[120:] = 7
    other = MotionTrack("a", "a", "", changed, track.visible)
    past = [Batch.of([(each, 119, 120)], kind.past).past for each in (track, other)]
    np.testing.assert_array_equal(*past)


def test_attention_counts_only_moments_that_were_seen_whole():
    network = MotionAttention(13)
    batch = Batch.of([(_track(300), 199, 100)], network.past)
    past, seen = torch.from_numpy(batch.past), torch.from_numpy(batch.seen)
    recalled = network._recalled(past, seen)
    assert recalled.abs().max() > 0
    past[:, : network.past - 100] += 1
    torch.testing.assert_close(network._recalled(past, seen), recalled)
    assert network._recalled(past, torch.tensor([73])).abs().max() == 0


def test_windows_are_turned_with_what_came():
    rng = np.random.default_rng(0)
    batch = Batch.of([(_track(200), 119, 120)] * 32, 64)
    varied = batch.varied(rng)
    joined = np.concatenate([varied.past, varied.future], axis=1)
    # Neighbouring frames stay neighbours: no seam where the future begins.
    steps = np.linalg.norm(np.diff(joined, axis=1), axis=-1).max(axis=(0, 2))
    assert steps[63] < 1.5 * np.median(steps)
    assert (np.sign(varied.past[:, -1, 0, 0]) != np.sign(batch.past[:, -1, 0, 0])).any()


def test_it_learns(monkeypatch):
    monkeypatch.setattr("benchmarks.motion_peers.BATCHES", {SiMLPe: 8})
    torch.manual_seed(0)
    network, tracks = SiMLPe(13, blocks=2), [_track(200), _track(60, "b", is_clip=True)]
    batch = Batch.of([Moments(tracks, 1).draw() for _ in range(32)], network.past)
    told = [torch.from_numpy(each) for each in (batch.past, batch.seen, batch.future, batch.known)]
    before = distance(network(*told[:2]), *told[2:])
    learn(network, tracks, 200, 0)
    assert distance(network(*told[:2]), *told[2:]) < 0.9 * before
