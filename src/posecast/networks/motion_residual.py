"""What a learned correction adds to two guesses: one's own past, and what others did.

Three parts, each a step on the way to the forecast:

- cautious: both guesses, trusted over time by a few facts, mostly how well they fit and would have
  fitted before, and the last frames carried on by a few linear filters, which mend a shaky last
  pose. It has too few weights to know anybody.
- bold: a residual network reads the whole seen motion (`motion.seen`) and both guesses, and says
  what is to be added to them, as a few cosines that are zero at the last seen frame and one step.
- trust: how far to go from the cautious to the bold forecast, by the same facts; and where it is
  told whether clips are cut to one action, how much of that way from the last pose. It is trained
  on people whom the bold part was not trained on, for on those whom it knows the bold one is
  always right.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from posecast.errors import check_names
from posecast.motion import neighbours, own_past
from posecast.motion.basis import HORIZON, NUM_COSINES, cosine_basis
from posecast.motion.neighbours import flip
from posecast.motion.seen import BACK, RECENT
from posecast.networks.moment_weights import MomentWeights
from posecast.networks.motion_parts import (
    KNOTS,
    SMALL,
    Block,
    Dropout,
    between_knots,
    how_far,
    how_far_apart,
    over_time,
    small,
    trust_head,
    zero,
)
from posecast.networks.motion_values import (
    NUM_FACTS,
    MotionInputs,
    MotionOutputs,
    log_seen,
    trust_facts,
)
from posecast.records.configs import check_at_least, check_below_one
from posecast.skeletons import SKELETONS

_VELOCITIES = 5
_LARGEST_INPUT = 10.0
_READ = 12
"""Cosines of a guess that are read; the finer ones are noise."""
_FILTERS, _FILTERED = 4, RECENT - 1
"""Linear filters, and how many of the frames of `BACK` they look at."""
_APART_AT = (1, 5, 12, 21, 37, 64)
"""Frames ahead at which trust looks how far the cautious and the bold forecast are apart."""
_RADIUS_OFFSET = -3.0
_STEP = 0.3
_PARTS = ("own_past", "neighbours", "older_frames", "filters", "bold", "cautious")
"""Switches of the configuration; a part that is left out is multiplied by 0."""
QUANTILES = (0.5, 0.9)


@dataclass(frozen=True)
class MotionResidualConfig:
    """Sizes and parts of the network; the parts can be left out, to measure what they give."""

    skeleton: str = "penn_action"
    """Whose joints are forecast."""
    width: int = 384
    """Units of a layer."""
    blocks: int = 6
    """Residual blocks of two layers."""
    dropout: float = 0.1
    """Share of a block's outputs set to zero in training."""
    input_dropout: float = 0.0
    """Share of the inputs set to zero in training."""
    actions: tuple[str, ...] = ()
    """Actions that the network tells apart on the way; none: it does not."""
    own_past: bool = True
    """Read the continuation of one's own past."""
    learned_moments: bool = False
    """Whether what the own past's moments count was learned, before all else."""
    moment_parts: bool = False
    """Whether it was learned for each part of the body by itself."""
    neighbours: bool = True
    """Read what others did next."""
    older_frames: bool = True
    """Read frames before the last ten."""
    filters: bool = True
    """Carry the last frames on by linear filters."""
    bold: bool = True
    """Trust the bold forecast at all."""
    cautious: bool = True
    """Hold the bold forecast back where it is not trusted."""
    trimmed: bool = False
    """Trust by whether a clip is cut to one action, too, and stay nearer the last pose where that
    pays."""
    members: int = 1
    """Networks that were trained one by one, whose forecasts are averaged."""

    def __post_init__(self) -> None:
        check_names((self.skeleton,), list(SKELETONS), "skeleton")
        check_at_least(1, self, "width", "blocks", "members")
        check_below_one(self, "dropout", "input_dropout")


class _Reading(NamedTuple):
    """What all networks read alike."""

    inputs: MotionInputs
    frames: Int[Tensor, " t"] | None
    row: Float[Tensor, "b d"]
    facts: Float[Tensor, "b f"]
    guesses: tuple[Float[Tensor, "b t j 2"], Float[Tensor, "b t j 2"]]
    """One's own past and the neighbours, over time."""


class MotionMember(nn.Module):
    """One trained network, one look."""

    basis: Tensor
    steps: Tensor
    knots: Tensor
    fineness: Tensor
    widening: Tensor
    parts: Tensor
    apart_at: Tensor

    def __init__(self, config: MotionResidualConfig) -> None:
        super().__init__()
        skeleton = SKELETONS[config.skeleton]
        width, joints, half = config.width, skeleton.num_joints, config.blocks // 2
        self.drop_inputs = Dropout(config.input_dropout)
        self.read = nn.Linear(_num_inputs(joints), width)
        blocks = [Block(width, config.dropout) for _ in range(config.blocks)]
        self.early, self.late = nn.Sequential(*blocks[:half]), nn.Sequential(*blocks[half:])
        self.tell_action = nn.Linear(width, len(config.actions)) if config.actions else None
        self.use_action = zero(nn.Linear(len(config.actions), width)) if config.actions else None
        self.norm = nn.LayerNorm(width)
        self.add = zero(nn.Linear(width, (NUM_COSINES + 1) * joints * 2))
        self.bold_trust = zero(nn.Linear(width, 2 * KNOTS))
        self.spread = zero(nn.Linear(width, len(QUANTILES) * joints * KNOTS))
        self.cautious = small(NUM_FACTS, 2 * KNOTS)
        self.choose_filter = nn.Sequential(
            nn.Linear(NUM_FACTS, SMALL), nn.GELU(), nn.Linear(SMALL, _FILTERS)
        )
        self.filters = zero(nn.Linear(_FILTERS * _FILTERED, NUM_COSINES + 1, bias=False))
        self.trust = trust_head(config.trimmed)
        self._reads_trimmed = config.trimmed
        basis = torch.from_numpy(cosine_basis().copy())
        fineness = torch.cat([1 / torch.linspace(1, 3, NUM_COSINES), torch.full((1,), _STEP)])
        constants = {
            "basis": basis,
            "steps": torch.cat([basis, torch.ones(HORIZON, 1)], dim=1),
            "knots": between_knots(),
            "apart_at": torch.tensor(_APART_AT) - 1,
            "fineness": fineness[:, None, None],
            "parts": torch.tensor([float(getattr(config, name)) for name in _PARTS]),
        }
        for name, values in constants.items():
            self.register_buffer(name, values, persistent=False)
        # Set after training, by how often the truth lay outside on people that were held out.
        self.register_buffer("widening", torch.zeros(len(QUANTILES), HORIZON))

    def _part(self, name: str) -> Float[Tensor, ""]:
        return self.parts[_PARTS.index(name)]

    def _features(self, inputs: MotionInputs) -> Float[Tensor, "b d"]:
        """Everything in one row, scaled to about 1."""
        recent = torch.arange(len(BACK), device=inputs.was.device) < RECENT - 1
        kept = torch.where(recent, 1.0, self._part("older_frames"))
        was, exists = inputs.was * kept[:, None, None], inputs.exists * kept
        steps = torch.cat([was[:, :1], was[:, 1:_VELOCITIES] - was[:, : _VELOCITIES - 1]], dim=1)
        marks = [inputs.visible[:, 0], inputs.visible.mean(dim=1), inputs.unseen, inputs.never]
        parts = [inputs.pose * 2, was * 3, steps * 12, exists, *marks, log_seen(inputs)]
        own = [inputs.own[:, :_READ], inputs.own_best[:, :_READ], inputs.own_facts]
        others = [inputs.others[:, :_READ], inputs.others_facts]
        parts += [each * self._part("own_past") for each in own]
        parts += [each * self._part("neighbours") for each in others]
        row = torch.cat([part.flatten(1) for part in parts], dim=1)
        return row.clamp(-_LARGEST_INPUT, _LARGEST_INPUT)

    def read_inputs(self, inputs: MotionInputs, frames: Tensor | None) -> _Reading:
        """All frames of the horizon, or those numbered in `frames` (0: the first one ahead)."""
        basis = self.basis if frames is None else self.basis[frames]
        guesses = (over_time(inputs.own, basis), over_time(inputs.others, basis))
        facts = trust_facts(inputs, self._part("own_past"), self._part("neighbours"))
        return _Reading(inputs, frames, self._features(inputs), facts, guesses)

    def forward(self, reading: _Reading) -> MotionOutputs:
        """What the network makes of it."""
        inputs, frames, row, facts, guesses = reading
        steps, knots, widening = self.steps, self.knots, self.widening
        if frames is not None:
            steps, knots, widening = steps[frames], knots[:, frames], widening[:, frames]
        hidden, logits = self._think(row)
        added = self.add(hidden).float().unflatten(1, (NUM_COSINES + 1, *inputs.pose.shape[1:]))
        with torch.autocast(facts.device.type, enabled=False):
            filtered = self._filtered(inputs, facts) * self._part("filters")
            carried = over_time(filtered, steps)
            bold = carried + over_time(added * self.fineness, steps)
            bold = bold + self._mix(inputs, self.bold_trust(hidden.float()), knots, guesses)
            cautious = carried + self._mix(inputs, self.cautious(facts) - 1, knots, guesses)
            apart = how_far_apart(cautious, bold, self._apart_at(frames))
            told = [inputs.trimmed[:, None]] if self._reads_trimmed else []
            said = self.trust(torch.cat([facts, apart, *told], dim=1))
            trust, going = how_far(said, knots, self._part("cautious"))
        joints = inputs.pose.shape[1]
        spread = self.spread(hidden).float().reshape(-1, len(QUANTILES), joints, KNOTS)
        log_radius = (spread @ knots).transpose(2, 3) + widening[..., None] + _RADIUS_OFFSET
        return MotionOutputs(cautious, bold, trust * self._part("bold"), going, logits, log_radius)

    def _apart_at(self, frames: Int[Tensor, " f"] | None) -> Int[Tensor, " k"]:
        """Places of `_APART_AT` among the frames given, or of the next that is given."""
        if frames is None:
            return self.apart_at
        return torch.searchsorted(frames, self.apart_at).clamp(max=frames.shape[0] - 1)

    def _think(
        self, row: Float[Tensor, "b d"]
    ) -> tuple[Float[Tensor, "b w"], Float[Tensor, "b a"]]:
        hidden = self.early(self.read(self.drop_inputs(row)))
        logits = hidden.new_zeros(hidden.shape[0], 0)
        if self.tell_action is not None and self.use_action is not None:
            logits = self.tell_action(hidden).float()
            hidden = hidden + self.use_action(logits.softmax(dim=-1))
        return self.norm(self.late(hidden)), logits

    def _filtered(
        self, inputs: MotionInputs, facts: Float[Tensor, "b f"]
    ) -> Float[Tensor, "b m j 2"]:
        """What linear filters make of each coordinate's last frames, chosen by the facts."""
        was = inputs.was[:, :_FILTERED] * inputs.exists[:, :_FILTERED, None, None]
        chosen = self.choose_filter(facts).softmax(dim=-1)
        weighed = (chosen[:, :, None, None, None] * was[:, None]).flatten(1, 2)
        return self.filters(weighed.flatten(2).mT).mT.unflatten(2, was.shape[2:])

    def _mix(
        self,
        inputs: MotionInputs,
        trust: Float[Tensor, "b k2"],
        knots: Float[Tensor, "k t"],
        guesses: tuple[Float[Tensor, "b t j 2"], Float[Tensor, "b t j 2"]],
    ) -> Float[Tensor, "b t j 2"]:
        """Both guesses, each as far as it is trusted; one's own past goes first."""
        trust = trust.reshape(-1, 2, KNOTS)
        any_moment, misfit = inputs.own_facts[:, :1], inputs.own_facts[:, 2:3]
        own = torch.sigmoid(trust[:, 0] + 3 - 5 * misfit) @ knots * any_moment
        own = own * self._part("own_past")
        others = (1 - own) * (torch.sigmoid(trust[:, 1]) @ knots) * self._part("neighbours")
        return own[..., None, None] * guesses[0] + others[..., None, None] * guesses[1]


class MotionResidual(nn.Module):
    """The network; `forward` is one look, `both_ways` the mean of it and its mirror image."""

    mirror: Tensor

    def __init__(self, config: MotionResidualConfig) -> None:
        super().__init__()
        self.config = config
        mirror = torch.tensor(SKELETONS[config.skeleton].mirror)
        self.register_buffer("mirror", mirror, persistent=False)
        self.members = nn.ModuleList(MotionMember(config) for _ in range(config.members))
        self.moments: MomentWeights | None = None
        if config.learned_moments:
            parted = SKELETONS[config.skeleton] if config.moment_parts else None
            self.moments = MomentWeights(parted).requires_grad_(False)

    @property
    def basis(self) -> Float[Tensor, "t m"]:
        """The cosines in which guesses are given."""
        return self.members[0].get_buffer("basis")

    def forward(self, inputs: MotionInputs, frames: Tensor | None = None) -> MotionOutputs:
        """All frames of the horizon, or those numbered in `frames` (0: the first one ahead)."""
        first = cast(MotionMember, self.members[0])
        reading = first.read_inputs(inputs, frames)
        said: list[MotionOutputs] = [member(reading) for member in self.members]
        return said[0] if len(said) == 1 else MotionOutputs.mean(said)

    @torch.inference_mode()
    def both_ways(self, inputs: MotionInputs) -> MotionOutputs:
        """The mean of what is said of a motion and of its mirror image; `bold` is the forecast."""
        said, count = self(inputs.and_mirrored(self.mirror)), inputs.pose.shape[0]
        plain, turned = said.rows(np.s_[:count]), said.rows(np.s_[count:])
        cautious, bold = (flip(each, self.mirror) for each in (turned.cautious, turned.bold))
        radius = turned.log_radius[..., self.mirror]
        turned = replace(turned, cautious=cautious, bold=bold, log_radius=radius)
        return MotionOutputs.mean([plain, turned])


def _num_inputs(joints: int) -> int:
    places = 2 * joints * (1 + len(BACK) + _VELOCITIES + 3 * _READ)
    marks = len(BACK) + 4 * joints + 1
    return places + marks + own_past.NUM_FACTS + neighbours.NUM_FACTS
