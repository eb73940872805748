"""What is exported: traceable functions with examples and descriptions, and the order of the chain.

An example is what an exporter follows the function with; its sizes say nothing but which of them
are fixed.
"""

from dataclasses import dataclass, fields
from inspect import signature

from torch import Tensor, nn

from posecast.carrying.layers import COARSE
from posecast.networks.carrying import Changes

CHAIN = {
    "follow": ("cut", "estimator", "place"),
    "forecast": ("forecaster",),
    "begin": ("begin", "maps", "mask", "look"),
    "draw": ("layers", "maps", "refinement", "compose", "paste"),
}
"""Graphs in the order in which they are run: for each frame of a video, once, once where frames are
drawn, and for any future frames. Each reads what has its inputs' names: what is given, or what the
last one before it said."""
BATCH = "batch"
"""Name of the first axis of what may be many."""
_PAST_FIRST = (
    *("last_joints_px", "last_visible", "seen_pictures", "seen_joints_crop"),
    *("seen_visible", "smooth_past", "mask_logits", "members", "crossing", "bare_pictures"),
)
_BATCH_FIRST = (
    *("numbers", "fine_pictures", "shares", "distance", "moving", "holes"),
    *("logits", "drawn", "flow", "frames"),
)
_FREE_AXES = {
    "frame": ("height", "width"),
    "last_frame": ("height", "width"),
    "last_frames": ("past", "height", "width"),
    **dict.fromkeys(_PAST_FIRST, ("past",)),
    **dict.fromkeys(_BATCH_FIRST, (BATCH,)),
}
"""Names of the first axes of values, which may take any size; the others are fixed."""
_SAID: dict[str, tuple[tuple[str, ...], str]] = {
    "cut": (
        ("pictures", "square"),
        "a frame, RGB bytes, and where to look: left, top and side of a square in pixels, side 0: "
        "everywhere; to the estimator's picture of it, and the square.",
    ),
    "place": (
        ("joints_px", "visible", "where"),
        "what the estimator said to joints in pixels of the frame, which of them were seen, and "
        "where to look in the next frame.",
    ),
    "begin": (
        (
            *("seen_pictures", "seen_joints_crop", "seen_visible", "future_joints_crop"),
            *("picture_box", "square", "last_frame"),
            *("pictures", "joints_crop", "visible", "body_size"),
        ),
        "the last seen frames, RGB bytes, up to `most_pictures`, their poses, and future ones, in "
        "pixels, to the square around the person and what maps and mask read.",
    ),
    "look": (
        (
            *("smooth_past", "smooth_future", "sources", "members", "gates", "plate", "no_plate"),
            *("last_distances", "crossing", "bare_pictures"),
        ),
        "the same and the mask to what the layers are made of; the camera stands still.",
    ),
    "layers": (
        (
            *("pictures", "shares", "distance", "holes"),
            *("joints_crop", "visible", "body_size", "moving", "fine_pictures"),
        ),
        "future frames by their numbers, 0 the first, to four pictures of each, small and fine: "
        "person, behind its front parts, last frame bent, room; and how much of each shows.",
    ),
    "compose": (
        ("frames",),
        "layers and what is changed of them to squares of the future frames, RGB bytes.",
    ),
    "paste": (("whole_frames",), "these to whole frames of the video, RGB bytes."),
    "estimator": (
        ("joints_crop", "confidence"),
        "RGB bytes to joints (x, y), shares of the picture from 0 to 1, and confidences from 0 to "
        "1, negative of joints that may as well be elsewhere. It is meant for one person in the "
        "middle of each picture, with some room around.",
    ),
    "maps": (
        ("maps",),
        "joints as shares of the square crop, and the body's size (the longer of torso and the "
        "parts of a leg, posecast.carrying.body_parts.body_size) likewise, to maps of the body's "
        "parts, 0 to 1; input 'maps' of mask and refinement.",
    ),
    "mask": (
        ("mask_logits",),
        f"seen pictures, RGB from -1 to 1, channels first, the person's crop at {COARSE} x "
        f"{COARSE}, and maps of their poses, to logits of the person's mask.",
    ),
    "refinement": (
        tuple(each.name for each in fields(Changes)),
        f"layers of future frames (posecast.networks.carrying.LayerBatch, made by posecast."
        f"carrying.layers; pictures from -1 to 1) at {COARSE} x {COARSE} and maps of the poses to "
        "what posecast.carrying.composing changes of them, at whatever size they have.",
    ),
}
"""What each graph says, and what it does, in which units and ranges."""


@dataclass(frozen=True, eq=False)
class Graph:
    """One function to export."""

    function: nn.Module
    inputs: dict[str, Tensor]
    """Example inputs by name."""
    free: dict[str, tuple[str, ...]]
    """The names of each input's axes; numbers stay as they are, others may take any size."""
    outputs: tuple[str, ...]
    note: str
    """What it does, in which units and ranges."""
    decides: bool = False
    """Whether it rounds or chooses, so that few numbers may be others after export."""

    @classmethod
    def of_batch(cls, name: str, module: nn.Module, inputs: dict[str, Tensor]) -> "Graph":
        """One whose inputs' first axis alone may take any size."""
        axes = {key: (BATCH, *map(str, value.shape[1:])) for key, value in inputs.items()}
        return cls(module.eval(), inputs, axes, *_SAID[name])

    @classmethod
    def between(cls, name: str, module: nn.Module, known: dict[str, Tensor]) -> "Graph":
        """One of the chain that is no network; its inputs are among the values `known` by now."""
        inputs = {each: known[each] for each in signature(module.forward).parameters}
        axes = {}
        for each, value in inputs.items():
            free = _FREE_AXES.get(each, ())
            axes[each] = (*free, *map(str, value.shape[len(free) :]))
        return cls(module.eval(), inputs, axes, *_SAID[name], decides=True)
