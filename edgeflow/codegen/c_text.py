"""Literals, comments and initialisers of C."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.errors import printable

_WIDTH = 100


def c_float(value: float) -> str:
    """Return a C literal of a float32; ``math.h`` names those that are not finite."""
    if not np.isfinite(value):
        return "NAN" if np.isnan(value) else "INFINITY" if value > 0 else "-INFINITY"
    text = f"{float(np.float32(value)):.9g}"
    return text + ("f" if set(".e") & set(text) else ".0f")


def c_string(text: str) -> str:
    """Return a C string literal of any text, in ASCII."""
    named = {'"': r"\"", "\\": r"\\", "?": r"\?"}  # no trigraphs
    characters = (
        named.get(chr(b), chr(b) if 32 <= b < 127 else f"\\{b:03o}") for b in text.encode()
    )
    return f'"{"".join(characters)}"'


def plain(text: str) -> str:
    """Return `text` on one line, such that it ends no comment, in C and elsewhere.

    No character of it hides or turns what stands beside it.
    """
    return (
        printable(" ".join(text.split()))
        .replace("*/", "* /")
        .replace("/*", "/ *")
        .replace("??", "? ?")
    )


def c_values(values: NDArray[np.generic], per_line: int) -> str:
    """Return the lines of an array's initialiser: its elements in order."""
    words = _literals(values.reshape(-1))
    lines = (", ".join(words[i : i + per_line]) for i in range(0, len(words), per_line))
    return ",\n".join(f"    {line}" for line in lines)


def _literals(values: NDArray[Any]) -> list[str]:
    if values.dtype == np.bool_:
        values = values.astype(np.int8)
    kind = values.dtype
    if np.issubdtype(kind, np.floating):
        return [c_float(value) for value in values]
    if kind == np.uint32:
        return [f"0x{int(value):08x}" for value in values]
    form = "INT64_C({})" if kind == np.int64 else "{}"
    # the least of a type is no literal in C
    least = np.iinfo(kind).min if kind in (np.int32, np.int64) else None
    return [
        f"({form.format(int(value) + 1)} - 1)" if value == least else form.format(int(value))
        for value in values
    ]


def c_array(kind: str, name: str, values: NDArray[np.generic], per_line: int) -> str:
    """Return the definition of a constant array that only its file sees."""
    return f"static const {kind} {name}[{values.size}] = {{\n{c_values(values, per_line)}\n}};"


def c_struct(kind: str, name: str, members: Mapping[str, str | int]) -> str:
    """Return the definition of a constant struct that only its file sees; zeros are left out."""
    lines = [""]
    for member, value in members.items():
        if value == 0:
            continue
        item = f".{member} = {value}, "
        if lines[-1] and len(lines[-1]) + len(item) + 5 > _WIDTH:
            lines.append("")
        lines[-1] += item
    body = "".join(f"    {line.rstrip()}\n" for line in lines)
    return f"static const {kind} {name} = {{\n{body}}};"
