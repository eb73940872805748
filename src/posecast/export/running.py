"""A forecast with onnxruntime in place of PyTorch's networks, from what `export.writing` wrote.

What is no network stays as it is: own past, neighbours, carrying. So everything that posecast does
with a Forecaster it does with this one.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import nn

from posecast.computing.devices import ForecasterOptions
from posecast.computing.recording import tensors_in
from posecast.errors import PosecastError
from posecast.estimation.estimator import Joints
from posecast.estimation.onnx_files import open_onnx
from posecast.export.writing import FORMAT, MANIFEST, run
from posecast.forecasting.carried import CarriedDrawer
from posecast.forecasting.forecaster import Forecaster
from posecast.forecasting.motion import MotionForecaster, Seen, needs_of
from posecast.motion.neighbours import BASE_FILE, MotionBase, Neighbours
from posecast.motion.seen import SeenMotion
from posecast.networks.carrying import CarryingConfig, CarryingNetwork, Changes
from posecast.records.files import FileError, read_json
from posecast.skeletons import SKELETONS, Skeleton


class OnnxFinder:
    """An exported estimator, a `JointFinder`."""

    def __init__(self, model: Any, skeleton: Skeleton, min_confidence: float) -> None:
        self._session = model
        self.skeleton = skeleton
        self.min_confidence = min_confidence

    @property
    def size(self) -> int:
        return self._session.get_inputs()[0].shape[1]

    def estimate(self, pictures: UInt8[np.ndarray, "n s s 3"]) -> Joints:
        joints, sure = self._session.run(None, {"pictures": pictures})
        return joints, sure


class OnnxMotionForecaster(MotionForecaster):
    """As `MotionForecaster`, the network's part by an exported forecaster."""

    def __init__(self, model: Any, base: MotionBase, skeleton: Skeleton, lively: bool) -> None:
        self.needs = needs_of(skeleton, base)
        self.base = base
        self._lively = lively
        self._weigh = None  # the exported forecaster weighs by itself
        self._session = model

    def _say(
        self, clips: Sequence[Seen], motions: SeenMotion, found: Neighbours
    ) -> tuple[Float[np.ndarray, "b t j 2"], Float[np.ndarray, "b q t j"]]:
        said = [
            self._session.run(
                ("moved", "radius_px"),
                {"past_joints_px": clip.joints_px[None], "past_visible": clip.visible[None]},
            )
            for clip in clips
        ]
        moved, radii = (np.concatenate(each) for each in zip(*said, strict=True))
        return moved, radii / motions.size_px[:, None, None, None]


class _Exported(nn.Module):
    """An exported network, called as the network is; `say` makes its answer of the outputs."""

    def __init__(self, model: Any, say: Callable[..., Any]) -> None:
        super().__init__()
        self._session, self._say = model, say
        self._names = [each.name for each in model.get_inputs()]

    def forward(self, *inputs: Any) -> Any:
        values = dict(zip(self._names, tensors_in(inputs), strict=True))
        return self._say(*map(torch.from_numpy, run(self._session, values)))


class _ExportedCarrying(CarryingNetwork):
    """As its base; parts that were not learned are absent."""

    mask: nn.Module | None
    refinement: nn.Module | None

    def __init__(self, mask: Any, refinement: Any) -> None:
        super().__init__(CarryingConfig(mask_widths=(), refinement_widths=()))
        self.mask = None if mask is None else _Exported(mask, lambda logits: logits)
        self.refinement = None if refinement is None else _Exported(refinement, Changes)


def load_onnx(
    folder: str | Path, draws: bool = True, min_confidence: float | None = None, lively: bool = True
) -> tuple[Forecaster, OnnxFinder]:
    """Read a folder of 'posecast export onnx': all that a forecast of a video needs.

    Args:
        folder: what was exported.
        draws: whether frames are wanted.
        min_confidence: joints at least so sure count as seen; None: as was exported.
        lively: as in `ForecasterOptions`.

    Raises:
        PosecastError: no such folder, one of another version, or the extra is not installed.
    """
    folder = Path(folder)
    facts = _facts(folder)
    skeleton = SKELETONS[facts["skeleton"]["name"]]
    names = {"estimator", "forecaster", *(("mask", "refinement") if draws else ())}
    graphs = {
        name: open_onnx(str(folder / graph["file"]), "onnx")
        for name, graph in facts["graphs"].items()
        if name in names
    }
    base = MotionBase.load(folder / BASE_FILE)
    drawer = None
    if draws:
        network = _ExportedCarrying(graphs.get("mask"), graphs.get("refinement"))
        drawer = CarriedDrawer(network, skeleton, ForecasterOptions(device="cpu"))
    least = facts["min_confidence"] if min_confidence is None else min_confidence
    forecaster = OnnxMotionForecaster(graphs["forecaster"], base, skeleton, lively)
    return Forecaster(forecaster, drawer), OnnxFinder(graphs["estimator"], skeleton, least)


def _facts(folder: Path) -> dict[str, Any]:
    try:
        facts = read_json(folder / MANIFEST)
    except FileError as error:
        raise PosecastError(
            f"no exported networks in {folder} ({error}): make them with 'posecast export onnx "
            f"--out {folder}'"
        ) from error
    found = facts.get("format") if isinstance(facts, dict) else None
    if found != FORMAT:
        raise PosecastError(
            f"{folder / MANIFEST} is {found!r}; expected {FORMAT!r}: export again with this version"
        )
    return facts
