"""AVR microcontrollers in simavr: an int of 16 bits, constants behind pointers of their own."""

from pathlib import Path

import numpy as np
import pytest

from edgeflow.codegen.build import compile_program
from edgeflow.device import open_board
from edgeflow.errors import NoRoomError, TargetError
from edgeflow.program import Program
from edgeflow.targets.board import load_board
from tests.harness import Case, mismatches, none_of
from tests.random_nodes.draw import DRAW
from tests.random_programs import random_program, samples

BOARDS = ["sim-atmega328p", "sim-atmega2560"]


def cell_program(cell: str, **options: bool) -> Program:
    bits = 12 if cell == "ltc" else 16
    return random_program(3, 5, [9], 3, 12, bits, cells=[cell], **options)


@pytest.mark.board
@pytest.mark.parametrize("board", BOARDS)
def test_a_gru_gives_the_oracles_bits_in_the_cycles_of_the_chip(board: str, tmp_path: Path) -> None:
    program = random_program(1, 6, [32], 7, 12, 16)
    build = compile_program(program, board, tmp_path / "build")
    x = samples(program, 7, windows=1, time=40)
    with open_board(build.spec(), image=build.elf) as opened, opened.connect(build.expected) as it:
        result = it.steps(x[0], reset=True)
        stats = it.stats()
    np.testing.assert_array_equal(result.y, program.run(x)[0])
    assert result.cycles is not None
    # each of the 3,872 multiplications takes 15 cycles at least
    assert 15 * 3872 < result.cycles.min() <= result.cycles.max() < 125_000
    assert 60 < stats.stack_bytes < load_board(board).stack / 2
    if board == "sim-atmega328p":
        assert build.size.flash_bytes <= 12 * 1024
        assert build.size.ram_bytes <= 1024


@pytest.mark.board
def test_every_cell_gives_the_oracles_bits(tmp_path: Path) -> None:
    """All of the family's layers, and plain C instead of assembly."""
    cases = {cell: Case(p := cell_program(cell), (), samples(p, 7, 1, 8)) for cell in DRAW}
    plain = {f"{c} in C": Case(k.program, ("c",), k.samples) for c, k in cases.items()}
    assert mismatches("sim-atmega2560", cases | plain, tmp_path) == none_of(cases | plain)


@pytest.mark.board
def test_delta_and_low_rank_give_the_oracles_bits(tmp_path: Path) -> None:
    """Structs in flash, which these kernels copy."""
    programs = {
        f"{cell} {kind}": cell_program(cell, **{kind: True})
        for cell in ("gru", "lstm") for kind in ("delta", "low_rank")
    }  # fmt: skip
    cases = {name: Case(p, (), samples(p, 7, 1, 20)) for name, p in programs.items()}
    assert mismatches("sim-atmega2560", cases, tmp_path) == none_of(cases)


@pytest.mark.board
def test_what_flash_and_pointers_do_not_reach_is_an_error_of_one_line(tmp_path: Path) -> None:
    large = random_program(1, 5, [96, 96], 3, 12, 16)
    with pytest.raises(TargetError, match="over 64 KB"):
        compile_program(large, "sim-atmega2560", tmp_path / "large")
    with pytest.raises(NoRoomError, match="of flash"):
        compile_program(large, "sim-atmega328p", tmp_path / "small")
    in_ram = load_board("sim-atmega2560").placed(weights="ram")
    with pytest.raises(TargetError, match="from flash alone"):
        compile_program(cell_program("gru"), in_ram, tmp_path / "ram")
