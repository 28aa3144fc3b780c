"""Kernels and cells need no more instructions than ``benchmarks/instructions.json`` says."""

import shutil
from importlib.util import find_spec

import pytest

from edgeflow.bench.fit import tool_versions
from edgeflow.targets.board import load_board
from scripts.instruction_counts import count, read

TWINS = ("qemu-m7", "qemu-m33", "qemu-rv32-zbb")
#: Growth that is let pass.
TOLERANCE = 0.01
REFRESH = "if that is meant: python scripts/instruction_counts.py"


@pytest.mark.board
@pytest.mark.parametrize(
    "name",
    [
        # these boards run the kernels of the M4 and of RV32
        pytest.param(name, marks=[pytest.mark.slow] if name in TWINS else [])
        for name in read()
    ],
)
def test_no_count_grows(name: str) -> None:
    board, stored = load_board(name), read()[name]
    for tool in board.tools:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is missing: run 'edgeflow doctor'")
    if find_spec("tvm") is None:
        pytest.skip("apache-tvm is not installed: its kernels are among those counted")
    versions = tool_versions(board)
    if versions["compiler"] != stored["compiler"]:
        pytest.skip(f"counts are of {stored['compiler']}, this is {versions['compiler']}")
    before, now = stored["instructions"], count(board)
    gone = sorted(before.keys() - now.keys())
    assert not gone, f"{name} has no {', '.join(gone)} any more; {REFRESH} --board {name}"
    grown = [
        f"{case}: {before[case]:,.0f} -> {now[case]:,.0f}"
        for case in before
        if now[case] > before[case] * (1 + TOLERANCE)
    ]
    assert not grown, f"{name}: {'; '.join(grown)}; {REFRESH} --board {name}"


def test_every_core_is_counted() -> None:
    assert {stored["core"] for stored in read().values()} >= {
        "cortex-m0", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55", "rv32imc",
        "cortex-a53", "cortex-a55", "rv32imc_zbb",
    }  # fmt: skip
