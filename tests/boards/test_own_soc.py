"""A SoC of a user's own is one folder beside the board's file."""

import shutil
from pathlib import Path

import pytest

from edgeflow.codegen.build import compile_program
from edgeflow.device import open_board
from edgeflow.resources import resource
from edgeflow.targets.board import load_board
from tests.random_programs import random_program, samples


@pytest.mark.board
@pytest.mark.parametrize(("shipped", "uart"), [("qemu-m4", "own"), ("qemu-rv32", None)])
def test_a_soc_is_a_folder(shipped: str, uart: str | None, tmp_path: Path) -> None:
    """A folder whose start-up code, HAL, linker script or UART driver is not taken."""
    spec = load_board(shipped)
    assert spec.soc is not None and spec.uart is not None
    folder = tmp_path / "soc" / "toy"
    shutil.copytree(spec.soc, folder)
    text = (resource("targets") / f"{shipped}.toml").read_text()
    text = text.replace(f'soc = "{spec.soc.name}"', 'soc = "toy"')
    if uart is not None:
        driver = resource("firmware") / "hal" / f"ef_hal_uart_{spec.uart.driver}.c"
        shutil.copy(driver, folder / f"ef_hal_uart_{uart}.c")
        text = text.replace(f'driver = "{spec.uart.driver}"', f'driver = "{uart}"')
    (tmp_path / "toy.toml").write_text(text)
    board = load_board(tmp_path / "toy.toml")
    assert board.soc == folder
    program = random_program(1, 3, [5], 4, 12, 12)
    build = compile_program(program, board, tmp_path / "build")
    x = samples(program, 7, windows=1, time=20)
    with open_board(board, image=build.elf) as device, device.connect(program.hash) as client:
        assert (client.steps(x[0], reset=True).y == program.run(x)[0]).all()
