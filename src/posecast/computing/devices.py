"""Where and how networks are run: devices, precision, and the processes of a job that has several.

Fabric starts the processes itself, or joins those that torchrun started.
"""

import atexit
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import torch
from torch import distributed
from tyro.conf import arg

from posecast.computing.compilation import Compile
from posecast.errors import PosecastError
from posecast.records.configs import check_at_least

if TYPE_CHECKING:
    import lightning_fabric

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["32-true", "bf16-mixed"]

if hasattr(os, "register_at_fork"):
    # OpenMP's threads do not live on in a forked process, which would wait for them for ever.
    os.register_at_fork(after_in_child=partial(torch.set_num_threads, 1))

T = TypeVar("T")
Flat = Annotated[T, arg(name="")]
"""Settings as a field of others: on the command line --device, not --run-on.device."""


@dataclass(frozen=True)
class RunOn:
    """Where and how networks are run; none of it changes what they were trained to do."""

    device: Device = "auto"
    """Where to compute; auto takes a GPU where there is one."""
    precision: Precision = "32-true"
    """bf16-mixed is several times faster on newer processors and GPUs; a grey level of what is
    drawn may differ by a few. Poses are always forecast in full precision."""
    compile: Compile = "auto"
    """auto: on a GPU a step's work (or the drawing of frames) is recorded and replayed, several
    times sooner. on: besides, torch.compile, which takes a minute or more at the start and needs a
    C++ compiler; on two processor cores it gains nothing here. off: neither. cuda-graphs: as auto,
    on a GPU only."""

    def pick_device(self) -> torch.device:
        """The device meant; PosecastError where this machine lacks it."""
        present = {"cpu": True, "cuda": torch.cuda.is_available()}
        present["mps"] = torch.backends.mps.is_available()
        if self.device == "auto":
            return torch.device(next(name for name in ("cuda", "mps", "cpu") if present[name]))
        if self.device not in present:
            raise PosecastError(
                f"device is {self.device!r}; give auto, cpu, cuda or mps "
                "(CUDA_VISIBLE_DEVICES says which of several GPUs)"
            )
        if not present[self.device]:
            raise PosecastError(f"no {self.device} device found; use --device cpu")
        return torch.device(self.device)


def in_precision(precision: str, device: torch.device) -> torch.autocast:
    """The context in which networks are run on a device; `precision` as in `RunOn`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision != "32-true")


@dataclass(frozen=True)
class ComputeConfig(RunOn):
    """Where and how a network is trained."""

    num_devices: int = 1
    """Processes on each machine, one a device."""
    num_nodes: int = 1
    """Machines."""

    def __post_init__(self) -> None:
        check_at_least(1, self, "num_devices", "num_nodes")

    def launch(self) -> "lightning_fabric.Fabric":
        """The devices, and the processes if there are several; PosecastError where they lack."""
        self.pick_device()
        if self.device == "cuda" and torch.cuda.device_count() < self.num_devices:
            raise PosecastError(
                f"{self.num_devices} CUDA devices asked for, {torch.cuda.device_count()} found; "
                "give fewer devices or --device cpu"
            )
        from lightning_fabric import Fabric  # takes seconds, and only training needs it

        several = self.num_devices * self.num_nodes > 1
        fabric = Fabric(
            accelerator=self.device,
            devices=self.num_devices,
            num_nodes=self.num_nodes,
            precision=self.precision,
            strategy="ddp" if several else "auto",
        )
        fabric.launch()
        if several:
            atexit.register(_leave_processes)
        return fabric


def _leave_processes() -> None:
    """End the threads of the connection: an interpreter that exits beside them may abort."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


@dataclass(frozen=True)
class ForecasterOptions(RunOn):
    """How the two networks of a forecast are run."""

    frames_per_batch: int = 0
    """Future frames drawn together; 0 takes what suits the device."""
    lively: bool = True
    """Whether people move on and on after two seconds. Off: they come to rest where they were seen
    last, unless they repeat themselves; that is nearer to what comes, and dull."""

    def __post_init__(self) -> None:
        check_at_least(0, self, "frames_per_batch")


@dataclass(frozen=True)
class Share:
    """This process's part in a job that several processes do."""

    rank: int = 0
    count: int = 1
    """Processes at work."""

    @classmethod
    def join(cls, device: Device, num_devices: int, num_nodes: int) -> "Share":
        """Start or join the processes; does nothing for one device on one machine."""
        if num_devices == num_nodes == 1:
            return cls()
        compute = ComputeConfig(device, num_devices=num_devices, num_nodes=num_nodes)
        fabric = compute.launch()
        return cls(fabric.global_rank, fabric.world_size)

    @property
    def is_first(self) -> bool:
        """Whether this process does what has to be done once."""
        return self.rank == 0

    def of(self, items: Sequence[T]) -> list[T]:
        """Every `count`-th item; the processes together have all of them."""
        return list(items[self.rank :: self.count])

    def wait(self) -> None:
        """Until all processes have come this far."""
        if self.count > 1:
            distributed.barrier()

    def gather(self, value: T) -> list[T]:
        """The value of each process, the first one's first. Waits for all of them."""
        values: list[Any] = [value]
        if self.count > 1:
            values = [None] * self.count
            distributed.all_gather_object(values, value)
        return values
