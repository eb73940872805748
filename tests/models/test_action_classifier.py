"""The classifiers of actions: what they do not look at, and that they can learn."""

import pytest
import torch

from posecast.networks.action_classifier import (
    FlowClassifier,
    FlowClassifierConfig,
    PoseClassifier,
    PoseClassifierConfig,
)


@pytest.fixture
def classifier() -> PoseClassifier:
    torch.manual_seed(0)
    return PoseClassifier(PoseClassifierConfig(num_joints=5, num_actions=3, width=8)).eval()


@pytest.fixture
def poses() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.rand(2, 12, 5, 2), torch.rand(2, 12, 5) < 0.8


def test_place_and_size_do_not_matter(classifier, poses):
    joints, visible = poses
    with torch.no_grad():
        near, far = classifier(joints, visible), classifier(0.3 * joints + 5, visible)
    torch.testing.assert_close(near, far, atol=1e-3, rtol=1e-3)


def test_hidden_joints_and_padding_do_not_matter(classifier, poses):
    joints, visible = poses
    wild = joints.masked_fill(~visible[..., None], float("nan"))
    padded = torch.cat([wild, torch.full((2, 9, 5, 2), 1e9)], dim=1)
    shown = torch.cat([visible, torch.zeros(2, 9, 5, dtype=torch.bool)], dim=1)
    with torch.no_grad():
        torch.testing.assert_close(classifier(joints, visible), classifier(padded, shown))


def test_movement_matters(classifier, poses):
    joints, visible = poses
    with torch.no_grad():
        still = classifier(joints[:, :1].expand(-1, 12, -1, -1), visible)
        assert (still - classifier(joints, visible)).abs().max() > 1e-3


def test_flow_classifier_tells_left_from_right():
    torch.manual_seed(0)
    network = FlowClassifier(FlowClassifierConfig(num_flows=2, num_actions=2, width=8, dropout=0.0))
    speed = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])[torch.arange(8) % 2]
    flows = speed[:, None, None, None] + 0.1 * torch.randn(8, 2, 16, 16, 2)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(network(flows), torch.arange(8) % 2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1


def test_wrong_sizes_are_said():
    with pytest.raises(ValueError, match="1 or more"):
        PoseClassifierConfig(width=0)
    with pytest.raises(ValueError, match="dropout"):
        FlowClassifierConfig(dropout=1.0)
