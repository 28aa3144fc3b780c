"""Boards that images run on, and the protocol that talks to them."""

from collections.abc import Sequence
from pathlib import Path

from edgeflow.device.adb import AdbBoard
from edgeflow.device.board import Board, Write
from edgeflow.device.client import Client, Expected, StepResult
from edgeflow.device.line import Line
from edgeflow.device.protocol import Hello, Stats
from edgeflow.device.qemu import QemuBoard
from edgeflow.device.runners import FlashRunner, find_runner, first_installed
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
    no_flash: bool = False,
) -> Board:
    """Return a board; `Board.start`, `Board.flash` or `Board.connect` starts it.

    Parameters
    ----------
    spec : BoardSpec
        Description of the board.
    image : path, optional
        ELF file that `Board.flash` writes.
    port : str, optional
        Serial port of the board. Without it a real board is looked for by its USB ids, and an
        emulated one is started. Of a device that adb reaches: its serial number.
    plugin : sequence of str, optional
        TCG plugin for an emulator that is started: its path, then ``key=value`` arguments.
    runner : str, optional
        Flash tool for a board behind a port (see ``edgeflow.device.runners``), which `Board.start`
        then always writes with. Default: of a real board, the first of its tools that is
        installed, and `Board.start` writes where the board does not run the image; of others none.
    no_flash : bool
        Never write to a board behind a port.

    Raises
    ------
    DeviceError
        If the options do not go together, or no port fits, or several do.
    TargetError
        If the board file has a wrong option for the tool.
    ToolMissingError
        If none of a real board's tools is installed.
    """
    if isinstance(spec.runner, AdbRunner):
        if plugin or runner is not None:
            raise DeviceError(f"{spec.name}: runs on a device: it takes no plugin and no --runner")
        return AdbBoard(spec, image, serial=port)
    if port is not None and plugin:
        raise DeviceError(f"{port}: a plugin needs an emulator that is started here")
    if port is not None or not spec.runs_here:
        tool = None if no_flash else _tool(spec, runner, port)
        write: Write = (
            "needed" if tool is not None and runner is None and tool.may_ask else "always"
        )
        return SerialBoard(spec, port, image, runner=tool, write="never" if tool is None else write)
    if runner is not None:
        raise DeviceError(
            f"{spec.name}: a runner writes to a board behind a port: give its --port too"
        )
    if isinstance(spec.runner, QemuRunner):
        return QemuBoard(spec, image, plugin=plugin)
    return StdioBoard(spec, image, plugin=plugin)


def _tool(spec: BoardSpec, name: str | None, port: str | None) -> FlashRunner | None:
    """Return the flash tool of a name, or the first of a real board's that is installed."""
    if name is not None or spec.runs_here:
        return None if name is None else find_runner(name, spec, port)
    return first_installed(spec, port)
