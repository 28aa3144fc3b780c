"""The STM32 that QEMU has: a real USART, and flash where the silicon has it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeflow.codegen.build import compile_program
from edgeflow.data import Dataset
from edgeflow.device import open_board
from edgeflow.profiling.run import profile
from edgeflow.program import Program
from edgeflow.resources import resource
from edgeflow.targets.board import load_board
from tests.random_programs import random_program, samples

pytestmark = pytest.mark.board


def agree(program: Program, data: Dataset, steps: int, folder: Path) -> None:
    """Profile on qemu-f405 and qemu-m4: the same outputs, and instructions within 0.5 %."""
    counted = []
    for board in ("qemu-f405", "qemu-m4"):
        result = profile(compile_program(program, board, folder / board), data, steps=steps)
        assert (result.steps, result.mismatches) == (steps, 0)
        assert result.instructions_per_step is not None
        counted.append(result.instructions_per_step["mean"])
    assert counted[0] == pytest.approx(counted[1], rel=0.005)


def test_counts_instructions_as_the_other_cortex_m4_does(seglearn: Dataset, tmp_path: Path) -> None:
    program = random_program(1, 6, [16], 7, 12, 12)
    channels = replace(program.input, channels=tuple(seglearn.channels))
    agree(replace(program, input=channels), seglearn, 60, tmp_path)


@pytest.mark.slow
def test_two_thousand_steps_of_real_data(
    seglearn: Dataset, trained_gru: Path, tmp_path: Path
) -> None:
    agree(Program.load(trained_gru / "model.onnx"), seglearn, 2000, tmp_path)


def test_the_usart_of_the_nucleo_boards_runs(tmp_path: Path) -> None:
    """USART2 at PA2 and PA3, as on NUCLEO-F401RE: another clock gate, base and interrupt."""
    text = (resource("targets") / "qemu-f405.toml").read_text()
    nucleo = load_board("nucleo-f401re").uart
    assert nucleo is not None
    changes = {
        "base = 0x4001_1000": f"base = {nucleo.base:#x}",
        "irq = 37": f"irq = {nucleo.irq}",
        'tx = "PA9"': f'tx = "{nucleo.tx}"',
        'rx = "PA10"': f'rx = "{nucleo.rx}"',
        # QEMU's second serial port is the one that EdgeFlow talks to
        'machine = "netduinoplus2"': 'machine = "netduinoplus2"\nargs = ["-serial", "null"]',
    }
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "usart2.toml").write_text(text)
    board = load_board(tmp_path / "usart2.toml", trusted=True)
    program = random_program(1, 3, [5], 4, 12, 12)
    build = compile_program(program, board, tmp_path / "build")
    x = samples(program, 7, windows=1, time=20)
    with open_board(board, image=build.elf) as device, device.connect(program.hash) as client:
        np.testing.assert_array_equal(client.steps(x[0], reset=True).y, program.run(x)[0])
