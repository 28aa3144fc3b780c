"""Names that a library can have: those of its functions, types and macros begin with it."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from edgeflow.errors import ExportError

if TYPE_CHECKING:
    from edgeflow.program import Program

_MAX_NAME = 40
# What `name.h`, `name_t` or `name_init` would hide: headers and types of C and of the ecosystems.
_TAKEN = frozenset([
    "arduino", "assert", "complex", "ctype", "edgeflow", "ef", "errno", "fenv", "float",
    "inttypes", "iso646", "limits", "locale", "main", "math", "setjmp", "signal",
    "stdalign", "stdarg", "stdatomic", "stdbool", "stddef", "stdint", "stdio", "stdlib",
    "stdnoreturn", "string", "strings", "tgmath", "threads", "time", "uchar", "unistd", "wchar",
    "wctype", "clock", "div", "fpos", "int8", "int16", "int32", "int64", "intmax", "intptr",
    "ldiv", "lldiv", "max_align", "mbstate", "off", "pid", "ptrdiff", "sig_atomic", "size",
    "ssize", "uint", "uint8", "uint16", "uint32", "uint64", "uintmax", "uintptr", "wint",
    "test", "all", "install", "clean", "help", "package", "window",
])  # fmt: skip
# What a library has behind its name: types and functions.
_GLOBALS = (
    "t", "init", "reset", "step", "quantize", "decided", "check", "labels", "decide", "margin",
    "confidence", "dequantize", "outputs", "units",
)  # fmt: skip


def name_of_file(path: Path) -> str:
    """Return a library's name from that of a program's file."""
    words = re.sub(r"[^a-z0-9]+", "_", path.stem.lower()).strip("_")
    return words if words[:1].isalpha() else f"model_{words}".rstrip("_")


def name_files(paths: Iterable[str | Path]) -> list[str]:
    """Return the names of programs by their files, each another.

    Raises
    ------
    ExportError
        If two files have the same.
    """
    found: dict[str, Path] = {}
    for path in map(Path, paths):
        name = name_of_file(path)
        if name in found:
            raise ExportError(
                f"{found[name]} and {path}: both would be called '{name}': rename a file"
            )
        found[name] = path
    return list(found)


def check_name(name: str, program: "Program") -> None:
    """Refuse a name that is not an identifier of C, or means something else there.

    Raises
    ------
    ExportError
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or len(name) > _MAX_NAME:
        raise ExportError(
            f"'{name}' cannot name a library: use --name with at most {_MAX_NAME} of a-z, 0-9 and "
            "_, a letter first"
        )
    if name in _TAKEN:
        raise ExportError(f"'{name}' already means something in C or its tools: use another --name")
    for node in program.nodes:
        for part in (*node.products(), *node.arrays(), *node.states, "cell", "x", "y"):
            found = f"{node.name}_{part}"
            if found.startswith(f"{name}_ef_") or found in (f"{name}_{g}" for g in _GLOBALS):
                raise ExportError(
                    f"--name {name}: '{found}' is in the model itself: use another --name"
                )
