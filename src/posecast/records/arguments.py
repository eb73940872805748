"""What is given from Python: values of the kinds that are expected, or an error that says so."""

import functools
import math
import numbers
import operator
import os
import re
import types
import typing
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from posecast.errors import PosecastError

T = TypeVar("T")

_hints_of = functools.cache(typing.get_type_hints)
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)  # "C://" is a disk
_NUMBERS = {int: (numbers.Integral, "a whole number"), float: (numbers.Real, "a number")}


def got(value: Any) -> str:
    """What a value is, in a few words: "2.5", "of type list", "of type ndarray (3, 2)"."""
    if isinstance(value, str | bytes):
        return repr(value)
    if value is None or isinstance(value, numbers.Number):
        return str(value)
    shape = getattr(value, "shape", None)
    return f"of type {type(value).__name__}" + ("" if shape is None else f" {tuple(shape)}")


def check_is(value: Any, kind: type[T], what: str, expected: str) -> T:
    """The value; PosecastError where it is of another kind."""
    if not isinstance(value, kind):
        raise PosecastError(f"{what} is {got(value)}; expected {expected}")
    return value


def as_path(value: Any, what: str, instead: str = "") -> Path:
    """The path; PosecastError where it is none. `instead` is what else may be given."""
    if not isinstance(value, str | os.PathLike) or value == "":
        raise PosecastError(f"{what} is {got(value)}; expected a path (str or Path){instead}")
    refuse_address(str(value))
    return Path(value)


def refuse_address(word: str) -> None:
    """PosecastError for what a browser opens: as a path it would be a folder "https:"."""
    if _ADDRESS.match(word):
        raise PosecastError(
            f"{word} is an address; expected a path: files are neither read from a network nor "
            "written to one, save it as a file first (models of a hub are called hf:OWNER/NAME)"
        )


def as_count(value: Any, what: str, least: int = 1, most: int | None = None) -> int:
    """The whole number, numpy's too, or 60.0; PosecastError where it is none, below `least` or over
    `most`."""
    try:
        count = least - 1 if isinstance(value, bool) else operator.index(_whole(value))
    except TypeError:
        count = least - 1
    if count < least or (most is not None and count > most):
        end = " or more" if most is None else f" to {most}"
        raise PosecastError(f"{what} is {got(value)}; expected a whole number, {least}{end}")
    return count


def as_positive(value: Any, what: str) -> float:
    """The number; PosecastError where it is none, not over 0, or infinite."""
    if not _is_number(value, float) or not 0 < value < math.inf:
        raise PosecastError(f"{what} is {got(value)}; expected a number over 0")
    return float(value)


def check_settings(settings: Any, kind: type[T], what: str) -> T:
    """The settings; PosecastError where they are no `kind`, a frozen dataclass, or where one of
    them, or of those within, is of another kind than its annotation (see `check_setting`), or a
    number that none can be: not finite, or below 0 where its default is not."""
    check_is(settings, kind, what, f"{kind.__name__}(...)")
    for field in fields(settings):
        check_setting(settings, field.name, f"{what}.{field.name}")
        least = min(0.0, float(field.default)) if isinstance(field.default, int | float) else 0.0
        _check_numbers(getattr(settings, field.name), least, f"{what}.{field.name}")
    return settings


def _check_numbers(value: Any, least: float, what: str) -> None:
    for number in value if isinstance(value, tuple | list) else (value,):
        if _is_number(number, float) and not least <= number < math.inf:
            raise PosecastError(f"{what} is {number}; expected {least:g} or more, and finite")


def check_setting(settings: Any, name: str, what: str) -> None:
    """PosecastError where one setting is of another kind than its annotation; a path that is given
    as a string, and a whole number as 60.0, become what they stand for."""
    kind, value = _hints_of(type(settings))[name], getattr(settings, name)
    if is_dataclass(kind) and isinstance(kind, type):
        check_settings(value, kind, what)
        return
    meant = _meant(value, kind)
    if not _fits(meant, kind):
        raise PosecastError(f"{what} is {value!r}; expected {_described(kind)}")
    if meant is not value:
        object.__setattr__(settings, name, meant)  # frozen: its meaning stays


def _meant(value: Any, kind: Any) -> Any:
    kinds = (kind, *typing.get_args(kind))
    if isinstance(value, str) and Path in kinds and str not in kinds:
        return Path(value)
    return _whole(value) if int in kinds and float not in kinds else value


def _whole(value: Any) -> Any:
    """60 for 60.0 of Python or numpy; else the value."""
    if not _is_number(value, float) or isinstance(value, numbers.Integral):
        return value
    return int(value) if float(value).is_integer() else value


def _fits(value: Any, kind: Any) -> bool:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return value in arguments
    if origin in (Union, types.UnionType):
        return any(_fits(value, each) for each in arguments)
    if kind in _NUMBERS:
        return _is_number(value, kind)
    if origin is tuple and arguments[1:] == (...,):
        return isinstance(value, tuple | list) and all(_fits(x, arguments[0]) for x in value)
    kind = origin or kind
    return not isinstance(kind, type) or isinstance(value, kind)


def _is_number(value: Any, kind: type) -> bool:
    return isinstance(value, _NUMBERS[kind][0]) and not isinstance(value, bool)


def _described(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return ", ".join(map(repr, typing.get_args(kind)))
    if kind in _NUMBERS:
        return _NUMBERS[kind][1]
    named = kind.__name__ if isinstance(kind, type) else str(kind)
    return named.replace("pathlib.", "").replace("_local.", "")  # Python 3.13's own
