"""Code on Cortex-M that traps unaligned accesses (CCR.UNALIGN_TRP), which QEMU emulates.

Kernel sets whose module says ``UNALIGNED`` fault, and ``NAME_check`` tells; all others run, if the
compiler and the C library make none of their own.
"""

import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgeflow
from edgeflow.codegen.kernels import UNALIGNED_SETS, kernels_of
from edgeflow.codegen.plan import plan_library
from edgeflow.errors import DeviceError
from edgeflow.resources import resource
from edgeflow.targets.core import load_core
from tests.harness import Case, mismatches, none_of, run_on
from tests.parity.export.machines import cortex_m4
from tests.parity.export.test_library import sources
from tests.parity.test_boards import PROGRAMS
from tests.parity.test_sweep import STEPS, sweep
from tests.random_nodes.draw import DRAW
from tests.random_programs import random_program, samples

LAYERS = {cell: random_program(3, 3, [7], 5, 12, 12, cells=[cell]) for cell in DRAW}
# newlib's memcpy reads words at any address
MEMORY = """
#include <stddef.h>
void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
__attribute__((optimize("no-tree-loop-distribute-patterns")))
void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    for (size_t i = 0; i < size; i++)
        ((char *)to)[i] = ((const char *)from)[i];
    return to;
}
__attribute__((optimize("no-tree-loop-distribute-patterns")))
void *memmove(void *to, const void *from, size_t size) {
    if ((size_t)to - (size_t)from >= size)
        return memcpy(to, from, size);
    for (size_t i = size; i > 0; i--)
        ((char *)to)[i - 1] = ((const char *)from)[i - 1];
    return to;
}
"""


def trapping(board: str, folder: Path) -> str:
    """Return the file of a board whose start-up code sets UNALIGN_TRP."""
    targets = resource("targets")
    shutil.copytree(targets / "soc" / "cortexm", folder / "soc" / "trapping")
    start = folder / "soc" / "trapping" / "start.c"
    text, mark = start.read_text(), "    (void)main();\n"
    assert mark in text
    start.write_text(text.replace(mark, f"    CCR |= 1u << 3;\n{mark}") + MEMORY)
    content = (targets / f"{board}.toml").read_text()
    core = tomllib.loads(content)["core"]
    cores = folder / "cores"
    cores.mkdir()
    described = (targets / "cores" / f"{core}.toml").read_text()
    aligned = described.replace('"-mthumb"', '"-mthumb", "-mno-unaligned-access"')
    assert aligned != described
    (cores / f"{core}-aligned.toml").write_text(aligned)
    content = content.replace(f'core = "{core}"', f'core = "{core}-aligned"')
    file = folder / f"{board}-trapping.toml"
    file.write_text(content.replace('soc = "cortexm"', 'soc = "trapping"'))
    return str(file)


def layers(*kernels: str) -> dict[str, Case]:
    return {
        name: Case(program, kernels, samples(program, 7, windows=2, time=9))
        for name, program in LAYERS.items()
    }


@pytest.mark.board
def test_layers_run_aligned(tmp_path: Path) -> None:
    cases = layers("armv7m", "c")
    assert mismatches(trapping("qemu-m3", tmp_path), cases, tmp_path) == none_of(cases)


@pytest.mark.slow
@pytest.mark.board
@pytest.mark.parametrize(
    "board,kernels", [("qemu-m3", "armv7m"), ("qemu-m4", "c"), ("qemu-m55", "mve")]
)
def test_kernels_of_aligned_sets_run(board: str, kernels: str, tmp_path: Path) -> None:
    assert kernels not in UNALIGNED_SETS
    rng, x = np.random.default_rng(5), np.arange(STEPS, dtype=np.int16)[None, :, None]
    cases = {k.name: Case(sweep(rng, k), [k.name, "c"], x) for k in kernels_of([kernels])}
    cases |= layers(kernels, "c")
    cases |= {n: Case(p, [kernels, "c"]) for n, p in PROGRAMS.items()}
    assert mismatches(trapping(board, tmp_path), cases, tmp_path) == none_of(cases)


@pytest.mark.board
def test_sets_that_say_so_fault(tmp_path: Path) -> None:
    assert {"dsp"} <= UNALIGNED_SETS
    with pytest.raises(DeviceError, match="status=0x01000000"):
        run_on(trapping("qemu-m4", tmp_path), {"gru": layers("dsp", "c")["gru"]}, tmp_path)


def test_a_plan_knows_by_its_sources() -> None:
    for core, kernels, found in (
        ("cortex-m4", ["dsp", "c"], True),
        ("cortex-m4", ["c"], False),
        ("cortex-m3", ["armv7m", "c"], False),
        ("cortex-m0", ["armv6m", "c"], False),
        ("cortex-m55", ["mve", "c"], False),
    ):
        plan = plan_library(LAYERS["gru"], load_core(core), kernel_sets=kernels)
        assert plan.unaligned == found


# Sets the bit for the length of the check, as newlib's printf makes unaligned accesses.
MAIN = """
#include "any.h"
#include <stdio.h>
int main(void) {
    volatile uint32_t *ccr = (volatile uint32_t *)0xE000ED14u;
    const int before = any_check();
    *ccr |= 8u;
    const int after = any_check();
    *ccr &= ~8u;
    printf("%d %d\\n", before, after == ANY_UNALIGNED);
    return 0;
}
"""


@pytest.mark.board
@pytest.mark.parametrize(
    ("core", "flags", "told"),
    [
        ("cortex-m4", ("-mno-unaligned-access",), 1),
        ("c", (), 1),
        ("c", ("-mno-unaligned-access",), 0),
        ("c", ("-mcpu=cortex-m0",), 0),
    ],
)  # fmt: skip
def test_the_check_tells(core: str, flags: tuple[str, ...], told: int, tmp_path: Path) -> None:
    """Of kernels that make unaligned accesses, or a compiler that may; neither on a Cortex-M0."""
    machine = replace(cortex_m4(), flags=("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=soft"))
    edgeflow.export(LAYERS["gru"], "cmake", tmp_path / "any", name="any", core=core)
    (tmp_path / "main.c").write_text(MAIN)
    options = (f"-I{tmp_path / 'any' / 'src'}", *flags)
    files = [*sources(tmp_path / "any"), tmp_path / "main.c"]
    objects = [machine.compile(path, tmp_path, *options) for path in files]
    assert machine.run(machine.link(objects, tmp_path / "check")) == f"0 {told}\n"
