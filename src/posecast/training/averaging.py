"""A moving average of a network's weights, which is validated and kept in their place."""

import contextlib
from collections.abc import Iterator, Mapping

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn


class MovingAverage:
    """Of a network's parameters as they are now; with a decay of 0 the weights themselves."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._network, self._decay = network, decay
        named = network.named_parameters() if decay else ()
        self.values = {name: param.detach().clone() for name, param in named}
        """By name; empty where no average is asked for."""

    def load(self, values: Mapping[str, Tensor]) -> None:
        for name, kept in self.values.items():
            kept.copy_(values[name])

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Take in the weights after so many steps."""
        if self.values:
            # An average of few steps must not remember the random beginning.
            decay, now = min(self._decay, step / (step + 9)), dict(self._network.named_parameters())
            pairs = (list(self.values.values()), [now[name] for name in self.values])
            torch._foreach_lerp_(*pairs, 1 - decay)  # pyright: ignore

    def weights(self) -> dict[str, Tensor]:
        """What is kept of the network."""
        return {**self._network.state_dict(), **self.values}

    @contextlib.contextmanager
    def in_use(self, fabric: Fabric) -> Iterator[nn.Module]:
        """The network as it is kept, in evaluation mode."""
        network = self._network
        own = {name: network.get_parameter(name).detach().clone() for name in self.values}
        network.load_state_dict(self.values, strict=False)
        network.eval()
        with torch.no_grad(), fabric.autocast():
            yield network
        network.train()
        network.load_state_dict(own, strict=False)
