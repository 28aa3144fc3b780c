"""Options that several commands share."""

from pathlib import Path
from typing import Any

import typer

DATA: Any = typer.Option(..., "--data", help="A data set's name, or a .csv or .npz file.")
ROOT: Path | None = typer.Option(None, "--root", help="Folder with a local copy of the data set.")
PEOPLE: Path | None = typer.Option(
    None, "--people", help='Split: JSON {"train": [...], "val": [...], "test": [...]}.'
)
RATE: float | None = typer.Option(None, "--rate", help="Samples per second of your own file.")
PORT: str | None = typer.Option(
    None,
    "--port",
    help="Where a board is connected: /dev/ttyACM0, COM3, socket://host:port. "
    "Without it an emulated board is started.",
)
RUNNER: str | None = typer.Option(
    None, "--runner", help="Tool that writes to the board behind --port: pyocd, openocd."
)
JSON: bool = typer.Option(False, "--json", help="Print JSON instead of a table.")
