"""Options that several commands share."""

from pathlib import Path
from typing import Any

import typer

#: What --data takes.
DATA_FILES = "A data set's name, a .csv or .npz file, or a folder of files"
DATA: Any = typer.Option(..., "--data", help=f"{DATA_FILES}.")
ROOT: Path | None = typer.Option(None, "--root", help="Folder with a local copy of the data set.")
PORT: str | None = typer.Option(
    None,
    "--port",
    help="Where a board is connected: /dev/ttyACM0, COM3, socket://host:port. "
    "Without it a real board is looked for by its USB ids, and an emulated one is started.",
)
RUNNER: str | None = typer.Option(
    None,
    "--runner",
    help="Tool that writes to the board: pyocd, openocd, gdb, ... "
    "Default: of a real board the first of its file that is installed.",
)
TRUST_BOARD: bool = typer.Option(
    False,
    "--trust-board",
    help="Let the .toml file of --board name any program, flag and file (SECURITY.md).",
)
JSON: bool = typer.Option(False, "--json", help="Print JSON instead of a table.")
