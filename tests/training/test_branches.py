"""An iteration of image training in branches, on a card that is none: no branch reads what another
may not have written yet."""

from dataclasses import replace

import pytest

from a_card import CARD, pretended
from benchmarks.speed import work


def test_no_branch_reads_too_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = replace(work.QUICK, side=64, image_batch=1, features=True, compile="off")
    with pretended(monkeypatch) as card:
        work.image_training(sizes, "fp32", CARD)()
        assert card.races == []
        assert len(card._branches) == 7
