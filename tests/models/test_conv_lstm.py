"""The ConvLSTM baseline: shapes, feeding back, and what a wrong size says."""

import pytest
import torch

from posecast.networks.conv_lstm import ConvLSTM, ConvLSTMConfig

TINY = ConvLSTMConfig(width=4, layers=2, kernel=3, size=8)


@pytest.fixture
def network() -> ConvLSTM:
    torch.manual_seed(0)
    return ConvLSTM(TINY).eval()


def test_any_number_of_frames(network):
    past = torch.rand(2, 3, 3, 8, 8) * 2 - 1
    with torch.no_grad():
        short, long = network(past, 2), network(past, 5)
    assert long.shape == (2, 5, 3, 8, 8)
    assert torch.equal(long[:, :2], short)
    assert long.abs().max() <= 1


def test_without_a_change_the_last_frame_stays(network):
    torch.nn.init.zeros_(network.decoder[-1].weight)
    torch.nn.init.zeros_(network.decoder[-1].bias)
    past = torch.rand(1, 3, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(network(past, 3), past[:, -1:].expand(-1, 3, -1, -1, -1))


def test_it_feeds_its_own_frames_back(network):
    """Going on from its own first forecast gives its second one."""
    past = torch.rand(1, 4, 3, 8, 8)
    with torch.no_grad():
        both = network(past, 2)
        again = network(torch.cat([past, both[:, :1]], dim=1), 1)
    torch.testing.assert_close(again[:, 0], both[:, 1])


def test_all_seen_frames_matter(network):
    past = torch.rand(1, 4, 3, 8, 8)
    other = past.clone()
    other[:, 0] = -other[:, 0]
    with torch.no_grad():
        assert not torch.equal(network(past, 1), network(other, 1))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kernel": 4}, "it must be odd"),
        ({"size": 10}, "multiple of 4"),
        ({"width": 1}, "2 or more"),
    ],
)
def test_wrong_sizes_are_said(wrong, message):
    with pytest.raises(ValueError, match=message):
        ConvLSTMConfig(**wrong)
