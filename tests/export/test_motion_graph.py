"""The traceable forecaster says what the forecaster says, whatever was seen."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from posecast.clips import SeenVideo
from posecast.export.motion_graph import MotionGraph
from posecast.forecasting.motion import MotionForecaster
from posecast.motion.basis import HORIZON
from posecast.motion.neighbours import BASE_FILE, MotionBase
from posecast.networks.kinds import load_network, resolve
from posecast.networks.motion_residual import MotionResidual
from posecast.pretrained import DEFAULT_FORECASTER

AGREE = 1e-4
"""Sizes of the body."""


@pytest.fixture(scope="module")
def base() -> MotionBase:
    return MotionBase.load(resolve(DEFAULT_FORECASTER).with_name(BASE_FILE))


@pytest.fixture(scope="module")
def network() -> MotionResidual:
    """What ships, and moments weighed by random numbers."""
    return weighed_at_random(by_parts=True)


def weighed_at_random(by_parts: bool) -> MotionResidual:
    shipped = load_network(DEFAULT_FORECASTER, MotionResidual).network
    torch.manual_seed(0)
    config = replace(shipped.config, learned_moments=True, moment_parts=by_parts)
    network = MotionResidual(config)
    network.members.load_state_dict(shipped.members.state_dict())
    return network.eval()


@pytest.fixture(scope="module")
def forecaster(network, base) -> MotionForecaster:
    return MotionForecaster(network, base)


@pytest.fixture(scope="module")
def graph(network, base) -> MotionGraph:
    return MotionGraph(network, base).eval()


def seen_of(frames: int, hidden: float, period: float, seed: int = 0) -> SeenVideo:
    """Somebody who repeats a motion, with jitter, some joints hidden."""
    rng = np.random.default_rng(seed)
    middle, reach = rng.uniform(50, 250, (13, 2)), rng.uniform(-30, 30, (13, 2))
    phase = np.arange(frames)[:, None, None] / period + rng.uniform(0, 0.5, (13, 1))
    joints = middle + reach * np.sin(2 * np.pi * phase) + rng.normal(0, 1, (frames, 13, 2))
    visible = rng.random((frames, 13)) >= hidden
    visible[-1, 0] = True
    joints[~visible] = np.nan
    return SeenVideo(joints, visible, 30.0, (300, 300), trimmed=False)


def said_by(graph: MotionGraph, *seen: SeenVideo) -> tuple[np.ndarray, np.ndarray]:
    joints = torch.from_numpy(np.stack([each.joints_px for each in seen])).float()
    visible = torch.from_numpy(np.stack([each.visible for each in seen]))
    with torch.inference_mode():
        future, _, radius = graph(joints, visible)
    return future.numpy(), radius.numpy()


def size_of(seen: SeenVideo) -> float:
    return float(np.nanmax(np.nanmax(seen.joints_px, axis=1) - np.nanmin(seen.joints_px, axis=1)))


@pytest.mark.parametrize(
    ("frames", "hidden", "period"),
    [
        (2, 0.0, 20),
        (5, 0.2, 20),
        (10, 0.0, 20),
        (11, 0.1, 9),
        (30, 0.3, 12),
        (100, 0.1, 25),
        (300, 0.6, 61),
        (90, 0.0, 1e9),
    ],
)
def test_it_agrees_with_the_forecaster(forecaster, graph, frames, hidden, period):
    several = [seen_of(frames, hidden, period, seed) for seed in range(3)]
    futures, radii = said_by(graph, *several)
    for seen, future, radius in zip(several, futures, radii, strict=True):
        expected = forecaster.forecast_poses([seen], HORIZON)[0].joints_px[0]
        assert np.abs(future - expected).max() <= AGREE * size_of(seen)
        assert np.abs(radius - forecaster.radii_px(seen)).max() <= AGREE * size_of(seen)


def test_it_agrees_where_moments_are_weighed_for_the_whole_body(base):
    network, seen = weighed_at_random(by_parts=False), seen_of(100, 0.1, 25)
    future, _ = said_by(MotionGraph(network, base).eval(), seen)
    expected = MotionForecaster(network, base).forecast_poses([seen], HORIZON)[0].joints_px[0]
    assert np.abs(future[0] - expected).max() <= AGREE * size_of(seen)


def test_it_agrees_where_nothing_moves_and_a_joint_is_never_seen(forecaster, graph):
    seen = seen_of(60, 0.0, 20)
    seen.joints_px[:] = seen.joints_px[-1]
    seen.visible[:, 5] = False
    seen.joints_px[:, 5] = np.nan
    future, _ = said_by(graph, seen)
    expected = forecaster.forecast_poses([seen], HORIZON)[0].joints_px[0]
    assert np.abs(future[0] - expected).max() <= AGREE * size_of(seen)


def test_weights_of_moments_matter(forecaster, network, base):
    plain = MotionResidual(replace(network.config, learned_moments=False))
    plain.members.load_state_dict(network.members.state_dict())
    seen = seen_of(100, 0.0, 25)

    mine, other = (
        each.forecast_poses([seen], HORIZON)[0].joints_px
        for each in (forecaster, MotionForecaster(plain, base))
    )

    assert np.abs(mine - other).max() > 0.01 * size_of(seen)


def test_what_was_seen_matters(graph):
    first, second = (said_by(graph, seen_of(60, 0.0, period))[0] for period in (20, 35))
    assert np.abs(first - second).max() > 1
