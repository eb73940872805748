"""The one door to trained networks: from a run folder or a weight file to a network.

KINDS                 kind -> the network's configuration and its class
resolve(source)       name of shipped or pulled weights, run folder or .safetensors file -> the file
facts_of(source)      what the weight file says of itself, without reading the weights
load_network(source)  the network, in evaluation mode on the CPU, and its facts
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from torch import nn

from posecast.networks import action_classifier
from posecast.networks.carrying import CarryingConfig, CarryingNetwork
from posecast.networks.conv_lstm import ConvLSTM, ConvLSTMConfig
from posecast.networks.generator import Generator, GeneratorConfig
from posecast.networks.hourglass import Hourglass, HourglassConfig
from posecast.networks.motion_residual import MotionResidual, MotionResidualConfig
from posecast.networks.movenet import MoveNet, MoveNetConfig
from posecast.networks.pose_lstm import PoseLSTM, PoseLSTMConfig
from posecast.pretrained import SHIPPED, is_shipped, shipped_file
from posecast.pretrained.pulled import is_hub_name, pulled_file
from posecast.records.arguments import as_path
from posecast.records.configs import config_from_dict
from posecast.records.weights import WeightsError, WeightsFacts, read_facts, read_tensors
from posecast.skeletons import SKELETONS

logger = logging.getLogger(__name__)

Network = TypeVar("Network", bound=nn.Module)
WeightsName = Literal["best", "last"]


class Kind(NamedTuple):
    """What a kind of weights is made of."""

    config: type
    """A frozen dataclass, the network's only argument."""
    network: type[nn.Module]


KINDS = {
    "pose": Kind(PoseLSTMConfig, PoseLSTM),
    "motion": Kind(MotionResidualConfig, MotionResidual),
    "image": Kind(GeneratorConfig, Generator),
    "carrying": Kind(CarryingConfig, CarryingNetwork),
    "estimator": Kind(HourglassConfig, Hourglass),
    "movenet": Kind(MoveNetConfig, MoveNet),
    "conv_lstm": Kind(ConvLSTMConfig, ConvLSTM),
    "pose_action": Kind(action_classifier.PoseClassifierConfig, action_classifier.PoseClassifier),
    "flow_action": Kind(action_classifier.FlowClassifierConfig, action_classifier.FlowClassifier),
}


@dataclass(frozen=True, eq=False)
class LoadedNetwork(Generic[Network]):
    """A trained network and what its weight file says of it."""

    network: Network
    """In evaluation mode, on the CPU."""
    facts: WeightsFacts
    path: Path
    """The weight file."""


def resolve(source: str | Path, weights: WeightsName = "best") -> Path:
    """The weight file meant: of shipped weights by their name, of a pulled model by hf:OWNER/NAME,
    a file itself, or in a run folder the best (else the last) weights.

    WeightsError where there is none, PosecastError where a shipped or pulled file is damaged or was
    not pulled.
    """
    path = as_path(source, "run", ", or the name of shipped weights")
    if is_shipped(source):
        return shipped_file(str(source))
    if is_hub_name(source):
        return pulled_file(source)
    if not path.is_dir():
        if path.is_file():
            return path
        raise WeightsError(
            f"no run at {path}: there is no such folder or .safetensors file, and no shipped "
            f"weights of that name ({', '.join(SHIPPED)})"
        )
    asked, last = path / f"weights-{weights}.safetensors", path / "weights-last.safetensors"
    if not asked.is_file() and last.is_file():
        logger.warning("%s does not exist yet; using %s", asked, last.name)
        return last
    if not asked.is_file():
        what = "has no weights yet" if (path / "config.json").is_file() else "is not a run"
        raise WeightsError(f"{path} {what} ({asked.name}); train it first, or give another folder")
    return asked


def is_name(source: str | Path) -> bool:
    """Whether these are shipped or pulled weights by their name, rather than a path."""
    return is_shipped(source) or is_hub_name(source)


def place_of(source: str | Path) -> Path:
    """How weights are called in records: a path as a whole one, a name as it is."""
    return Path(source) if is_name(source) else Path(source).resolve()


def facts_of(source: str | Path, weights: WeightsName = "best") -> WeightsFacts:
    """What the weights say of themselves; WeightsError as `resolve` and `read_facts`."""
    return read_facts(resolve(source, weights))


def load_network(
    source: str | Path,
    kind: type[Network] | tuple[type[Network], ...] = nn.Module,  # pyright: ignore
    weights: WeightsName = "best",
) -> LoadedNetwork[Network]:
    """Make the network that a run folder or a weight file holds.

    Args:
        source: as `resolve` takes it.
        kind: the class of network wanted, or several; all by default.
        weights: which ones of a run folder.

    Raises:
        WeightsError: none there, damaged, of a newer posecast, another kind of network, or weights
            that do not fit their own description.
    """
    path = resolve(source, weights)
    facts = read_facts(path)
    known = KINDS.get(facts.kind)
    wanted = [name for name, each in KINDS.items() if issubclass(each.network, kind)]
    if known is None or facts.kind not in wanted:
        expected = " or ".join(repr(name) for name in wanted)
        raise WeightsError(f"{source} holds weights of kind {facts.kind!r}, expected {expected}")
    config = config_from_dict(known.config, facts.config, f"{path}: config")
    _check_skeleton(config, facts, path)
    network: Any = known.network(config)
    try:
        network.load_state_dict(read_tensors(path))
    except RuntimeError as error:
        raise WeightsError(f"{path}: its weights do not fit its configuration: {error}") from error
    return LoadedNetwork(network.eval(), facts, path)


def _check_skeleton(config: Any, facts: WeightsFacts, path: Path) -> None:
    """The network must have as many joints, or heat maps, as the skeleton that the file names."""
    if not facts.skeleton:
        return
    if facts.skeleton not in SKELETONS:
        raise WeightsError(
            f"{path} is for skeleton {facts.skeleton!r}, known are {', '.join(SKELETONS)}: use the "
            "posecast that made it"
        )
    for name in ("num_joints", "num_heatmaps"):
        expected = getattr(SKELETONS[facts.skeleton], name)
        if getattr(config, name, expected) != expected:
            raise WeightsError(
                f"{path} is for skeleton {facts.skeleton}, which has {name} = {expected}, but its "
                f"network has {getattr(config, name)}"
            )
