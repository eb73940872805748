"""Where and how networks are run."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeVar

import torch
from tyro.conf import arg

from posecast.computing.compilation import Compile
from posecast.computing.devices import Device, Precision, build_fabric
from posecast.errors import PosecastError
from posecast.records.configs import check_at_least

if TYPE_CHECKING:
    import lightning_fabric


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
        if not present[self.device]:
            raise PosecastError(f"no {self.device} device found; use --device cpu")
        return torch.device(self.device)


@dataclass(frozen=True)
class ComputeConfig(RunOn):
    """Where and how a network is trained."""

    num_devices: int = 1
    """Processes on each machine, one a device."""
    num_nodes: int = 1
    """Machines."""

    def launch(self) -> "lightning_fabric.Fabric":
        """The devices, and the processes if there are several; PosecastError where they lack."""
        return build_fabric(self.device, self.num_devices, self.num_nodes, self.precision)


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
