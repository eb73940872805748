"""AlexNet up to conv5, frozen: the first feature network of the image model's loss.

Two networks go by that name and both are read here: the Caffe network of the 2017 code
(`bvlc_alexnet.npy`; local response normalisation, groups of two) and torchvision's one (channels
64-192-384-256-256, neither of them). `load_alexnet` tells the files apart. Both take RGB pictures
in [-1, 1], `(b, 3, h, w)`, and return conv5 after its ReLU.
"""

import contextlib
import pickle
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from posecast.computing.processes import batch_mean
from posecast.errors import PosecastError
from posecast.networks.gpu_layers import in_eights, kernels_for

BVLC_SHAPES = {
    "conv1": (11, 11, 3, 96),
    "conv2": (5, 5, 48, 256),
    "conv3": (3, 3, 256, 384),
    "conv4": (3, 3, 192, 384),
    "conv5": (3, 3, 192, 256),
}
"""Layer name -> kernel shape (kh, kw, in, out) in `bvlc_alexnet.npy`."""

TORCHVISION_SHAPES = {
    "features.0": (64, 3, 11, 11),
    "features.3": (192, 64, 5, 5),
    "features.6": (384, 192, 3, 3),
    "features.8": (256, 384, 3, 3),
    "features.10": (256, 256, 3, 3),
}
"""Layer name -> kernel shape (out, in, kh, kw) in torchvision's checkpoint."""

WHERE_TO_GET = (
    "Give either bvlc_alexnet.npy (https://www.cs.toronto.edu/~guerzhoy/tf_alexnet/) "
    "or torchvision's https://download.pytorch.org/models/alexnet-owt-7be5be79.pth; "
    "or train without AlexNet features: --feature-weight 0"
)


class BvlcAlexNet(nn.Module):
    """The Caffe AlexNet as the 2017 code runs it (TensorFlow SAME padding, 2017 conventions).

    `layers` maps conv1..conv5 to (kernel (kh, kw, in, out), bias). The file's first kernel reads
    BGR; it is turned round once here, so that RGB pictures go in.
    """

    conv1: nn.Conv2d
    conv2: nn.Conv2d
    conv3: nn.Conv2d
    conv4: nn.Conv2d
    conv5: nn.Conv2d

    def __init__(self, layers: Mapping[str, Sequence[np.ndarray]]) -> None:
        super().__init__()
        _check_bvlc(layers)
        for name in BVLC_SHAPES:
            kernel, bias = (torch.from_numpy(np.array(x, np.float32)) for x in layers[name])
            kernel = kernel.permute(3, 2, 0, 1)  # (out, in, kh, kw)
            if name == "conv1":
                kernel = kernel.flip(1)
            groups = 2 if name in ("conv2", "conv4", "conv5") else 1
            setattr(self, name, _frozen_conv(kernel, bias, groups=groups))
        self.eval()

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 256 fh fw"]:
        """conv5 features; 128 x 128 pictures give 7 x 7. The mean is the whole batch's."""
        x = 127.5 * (images - batch_mean(images))
        border = _same_padding(x.shape[-2:], kernel=11, stride=4)
        x = functional.conv2d(*in_eights(x, self.conv1.weight, border), self.conv1.bias, stride=4)
        x = functional.max_pool2d(_normalise_response(functional.relu(x)), 3, 2)
        x = functional.max_pool2d(_normalise_response(functional.relu(self.conv2(x))), 3, 2)
        for layer in (self.conv3, self.conv4, self.conv5):
            x = functional.relu(layer(x))
        return x


class TorchvisionAlexNet(nn.Module):
    """torchvision's AlexNet (Krizhevsky 2014, "One weird trick"), ImageNet mean and deviation.

    `state` is the checkpoint's mapping of names (`features.0.weight` ...) to tensors.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        _check_torchvision(state)
        strides = {"features.0": (4, 2), "features.3": (1, 2)}
        convs = []
        for name in TORCHVISION_SHAPES:
            stride, padding = strides.get(name, (1, 1))
            weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
            convs.append(_frozen_conv(weight, bias, stride=stride, padding=padding))
        self.convs = nn.ModuleList(convs)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1))
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1))
        self.eval()

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 256 fh fw"]:
        """conv5 features; 128 x 128 pictures give 7 x 7."""
        return self.layers(images)[-1]

    def layers(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """All five layers, each after its ReLU and before pooling: what LPIPS compares."""
        x = ((images + 1) / 2 - self.mean) / self.deviation
        layers = []
        for index, conv in enumerate(self.convs):
            x = functional.relu(conv(x))
            layers.append(x)
            if index < 2:
                x = functional.max_pool2d(x, 3, 2)
        return layers


AlexNet = BvlcAlexNet | TorchvisionAlexNet


def load_alexnet(path: str | Path) -> AlexNet:
    """Read either kind of file, told apart by its first bytes; PosecastError: neither.

    `bvlc_alexnet.npy` is a pickled dict of layer name -> [kernel, bias]: only arrays, dicts, lists
    and bytes are unpickled, anything else in it is a PosecastError.
    """
    with _explained(path, "cannot be read"), Path(path).open("rb") as file:
        is_npy = file.read(6) == b"\x93NUMPY"
    if not is_npy:
        return load_torchvision_alexnet(path)
    with _explained(path, "is not a bvlc_alexnet.npy"), Path(path).open("rb") as file:
        return BvlcAlexNet(_read_pickled_npy(file))


def load_torchvision_alexnet(path: str | Path) -> TorchvisionAlexNet:
    """Read torchvision's checkpoint `alexnet-owt-*.pth` (weights only, nothing is executed)."""
    with _explained(path, "is no torchvision AlexNet"):
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, dict):
            raise PosecastError(f"it holds a {type(state).__name__}, not a mapping of weights")
        return TorchvisionAlexNet(state)


_DAMAGE = (ValueError, OSError, RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile)


@contextlib.contextmanager
def _explained(path: str | Path, what: str) -> Iterator[None]:
    """Whatever is wrong with a file becomes a PosecastError that says where to get it."""
    if not Path(path).is_file():
        raise PosecastError(f"no AlexNet weights: there is no file {path}. {WHERE_TO_GET}")
    try:
        yield
    except _DAMAGE as error:
        problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PosecastError(f"{path} {what}: {problem}. {WHERE_TO_GET}") from error


def _frozen_conv(
    kernel: Tensor, bias: Tensor, stride: int = 1, padding: int | None = None, groups: int = 1
) -> nn.Conv2d:
    """A convolution that never trains; padding keeps the size (odd kernels) where not given."""
    num_out, num_in, size, _ = kernel.shape
    padding = size // 2 if padding is None else padding
    conv = nn.Conv2d(num_in * groups, num_out, size, stride, padding, groups=groups)
    conv.load_state_dict({"weight": kernel, "bias": bias})
    return conv.requires_grad_(False)


def _same_padding(hw: Sequence[int], kernel: int, stride: int) -> tuple[int, int, int, int]:
    """TensorFlow's SAME padding (left, right, top, bottom): the surplus goes to the end."""
    h, w = (max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in hw)
    return w // 2, w - w // 2, h // 2, h - h // 2


def _normalise_response(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Local response normalisation over 5 channels, alpha 2e-5 an element, beta 0.75, bias 1.

    In single precision or better, and without torch's detour over 3-D pooling: it is then several
    times faster and keeps the memory format.
    """
    if (kernels := kernels_for(x)) is not None:
        return kernels.NormaliseResponse.apply(x, 2e-5)
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    squares = functional.pad(wide.square(), (0, 0, 0, 0, 2, 2))
    num_channels = x.shape[1]
    total = sum(squares[:, k : k + num_channels] for k in range(1, 5)) + squares[:, :num_channels]
    root = (1 + 2e-5 * total).sqrt()
    return (wide / (root * root.sqrt())).to(x.dtype)


def _check_bvlc(layers: Mapping[str, Sequence[np.ndarray]]) -> None:
    for name, shape in BVLC_SHAPES.items():
        if name not in layers:
            raise PosecastError(f"it has no layer {name}; expected {', '.join(BVLC_SHAPES)}")
        if not isinstance(layers[name], list | tuple):
            raise PosecastError(f"layer {name} is no pair of kernel and bias")
        got = [np.shape(array) for array in layers[name]]
        if got != [shape, shape[-1:]]:
            raise PosecastError(f"layer {name} has shapes {got}, expected {[shape, shape[-1:]]}")


def _check_torchvision(state: Mapping[str, Tensor]) -> None:
    for name, kernel in TORCHVISION_SHAPES.items():
        for key, expected in ((f"{name}.weight", kernel), (f"{name}.bias", kernel[:1])):
            if key not in state:
                raise PosecastError(f"it has no weight {key}")
            shape = tuple(state[key].shape) if isinstance(state[key], Tensor) else ()
            if shape != expected:
                raise PosecastError(f"{key} has shape {shape}, expected {expected}")


def _read_pickled_npy(file: IO[bytes]) -> dict[str, Any]:
    """The dict inside an .npy file that holds one pickled Python object."""
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise PosecastError(f"unknown npy version {version}")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if shape != () or not dtype.hasobject:
        raise PosecastError(f"it holds an array of shape {shape}, {dtype}, not a dict of layers")
    # The file was written by Python 2, whose strings hold the array bytes.
    content = _ArrayUnpickler(file, encoding="latin1").load()
    layers = content.item() if isinstance(content, np.ndarray) and content.shape == () else content
    if not isinstance(layers, dict):
        raise PosecastError(f"it holds a {type(layers).__name__}, not a dict of layers")
    return layers


class _ArrayUnpickler(pickle.Unpickler):
    """Rebuilds numpy arrays and plain containers; refuses every other name in the pickle."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return _empty_array
        if (module, name) == ("_codecs", "encode"):
            return _latin1_bytes
        raise pickle.UnpicklingError(f"it wants to load {module}.{name}, which no weights need")


def _empty_array(kind: type, shape: tuple[int, ...], _code: bytes | str) -> np.ndarray:
    """What numpy pickles begin as; shape, type and numbers are put in afterwards."""
    if kind is not np.ndarray:
        raise pickle.UnpicklingError(f"it holds a {kind}, not a plain array")
    return np.empty(shape, dtype=np.int8)


def _latin1_bytes(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it holds bytes as {encoding}, expected latin1")
    return text.encode("latin1")
