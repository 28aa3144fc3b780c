"""``edgeflow flash``: put an image on a board and check by handshake that it runs."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgeflow.cli import console
from edgeflow.errors import DeviceError, TargetError

if TYPE_CHECKING:
    from edgeflow.device import Board
    from edgeflow.device.qemu import QemuBoard
    from edgeflow.targets.board import BoardSpec

_EPILOG = (
    "Examples:  edgeflow flash build/m4  |  edgeflow flash build/m4 --stay  |  "
    "edgeflow flash build/nucleo --port /dev/ttyACM0 --runner pyocd"
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="flash", epilog=_EPILOG)(flash)


def flash(
    folder: Path = typer.Argument(..., metavar="DIR", help="Folder that 'edgeflow compile' made."),
    board: str | None = typer.Option(None, help="Board; default: the one it was compiled for."),
    port: str | None = typer.Option(
        None, help="Where the board is connected: /dev/ttyACM0, COM3, socket://host:port."
    ),
    runner: str | None = typer.Option(
        None, help="Tool that writes over --port: pyocd, openocd. Without one, only verify."
    ),
    stay: bool = typer.Option(
        False, "--stay", help="Keep an emulated board running, and print the port to open."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print the result as JSON."),
) -> None:
    """Write an image to a board, or boot an emulated one, and verify that it runs."""
    from edgeflow.device import open_board
    from edgeflow.targets.board import load_board

    name, model_hash = _read_build(folder)
    spec = load_board(board if board is not None else name)
    if spec.name != Path(name).stem:
        raise TargetError(
            f"{folder}: was compiled for {name}, not {spec.name}: run 'edgeflow compile MODEL "
            f"--board {spec.name} -o DIR'"
        )
    image = folder / "firmware.elf"
    if stay:
        kept = _kept_board(spec, image, port)
        with kept:
            _write_and_verify(kept, model_hash, kept.port, as_json, write=True)
            _wait(kept)
        return
    with open_board(spec, image=image, port=port, runner=runner) as opened:
        write = port is None or runner is not None
        _write_and_verify(opened, model_hash, port, as_json, write=write)


def _read_build(folder: Path) -> tuple[str, bytes]:
    """Return the board's name and the model's hash of a build."""
    path = folder / "build.json"
    try:
        values: Any = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise TargetError(
            f"{folder}: not a build (it has no build.json): make one with 'edgeflow compile MODEL "
            "--board B -o DIR'"
        ) from None
    except ValueError:
        raise TargetError(f"{path}: not valid JSON: compile the model again") from None
    name = values.get("board") if isinstance(values, dict) else None
    text = values.get("model_hash") if isinstance(values, dict) else None
    if not isinstance(name, str):
        raise TargetError(f"{path}: board: missing or not a name: compile the model again")
    try:
        model_hash = bytes.fromhex(text if isinstance(text, str) else "")
    except ValueError:
        model_hash = b""
    if len(model_hash) != 8:
        raise TargetError(f"{path}: model_hash: not 16 hex digits: compile the model again")
    return name, model_hash


def _kept_board(spec: "BoardSpec", image: Path, port: str | None) -> "QemuBoard":
    from edgeflow.device.qemu import QemuBoard
    from edgeflow.targets.board import QemuRunner

    if port is not None or not isinstance(spec.runner, QemuRunner):
        raise DeviceError(
            f"{port or spec.name}: --stay is for emulated boards with a serial port, which "
            "'edgeflow boards' lists"
        )
    return QemuBoard(spec, image, serial="pty")


def _write_and_verify(
    board: "Board", model_hash: bytes, port: str | None, as_json: bool, *, write: bool
) -> None:
    if write:
        console.note(f"writing {board.image} to {board.spec.name}")
        board.flash()
        port = getattr(board, "port", port)
    with board.connect(model_hash) as client:
        hello = client.hello
    if as_json:
        console.print_json(
            {
                "board": hello.board,
                "model_hash": hello.model_hash.hex(),
                "firmware": hello.version,
                "inputs": hello.inputs,
                "outputs": hello.outputs,
                "port": port,
                "verified": True,
            }
        )
    else:
        where = f" on {port}" if port else ""
        console.out.print(
            f"{hello.board} runs model {hello.model_hash.hex()}{where} "
            f"({hello.inputs} inputs, {hello.outputs} outputs, firmware {hello.version})",
            highlight=False,
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
