"""Make the file that ships of a run of the refinement.

    python -m benchmarks.ship_carrying WEIGHTS FILE --share 0.7 --tied
    python -m benchmarks.ship_carrying WEIGHTS FILE --outline OUTLINE

WEIGHTS is a run folder or a weight file. What the refinement changes is scaled by `share`: below 1
takes back some of what it learned of its own clips by heart. `--tied` lets the part behind do as
the person does: called for by itself it draws torn lines along the seams of people not trained on.
`--outline` takes the network that finds the person's outline from another run or file
(`posecast train outline`). Weights are stored in half precision.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import tyro
from torch import Tensor

from posecast.networks.carrying import CarryingNetwork
from posecast.networks.kinds import load_network
from posecast.records.weights import write_weights

_SHARES, _FLOW = "refinement.to_shares.", "refinement.to_flow."
_PARTS = 4  # of a pixel of the features: their logits follow each other


def tie(tensors: dict[str, Tensor]) -> None:
    """Let the part behind show and move as the person; changes the tensors."""
    for end in ("weight", "bias"):
        shares, flow = tensors[_SHARES + end], tensors[_FLOW + end]
        shares[_PARTS : 2 * _PARTS] = shares[:_PARTS]
        flow[2:4] = flow[:2]


def main(
    weights: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="WEIGHTS")],
    file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FILE")],
    share: float = 1.0,
    tied: bool = False,
    outline: Path | None = None,
) -> None:
    """Write the file.

    Args:
        weights: run folder or weight file.
        file: the .safetensors file to write.
        share: how much of the changes is kept.
        tied: the part behind does as the person.
        outline: run folder or weight file whose outline is taken.
    """
    loaded = load_network(weights, CarryingNetwork)
    facts = loaded.facts
    if outline is not None:
        loaded.network.mask = mask = load_network(outline, CarryingNetwork).network.mask
        widths = [] if mask is None else list(mask.widths)
        facts = replace(facts, config={**facts.config, "mask_widths": widths})
    tensors = {
        name: tensor * share if name.startswith((_SHARES, _FLOW)) else tensor
        for name, tensor in loaded.network.state_dict().items()
    }
    if tied:
        tie(tensors)
    half = {n: t.half() if t.is_floating_point() else t for n, t in tensors.items()}
    write_weights(file, half, facts)


if __name__ == "__main__":
    tyro.cli(main)
