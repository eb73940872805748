"""How values with arrays are shown where a notebook or a debugger prints them."""

import math
from dataclasses import fields
from typing import Any

_FEW = 8
_SHORT = 100


class Brief:
    """Of a dataclass (repr=False) all fields, arrays by kind and shape: their thousands of numbers
    say nothing and hide the rest."""

    def __repr__(self) -> str:
        shown = (each.name for each in fields(self) if each.repr)  # pyright: ignore[reportArgumentType]
        parts = (f"{name}={_brief(getattr(self, name))}" for name in shown)
        return f"{type(self).__name__}({', '.join(parts)})"


def _brief(value: Any) -> str:
    shape = getattr(value, "shape", None)
    if shape is not None and math.prod(shape) > _FEW:
        return f"{value.dtype} {tuple(shape)}"
    is_many = isinstance(value, tuple | list)
    if is_many and (len(value) > _SHORT or len(repr(value)) > _SHORT):  # thousands take seconds
        return f"{type(value).__name__} of {len(value)}"
    return repr(value)
