"""Boards that images run on, and the protocol that talks to them."""

from collections.abc import Sequence
from pathlib import Path

from edgeflow.device.adb import AdbBoard
from edgeflow.device.board import Board
from edgeflow.device.client import Client, Expected, StepResult
from edgeflow.device.line import Line
from edgeflow.device.protocol import Hello, Stats
from edgeflow.device.qemu import QemuBoard
from edgeflow.device.runners import find_runner
from edgeflow.device.serialboard import SerialBoard
from edgeflow.device.stdio import StdioBoard
from edgeflow.errors import DeviceError
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.runner import AdbRunner, QemuRunner

__all__ = ["Board", "Client", "Expected", "Hello", "Line", "Stats", "StepResult", "open_board"]


def open_board(
    spec: BoardSpec,
    *,
    image: str | Path | None = None,
    port: str | None = None,
    plugin: Sequence[str] | None = None,
    runner: str | None = None,
) -> Board:
    """Return a board; `Board.flash` or `Board.connect` starts it.

    Parameters
    ----------
    spec : BoardSpec
        Description of the board.
    image : path, optional
        ELF file that `Board.flash` writes.
    port : str, optional
        Serial port of the board, or serial number of a device that adb reaches; without it an
        emulated board is started.
    plugin : sequence of str, optional
        TCG plugin for an emulator that is started: its path, then ``key=value`` arguments.
    runner : str, optional
        Flash tool for a board behind a port (see ``edgeflow.device.runners``).

    Raises
    ------
    DeviceError
        If the options do not go together.
    """
    if isinstance(spec.runner, AdbRunner):
        if plugin or runner is not None:
            raise DeviceError(f"{spec.name}: runs on a device: it takes no plugin and no --runner")
        return AdbBoard(spec, image, serial=port)
    if port is not None:
        if plugin:
            raise DeviceError(f"{port}: a plugin needs an emulator that is started here")
        tool = None if runner is None else find_runner(runner)
        return SerialBoard(spec, port, image, runner=tool)
    if not spec.runs_here:
        raise DeviceError(f"{spec.name}: a real board: say at which --port it is")
    if runner is not None:
        raise DeviceError(
            f"{spec.name}: a runner writes to a board behind a port: give its --port too"
        )
    if isinstance(spec.runner, QemuRunner):
        return QemuBoard(spec, image, plugin=plugin)
    return StdioBoard(spec, image, plugin=plugin)
