"""Names that a library can have: those of its functions, types and macros begin with it."""

import re

from edgeflow.errors import ExportError
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
    "confidence",
)  # fmt: skip


def check_name(name: str, program: Program) -> None:
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
        for part in (*node.products(), *node.arrays(), *node.states, "cell", "y"):
            found = f"{node.name}_{part}"
            if found.startswith(f"{name}_ef_") or found in (f"{name}_{g}" for g in _GLOBALS):
                raise ExportError(
                    f"--name {name}: '{found}' is in the model itself: use another --name"
                )
