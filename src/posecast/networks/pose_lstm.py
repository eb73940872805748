"""The pose forecaster of the paper: an LSTM that reads seen poses and then runs on by itself.

Paper section 3.2; exact mathematics as in the 2017 code: masked input, ReLU encoder, LSTM with
forget bias 1, zero input (not an encoded zero pose) while it predicts, tanh output.
Features are flattened poses in [-1, 1]: all x, then all y.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from posecast.errors import PosecastError
from posecast.records.configs import check_at_least, check_below_one

Mask = Bool[Tensor, "b t j"] | Float[Tensor, "b t j"]


@dataclass(frozen=True)
class PoseLSTMConfig:
    """Sizes and named options of the pose LSTM; the defaults are the paper's."""

    num_joints: int = 13
    """Joints of a pose: 13 for Penn Action, 32 for Human3.6M."""
    hidden: int = 1024
    """Units of each LSTM layer."""
    layers: int = 1
    """LSTM layers, one above the other."""
    encoder: int = 32
    """Width of the ReLU layer that reads a seen pose."""
    output: Literal["absolute", "residual"] = "absolute"
    """absolute: tanh of the joint's place (paper). residual: how far the joint moves from frame to
    frame, added up from the last place where it was seen; before training this is the baseline
    'last pose stays', and near frames stay near."""
    inputs: Literal["pose", "motion"] = "pose"
    """pose: masked coordinates (paper). motion: besides, how far each joint moved since the frame
    before, where it is relative to where it was last seen, and which joints are visible."""
    dropout: float = 0.0
    """Share of encoder and LSTM outputs set to zero in training (paper: none)."""

    def __post_init__(self) -> None:
        check_at_least(1, self, "num_joints", "hidden", "layers", "encoder")
        check_below_one(self, "dropout")

    @property
    def num_inputs(self) -> int:
        """Numbers that describe one seen pose to the encoder."""
        return self.num_joints * (2 if self.inputs == "pose" else 7)


class PoseLSTM(nn.Module):
    """Seen poses in, any number of future poses out."""

    def __init__(self, config: PoseLSTMConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = nn.Linear(config.num_inputs, config.encoder)
        self.lstm = nn.LSTM(config.encoder, config.hidden, config.layers, batch_first=True)
        self.decoder = nn.Linear(config.hidden, 2 * config.num_joints)
        self.dropout = nn.Dropout(config.dropout)
        self._initialise()

    def forward(
        self, past: Float[Tensor, "b t f"], mask: Mask, steps: int
    ) -> Float[Tensor, "b steps f"]:
        """Forecast `steps` poses after the seen ones.

        `past` holds coordinates in [-1, 1], all x then all y; where `mask` is 0 they are ignored,
        whatever they are. Raises PosecastError where sizes do not fit the network.
        """
        self._check(past, mask, steps)
        mask = mask.to(past.dtype)
        seen = mask_poses(past, mask)
        features = self.dropout(torch.relu(self.encoder(self._describe(seen, mask))))
        _, state = self.lstm(features)
        # The zero input costs 3 % of the step's products; no separate cell loop is worth that.
        silence = features.new_zeros(len(past), steps, self.config.encoder)
        hidden, _ = self.lstm(silence, state)
        # bfloat16 has too few digits for places, and the decoder costs next to nothing.
        with torch.autocast(past.device.type, enabled=False):
            moved = self.decoder(self.dropout(hidden).to(past.dtype))
        if self.config.output == "absolute":
            return torch.tanh(moved)
        return last_seen(seen, mask)[:, None] + moved.cumsum(dim=1)

    def _describe(
        self, seen: Float[Tensor, "b t f"], mask: Float[Tensor, "b t j"]
    ) -> Float[Tensor, "b t inputs"]:
        if self.config.inputs == "pose":
            return seen
        both = torch.cat((mask, mask), dim=2)
        shift = (seen - last_seen(seen, mask)[:, None]) * both
        step = torch.zeros_like(seen)
        step[:, 1:] = (seen[:, 1:] - seen[:, :-1]) * both[:, 1:] * both[:, :-1]
        return torch.cat((seen, shift, step, mask), dim=2)

    def _check(self, past: Tensor, mask: Tensor, steps: int) -> None:
        joints = self.config.num_joints
        if past.shape[2] != 2 * joints or mask.shape != (*past.shape[:2], joints):
            raise PosecastError(
                f"poses {tuple(past.shape)} with mask {tuple(mask.shape)} do not fit a network of "
                f"{joints} joints: expected (b, t, {2 * joints}) and (b, t, {joints})"
            )
        if past.shape[1] < 1 or steps < 1:
            raise PosecastError(f"{past.shape[1]} seen poses, {steps} to forecast: need 1 of each")

    @torch.no_grad()
    def _initialise(self) -> None:
        """As in 2017: Glorot for [input, state] jointly, normal 0.02 for dense, forget bias 1."""
        for dense in (self.encoder, self.decoder):
            nn.init.normal_(dense.weight, std=0.02)
            nn.init.zeros_(dense.bias)
        if self.config.output == "residual":
            nn.init.zeros_(self.decoder.weight)
        hidden = self.config.hidden
        for layer in range(self.config.layers):
            w_input, w_state, bias, forget = self.lstm.all_weights[layer]
            limit = math.sqrt(6 / (w_input.shape[1] + hidden + 4 * hidden))
            nn.init.uniform_(w_input, -limit, limit)
            nn.init.uniform_(w_state, -limit, limit)
            nn.init.zeros_(bias)
            # nn.LSTM has two biases: the second one holds the constant forget bias and is frozen,
            # so that training moves the sum as it moves the single bias of 2017.
            nn.init.zeros_(forget)
            forget[hidden : 2 * hidden] = 1
            forget.requires_grad_(False)


def mask_poses(
    poses: Float[Tensor, "b t f"], mask: Float[Tensor, "b t j"]
) -> Float[Tensor, "b t f"]:
    """Poses times mask; exactly 0 where the mask is 0, even if the pose is NaN there."""
    both = torch.cat((mask, mask), dim=2)
    return (poses * both).masked_fill(both == 0, 0)


def last_seen(seen: Float[Tensor, "b t f"], mask: Float[Tensor, "b t j"]) -> Float[Tensor, "b f"]:
    """Where each joint was when last seen; 0 (the middle) for joints never seen.

    `seen` are masked poses. Also the forecast of the baseline 'last pose stays'.
    """
    frames = torch.arange(1, mask.shape[1] + 1, device=mask.device)
    last = ((mask != 0) * frames[None, :, None]).argmax(dim=1)
    return seen.gather(1, torch.cat((last, last), dim=1)[:, None]).squeeze(1)
