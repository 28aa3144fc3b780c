"""AVR microcontrollers in simavr, cycle for cycle: flashing starts one with the image."""

import subprocess
import tempfile
from functools import cache
from pathlib import Path

from edgeflow.device.process import Child, ProcessBoard, start_at_socket
from edgeflow.device.runners.base import filled, segments
from edgeflow.device.transport import Transport
from edgeflow.errors import DeviceError
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.host_code import host_code
from edgeflow.targets.runner import SimavrRunner
from edgeflow.targets.tools import find_tool

_SOURCE = Path(__file__).parent / "simulators" / "ef_simavr.c"


@cache
def build_simulator() -> Path:
    """Return the path of the program around libsimavr, compiling it if the cache lacks it.

    Raises
    ------
    ToolMissingError
        If simavr, its headers or a C compiler are missing.
    """
    find_tool("simavr")
    program = host_code(
        [_SOURCE],
        "",
        "the simulator of AVR boards",
        flags=("-std=c99", "-O2"),
        libraries=("-lsimavr", "-lelf"),
        tools=("simavr", "gcc"),
    )
    program.chmod(0o755)
    return program


@cache
def simavr_version() -> str:
    """Return the version of libsimavr, such as ``1.6``."""
    done = subprocess.run([build_simulator(), "--version"], capture_output=True, text=True)
    return done.stdout.strip()


class SimavrBoard(ProcessBoard):
    """A microcontroller in simavr.

    Its time stops while it waits for the host, and does not follow that of this machine.

    Parameters
    ----------
    spec : BoardSpec
        One with a ``simavr`` runner.
    image : path, optional
        ELF file that `flash` writes.
    """

    def __init__(self, spec: BoardSpec, image: str | Path | None = None) -> None:
        super().__init__(spec, image)
        if not isinstance(spec.runner, SimavrRunner):
            raise DeviceError(f"{spec.name}: not a board of simavr")
        self._mcu = spec.runner.mcu

    def _launch(self, image: Path) -> tuple[Child, Transport]:
        program = build_simulator()
        with tempfile.TemporaryFile() as flash:
            flash.write(flash_content(image))
            flash.flush()
            words, held = [str(program), self._mcu, str(self.spec.clock_hz)], flash.fileno()
            return start_at_socket(self.spec.name, lambda fd: [*words, f"{fd}", f"{held}"], [held])


def flash_content(image: Path) -> bytes:
    """Return the flash from address 0 on, as the segments of an ELF file fill it."""
    return filled(segments(image), 0)
