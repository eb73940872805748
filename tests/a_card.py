"""A graphics card that is none: tensors that say they are on "cuda", and are computed here.

What a card would refuse is refused: tensors there and here in one operation, recorded work that
waits for numbers or brings some. What it would do wrongly without a word is noted (`races`).
"""

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

from posecast.computing import feeding, streams
from posecast.computing.devices import ComputeConfig, RunOn
from posecast.heatmaps import _structure
from posecast.networks import gpu_layers

CARD = torch.device("cuda", 0)
_COPYING = ("copy_", "_to_copy")
_INDEXING = ("index", "index_put", "index_put_", "_index_put_impl_")
_WAITING = ("_local_scalar_dense", "nonzero", "equal", "masked_select", "_unique2")


class OnCard(Tensor):
    """For torch's own eyes it is on "meta", where nothing is computed but by asking `Card`."""

    __torch_function__ = torch._C._disabled_torch_function_impl
    device = property(lambda _: CARD)
    is_cuda = property(lambda _: True)
    is_meta = property(lambda _: False)
    card: "Card"
    here: Tensor
    """The numbers."""

    @staticmethod
    def of(here: Tensor, card: "Card") -> "OnCard":
        lies = {"strides": here.stride(), "storage_offset": here.storage_offset()}
        told = {"dtype": here.dtype, "device": "meta"}
        with torch.inference_mode(mode=False):  # as torch likes such tensors
            made = torch.Tensor._make_wrapper_subclass(OnCard, here.shape, **lies, **told)
        made.here, made.card = here, card
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        card = next(each.card for each in tree_leaves((args, kwargs)) if isinstance(each, OnCard))
        return card.compute(func, args, kwargs or {})

    def __getitem__(self, index: Any) -> Tensor:
        return super().__getitem__(_without_lists(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(_without_lists(index), value)

    def new_tensor(self, data: Any) -> Tensor:
        return torch.tensor(data, dtype=self.dtype, device=CARD)

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def __repr__(self) -> str:
        return f"on the card: {self.here}"

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.here.__reduce_ex__(protocol)

    def record_stream(self, _stream: "Stream") -> None:
        """Its memory is nobody else's before that is safe."""


def _without_lists(index: Any) -> Any:
    """torch would make tensors of them where `Card` does not see it."""
    if isinstance(index, tuple):
        return tuple(map(_without_lists, index))
    return torch.tensor(index) if isinstance(index, list | np.ndarray) else index


class Stream:
    """Work in its order; `known`: how much of each stream's work it comes after."""

    device = CARD

    def __init__(self, _device: torch.device | None = None) -> None:
        self.known: dict[Stream, int] = {self: 0}

    def record_event(self) -> dict["Stream", int]:
        return dict(self.known)

    def wait_event(self, event: dict["Stream", int]) -> None:
        self.known[self] += 1
        self.known |= {each: max(count, self.known.get(each, 0)) for each, count in event.items()}

    def wait_stream(self, other: "Stream") -> None:
        self.wait_event(other.known)


class Graph:
    """What was done while it was recorded: done at once here, and so not by the first replay."""

    def __init__(self) -> None:
        self.work: list[tuple[Any, Any, Any]] = []
        self.replays = 0

    def replay(self) -> None:
        self.replays += 1
        for func, (args, kwargs), made in self.work if self.replays > 1 else ():
            again = tree_leaves(func(*args, **kwargs))
            for place, value in zip(tree_leaves(made), again, strict=True):
                if isinstance(place, Tensor) and place.data_ptr() != value.data_ptr():
                    place.copy_(value)


class Card(TorchDispatchMode):
    """All that is done on it."""

    def __init__(self) -> None:
        super().__init__()
        self.races: list[str] = []
        """Reads of what another stream may not have written yet."""
        self.graphs: list[Graph] = []
        self._recorded: Graph | None = None
        self._streams, self._branches = [Stream()], defaultdict[str, Stream](Stream)
        self._written: dict[int, tuple[Stream, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self.compute(func, args, kwargs or {})

    def compute(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        name, target = func.overloadpacket.__name__, kwargs.get("device")
        tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        there = [isinstance(each, OnCard) for each in tensors]
        to_card = any(there) if target is None else torch.device(target).type != "cpu"
        if not to_card and not any(there):
            return func(*args, **kwargs)
        with self:  # in inference mode torch leaves it to us to take operations apart
            parts = func.decompose(*args, **kwargs)
        if parts is not NotImplemented:
            return parts
        _refuse_mixed(name, tensors, there)
        inside = tree_map(_here, (args, kwargs))
        if target is not None:
            inside[1]["device"] = "cpu"
        done = func(*inside[0], **inside[1])
        self._note(func, inside, [each.here for each in tensors if isinstance(each, OnCard)], done)
        if self._recorded is not None:
            _refuse_waiting(name, args, [*there, to_card])
            self._recorded.work.append((func, inside, done))
        if not (there[0] if name == "copy_" else to_card) or name == "_local_scalar_dense":
            return done
        made = tree_map(lambda it: OnCard.of(it, self) if isinstance(it, Tensor) else it, done)
        return return_and_correct_aliasing(func, args, kwargs, made)

    def _note(self, func: Any, inside: Any, read: list[Tensor], done: Any) -> None:
        """Which stream wrote what, and what it read before that was there."""
        stream = self.current_stream()
        stream.known[stream] += 1
        for place in _places(read) & self._written.keys():
            writer, count = self._written[place]
            if stream.known.get(writer, 0) < count:
                self.races.append(str(func))
        written = _places(_changed(func, *inside)) | (_places(done) - _places(inside))
        self._written |= dict.fromkeys(written, (stream, stream.known[stream]))

    def branch(self, _device: torch.device, name: str) -> Stream:
        return self._branches[name]

    def current_stream(self, _device: torch.device | None = None) -> Stream:
        return self._streams[-1]

    @contextlib.contextmanager
    def stream(self, used: Stream) -> Iterator[None]:
        self._streams.append(used)
        try:
            yield
        finally:
            self._streams.pop()

    @contextlib.contextmanager
    def graph(self, graph: Graph, _pool: Any, used: Stream, **_how: str) -> Iterator[None]:
        """As `torch.cuda.graph`."""
        before = used.known[used]
        used.wait_stream(self.current_stream())
        self._recorded = graph
        self.graphs.append(graph)
        try:
            with self.stream(used):
                yield
        finally:
            self._recorded = None
        for name, branch in self._branches.items():
            begun = branch.known.get(used, 0) > before
            if begun and used.known.get(branch, 0) < branch.known[branch]:
                raise RuntimeError(f"the card waits for no end of what it recorded as {name}")
        self.current_stream().wait_stream(used)


def _here(value: Any) -> Any:
    return value.here if isinstance(value, OnCard) else value


def _places(values: Any) -> set[int]:
    tensors = (each for each in tree_leaves(values) if isinstance(each, Tensor))
    return {each.untyped_storage().data_ptr() for each in tensors}


def _changed(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """The arguments that an operation writes into."""
    told = func._schema.arguments
    given = {each.name: value for each, value in zip(told, args, strict=False)} | kwargs
    written = [each.name for each in told if each.alias_info and each.alias_info.is_write]
    return [given[name] for name in written if name in given]


def _refuse_mixed(name: str, tensors: list[Tensor], there: list[bool]) -> None:
    """Single numbers and indices from here are let through, as torch lets them."""
    assert all(each.device.type != "meta" for each in tensors), "made where Card does not see it"
    pairs = zip(tensors, there, strict=True)
    others = any(each.ndim for each, on_card in pairs if not on_card)
    if any(there) and others and name not in (*_COPYING, *_INDEXING):
        raise RuntimeError(f"{name} of tensors on the card and of others")


def _refuse_waiting(name: str, args: Any, there: list[bool]) -> None:
    """What a recording would freeze, or break at."""
    masks = name in _INDEXING and torch.bool in [each.dtype for each in args[1] if each is not None]
    if name in _WAITING or not all(there) or masks:
        raise RuntimeError(f"{name} waits for the card, or brings it numbers, while it is recorded")


class AtOnce:
    """A `ThreadPoolExecutor` that works when it is asked."""

    def __init__(self, *_told: Any) -> None: ...

    def __enter__(self) -> "AtOnce":
        return self

    def __exit__(self, *_error: object) -> None: ...

    def map(self, work: Any, items: Iterable[Any]) -> list[Any]:
        return [work(each) for each in items]

    def submit(self, work: Any, *args: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        done.set_result(work(*args))
        return done


@contextlib.contextmanager
def pretended(patch: pytest.MonkeyPatch) -> Iterator[Card]:
    """All trainings and forecasters run on such a card, whatever device they are told."""
    card, tensor = Card(), torch.tensor
    if torch.cuda.is_available():  # a real one has to be ready before torch is told that it is
        torch.cuda.init()
    for name, instead in (
        ("_lazy_init", lambda: None),
        ("Stream", Stream),
        ("stream", card.stream),
        ("current_stream", card.current_stream),
        ("CUDAGraph", Graph),
        ("graph", card.graph),
        ("graph_pool_handle", lambda: None),
    ):
        patch.setattr(torch.cuda, name, instead)
    patch.setattr(torch.backends.cudnn, "is_acceptable", lambda _: False)
    # torch makes these where no mode sees it.
    patch.setattr(
        torch, "tensor", lambda data, *, device="cpu", **how: tensor(data, **how).to(device)
    )
    patch.setattr(Tensor, "pin_memory", lambda self: self)
    patch.setattr(Fabric, "device", CARD)
    patch.setattr(RunOn, "pick_device", lambda _: CARD)
    launch = ComputeConfig.launch
    patch.setattr(ComputeConfig, "launch", lambda told: launch(replace(told, device="cpu")))
    patch.setattr(feeding, "ThreadPoolExecutor", AtOnce)
    patch.setattr(streams, "_stream", card.branch)
    patch.setattr(gpu_layers, "_kernels", lambda: None)
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    _structure.cache_clear()  # by device
    try:
        with card:
            yield card
    finally:
        _structure.cache_clear()
        torch.__future__.set_overwrite_module_params_on_conversion(False)
