"""The optimisers of the 2017 code, with TensorFlow's arithmetic.

They differ from PyTorch's own where epsilon stands and in what the averages start from, which
changes early steps by orders of magnitude. Written with torch's `_foreach` functions, as torch's
own optimisers are: all parameters move in one call, on a GPU one launch instead of many.

A step that is recorded on a GPU (`computing.recording`) repeats the numbers that it was recorded
with, so learning rate and number of steps are then tensors on the GPU.
"""
# pyright: reportPrivateImportUsage=false
# ruff: noqa: SLF001

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from posecast.training.settings import FitConfig

_ON_THE_DEVICE = ("lr", "steps_taken")
_HOW = ("fused", "capturable", "foreach")


def build_optimizer(network: nn.Module, config: FitConfig, recordable: bool) -> Optimizer:
    """Of the network's parameters that are trained, which are on their device."""
    trained = [param for param in network.parameters() if param.requires_grad]
    rate, betas, decay = config.learning_rate, (config.beta1, 0.999), config.weight_decay
    if config.optimizer == "rmsprop":
        optimizer = TFRMSProp(trained, rate)
    elif config.optimizer == "adam-2017":
        optimizer = TFAdam(trained, rate, betas)
    else:
        on_gpu = {"fused": True, "capturable": True} if recordable else {}
        optimizer = AdamW(trained, rate, betas, weight_decay=decay, **on_gpu)
    if recordable:
        make_recordable(optimizer)
    return optimizer


def make_recordable(optimizer: Optimizer) -> None:
    """Keep all that changes from step to step on the parameters' device, a GPU."""
    for group in optimizer.param_groups:
        device = group["params"][0].device
        for name in group.keys() & set(_ON_THE_DEVICE):
            kind = torch.float64 if name == "steps_taken" else torch.float32
            group[name] = torch.tensor(group[name], dtype=kind, device=device)


def set_rate(group: dict[str, Any], rate: float) -> None:
    """The learning rate of a group, wherever it is kept."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


def optimizer_state(optimizer: Optimizer) -> dict[str, Any]:
    """What `load_optimizer` goes on from, whether that is recorded or not."""
    state = optimizer.state_dict()
    groups = [dict(group) for group in state["param_groups"]]
    for group in groups:
        group |= {n: group[n].item() for n in _ON_THE_DEVICE if isinstance(group.get(n), Tensor)}
    return {**state, "param_groups": groups}


def load_optimizer(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Go on from what `optimizer_state` gave, computing as this optimiser was told to."""
    told = [{n: group[n] for n in _HOW if n in group} for group in optimizer.param_groups]
    recordable = isinstance(optimizer.param_groups[0]["lr"], Tensor)
    groups = [group | how for group, how in zip(state["param_groups"], told, strict=True)]
    optimizer.load_state_dict({**state, "param_groups": groups})
    if recordable:
        make_recordable(optimizer)


class TFRMSProp(Optimizer):
    """RMSProp of TensorFlow 1: the mean square starts at 1, epsilon stands inside the root.

    ms = decay ms + (1 - decay) g^2;  w -= lr g / sqrt(ms + eps).
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        decay: float = 0.9,
        eps: float = 1e-10,
    ) -> None:
        super().__init__(params, {"lr": lr, "decay": decay, "eps": eps})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            params, grads = _with_gradients(group)
            if not params:
                continue
            squares = [self._slot(param) for param in params]
            torch._foreach_mul_(squares, group["decay"])
            torch._foreach_addcmul_(squares, grads, grads, 1 - group["decay"])
            roots = torch._foreach_add(squares, group["eps"])
            torch._foreach_sqrt_(roots)
            torch._foreach_div_(roots, -group["lr"])
            torch._foreach_addcdiv_(params, grads, roots)

    def _slot(self, param: Tensor) -> Tensor:
        state = self.state[param]
        if not state:
            state["mean_square"] = torch.ones_like(param)
        return state["mean_square"]


class TFAdam(Optimizer):
    """Adam of TensorFlow 1: epsilon is not scaled by the bias correction.

    lr_t = lr sqrt(1 - beta2^t) / (1 - beta1^t);  w -= lr_t m / (sqrt(v) + eps). The number of
    steps belongs to the optimiser, so that steps left out (gating) do not count.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.5, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "steps_taken": 0})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            group["steps_taken"] += 1
            params, grads = _with_gradients(group)
            if not params:
                continue
            beta1, beta2 = group["betas"]
            means, squares = zip(*(self._slots(param) for param in params), strict=True)
            if isinstance(rate := _corrected_rate(group), Tensor):
                _move(params, grads, means, squares, rate, group)
                continue
            torch._foreach_lerp_(means, grads, 1 - beta1)
            torch._foreach_mul_(squares, beta2)
            torch._foreach_addcmul_(squares, grads, grads, 1 - beta2)
            roots = torch._foreach_sqrt(squares)
            torch._foreach_add_(roots, group["eps"])
            torch._foreach_div_(roots, -rate)
            torch._foreach_addcdiv_(params, means, roots)

    def _slots(self, param: Tensor) -> tuple[Tensor, Tensor]:
        state = self.state[param]
        if not state:
            state["mean"] = torch.zeros_like(param)
            state["mean_square"] = torch.zeros_like(param)
        return state["mean"], state["mean_square"]


def _move(
    params: list[Tensor],
    grads: list[Tensor],
    means: Sequence[Tensor],
    squares: Sequence[Tensor],
    rate: Tensor,
    group: dict[str, Any],
) -> None:
    """`TFAdam.step` in one pass over all numbers: torch's Adam after so many steps that its own
    bias correction, which scales epsilon, is 1."""
    (beta1, beta2), eps = group["betas"], group["eps"]
    steps = [rate.new_full((), 1e9)] * len(params)
    told = {"beta1": beta1, "beta2": beta2, "weight_decay": 0.0, "eps": eps}
    lists = (params, grads, list(means), list(squares), [], steps)
    torch._fused_adam_(*lists, lr=rate, **told, amsgrad=False, maximize=False)


def _corrected_rate(group: dict[str, Any]) -> float | Tensor:
    (beta1, beta2), steps = group["betas"], group["steps_taken"]
    rate = group["lr"] * (1 - beta2**steps) ** 0.5 / (1 - beta1**steps)
    return rate.float() if isinstance(rate, Tensor) else rate


def _with_gradients(group: dict[str, Any]) -> tuple[list[Tensor], list[Tensor]]:
    params = [param for param in group["params"] if param.grad is not None]
    return params, [param.grad for param in params]
