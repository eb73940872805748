"""How the networks of a forecast are run."""

from dataclasses import dataclass

import torch

from posecast.computing.compilation import Compile
from posecast.computing.devices import Device, Precision
from posecast.errors import PosecastError


@dataclass(frozen=True)
class ForecasterOptions:
    """How the two networks are run; none of it changes what they were trained to do."""

    device: Device = "auto"
    """Where to compute; auto takes a GPU where there is one."""
    precision: Precision = "32-true"
    """bf16-mixed draws frames several times faster on newer processors and GPUs; a grey level may
    differ by a few. Poses are always forecast in full precision."""
    frames_per_batch: int = 0
    """Future frames drawn together; 0 takes what suits the device."""

    compile: Compile = "off"
    """on: torch.compile the drawing network, which pays after some hundred clips (needs a C++
    compiler). cuda-graphs: besides, whole CUDA graphs."""

    def __post_init__(self) -> None:
        if self.frames_per_batch < 0:
            raise PosecastError(f"frames_per_batch is {self.frames_per_batch}; give 0 or more")

    def pick_device(self) -> torch.device:
        """The device meant; PosecastError where this machine lacks it."""
        present = {"cpu": True, "cuda": torch.cuda.is_available()}
        present["mps"] = torch.backends.mps.is_available()
        if self.device == "auto":
            return torch.device(next(name for name in ("cuda", "mps", "cpu") if present[name]))
        if not present[self.device]:
            raise PosecastError(f"no {self.device} device found; use --device cpu")
        return torch.device(self.device)
