"""Training in several processes that computes what one process would.

Networks are not wrapped: every process holds the same weights, takes its share of the batch, and
gradients are averaged once per update. Losses are means over shares of equal size, so the average
is the gradient of the whole batch, given that batch moments are taken over all processes too
(`join_batch_moments`). In one process all of this does nothing.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_reduce


def num_processes() -> int:
    """Processes in this training, 1 where none was launched."""
    joined = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if joined else 1


@torch.no_grad()
def average_gradients(module: nn.Module) -> None:
    """Replace each gradient by its mean over all processes, in one exchange."""
    if num_processes() == 1:
        return
    gradients = [param.grad for param in module.parameters() if param.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= num_processes()
    sizes = [gradient.numel() for gradient in gradients]
    for gradient, mean in zip(gradients, flat.split(sizes), strict=True):
        gradient.copy_(mean.view(gradient.shape))


@torch.no_grad()
def average_moments(module: nn.Module) -> None:
    """Replace running moments by their mean over all processes, which saw other samples each."""
    if num_processes() == 1:
        return
    for buffer in module.buffers():
        if buffer.is_floating_point():
            distributed.all_reduce(buffer)
            buffer /= num_processes()


class Metrics(NamedTuple):
    """Named numbers, on the device until somebody reads them: that waits for the device."""

    names: tuple[str, ...]
    values: Float[Tensor, " n"]

    def read(self) -> dict[str, float]:
        return dict(zip(self.names, self.values.tolist(), strict=True))


def average_metrics(metrics: Mapping[str, Tensor]) -> Metrics:
    """Means over all processes, so that every process decides alike."""
    values = torch.stack([value.detach().to(finest(value.device)) for value in metrics.values()])
    if num_processes() > 1:
        distributed.all_reduce(values)
        values /= num_processes()
    return Metrics(tuple(metrics), values)


def finest(device: torch.device) -> torch.dtype:
    """Doubles, but on Apple's GPUs, which have none."""
    return torch.float32 if device.type == "mps" else torch.float64


def any_process(flag: bool, device: torch.device) -> bool:
    """Whether the flag is set in at least one process."""
    if num_processes() == 1:
        return flag
    count = torch.tensor(float(flag), device=device)
    distributed.all_reduce(count)
    return count.item() > 0


def join_batch_moments(module: nn.Module) -> None:
    """Let batch normalisation without running averages inside `module` be that of the joined batch
    of all processes.

    Keeps parameters and names. Every process has to run the module equally often from then on.
    """
    for child in module.modules():
        if isinstance(child, nn.BatchNorm2d) and not child.track_running_stats:
            child.__class__ = _JoinedBatchNorm2d


class _JoinedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation by the moments of all processes' shares together; gradients flow."""

    def forward(self, input: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        if num_processes() == 1:
            return super().forward(input)
        wide = input.to(torch.promote_types(input.dtype, torch.float32))
        # In two passes: mean of squares minus square of mean would lose digits.
        centred = wide - _mean_over_processes(wide.mean(dim=(0, 2, 3), keepdim=True))
        variance = _mean_over_processes(centred.square().mean(dim=(0, 2, 3), keepdim=True))
        scale = self.weight.view(1, -1, 1, 1) * torch.rsqrt(variance + self.eps)
        return (centred * scale + self.bias.view(1, -1, 1, 1)).to(input.dtype)


def batch_mean(images: Float[Tensor, "b c h w"]) -> Float[Tensor, ""]:
    """The mean of all processes' shares of a batch together, one number; gradients flow."""
    local = images.mean()
    return local if num_processes() == 1 else _mean_over_processes(local)


def _mean_over_processes(local: Tensor) -> Tensor:
    """Each process's input acts on the losses of all of them."""
    return all_reduce(local) / num_processes()
