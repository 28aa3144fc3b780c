"""A flash tool of this machine at the port of a model, and the files of boards that have it."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar
from unittest import mock

from edgeflow.codegen.build import Build
from edgeflow.device.runners import find_runner
from edgeflow.resources import resource
from edgeflow.targets.board import load_board
from tests.testbeds.serial_port import Model

M = TypeVar("M", bound=Model)


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


class Bench(Generic[M]):
    """Models of one test, and the tool at their port.

    Parameters
    ----------
    name : str
        The product's runner.
    board_file : callable
        Writes the board's file into a folder, with further options of the tool.
    build : Build
        What is written.
    """

    def __init__(self, name: str, board_file: Callable[[Path, str], Path], folder: Path,
                 build: Build) -> None:  # fmt: skip
        self._name, self._board_file, self._folder, self._build = name, board_file, folder, build
        self._devices: list[M] = []
        self.image = build.elf.with_suffix(".bin").read_bytes()

    def plug(self, device: M, settings: Mapping[str, Any]) -> M:
        """Plug in a device whose attributes are as `settings` say."""
        for name, value in settings.items():
            setattr(device, name, value)
        device.start()
        self._devices.append(device)
        return device

    def flash(self, device: M, options: str = "") -> None:
        """Write the image."""
        write_with(
            self._name, self._board_file(self._folder, options), self._build.elf,
            device.port.environment, device.port.path,
        )  # fmt: skip

    def close(self) -> None:
        for device in self._devices:
            device.stop()
