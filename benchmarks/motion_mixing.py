"""How far a trained network trusts one's own past, learned anew for learned weights of moments.

`benchmarks.ship_motion --packed PACKED` does it: networks that were trained before what the moments
count was learned trust their own past as far as it was right then. The last weights by which the
cautious forecast trusts it are learned on the training tracks that `benchmarks.motion_pack` left;
all else stays, so that what is forecast where there are no moments stays to the last bit.
"""

from pathlib import Path
from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from benchmarks.motion_pack import unpack
from posecast.motion.neighbours import MotionBase
from posecast.networks.motion_residual import MotionMember, MotionResidual
from posecast.networks.motion_values import MotionInputs
from posecast.training.motion_validation import window_inputs
from posecast.training.motion_windows import (
    FRAMES,
    KIND_VIDEO,
    MotionWindows,
    WindowChoice,
    choose_windows,
    find_others,
)

CHOICE = WindowChoice(rounds_clip=1, rounds_video=1, first=1, others=3, every=15)
STEPS, BATCH, RATE = 400, 128, 3e-3
CLIPS = 0.2
"""Share of the windows that are of clips."""
REGRET = 0.5  # as in `training.motion_loss`, of videos


def learn_mixing(network: MotionResidual, base: MotionBase, packed: Path, seed: int = 0) -> None:
    """Change the network; minutes on one core."""
    assert network.moments is not None
    found = unpack(packed)
    known = found.known
    windows = choose_windows(known, CHOICE, seed, weigh=network.moments.of_one)
    windows = windows.take((windows.own_facts[:, 0] > 0) & (windows.scale > 0.15))
    windows = find_others(windows, base, found.apart(known))
    group = np.unique([track.group for track in known], return_inverse=True)[1]
    chance, is_video = _chances(windows, group[windows.track])
    inputs, future = window_inputs(windows), torch.from_numpy(windows.future).float()
    unit = torch.from_numpy(windows.scale[:, None, None] * windows.future_visible).float()
    still = far(future, unit)
    usual = (still.sum(dim=2) * chance[:, None]).sum(dim=0)
    members = [cast(MotionMember, member) for member in network.eval().members]
    lasts = [cast(nn.Linear, member.cautious[-1]) for member in members]
    learned = [each for last in lasts for each in (last.weight, last.bias)]
    own = len(lasts[0].bias) // 2  # the rest is of neighbours
    optimizer = torch.optim.Adam(learned, RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    luck, frames = torch.Generator().manual_seed(seed), torch.tensor(FRAMES)
    for _ in range(STEPS):
        rows = torch.multinomial(chance, BATCH, replacement=True, generator=luck)
        drawn = {name: value[rows] for name, value in vars(inputs).items()}
        reading = members[0].read_inputs(MotionInputs(**drawn), frames)
        loss = torch.zeros(())
        for member in members:
            error = far(member(reading).cautious - future[rows], unit[rows])
            worse = (error - still[rows]).clamp(min=0) * is_video[rows, None, None]
            loss = loss + ((error + REGRET * worse).sum(dim=2).mean(dim=0) / usual).mean()
        optimizer.zero_grad()
        loss.backward(inputs=learned)
        for each in learned:
            assert each.grad is not None
            each.grad[own:] = 0
        optimizer.step()
        schedule.step()


def _chances(
    windows: MotionWindows, group: np.ndarray
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """How likely each is drawn (a group of many videos does not drown the others), and which are
    of videos."""
    is_video = windows.kind == KIND_VIDEO
    chance = np.where(is_video, 1 / np.sqrt(np.bincount(group)[group]), 1.0)
    for rows, share in ((is_video, 1 - CLIPS), (~is_video, CLIPS)):
        chance[rows] *= share / chance[rows].sum()
    return torch.from_numpy(chance).float(), torch.from_numpy(is_video).float()


def far(off: Float[Tensor, "b f j 2"], unit: Float[Tensor, "b f j"]) -> Float[Tensor, "b f j"]:
    """Distances in units of what errors are divided by, 0 where nothing is known."""
    return (off.square().sum(dim=-1) + 1e-8).sqrt() * unit
