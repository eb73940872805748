"""What forecasts, draws and finds poses does so on a card that is none, as on a processor."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from a_card import AtOnce, pretended
from carrying.scene import picture, pose, wall
from posecast.clips import SeenVideo
from posecast.computing.devices import ForecasterOptions
from posecast.computing.recording import PLAIN_CALLS
from posecast.estimation.estimator import EstimatorOptions, PoseEstimator
from posecast.evaluation.baselines import TrainedConvLSTM
from posecast.forecasting import carried
from posecast.forecasting.generator_drawer import GeneratorDrawer
from posecast.forecasting.loading import load_frame_drawer, load_pose_forecaster
from posecast.forecasting.lstm import LSTMForecaster
from posecast.networks.conv_lstm import ConvLSTM, ConvLSTMConfig
from posecast.networks.generator import Generator, GeneratorConfig
from posecast.networks.pose_lstm import PoseLSTM, PoseLSTMConfig
from posecast.pretrained import DEFAULT_DRAWER, DEFAULT_FORECASTER
from posecast.skeletons import PENN_ACTION

MOVES = np.linspace(0, 8, 12)[:, None, None] * np.array([1, 0], np.float32) + pose()
SHOWN = np.ones((12, 13), bool)
SEEN = SeenVideo(
    MOVES, SHOWN, 30.0, (128, 128), np.stack([picture(each, wall(128)) for each in MOVES])
)


def _generator(options: ForecasterOptions) -> Callable[[SeenVideo], Any]:
    drawer = GeneratorDrawer(
        Generator(GeneratorConfig(width=4, size=32)), PENN_ACTION, 8.0, options
    )
    return lambda seen: drawer.draw_frames(seen, MOVES + 3, SHOWN)


def _carried(options: ForecasterOptions) -> Callable[[SeenVideo], Any]:
    drawer = load_frame_drawer(DEFAULT_DRAWER, options)
    return lambda seen: drawer.draw_frames(seen, MOVES[:2] + 3, SHOWN[:2])


def _lstm(options: ForecasterOptions) -> Callable[[SeenVideo], Any]:
    network = PoseLSTM(PoseLSTMConfig(hidden=8, encoder=4))
    forecaster = LSTMForecaster(network, PENN_ACTION, 5, device=options.pick_device())
    return lambda seen: forecaster.forecast_poses([seen], 6)[0].joints_px


def _motion(options: ForecasterOptions) -> Callable[[SeenVideo], Any]:
    forecaster = load_pose_forecaster(DEFAULT_FORECASTER, options)
    return lambda seen: forecaster.forecast_poses([seen], 40, samples=3)[0].joints_px


def _conv_lstm(options: ForecasterOptions) -> Callable[[SeenVideo], Any]:
    network = ConvLSTM(ConvLSTMConfig(width=4, layers=1, kernel=3, size=128))
    forecaster = TrainedConvLSTM(network, options.pick_device())
    return lambda seen: forecaster.predict_frames(seen, 2)


def _estimator(options: ForecasterOptions) -> Callable[[SeenVideo], Any]:
    estimator = PoseEstimator.pretrained(options=EstimatorOptions(device=options.device))
    pictures = np.random.default_rng(0).integers(0, 256, (2, *2 * [estimator.size], 3), np.uint8)
    return lambda _: np.concatenate([each.ravel() for each in estimator.estimate(pictures)])


@pytest.mark.parametrize("make", [_generator, _carried, _lstm, _motion, _conv_lstm, _estimator])
def test_a_card_gives_what_a_processor_does(make) -> None:
    options = ForecasterOptions("cpu")
    torch.manual_seed(0)
    expected = make(options)(SEEN)
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch, pretended(patch) as card:
        patch.setattr(carried, "workers", AtOnce)
        on_card = make(options)
        for _ in range(PLAIN_CALLS + 2 if make is _generator else 1):
            got = on_card(SEEN)
    assert card.races == []
    assert bool(card.graphs) == (make is _generator)
    one_grey_level = expected.dtype == np.uint8
    np.testing.assert_allclose(
        got.astype(float), expected, rtol=1e-4, atol=1 if one_grey_level else 1e-3
    )
