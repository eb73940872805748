"""The networks of a forecast as a folder of ONNX files, and JSON that says how to use them."""

import contextlib
import importlib
import json
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from posecast import __version__
from posecast.estimation.estimator import EstimatorOptions, PoseEstimator
from posecast.estimation.onnx_files import open_onnx
from posecast.export.graphs import BATCH, CHAIN, Graph
from posecast.export.motion_graph import MotionGraph
from posecast.export.network_graphs import chain_graphs, drawer_graphs, estimator_graph
from posecast.forecasting.motion import MAX_PAST
from posecast.forecasting.protocols import MOST_PICTURES
from posecast.motion.basis import FPS, HORIZON
from posecast.motion.neighbours import BASE_FILE, MotionBase
from posecast.motion.seen import RECENT
from posecast.networks.carrying import CarryingNetwork
from posecast.networks.hourglass import Hourglass
from posecast.networks.kinds import LoadedNetwork, load_network
from posecast.networks.motion_residual import MotionResidual
from posecast.networks.movenet import MoveNet
from posecast.pretrained import DEFAULT_DRAWER, DEFAULT_ESTIMATOR, DEFAULT_FORECASTER
from posecast.records.files import Write, check_place, filled_with, write_together
from posecast.records.versions import load_extra
from posecast.skeletons import SKELETONS, Skeleton

FORMAT = "posecast onnx 2"
MANIFEST = "posecast-onnx.json"
"""The JSON file, and what it calls itself."""
_AGREE = 1e-3
_SMALL = 1024  # numbers that are not worth a conversion
NOTES = (
    "estimator: cut a square around the person out of each frame (the first: the whole frame), "
    "scale it to the size of 'pictures', and map joints_crop back to pixels of the frame; a joint "
    "is visible where its confidence reaches min_confidence. Look at the next frame where this one "
    "had the person, with half as much room again. 'cut' and 'place' do this.",
    "forecaster: the poses of the seen frames, `fps` of them a second (pick or interpolate), the "
    "last one last, at least `least_past` of them, to the poses of the next `horizon` frames at "
    "the same rate.",
    "drawing: `chain` names graphs in the order in which they are run: 'follow' for each frame, "
    "'forecast' and 'begin' once, 'draw' for any future frames (`numbers`). Each reads what has "
    "its inputs' names: what is given, or what the last one before it said.",
)
"""How the files are put together, step by step."""


@dataclass(frozen=True)
class OnnxSources:
    """What is exported: shipped weights by name, run folders or .safetensors files."""

    pose_run: Path = Path(DEFAULT_FORECASTER)
    """Run of 'posecast train motion', or shipped weights by name."""
    image_run: Path = Path(DEFAULT_DRAWER)
    """Drawer that carries pixels along: shipped weights by name, or its run."""
    estimator_run: Path = Path(DEFAULT_ESTIMATOR)
    """Shipped weights by name, or a run of 'posecast train estimator'."""
    mirror: bool = True
    """The estimator looks at the mirrored picture too: twice the work, steadier joints."""
    side: int = 256
    """Side of the square, around the person, in which frames are drawn; a multiple of 128."""


def export_onnx(out: str | Path, sources: OnnxSources | None = None) -> list[Path]:
    """Write the files of a forecast to a folder; each is run once and compared with its network.

    Returns the files, the JSON file last.

    Raises:
        PosecastError: a run of another kind than can be exported, or the extra is not installed.
    """
    sources = sources or OnnxSources()
    for module in ("onnx", "onnxruntime", "onnxscript"):
        load_extra(module, "onnx")
    check_place(Path(out) / MANIFEST)
    motion = load_network(sources.pose_run, MotionResidual)
    skeleton = SKELETONS[motion.network.config.skeleton]
    graphs = {"estimator": _estimator(sources, skeleton), "forecaster": _forecaster(motion)}
    drawer = drawer_graphs(load_network(sources.image_run, CarryingNetwork).network, skeleton)
    graphs |= drawer
    if {"mask", "refinement"} <= drawer.keys():
        least = EstimatorOptions().min_confidence
        graphs = chain_graphs(graphs, skeleton, sources.side, least)
    programs = {f"{name}.onnx": _exported(name, graph) for name, graph in graphs.items()}
    contents = {name: program.model_proto.SerializeToString() for name, program in programs.items()}
    manifest = _manifest(sources, skeleton, graphs, programs)
    contents[MANIFEST] = json.dumps(manifest, indent=2).encode() + b"\n"
    base = MotionBase.load(motion.path.with_name(BASE_FILE))
    writers: dict[Path, Write] = {Path(out) / BASE_FILE: base.save}
    writers |= {Path(out) / name: filled_with(each) for name, each in contents.items()}
    write_together(writers)
    return list(writers)


def _estimator(sources: OnnxSources, skeleton: Skeleton) -> Graph:
    network = load_network(sources.estimator_run, (Hourglass, MoveNet)).network
    options = EstimatorOptions(mirror=sources.mirror, device="cpu")
    return estimator_graph(network, PoseEstimator(network, skeleton, options))


def _forecaster(loaded: LoadedNetwork[MotionResidual]) -> Graph:
    base = MotionBase.load(loaded.path.with_name(BASE_FILE))
    joints = torch.rand(2, 37, base.num_joints, 2) * 200
    count = str(base.num_joints)
    return Graph(
        MotionGraph(loaded.network, base).eval(),
        {"past_joints_px": joints, "past_visible": torch.ones(joints.shape[:3], dtype=torch.bool)},
        {"past_joints_px": (BATCH, "past", count, "2"), "past_visible": (BATCH, "past", count)},
        ("future_joints_px", "moved", "radius_px"),
        "Seen joints (x, y) in pixels of any picture, hidden ones ignored, to future ones; moved: "
        "their displacements from the last seen pose in body sizes, before limbs are kept from "
        "growing; radius_px: distances from the forecast that hold half (0) and nine tenths (1) "
        "of the truths, by frame and joint.",
    )


def _exported(name: str, graph: Graph) -> Any:
    """An ONNX program that says what its function says.

    Constants are folded, nothing is rewritten: the rewriter of onnxscript takes an addition of
    1e-8 for one of nothing.
    """
    auto = torch.export.Dim.AUTO
    dims = [
        {place: auto for place, axis in enumerate(graph.free[name]) if not axis.isdigit()}
        for name in graph.inputs
    ]
    takes_any = graph.function.forward.__code__.co_flags & 0x04  # *values
    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            graph.function,
            tuple(graph.inputs.values()),
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes=(tuple(dims),) if takes_any else tuple(dims),
            dynamo=True,
            external_data=False,
            optimize=False,
            verbose=False,
        )
        assert program is not None
        optimizer = importlib.import_module("onnxscript.optimizer")
        optimizer.fold_constants(program.model)
        optimizer.remove_unused_nodes(program.model)
    _name_axes(program.model, graph)
    _make_small(program.model.graph)
    program.model.producer_name, program.model.producer_version = "posecast", __version__
    program.model.doc_string = graph.note
    _check(name, graph, program.model_proto.SerializeToString())
    return program


def _name_axes(model: Any, graph: Graph) -> None:
    """Free axes by their names in place of the exporter's, in inputs and outputs alike."""
    named = {}
    for value in model.graph.inputs:
        for size, axis in zip(value.shape, graph.free[value.name], strict=True):
            if not isinstance(size, int):
                named[size.value] = axis
    for value in (*model.graph.inputs, *model.graph.outputs):
        sizes = [size if isinstance(size, int) else size.value for size in value.shape]
        value.shape = type(value.shape)([named.get(size, size) for size in sizes])


def _make_small(graph: Any) -> None:
    """Numbers in half precision where not a bit is lost, as shipped weights are stored, and none of
    the exporter's notes on where in the source a node comes from."""
    ir = importlib.import_module("onnx_ir")
    for node in graph.all_nodes():
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()
    for name, value in list(graph.initializers.items()):
        numbers = value.const_value.numpy()
        if numbers.dtype != np.float32 or numbers.size < _SMALL:
            continue
        with np.errstate(over="ignore"):
            half = numbers.astype(np.float16)
        if np.array_equal(half.astype(np.float32), numbers):
            stored = ir.Value(name=f"{name}_half", const_value=ir.tensor(half, name=f"{name}_half"))
            stored.type, stored.shape = ir.TensorType(ir.DataType.FLOAT16), ir.Shape(half.shape)
            graph.register_initializer(stored)
            cast = ir.node("Cast", [stored], {"to": ir.DataType.FLOAT.value})
            graph.insert_before(graph[0], cast)
            ir.convenience.replace_all_uses_with(value, cast.outputs[0])
            del graph.initializers[name]


def _check(name: str, graph: Graph, model: bytes) -> None:
    """RuntimeError unless the file says what the function says of the example."""
    with torch.no_grad():
        said = graph.function(*graph.inputs.values())
    expected = said if isinstance(said, tuple) else (said,)
    for want, found in zip(expected, run(open_onnx(model, "onnx"), graph.inputs), strict=True):
        apart = np.abs(want.numpy().astype(float) - found)
        wrong = apart.max() / max(float(want.float().abs().max()), 1.0)
        if graph.decides:  # near-ties may be decided otherwise
            wrong = (apart > _AGREE * want.float().abs().amax().clamp(min=1).item()).mean()
        if not wrong <= _AGREE:
            raise RuntimeError(f"the exported {name} is not what was exported: {wrong} are wrong")


def run(session: Any, inputs: dict[str, Tensor]) -> list[np.ndarray]:
    """What a graph says of tensors."""
    return session.run(None, {name: value.cpu().numpy() for name, value in inputs.items()})


def _manifest(
    sources: OnnxSources, skeleton: Skeleton, graphs: dict[str, Graph], programs: dict[str, Any]
) -> dict[str, Any]:
    made = {name: getattr(each, "name", each) for name, each in vars(sources).items()}
    return {
        "format": FORMAT,
        "posecast": __version__,
        "made_from": made,
        "notes": NOTES,
        "chain": {key: names for key, names in CHAIN.items() if {*names} <= graphs.keys()},
        "fps": FPS,
        "horizon": HORIZON,
        "least_past": RECENT,
        "most_past": MAX_PAST,
        "most_pictures": MOST_PICTURES,
        "min_confidence": EstimatorOptions().min_confidence,
        "skeleton": {
            "name": skeleton.name,
            "joints": skeleton.joints,
            "limbs": skeleton.limbs,
            "left_means": skeleton.left_means,
        },
        "graphs": {
            name: {
                "file": file,
                "note": graph.note,
                "inputs": [_described(each) for each in program.model.graph.inputs],
                "outputs": [_described(each) for each in program.model.graph.outputs],
            }
            for (name, graph), (file, program) in zip(graphs.items(), programs.items(), strict=True)
        },
    }


def _described(value: Any) -> dict[str, Any]:
    shape = [size if isinstance(size, int) else str(size.value) for size in value.shape]
    return {"name": value.name, "type": value.dtype.name.lower(), "shape": shape}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says of itself."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
