"""Configurations as JSON: nested frozen dataclasses to plain dicts and back, checked; folders of
results, with what settings they were begun."""

import logging
import math
import numbers
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from posecast.errors import PosecastError, did_you_mean
from posecast.records.arguments import check_setting
from posecast.records.files import FileError, read_json, write_json
from posecast.records.locks import refuse_strangers

T = TypeVar("T")

logger = logging.getLogger(__name__)


class ConfigError(PosecastError):
    """A stored configuration does not fit the class that should read it."""


def config_to_dict(config: Any, place: Callable[[Path], str] = str) -> dict[str, Any]:
    """Values that JSON can hold: dataclasses become dicts, tuples lists, paths as `place` says."""
    if not is_dataclass(config) or isinstance(config, type):
        raise TypeError(f"expected a dataclass instance, got {config!r}")
    return {field.name: _to_plain(getattr(config, field.name), place) for field in fields(config)}


def _to_plain(value: Any, place: Callable[[Path], str]) -> Any:
    if is_dataclass(value):
        return config_to_dict(value, place)
    if isinstance(value, dict):
        return {key: _to_plain(item, place) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_to_plain(item, place) for item in value]
    if isinstance(value, Path):
        return place(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, numbers.Real):  # numpy's
        return int(value) if isinstance(value, numbers.Integral) else float(value)
    raise TypeError(f"a configuration cannot hold {value!r}")


def config_from_dict(cls: type[T], values: Any, where: str = "") -> T:
    """Inverse of `config_to_dict`.

    A key that was added after the configuration was stored takes its default. ConfigError names an
    unknown key with the nearest right one, a missing one without a default, or a value of the
    wrong type by its dotted name.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"{where or cls.__name__}: expected an object, got {values!r}")
    known = fields(cls)  # type: ignore[arg-type]
    names = [each.name for each in known]
    for key in values:
        if key not in names:
            hint = did_you_mean(str(key), names)
            raise ConfigError(f"{where or cls.__name__}: unknown key {key!r}{hint}")
    missing = [each for each in known if each.name not in values]
    needed = [each.name for each in missing if each.default is each.default_factory]
    if needed:  # neither kind of default
        raise ConfigError(f"{where or cls.__name__}: missing {', '.join(needed)}")
    for each in missing:
        logger.debug("%s: %s is not stored and takes its default", where or cls.__name__, each.name)
    hints = typing.get_type_hints(cls)
    dotted = {name: f"{where}.{name}" if where else name for name in values}
    return cls(**{name: _from_plain(hints[name], values[name], dotted[name]) for name in values})


def check_at_least(least: int, config: Any, *names: str, most: int | None = None) -> None:
    """PosecastError for the first of these fields that is below `least`, over `most`,
    infinite or NaN."""
    top, end = (math.inf, " or more") if most is None else (most, f" to {most}")
    _check(config, names, lambda value: least <= value <= top, f"{least}{end}")


def check_over_zero(config: Any, *names: str, most: int | None = None) -> None:
    """PosecastError for the first of these fields that is not over 0, over `most`, infinite or
    NaN."""
    top, end = (math.inf, "") if most is None else (most, f" and at most {most}")
    _check(config, names, lambda value: 0 < value <= top, f"over 0{end}")


def check_multiple(of: int, config: Any, name: str) -> None:
    """PosecastError unless this field is a positive multiple of a number."""
    _check(config, (name,), lambda value: value >= of and value % of == 0, f"a multiple of {of}")


def check_below_one(config: Any, *names: str) -> None:
    """PosecastError for the first of these fields that is not at least 0 and below 1."""
    _check(config, names, lambda value: 0 <= value < 1, "at least 0 and below 1")


def _check(
    config: Any, names: Sequence[str], is_right: Callable[[float], bool], right: str
) -> None:
    for name in names:
        check_setting(config, name, name)
        value = getattr(config, name)
        if not (abs(value) < math.inf and is_right(value)):
            finite = ", and finite" if value == math.inf else ""
            raise PosecastError(f"{name} is {value}; it must be {right}{finite}")


def _from_plain(kind: Any, value: Any, where: str) -> Any:
    """`value` as the annotated type `kind`."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, type) and is_dataclass(kind):
        return config_from_dict(kind, value, where)
    if origin is Literal and value in arguments:
        return value
    if origin in (Union, types.UnionType):
        return _from_union(arguments, value, where)
    if origin is tuple and isinstance(value, list):
        return _to_tuple(arguments, value, where)
    if origin is dict and isinstance(value, dict):
        return {
            key: _from_plain(arguments[1], item, f"{where}.{key}") for key, item in value.items()
        }
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is float and type(value) in (int, float):
        return float(value)
    if type(value) is kind or kind is Any:
        return value
    name = getattr(kind, "__name__", kind) if origin is None else kind
    raise ConfigError(f"{where}: expected {name}, got {value!r}")


def _from_union(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    problems = []
    for kind in kinds:
        if kind is not type(None):
            try:
                return _from_plain(kind, value, where)
            except ConfigError as error:
                problems.append(str(error))
    raise ConfigError("; or ".join(problems))


def _to_tuple(kinds: tuple[Any, ...], value: list[Any], where: str) -> tuple[Any, ...]:
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(kinds) != len(value):
        raise ConfigError(f"{where}: expected {len(kinds)} values, got {value!r}")
    return tuple(
        _from_plain(kind, item, f"{where}.{index}")
        for index, (kind, item) in enumerate(zip(kinds, value, strict=True))
    )


def config_differences(
    stored: dict[str, Any], asked: dict[str, Any], ignore: tuple[str, ...]
) -> list[str]:
    """One line per field that differs, as "optimizer.lr: 0.1 -> 0.2"; `ignore` has dotted names."""
    old, new = _flatten(stored), _flatten(asked)
    lines = []
    for key in [*old, *(key for key in new if key not in old)]:
        before, after = old.get(key, MISSING), new.get(key, MISSING)
        if before != after and not any(
            key == name or key.startswith(name + ".") for name in ignore
        ):
            lines.append(f"{key}: {_shown(before)} -> {_shown(after)}")
    return lines


def _shown(value: Any) -> str:
    return "(absent)" if value is MISSING else repr(value)


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in values.items():
        if isinstance(value, list) and any(isinstance(each, dict) for each in value):
            value = {str(number): each for number, each in enumerate(value, start=1)}
        if isinstance(value, dict) and value:
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def claim_folder(
    file: Path,
    settings: Mapping[str, Any],
    what: str,
    may_change: tuple[str, ...] = (),
    error: type[FileError] = FileError,
) -> None:
    """Note in `file` the settings (plain JSON values) of what its folder will hold.

    Where they are noted already, nothing is touched; `may_change` has the dotted names of those
    that may differ. `error` where the folder holds `what` of other settings, or other files.
    """
    if file.is_file():
        refuse_differences(file.parent, read_json(file), settings, what, may_change, error)
    else:
        refuse_strangers(file, what, error)
        write_json(file, dict(settings))


def refuse_differences(
    folder: Path,
    stored: Mapping[str, Any],
    asked: Mapping[str, Any],
    what: str,
    ignore: tuple[str, ...] = (),
    error: type[PosecastError] = FileError,
    mend: str = "give another folder, or delete this one",
) -> None:
    """`error` lists the settings in which what is asked for differs from what a folder holds."""
    changed = config_differences(dict(stored), dict(asked), ignore)
    if changed:
        listed = "\n".join(f"  {line[:200]}" for line in changed)
        head = f"{folder} holds {what} of other settings (stored -> asked)"
        raise error(f"{head}:\n{listed}\n{mend}")
