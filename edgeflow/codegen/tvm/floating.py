"""Layers that have no integer node, as float code beside the integer part."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from edgeflow.codegen.float_driver import Driver
from edgeflow.codegen.tvm.emit import source
from edgeflow.codegen.tvm.float_graph import float_step
from edgeflow.errors import TargetError
from edgeflow.files import write_atomic
from edgeflow.resources import license_file
from edgeflow.targets.board import CoreSpec

#: Macros of a core that has float instructions.
_FLOAT = frozenset({"__ARM_FP", "__aarch64__"})
_HEADERS = ("<math.h>", "<stdbool.h>", "<stdint.h>")


@dataclass(frozen=True)
class FloatLibrary:
    """Files and sizes of a float library.

    Attributes
    ----------
    files : tuple of Path
        Header, driver, kernels.
    inputs, outputs : int
        Values of x and of y.
    kernels : int
        Number of functions that a step calls.
    constant_bytes, memory_bytes : int
        Of parameters; of states and working memory.
    """

    files: tuple[Path, ...]
    inputs: int
    outputs: int
    kernels: int
    constant_bytes: int
    memory_bytes: int


def float_library(
    module: nn.Module,
    examples: torch.Tensor | Sequence[torch.Tensor],
    core: CoreSpec,
    directory: str | Path,
    name: str = "head",
) -> FloatLibrary:
    """Write a torch module as a C library: ``NAME.h``, ``NAME.c`` and its kernels by TVM.

    The library needs libm, and neither a heap nor a runtime. It gives the module's outputs but for
    the rounding of float32, as sums are taken in another order.

    Parameters
    ----------
    module : nn.Module
        ``forward(x) -> y``, or ``forward(x, *states) -> (y, *states)`` for one step of a stream,
        whose states are zeros at first. Shapes are those of `examples`, all values float32.
    examples : tensor or sequence of tensors
        x, and each state.
    core : CoreSpec
        With float instructions: Cortex-M4F, M7, M33, M55, A53, or this machine.
    directory : path
    name : str
        Functions, types and macros begin with it.

    Returns
    -------
    FloatLibrary

    Raises
    ------
    TargetError
        If the core has no float instructions; or if something of the module has no fixed shape, is
        not float32, or has no translation: the message names it.
    """
    _check_name(name)
    if core.disassembler != "native" and not _FLOAT & set(core.macros):
        raise TargetError(
            f"{core.name}: has no float instructions: take a core that has them (cortex-m4, "
            "cortex-m7, cortex-m33, cortex-m55, cortex-a53), or layers that 'edgeflow compress' "
            "turns into integers"
        )
    if core.tvm is None:
        raise TargetError(f"{core.name}: TVM does not know this core")
    tensors = [examples] if isinstance(examples, torch.Tensor) else list(examples)
    step, functions = float_step(module, tensors, name)
    driver = Driver(step, name)
    files = {f"{name}.h": driver.header(), f"{name}.c": driver.source()}
    if functions:
        text, suffix = source(functions, core.tvm.target, _HEADERS)
        runtime = re.search(r"\bTVM[A-Z]\w+", text)
        if runtime:
            raise TargetError(f"{step.title}: TVM's code calls its runtime ({runtime[0]})")
        files[f"{name}_tvm{suffix}"] = _with_c_constants(text) if suffix == ".c" else text
    for file, content in files.items():
        write_atomic(Path(directory) / file, content)
    for file, content in license_file().items():
        write_atomic(Path(directory) / file, content)
    return FloatLibrary(
        files=tuple(Path(directory) / file for file in files),
        inputs=step.x.size,
        outputs=step.y.size,
        kernels=len(step.calls),
        constant_bytes=driver.constant_bytes,
        memory_bytes=driver.memory_bytes,
    )


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise TargetError(f"--name {name}: use a-z, 0-9 and _, and a letter first")
    if name == "model":
        raise TargetError("--name model: the integer part's library has that name: take another")


def _with_c_constants(text: str) -> str:
    """Return C text with math.h's names of infinity and NaN in the place of TVM's."""
    return re.sub(r"\bnanf\b", "NAN", re.sub(r"\binff\b", "INFINITY", text))
