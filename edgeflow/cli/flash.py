"""``edgeflow flash``: put an image on a board and check by handshake that it runs."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from edgeflow.cli import console
from edgeflow.cli.options import JSON, PORT, RUNNER, TRUST_BOARD
from edgeflow.errors import DeviceError, TargetError

if TYPE_CHECKING:
    from edgeflow.device import Board, Expected
    from edgeflow.device.qemu import QemuBoard
    from edgeflow.targets.board import BoardSpec


def command(
    folder: Path = typer.Argument(..., metavar="DIR", help="Folder that 'edgeflow compile' made."),
    board: str | None = typer.Option(
        None, "--board", help="Board; default: the one it was compiled for."
    ),
    port: str | None = PORT,
    runner: str | None = RUNNER,
    stay: bool = typer.Option(
        False, "--stay", help="Keep an emulated board running, and print the port to open."
    ),
    no_flash: bool = typer.Option(
        False, "--no-flash", help="Never write to a board behind a port, only verify."
    ),
    trust_board: bool = TRUST_BOARD,
    json_: bool = JSON,
) -> None:
    """Write an image to a board, or boot an emulated one, and verify that it runs.

    A real board is found by its USB ids, and written with the first of its tools that is
    installed. Another one behind a --port is only verified, unless --runner says with what.

    Examples:
      edgeflow flash build
      edgeflow flash build --stay
      edgeflow flash build --port /dev/ttyACM0 --runner pyocd
    """
    from edgeflow.codegen.build import Build
    from edgeflow.device import open_board
    from edgeflow.targets.board import load_board

    build = Build.load(folder)
    expected = build.expected
    spec = (
        build.spec(trust_board=trust_board)
        if board is None
        else load_board(board, trusted=trust_board)
    )
    if spec.name != build.board:
        raise TargetError(
            f"{folder}: was compiled for {build.board}, not {spec.name}: run 'edgeflow compile "
            f"model.onnx --board {spec.name} -o DIR'"
        )
    if stay:
        kept = _kept_board(spec, build.elf, port)
        with kept:
            _write_and_verify(kept, expected, kept.port, json_, write=True)
            _wait(kept)
        return
    with open_board(spec, image=build.elf, port=port, runner=runner, no_flash=no_flash) as opened:
        _write_and_verify(opened, expected, port, json_, write=opened.write != "never")


def _kept_board(spec: "BoardSpec", image: Path, port: str | None) -> "QemuBoard":
    from edgeflow.device.qemu import QemuBoard
    from edgeflow.targets.runner import QemuRunner

    if port is not None or not isinstance(spec.runner, QemuRunner):
        raise DeviceError(
            f"{port or spec.name}: --stay is for emulated boards with a serial port, which "
            "'edgeflow boards' lists"
        )
    return QemuBoard(spec, image, serial="pty")


def _write_and_verify(
    board: "Board", expected: "Expected", port: str | None, json_: bool, *, write: bool
) -> None:
    if write:
        tool = f" with {board.tool}" if board.tool else ""
        console.note(f"writing {board.image} to {board.spec.name}{tool}")
        board.flash()
    port = getattr(board, "port", port)
    with board.connect(expected) as client:
        hello = client.hello
    board.release()
    if json_:
        console.print_json(
            {
                "board": hello.board,
                "model_hash": hello.model_hash.hex(),
                "build_id": hello.build_id.hex(),
                "firmware": hello.version,
                "inputs": hello.inputs,
                "outputs": hello.outputs,
                "port": port,
                "verified": True,
            }
        )
    else:
        where = f" on {port}" if port else ""
        numbers = f"model {hello.model_hash.hex()}, build {hello.build_id.hex()}"
        console.out.print(
            f"{hello.board} runs {numbers}{where} "
            f"({hello.inputs} inputs, {hello.outputs} outputs, firmware {hello.version})",
            soft_wrap=True,
        )


def _wait(board: "QemuBoard") -> None:
    """Keep the board until Ctrl-C."""
    console.note(f"open {board.port} with a terminal or 'edgeflow profile --port'; Ctrl-C stops")
    try:
        while True:
            board.check()
            time.sleep(0.2)
    except KeyboardInterrupt:
        console.note("stopped")
