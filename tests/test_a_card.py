"""What a card that is none refuses and notes: what would go wrong on a real one."""

import pytest
import torch
from torch import cuda

from a_card import CARD, Card, pretended
from posecast.computing.recording import PLAIN_CALLS, recorded
from posecast.computing.streams import Beside


@pytest.fixture
def card(monkeypatch):
    with pretended(monkeypatch) as card:
        yield card


HERE = torch.arange(3.0)


def forgotten(x: torch.Tensor) -> torch.Tensor:
    with Beside(x, branch="any"):
        pass
    return x * 2


WRONG = {
    "a tensor from here": lambda x: x + HERE,
    "a single number from here": lambda x: x + HERE[2],
    "a number read": lambda x: x * x.sum().item(),
    "a choice by what it holds": lambda x: x if x.any() else -x,
    "a mask": lambda x: x[x > 1],
    "a list as index": lambda x: x[[1, 2]],
    "a tensor made": lambda x: x + torch.tensor([1.0, 2, 3], device=CARD),
    "a copy": lambda x: HERE.to(CARD) + x,
    "a branch that nobody waits for": forgotten,
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_recorded(what, card: Card) -> None:
    work = recorded(WRONG[what], "auto", CARD)
    x = torch.arange(3, dtype=torch.float32, device=CARD)
    with pytest.raises((RuntimeError, ValueError), match="the card"):
        [work(each) for each in [x] * (PLAIN_CALLS + 1)]


def test_recorded_work_is_done_again_with_other_numbers(card: Card) -> None:
    total, factor = torch.zeros(2, device=CARD), 2.0

    def add(x: torch.Tensor) -> torch.Tensor:
        total.add_(x.view(2) * factor)
        return total.sum()

    work, said = recorded(add, "auto", CARD), []
    for number in range(2 * PLAIN_CALLS):
        said.append(work(torch.full((1, 2), float(number), device=CARD)).item())
        if number > PLAIN_CALLS:
            factor = 0.0  # is not looked at again
    assert said == [0.0, 4.0, 12.0, 24.0, 40.0, 60.0]
    assert [graph.replays for graph in card.graphs] == [3]


@pytest.mark.parametrize("waits", [True, False])
def test_reading_what_another_stream_may_still_write_is_noted(waits: bool, card: Card) -> None:
    read = torch.ones(3, device=CARD)
    beside = Beside(read, branch="any")
    with beside:
        made = read * 2
    if waits:
        beside.wait(made)
    assert (made + 1).tolist() == [3, 3, 3]
    assert bool(card.races) != waits
    with cuda.stream(cuda.Stream()):
        made.add_(1)
    assert bool(card.races)
