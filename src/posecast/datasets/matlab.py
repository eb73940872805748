"""Reading MATLAB 5 files (.mat, versions 5 to 7): numeric and text variables.

`scipy.io.loadmat` can take the whole process down with a segmentation fault on a damaged file.
One bad file among thousands must be no more than a message, so every length is checked here.
Format: "MAT-File Format" (MathWorks), level 5. Cells, structs and the like are passed over.
"""

import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from posecast.errors import PosecastError

_HEADER_BYTES = 128
_BYTE_ORDERS = {b"IM": "<", b"MI": ">"}
_NUMBERS = dict(enumerate(("i1", "u1", "i2", "u2", "i4", "u4", "f4"), start=1))
_NUMBERS |= {9: "f8", 12: "i8", 13: "u8"}
"""Data type of an element -> numpy type."""
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
"""Data type of an element of characters -> encoding."""
_MATRIX, _COMPRESSED = 14, 15
_CHARACTERS, _DOUBLE, _LAST_NUMERIC_CLASS = 4, 6, 15


class MatlabError(PosecastError):
    """The file is damaged or of a kind that is not read."""


class _Element(NamedTuple):
    kind: int
    data: memoryview


def read_matlab(path: Path) -> dict[str, np.ndarray | str]:
    """Numeric variables as arrays of their stored type (matrices stay two-dimensional), text as
    str (several rows are joined).

    The stored type may be smaller than the variable's own: MATLAB writes doubles that are whole
    numbers as uint8 or uint16. Convert before any arithmetic. OSError where the file cannot be
    read, MatlabError where it is damaged.
    """
    data = path.read_bytes()
    if data[:4] == b"\x89HDF" or data[:10] == b"MATLAB 7.3":
        raise MatlabError("a MATLAB 7.3 (HDF5) file; save it with the option -v7")
    order = _BYTE_ORDERS.get(data[126:_HEADER_BYTES])
    if order is None:
        raise MatlabError(f"not a MATLAB 5 file, or its first bytes are lost ({len(data)} bytes)")
    variables: dict[str, np.ndarray | str] = {}
    for element in _elements(memoryview(data)[_HEADER_BYTES:], order):
        for matrix in _inflated(element, order):
            name, value = _read_variable(matrix, order)
            if value is not None:
                variables[name] = value
    return variables


def _elements(data: memoryview, order: str) -> Iterator[_Element]:
    """Split into tagged elements; short ones keep their data inside the tag."""
    place = 0
    while place < len(data):
        first = _unsigned(data[place : place + 4], order)
        if first >> 16:
            kind, length, start, step = first & 0xFFFF, first >> 16, place + 4, 8
        else:
            kind, length = first, _unsigned(data[place + 4 : place + 8], order)
            start = place + 8
            step = 8 + (length if kind == _COMPRESSED else -(-length // 8) * 8)
        if start + length > len(data) or (first >> 16 and length > 4):
            raise MatlabError("the file ends too early, or a length in it is wrong")
        yield _Element(kind, data[start : start + length])
        place += step


def _unsigned(data: memoryview, order: str) -> int:
    if len(data) != 4:
        raise MatlabError("the file ends too early")
    return int.from_bytes(data, "little" if order == "<" else "big")


def _inflated(element: _Element, order: str) -> Iterator[_Element]:
    """The matrices in a top-level element."""
    if element.kind == _MATRIX:
        yield element
    elif element.kind == _COMPRESSED:
        try:
            # Not zlib.decompress: in two published Penn Action files the stream of a variable
            # lacks its last bytes (the checksum), though all of the variable is there.
            data = zlib.decompressobj().decompress(element.data)
        except zlib.error as error:
            raise MatlabError(f"damaged compressed data ({error})") from error
        yield from (each for each in _elements(memoryview(data), order) if each.kind == _MATRIX)
    else:
        raise MatlabError(f"an element of unknown kind {element.kind}")


def _read_variable(matrix: _Element, order: str) -> tuple[str, np.ndarray | str | None]:
    """Name and value of a variable; None where it is neither numeric nor text."""
    parts = _elements(matrix.data, order)
    flags, shape, name = (_next(parts) for _ in range(3))
    kind = _unsigned(flags.data[:4], order) & 0xFF
    label = bytes(name.data).decode("latin-1")
    if kind == _CHARACTERS:
        return label, _read_text(_next(parts), order)
    if not _DOUBLE <= kind <= _LAST_NUMERIC_CLASS:
        return label, None
    sizes = _read_numbers(shape, order).tolist()
    values = _read_numbers(_next(parts), order)
    if min(sizes, default=0) < 0 or math.prod(map(int, sizes)) != values.size:
        raise MatlabError(f"variable {label!r} has {values.size} values, not {sizes}")
    return label, values.reshape(sizes, order="F")


def _next(parts: Iterator[_Element]) -> _Element:
    element = next(parts, None)
    if element is None:
        raise MatlabError("a variable lacks parts")
    return element


def _read_numbers(element: _Element, order: str) -> np.ndarray:
    if element.kind not in _NUMBERS:
        raise MatlabError(f"numbers of unknown type {element.kind}")
    kind = _NUMBERS[element.kind]
    if len(element.data) % int(kind[1]):
        raise MatlabError("the file ends in the middle of a number")
    return np.frombuffer(element.data, order + kind).astype(kind)


def _read_text(element: _Element, order: str) -> str:
    encoding = _TEXTS.get(element.kind)
    if encoding is None:
        raise MatlabError(f"text of unknown type {element.kind}")
    if encoding in ("utf-16", "utf-32"):
        encoding += "-le" if order == "<" else "-be"
    try:
        return bytes(element.data).decode(encoding)
    except UnicodeDecodeError as error:
        raise MatlabError(f"damaged text ({error})") from error
