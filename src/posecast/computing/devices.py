"""Where to compute: devices, precision, and the processes of a job that has several.

Fabric starts the processes itself, or joins those that torchrun started.
"""

import atexit
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from torch import backends, cuda, distributed

from posecast.errors import PosecastError

if TYPE_CHECKING:
    import lightning_fabric

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["32-true", "bf16-mixed"]

T = TypeVar("T")


def build_fabric(
    device: Device = "auto",
    num_devices: int = 1,
    num_nodes: int = 1,
    precision: Precision = "32-true",
) -> "lightning_fabric.Fabric":
    """Fabric, launched: devices, precision, and the processes if there are several.

    PosecastError where the machine lacks what was asked for.
    """
    if num_devices < 1 or num_nodes < 1:
        raise PosecastError(f"num_devices {num_devices}, num_nodes {num_nodes}: give 1 or more")
    if device == "cuda" and cuda.device_count() < num_devices:
        raise PosecastError(
            f"{num_devices} CUDA devices asked for, {cuda.device_count()} found; "
            "give fewer devices or --device cpu"
        )
    if device == "mps" and not backends.mps.is_available():
        raise PosecastError("no MPS device found; use --device cpu")
    from lightning_fabric import Fabric  # takes seconds, and only training needs it

    several = num_devices * num_nodes > 1
    fabric = Fabric(
        accelerator=device,
        devices=num_devices,
        num_nodes=num_nodes,
        precision=precision,
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
        fabric = build_fabric(device, num_devices, num_nodes)
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
