"""A flash tool of this machine at the port of a model."""

import os
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

from edgeflow.device.runners import find_runner
from edgeflow.targets.board import load_board


def write_with(
    name: str, board: Path, image: Path, environment: Mapping[str, str], port: Path | None = None
) -> None:
    """Write an image by the product's runner of a name, which starts the real tool.

    Parameters
    ----------
    name : str
    board : Path
        The board's file.
    image : Path
        ELF file of a build.
    environment : mapping
        What makes the tool see the model.
    port : Path, optional
    """
    with mock.patch.dict(os.environ, environment):
        find_runner(name, load_board(board), None if port is None else str(port)).flash(image)
