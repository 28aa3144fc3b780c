"""Tools that write an image to a real board: one small class each."""

import abc
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from edgeflow.errors import DeviceError, ToolMissingError


class FlashRunner(abc.ABC):
    """A flash tool.

    Parameters
    ----------
    options : mapping, optional
        Description of the board for the tool; the keys are the tool's own.
    """

    NAME: ClassVar[str]
    INSTALL: ClassVar[str]

    def __init__(self, options: Mapping[str, str] | None = None) -> None:
        self.options = dict(options or {})

    @abc.abstractmethod
    def command(self, image: Path) -> list[str]:
        """Return the command that writes, verifies and starts an ELF image."""

    def flash(self, image: Path) -> None:
        """Write an image.

        Raises
        ------
        ToolMissingError
            If the tool is not installed.
        DeviceError
            If it fails; with the last line that it said.
        """
        command = self.command(image)
        if shutil.which(command[0]) is None:
            raise ToolMissingError(f"{self.NAME} is not installed: {self.INSTALL}")
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        if done.returncode != 0:
            said = done.stdout.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
            raise DeviceError(f"{self.NAME} could not write {image}: {said[0]}")


class Pyocd(FlashRunner):
    """pyOCD; option `target`, which on-board probes can tell by themselves."""

    NAME = "pyocd"
    INSTALL = "pip install pyocd"

    def command(self, image: Path) -> list[str]:
        target = self.options.get("target")
        chosen = ["--target", target] if target else []
        return ["pyocd", "flash", *chosen, str(image)]


class Openocd(FlashRunner):
    """OpenOCD; option `config` is its board file, such as ``board/st_nucleo_l4.cfg``."""

    NAME = "openocd"
    INSTALL = "sudo apt-get install openocd"

    def command(self, image: Path) -> list[str]:
        config = self.options.get("config")
        if not config:
            raise DeviceError("openocd needs the option 'config', the name of its board file")
        if set("{}\\\n") & set(str(image)):  # they would end the path in a command of Tcl
            raise DeviceError(
                f"openocd takes no path with braces, backslashes or ends of lines: {image}: give "
                "the build folder another name"
            )
        return ["openocd", "-f", config, "-c", f"program {{{image}}} verify reset exit"]


RUNNERS: dict[str, type[FlashRunner]] = {runner.NAME: runner for runner in (Pyocd, Openocd)}


def find_runner(name: str, options: Mapping[str, str] | None = None) -> FlashRunner:
    """Return the runner of a name.

    Raises
    ------
    DeviceError
        If there is none; with those that there are.
    """
    if name not in RUNNERS:
        raise DeviceError(f"no runner '{name}'; known: {', '.join(sorted(RUNNERS))}")
    return RUNNERS[name](options)
