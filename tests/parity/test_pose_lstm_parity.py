"""The pose LSTM against the 2017 code: outputs, loss, gradients, clipping, RMSProp steps.

Noise floor of the reference numbers (float32): outputs and gradients 1e-7, weights after a step
3e-8. RMSProp steps move weights by as little as 1e-6, so changes are compared, not weights.
Where the poses are scaled by 150 (lstm_train_clip), our own float32 and float64 gradients differ
by 5e-6 of the largest entry, and so does the reference.
"""

import numpy as np
import pytest
import torch

from posecast.losses import masked_pose_loss
from posecast.networks.pose_lstm import PoseLSTM
from posecast.training.optimizers import TFRMSProp
from posecast.villegas2017.conversion import pose_lstm

TRAINED = ["lstm_train", "lstm_train_2layer", "lstm_train_clip", "lstm_train_h36m"]
PRECISIONS = [np.float32, np.float64]


def variables(arrays: dict, prefix: str, dtype: type = np.float32) -> dict[str, np.ndarray]:
    prefix += "/"
    return {
        name.removeprefix(prefix): array.astype(dtype)
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def in_network_layout(arrays: dict, prefix: str, dtype: type) -> dict[str, torch.Tensor]:
    """Anything of the shape of the variables (gradients, slots), laid out as the network's."""
    laid_out = variables(arrays, prefix, dtype)
    laid_out = {name.removesuffix("/optimizer"): array for name, array in laid_out.items()}
    return dict(pose_lstm(laid_out).named_parameters())


def trained_parameters(network: PoseLSTM) -> dict[str, torch.nn.Parameter]:
    return {name: param for name, param in network.named_parameters() if param.requires_grad}


class Replay:
    """The 2017 training of one golden file, step by step."""

    def __init__(self, arrays: dict, dtype: type) -> None:
        self.network = pose_lstm(variables(arrays, "w0", dtype))
        self.start = {
            name: param.detach().clone() for name, param in trained_parameters(self.network).items()
        }
        self.optimizer = TFRMSProp(
            trained_parameters(self.network).values(), lr=1e-3, decay=0.9, eps=1e-10
        )
        seen = int(arrays["seen_step"])
        poses = torch.from_numpy(arrays["seq"].astype(dtype))
        mask = torch.from_numpy(arrays["mask"].astype(dtype))
        self.past, self.future = poses[:, :seen], poses[:, seen:]
        self.past_mask, self.future_mask = mask[:, :seen], mask[:, seen:]

    def forecast(self) -> torch.Tensor:
        return self.network(self.past, self.past_mask, self.future.shape[1])

    def backward(self) -> torch.Tensor:
        self.optimizer.zero_grad()
        loss = masked_pose_loss(self.forecast(), self.future, self.future_mask)
        loss.backward()
        return loss.detach()

    def step(self) -> None:
        self.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 25.0)
        self.optimizer.step()

    def changes(self) -> dict[str, torch.Tensor]:
        now = trained_parameters(self.network)
        return {name: (now[name] - start).detach() for name, start in self.start.items()}


@pytest.fixture(params=TRAINED)
def arrays(request, golden):
    return golden(request.param)


def close(actual: torch.Tensor, expected: np.ndarray | torch.Tensor, tolerance: float) -> None:
    expected = torch.as_tensor(expected, dtype=actual.dtype)
    torch.testing.assert_close(actual.detach(), expected, rtol=1e-6, atol=tolerance)


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_outputs_and_loss(arrays, dtype):
    replay = Replay(arrays, dtype)
    close(replay.forecast(), arrays["output"][:, int(arrays["seen_step"]) :], 4e-7)
    assert replay.backward().item() == pytest.approx(float(arrays["loss"]), rel=1e-6)


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_gradients_and_their_norm(arrays, dtype):
    replay = Replay(arrays, dtype)
    replay.backward()
    expected = in_network_layout(arrays, "grad", dtype)
    share = 2e-6 if float(arrays["global_norm"]) < 1 else 1e-5
    for name, param in trained_parameters(replay.network).items():
        close(param.grad, expected[name], share * expected[name].detach().abs().max().item())
    norm = torch.nn.utils.clip_grad_norm_(replay.network.parameters(), 25.0)
    assert norm.item() == pytest.approx(float(arrays["global_norm"]), rel=2e-6)


def test_clipped_gradients(golden):
    arrays = golden("lstm_train_clip")
    replay = Replay(arrays, np.float32)
    replay.backward()
    torch.nn.utils.clip_grad_norm_(replay.network.parameters(), 25.0)
    expected = in_network_layout(arrays, "grad_clipped", np.float32)
    for name, param in trained_parameters(replay.network).items():
        close(param.grad, expected[name], 1e-5 * expected[name].detach().abs().max().item())


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("steps", [1, 3])
def test_weight_changes_after_rmsprop_steps(arrays, dtype, steps):
    replay = Replay(arrays, dtype)
    for _ in range(steps):
        replay.step()
    after = in_network_layout(arrays, f"w{steps}", dtype)
    changes = replay.changes()
    for name, start in replay.start.items():
        expected = after[name].detach() - start
        assert expected.abs().max() > 20 * 3e-8 * steps  # the comparison can tell
        close(changes[name], expected, 3e-8 * steps)


def test_mean_square_slots(arrays):
    replay = Replay(arrays, np.float32)
    replay.step()
    expected = in_network_layout(arrays, "rms1", np.float32)
    for name, param in trained_parameters(replay.network).items():
        close(replay.optimizer.state[param]["mean_square"], expected[name], 1e-7)


def test_loss_after_each_step(arrays):
    replay = Replay(arrays, np.float32)
    for expected in arrays["loss_after_step"]:
        replay.step()
        assert replay.backward().item() == pytest.approx(float(expected), rel=2e-6)
    close(replay.forecast(), arrays["output_after3"][:, int(arrays["seen_step"]) :], 4e-7)


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_long_forecast_of_one_clip(golden, dtype):
    arrays = golden("lstm_predict")
    network = pose_lstm(variables(arrays, "w0", dtype))
    past = torch.from_numpy(arrays["seq"].astype(dtype))
    mask = torch.from_numpy(arrays["mask"].astype(dtype))
    predicted = network(past, mask, 64)
    close(predicted, arrays["output"][:, 10:], 4e-7)
    close((predicted + 1) / 2 * 128, arrays["joints_px128"][:, 10:], 3e-5)


def test_precision_and_sizes_come_from_the_arrays(golden):
    arrays = golden("lstm_train_2layer")
    network = pose_lstm(variables(arrays, "w0", np.float64))
    assert {param.dtype for param in network.parameters()} == {torch.float64}
    assert (network.config.num_joints, network.config.hidden, network.config.layers) == (13, 24, 2)


def test_missing_and_misshapen_variables_are_named(golden):
    given = variables(golden("lstm_train"), "w0")
    without = {name: array for name, array in given.items() if name != "lm_enc/bias"}
    with pytest.raises(ValueError, match="lm_enc/bias is missing"):
        pose_lstm(without)
    decoder = "GEN/G_LSTM/dec_fc2/bias"
    with pytest.raises(ValueError, match=r"dec_fc2/bias has shape \(25,\); expected \(26,\)"):
        pose_lstm(given | {decoder: given[decoder][:-1]})
    with pytest.raises(ValueError, match="variables given: none"):
        pose_lstm({})
