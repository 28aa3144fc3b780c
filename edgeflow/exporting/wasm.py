"""The generated C as a WebAssembly module, compiled by the Python package ``ziglang``.

``templates/wasm`` has what the C lacks there: exported functions, and those of ``<string.h>``. A
file in its folder ``simd`` replaces the kernel of the same name in modules with SIMD128.
"""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from edgeflow.codegen.plan import Plan
from edgeflow.codegen.render import render, write
from edgeflow.errors import ExportError, ToolMissingError
from edgeflow.exporting.template import TEMPLATES
from edgeflow.files import scratch_folder

#: Instruction sets of the modules, as the compiler calls them.
TARGETS: Mapping[str, str] = {
    # what engines with SIMD128 have besides
    "simd": "mvp+simd128+bulk_memory+sign_ext+nontrapping_fptoint",
    "plain": "mvp",
}
#: Larger code is not faster: products, most of the time, are in ``templates/wasm/simd``.
_FLAGS = ("-std=c99", "-Os", "-fno-builtin")
#: Far more than the deepest calls of kernels take; the rest of the first 64 KiB is for data.
_STACK = 16384
_LINK = ("-nostdlib", "-Wl,--no-entry", "-Wl,--strip-all", f"-Wl,-z,stack-size={_STACK}")


def compile_module(plan: Plan, target: str) -> bytes:
    """Return the module of a program, with a memory of its own.

    It exports the addresses ``raw``, ``x`` and ``y`` of a sample, its integers and the outputs;
    ``reset``, ``quantize`` (raw to x) and ``step`` (x to y); of a classifier ``decide`` and
    ``confidence`` (of y); with early exit ``decided``; of one that learns ``learn``, ``forget``,
    ``save`` and ``load``, which write to and read from ``learned``, of ``learnedSize`` bytes.
    ``reset`` comes first.

    Parameters
    ----------
    plan : Plan
        Of plain C kernels.
    target : str
        A key of `TARGETS`.

    Raises
    ------
    ToolMissingError
        If the package ``ziglang`` is not installed, or is none that works.
    ExportError
        If it cannot compile the C.
    """
    if importlib.util.find_spec("ziglang") is None:
        raise ToolMissingError(
            "WebAssembly needs the compiler of the package ziglang: pip install edgeflow[web]"
        )
    with scratch_folder("wasm") as folder:
        write(render(plan), folder)
        _run(
            [
                *("-target", "wasm32-freestanding", f"-mcpu={TARGETS[target]}", *_FLAGS, *_LINK),
                *_defined(plan),
                *(f"-I{path}" for path in (folder, folder / "kernels", TEMPLATES / "wasm")),
                str(TEMPLATES / "wasm" / "glue.c"),
                *(str(_source(folder / name, target)) for name in ("model.c", *plan.kernel_files)),
                *("-o", str(folder / "model.wasm")),
            ],
            folder / "cache",
        )
        return (folder / "model.wasm").read_bytes()


def with_section(module: bytes, name: str, content: bytes) -> bytes:
    """Return a module with a custom section at its end, which engines skip."""
    text = name.encode()
    body = _leb128(len(text)) + text + content
    return module + b"\0" + _leb128(len(body)) + body


def _source(file: Path, target: str) -> Path:
    """Return the file that is compiled in the place of a generated one: mostly itself."""
    own = TEMPLATES / "wasm" / target / file.name
    return own if own.is_file() else file


def _defined(plan: Plan) -> list[str]:
    """Return the flags that tell the glue which functions there are."""
    program = plan.program
    return [
        *(["-DHAS_CLASSES"] if program.classes else []),
        *(["-DHAS_EARLY_EXIT"] if program.cutoff is not None else []),
    ]


def _run(arguments: list[str], cache: Path) -> None:
    """Run the compiler; all that it keeps goes into `cache`."""
    kept = {"ZIG_GLOBAL_CACHE_DIR": str(cache), "ZIG_LOCAL_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, "-m", "ziglang", "cc", *arguments],
        env={**os.environ, **kept},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        reason = next((line for line in lines if "error" in line.lower()), lines[-1])
        raise ExportError(
            f"ziglang cannot compile the model ({reason}): pip install --upgrade edgeflow[web]"
        )


def _leb128(value: int) -> bytes:
    """Return an unsigned number as WebAssembly writes it: 7 bits a byte, the lowest first."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
