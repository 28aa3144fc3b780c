"""The generated C of a library package: all names begin with the library's own.

So that several packages can be in one firmware: ``model_step`` becomes ``NAME_step``, and a kernel
``ef_x`` becomes ``NAME_ef_x``.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from edgeflow.codegen.backend import core_with_backend, layers_by_tvm
from edgeflow.codegen.c_library import write_library
from edgeflow.codegen.choice import choose_kernels
from edgeflow.codegen.kernels import kernel_named
from edgeflow.errors import ExportError
from edgeflow.exporting.options import Options
from edgeflow.program import Program
from edgeflow.targets.board import CoreSpec, load_core

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
# of a float unit the kernels know nothing
_NOT_NEEDED = ("__ARM_FP",)


@dataclass(frozen=True)
class CSources:
    """What a library is made of.

    Parameters
    ----------
    files : dict
        Text by name: ``NAME.h``, ``NAME.c``, kernels and what these include.
    state_bytes : int
        ``sizeof(NAME_t)``.
    weight_bytes : int
        Weights, biases and multipliers as the kernels read them.
    """

    files: dict[str, str]
    state_bytes: int
    weight_bytes: int


def c_sources(program: Program, options: Options) -> CSources:
    """Generate the C of a program for ``options.core``, named after ``options.name``.

    Raises
    ------
    ExportError
        If the name cannot be one.
    TargetError
        If there is no such core, goal or backend.
    ToolMissingError
        If the backend is TVM and that is not installed.
    """
    check_name(options.name)
    # the machine itself has plain C kernels and no others
    core = load_core("host" if options.core == "c" else options.core)
    core = core_with_backend(core, options.backend)
    choices = choose_kernels(program, core, optimize=options.optimize)
    kernels = {f"{c.layer}.{c.matrix}": kernel_named(c.kernel) for c in choices}
    with TemporaryDirectory() as folder:
        layers = layers_by_tvm(program, core, options.backend, options.optimize)
        write_library(program, folder, core.kernels, kernels, core, layers)
        texts = {
            path.name: path.read_text(encoding="utf-8")
            for path in sorted(Path(folder).rglob("*"))
            if path.is_file()
        }
    _check_clash(options.name, texts["model.c"] + texts["model.h"])
    state_bytes = _state_bytes(texts["model.h"])
    texts["model.h"] = _guarded(texts["model.h"], core, options.name)
    files = {
        re.sub(r"^model\.", f"{options.name}.", file): _renamed(text, options.name)
        for file, text in texts.items()
    }
    return CSources(files, state_bytes, sum(choice.weight_bytes for choice in choices))


def check_name(name: str) -> None:
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


def _check_clash(name: str, text: str) -> None:
    """Refuse a name whose functions would be called like something in the generated code."""
    functions = "t|init|reset|step|quantize|decided|labels|ef_.*"
    found = re.search(rf"\b{name}_({functions})\b", text) if name != "model" else None
    if found:
        raise ExportError(f"--name {name}: '{found[0]}' is in the model itself: use another --name")


def _renamed(text: str, name: str) -> str:
    """Return a C or assembler text with the library's name in all global names."""
    text = text.replace('"model.h"', f'"{name}.h"')
    text = re.sub(r"\bef_(?!\w+\.(?:h|inc|c|S)\b)", f"{name}_ef_", text)
    text = re.sub(r"\bmodel_(?=[a-z])", f"{name}_", text)
    return re.sub(r"\bMODEL_(?=[A-Z])", f"{name.upper()}_", text)


def _guarded(header: str, core: CoreSpec, name: str) -> str:
    """Return ``model.h`` such that it compiles only where the kernels run."""
    lines = [
        "#include <limits.h>\n#include <stdint.h>\n",
        "#if UINT_MAX < 0xffffffff",
        f'#error "{name} needs a processor of 32 or 64 bits"',
        "#endif",
    ]
    macros = [macro for macro in core.macros if macro not in _NOT_NEEDED]
    if macros:
        lines += [
            f"#if {' || '.join(f'!defined({macro})' for macro in macros)}",
            f'#error "{name} has kernels of {core.name}: export it with --core for this processor"',
            "#endif",
        ]
    before, after = header.split("#include <stdint.h>\n", maxsplit=1)
    return before + "\n".join(lines) + "\n" + after


def _state_bytes(header: str) -> int:
    """Return sizeof(model_t): each member fills whole words of 8 bytes."""
    struct = header[header.index("typedef struct") : header.index("} model_t;")]
    members = re.findall(r"int(\d+)_t \w+\[(\d+)\];", struct)
    return sum(int(bits) // 8 * int(count) for bits, count in members)
