"""A flash tool of this machine at the port of a model, and the files of boards that have it."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

from edgeflow.device.runners import find_runner
from edgeflow.resources import resource
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


def as_hardware(name: str, path: Path, tool: str, options: str) -> Path:
    """Write the file of a board of EdgeFlow's with another tool; return its path.

    Parameters
    ----------
    name : str
    path : Path
        Of the new file.
    tool : str
        What writes to it.
    options : str
        The tool's, as lines of TOML.
    """
    text = (resource("targets") / f"{name}.toml").read_text()
    # all tables of the runner, up to the next of another
    text = re.sub(r',? ?"runner\.usb"', "", text)
    text = re.sub(r"(?ms)^\[runner.*?(?=^\[(?!runner)|\Z)", "", text)
    runner = f'[runner]\nkind = "hardware"\norder = ["{tool}"]\n[runner.options.{tool}]\n'
    path.write_text(f"{text}\n{runner}{options}")
    return path
