"""Cores: what ``targets/cores/*.toml`` says of compiling for a processor, checked."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from edgeflow.resources import kernel_sets
from edgeflow.targets.spec import Spec, find_part, read_toml, unknown, validate


def _kernel_set(name: str) -> str:
    known = kernel_sets()
    if name not in known:
        raise ValueError(unknown("kernel set", name, known))
    return name


KernelSet = Annotated[str, AfterValidator(_kernel_set)]


class Schedule(Spec):
    """Transformation of a kernel's loops by TVM.

    Attributes
    ----------
    unroll
        Iterations of the loop over columns that become one.
    vectorize
        True: the rows of a group are one vector.
    """

    unroll: int = Field(default=1, ge=1, le=64)
    vectorize: bool = False


class TvmSpec(Spec):
    """Compilation for a core by TVM.

    Attributes
    ----------
    target
        Of `tvm.target.Target`: kind ``llvm``, or ``c`` where another compiler makes the code.
    kernels
        Kernel sets in order of preference.
    schedules
        By kernel; None: those of ``calibration/costs/schedules``.
    """

    target: dict[str, str | int | list[str]]
    kernels: tuple[Literal["tvm", "tvm_dsp", "tvm_mve"], ...] = Field(min_length=1)
    schedules: dict[str, Schedule] | None = None


class CoreSpec(Spec):
    """A processor core: how to compile for it and to read its code.

    Attributes
    ----------
    name, description
        `name` is the file's name.
    prefix
        Of the compiler's tools, such as ``arm-none-eabi-``; empty for the machine's own.
    flags
        Architecture flags of the compiler.
    link_flags
        Further ones for linking, where the C library knows less of the core than the compiler.
    specs
        Specs file of the small C library; None where an operating system has its own.
    disassembler
        Instruction set, for tools that read machine code.
    kernels
        Kernel sets in order of preference: folders of ``firmware/kernels``, and ``c``.
    macros
        Macros that the compiler must predefine under `flags`, checked at each build.
    tvm
        None if TVM does not know the core.
    """

    name: str
    description: str
    prefix: str
    flags: tuple[str, ...] = ()
    link_flags: tuple[str, ...] = ()
    specs: str | None = None
    disassembler: Literal["thumb", "riscv32", "aarch64", "avr", "native"]
    kernels: tuple[KernelSet, ...] = Field(min_length=1)
    macros: tuple[str, ...] = ()
    tvm: TvmSpec | None = None

    @property
    def compiler(self) -> str:
        """Name of the C compiler."""
        return f"{self.prefix}gcc"


def load_core(name: str, board: Path | None = None) -> CoreSpec:
    """Load a core by its name, such as ``cortex-m4``: beside a board's file, or EdgeFlow's.

    Raises
    ------
    TargetError
        Unknown name, or a file with something wrong in it.
    """
    path = find_part("core", name, board)
    return validate(CoreSpec, read_toml(path), path)
