import pytest
import torch

from posecast.losses import masked_pose_loss
from posecast.networks.pose_lstm import PoseLSTM, PoseLSTMConfig, last_seen, mask_poses

TINY = {"num_joints": 3, "hidden": 8, "encoder": 4}


def network(**options) -> PoseLSTM:
    torch.manual_seed(0)
    return PoseLSTM(PoseLSTMConfig(**(TINY | options)))


def poses(seed: int = 0, frames: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    past = torch.rand(2, frames, 6, generator=generator) * 2 - 1
    mask = torch.rand(2, frames, 3, generator=generator) > 0.4
    return past, mask


@pytest.mark.parametrize("output", ["absolute", "residual"])
@pytest.mark.parametrize("inputs", ["pose", "motion"])
@pytest.mark.parametrize("layers", [1, 3])
def test_any_number_of_poses(output, inputs, layers):
    model = network(output=output, inputs=inputs, layers=layers)
    past, mask = poses()
    long = model(past, mask, 70)
    assert long.shape == (2, 70, 6)
    torch.testing.assert_close(model(past, mask, 3), long[:, :3])


@pytest.mark.parametrize("inputs", ["pose", "motion"])
def test_hidden_joints_have_no_influence(inputs):
    model = network(output="residual", inputs=inputs)
    torch.nn.init.normal_(model.decoder.weight)
    past, mask = poses()
    hidden = ~torch.cat((mask, mask), dim=2)
    other = past.masked_fill(hidden, float("nan"))
    torch.testing.assert_close(model(other, mask, 4), model(past, mask, 4))


def test_boolean_and_float_masks_are_the_same():
    model = network()
    past, mask = poses()
    assert torch.equal(model(past, mask, 4), model(past, mask.float(), 4))


def test_absolute_output_stays_inside():
    model = network()
    torch.nn.init.normal_(model.decoder.weight, std=100.0)
    assert model(*poses(), 4).abs().max() <= 1


def test_last_seen_is_the_last_visible_place_or_the_middle():
    past = torch.tensor([[[0.1, 0.2, 0.5, 0.6], [0.3, 0.4, 0.7, 0.8]]])  # x1 x2 y1 y2
    mask = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
    assert last_seen(mask_poses(past, mask), mask).tolist() == [
        pytest.approx([0.1, 0.0, 0.5, 0.0], abs=1e-6)
    ]


def test_residual_starts_as_last_pose_stays():
    model = network(output="residual")
    past, mask = poses()
    seen = mask_poses(past, mask.float())
    expected = last_seen(seen, mask.float())[:, None].expand(-1, 6, -1)
    assert torch.equal(model(past, mask, 6), expected)


def test_residual_output_adds_up_movements():
    model = network(output="residual")
    past, mask = poses()
    start = model(past, mask, 1)[:, 0].detach()
    torch.nn.init.constant_(model.decoder.bias, 0.25)
    moved = model(past, mask, 4) - start[:, None]
    expected = torch.tensor([0.25, 0.5, 0.75, 1.0])[None, :, None].expand(2, 4, 6)
    torch.testing.assert_close(moved, expected)


def test_bfloat16_keeps_the_places_precise():
    model = network(output="residual", inputs="motion")
    torch.nn.init.normal_(model.decoder.weight, std=0.1)
    past, mask = poses()
    with torch.autocast("cpu", torch.bfloat16):
        rough = model(past, mask, 8)
    assert rough.dtype == torch.float32
    exact = model(past, mask, 8)
    assert not torch.equal(rough, exact)
    torch.testing.assert_close(rough, exact, rtol=0, atol=0.02)


def test_initial_values_are_those_of_2017():
    model = network(hidden=64, layers=2)
    state = model.state_dict()
    for layer, inputs in enumerate((4, 64)):
        limit = (6 / (inputs + 64 + 4 * 64)) ** 0.5
        for name in ("weight_ih", "weight_hh"):
            largest = state[f"lstm.{name}_l{layer}"].abs().max()
            assert 0.9 * limit < largest <= limit
        assert not state[f"lstm.bias_ih_l{layer}"].any()
        forget = state[f"lstm.bias_hh_l{layer}"].reshape(4, 64).mean(dim=1)
        assert forget.tolist() == [0, 1, 0, 0]
    assert model.decoder.weight.std().item() == pytest.approx(0.02, rel=0.2)
    assert not model.decoder.bias.any()


def test_forget_bias_is_not_trained():
    model = network()
    masked_pose_loss(model(*poses(), 3), torch.zeros(2, 3, 6), torch.ones(2, 3, 3)).backward()
    assert model.lstm.bias_hh_l0.grad is None
    assert model.lstm.bias_ih_l0.grad.abs().sum() > 0


def test_overfits_one_batch():
    model = network(hidden=32)
    past, mask = poses()
    future, _ = poses(seed=1, frames=3)
    everything = torch.ones(2, 3, 3)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(300):
        optimizer.zero_grad()
        loss = masked_pose_loss(model(past, mask, 3), future, everything)
        loss.backward()
        optimizer.step()
    assert loss.item() < 1e-3


def test_dropout_acts_in_training_only():
    model = network(dropout=0.5)
    past, mask = poses()
    assert not torch.equal(model(past, mask, 3), model(past, mask, 3))
    model.eval()
    assert torch.equal(model(past, mask, 3), model(past, mask, 3))


def test_sizes_that_do_not_fit_are_named():
    model = network()
    past, mask = poses()
    with pytest.raises(ValueError, match="3 joints"):
        model(past[:, :, :4], mask[:, :, :2], 3)
    with pytest.raises(ValueError, match="0 to forecast"):
        model(past, mask, 0)


@pytest.mark.parametrize(
    ("options", "message"), [({"hidden": 0}, "hidden is 0"), ({"dropout": 1.0}, "dropout is 1.0")]
)
def test_impossible_configurations(options, message):
    with pytest.raises(ValueError, match=message):
        PoseLSTMConfig(**options)
