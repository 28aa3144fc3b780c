"""Bytes of code of each kernel of a core, and of the firmware around a program on its boards."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeflow.bench.fit import tool_versions
from edgeflow.codegen.build import compile_program
from edgeflow.codegen.code_sizes import Around, CodeSizes
from edgeflow.codegen.cycles import place_of
from edgeflow.codegen.kernels import kernels_of
from edgeflow.codegen.plan import plan_library
from edgeflow.codegen.sources import included_files, source_file, source_text
from edgeflow.errors import TargetError
from edgeflow.files import scratch_folder
from edgeflow.program import Program
from edgeflow.resources import kernel_folders
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.core import CoreSpec
from edgeflow.targets.elf import Image, undefined_symbols
from edgeflow.targets.toolchain import compile_sources

_HEADER = "ef_kernels.h"


@dataclass(frozen=True)
class _Measured:
    """Bytes of an image of a program: in all, of ``model.c``'s code, of each library function."""

    flash: int
    ram: int
    model: int
    library: dict[str, int]


def kernel_sources(core: CoreSpec) -> list[str]:
    """Return the files of ``firmware/kernels`` that programs for a core may need."""
    names = {kernel.name for kernel in kernels_of(core.kernels)}
    # the others are kernels of sets that the core may not have
    plain = kernel_folders()[0].glob("ef_*.c")
    others = {kernel.name for kernel in kernels_of(("c",))}
    names |= {path.stem for path in plain} - others
    return sorted({source_file(name, core.kernels) for name in names})


def kernel_bytes(core: CoreSpec) -> tuple[dict[str, float], dict[str, list[str]]]:
    """Return the bytes of each file's code and constants, and what it calls outside of them.

    Raises
    ------
    ToolMissingError
        If the compiler is not installed.
    """
    sources = kernel_sources(core)
    with scratch_folder("sizes") as folder:
        for name in {_HEADER, *included_files([_HEADER, *sources]), *sources}:
            (folder / Path(name).name).write_text(source_text(name), encoding="utf-8")
        paths = [folder / Path(name).name for name in sources]
        objects = compile_sources(
            core, paths, folder / "objects", include_dirs=[folder], extra_flags=["-O2"]
        )
        images = [Image(path) for path in objects]
        defined = {symbol.name for image in images for symbol in image.symbols}
        calls = [sorted(undefined_symbols(path) - defined) for path in objects]
    sizes = [float(sum(section.size for section in image.sections)) for image in images]
    return (
        dict(zip(sources, sizes, strict=True)),
        {name: called for name, called in zip(sources, calls, strict=True) if called},
    )


def measure_sizes(boards: Sequence[BoardSpec], programs: Sequence[Program]) -> CodeSizes:
    """Measure the code of a core, and what the images of its boards have around a program.

    Parameters
    ----------
    boards : sequence of BoardSpec
        Of one core. The first has room for all programs.
    programs : sequence of Program
        The first has kernels that call nothing but kernels.

    Raises
    ------
    TargetError
        If the first board has no room for a program.
    ToolMissingError
        If the compiler is not installed.
    """
    first, core = boards[0], boards[0].core
    kernels, calls = kernel_bytes(core)
    found = [_measure(program, first) for program in programs]
    plans = [plan_library(program, core, place=place_of(first)) for program in programs]
    terms = [[1, len(plan.program.nodes), len(plan.products)] for plan in plans]
    code = np.linalg.lstsq(np.array(terms), [one.model for one in found], rcond=None)[0]
    pointer = 8 if core.name.startswith(("cortex-a", "host")) else 4
    known = CodeSizes(
        core=core.name, compiler=tool_versions(first)["compiler"],
        pointer=2 if core.name.startswith("atmega") else pointer,
        model=round(max(code[0], 0.0), 1), per_layer=round(max(code[1], 0.0), 1),
        per_product=round(max(code[2], 0.0), 1),
        kernels=kernels, calls=calls, library=_library(calls, found), boards={},
    )  # fmt: skip
    around = {}
    for board in boards:
        try:
            image = found[0] if board is first else _measure(programs[0], board)
        except TargetError:
            continue  # it has no room for this one, or needs what is not installed
        plan = plan_library(programs[0], core, place=place_of(board))
        own = (known.code(plan) or 0.0) + known.constants(plan)
        around[board.name] = Around(
            flash=max(0.0, image.flash - own), ram=max(0, image.ram - plan.state_bytes)
        )
    return known.model_copy(update={"boards": around})


def _measure(program: Program, board: BoardSpec) -> _Measured:
    with scratch_folder("sizes") as folder:
        build = compile_program(program, board, folder / "build", backend="c", any_part=True)
        objects = sorted((folder / "build" / "objects").rglob("*.o"))
        ours = {symbol.name for path in objects for symbol in Image(path).symbols}
        symbols = Image(build.elf).symbols
        library = {s.name: s.size for s in symbols if s.name not in ours and s.size > 0}
        size = build.size
    return _Measured(size.flash_bytes, size.ram_bytes, size.flash["model_code"], library)


def _library(calls: dict[str, list[str]], found: Sequence[_Measured]) -> dict[str, float]:
    """Return the bytes of the functions called that an image has for them alone."""
    always = found[0].library
    sizes = {name: size for one in found for name, size in one.library.items()}
    wanted = {name for called in calls.values() for name in called}
    return {name: float(sizes[name]) for name in sorted(wanted & (sizes.keys() - always.keys()))}
