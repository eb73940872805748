"""Whose errors each part of the motion network's loss counts."""

from dataclasses import replace

import pytest
import torch

from posecast.motion.seen import BACK
from posecast.networks.motion_values import MotionInputs, MotionOutputs
from posecast.training.motion_batches import MotionBatch
from posecast.training.motion_loss import MotionLoss, MotionLossConfig

ROWS, JOINTS = 4, 13
LOSS = MotionLoss(MotionLossConfig())
FRAMES = len(LOSS.frames)


@pytest.fixture
def batch() -> MotionBatch:
    """Two rows of clips, then two of videos; the first of each is known to the bold forecast."""
    generator = torch.Generator().manual_seed(0)
    sizes = {"pose": (JOINTS, 2), "was": (len(BACK), JOINTS, 2), "exists": (len(BACK),)}
    sizes |= {
        "visible": (10, JOINTS),
        "unseen": (JOINTS,),
        "never": (JOINTS,),
        "num_seen": (),
        "trimmed": (),
    }
    sizes |= dict.fromkeys(("own", "own_best", "others"), (20, JOINTS, 2))
    sizes |= {"own_facts": (23,), "others_facts": (4,)}
    return MotionBatch(
        MotionInputs(**{name: torch.zeros(ROWS, *size) for name, size in sizes.items()}),
        future=torch.randn(ROWS, FRAMES, JOINTS, 2, generator=generator),
        future_visible=torch.ones(ROWS, FRAMES, JOINTS),
        scale=torch.full((ROWS,), 0.5),
        action=torch.tensor([0, 1, -1, -1]),
        video=torch.tensor([0.0, 0.0, 1.0, 1.0]),
        known=torch.tensor([1.0, 0.0, 1.0, 0.0]),
    )


def said(batch: MotionBatch, cautious: float, bold: float) -> MotionOutputs:
    """Forecasts that are so many times the truth."""
    return MotionOutputs(
        batch.future * cautious,
        batch.future * bold,
        torch.full((ROWS, FRAMES), 0.5),
        torch.ones(ROWS, FRAMES),
        torch.zeros(ROWS, 2),
        torch.zeros(ROWS, 2, FRAMES, JOINTS),
    )


def test_a_right_forecast_costs_nothing(batch):
    _, terms = LOSS(said(batch, 1, 1), batch)

    assert terms["bold"] < 0.1
    assert terms["cautious"] < 0.1
    assert terms["action"] == pytest.approx(0.05 * 0.6931, rel=1e-3)


def test_the_bold_forecast_learns_from_known_people_only(batch):
    changed = batch.future.clone()
    changed[[1, 3]] += 1
    other = replace(batch, future=changed)

    forecast = said(batch, 0.5, 0.5)
    (_, mine), (_, its) = LOSS(forecast, batch), LOSS(forecast, other)

    assert mine["bold"] == its["bold"]
    assert mine["cautious"] != its["cautious"]
    assert mine["trust"] != its["trust"]


def test_trust_is_regretted_in_videos_alone(batch):
    loss = MotionLoss(MotionLossConfig(regret=0.5)), MotionLoss(MotionLossConfig(regret=0.0))
    worse = said(batch, -1, -1)  # away from the truth: twice the error of standing still

    terms = [each(worse, batch)[1]["cautious"] for each in loss]

    assert terms[0] / terms[1] == pytest.approx(1 + 0.5 * 0.5 * 0.5, abs=0.02)


def test_how_much_of_the_way_to_go_is_learned_of_unknown_people(batch):
    unknown = replace(batch, known=torch.zeros(ROWS))
    right = said(batch, 2, 2)  # twice as far as the truth
    half = replace(right, going=torch.full((ROWS, FRAMES), 0.5))

    assert LOSS(half, unknown)[1]["trust"] < 0.1 < LOSS(right, unknown)[1]["trust"]
    assert LOSS(half, unknown)[1]["cautious"] == LOSS(right, unknown)[1]["cautious"]


def test_in_everybody_known_nothing_is_left_for_trust(batch):
    everybody = replace(batch, known=torch.ones(ROWS))

    _, terms = LOSS(said(batch, 0.5, 0.5), everybody)

    assert terms["trust"] == 0
    assert terms["spread"] == 0
