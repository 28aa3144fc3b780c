"""An Arduino Uno: the real Optiboot on simavr's ATmega328P, at a serial port with DTR."""

import subprocess
import threading
from pathlib import Path

from tests.testbeds.serial_port import SerialPort

SOURCE = Path(__file__).with_name("uno.c")
OPTIBOOT = Path(
    "/usr/share/arduino/hardware/arduino/avr/bootloaders/optiboot/optiboot_atmega328.hex"
)
FLASH_SIZE = 32 * 1024


def build_uno(folder: Path) -> Path:
    """Compile the program that is the board."""
    program = folder / "uno"
    flags = ["-std=gnu99", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    headers = ["-isystem", "/usr/include/simavr"]
    subprocess.run(["gcc", *flags, *headers, "-o", program, SOURCE, "-lsimavr"], check=True)
    return program


class Uno:
    """An Arduino Uno that is plugged in; a context manager that unplugs it.

    Parameters
    ----------
    folder : Path
        For the port and the flash, which stays when the board is unplugged.
    program, library : Path
        Of `build_uno` and `build_modem_lines`.
    flip, cut : int
        Numbers of the bytes after a reset that arrives changed, and that is the last before the
        cable is pulled; 0: none.
    """

    def __init__(
        self, folder: Path, program: Path, library: Path, *, flip: int = 0, cut: int = 0
    ) -> None:
        self.port = SerialPort(folder, library)
        self._flash = folder / "flash.bin"
        if not self._flash.exists():
            self._flash.write_bytes(b"\xff" * (FLASH_SIZE + 4))
        fd = self.port.master
        self._process = subprocess.Popen(
            [program, OPTIBOOT, self._flash, str(fd), self.port.fifo, str(flip), str(cut)],
            pass_fds=[fd], stdin=subprocess.DEVNULL,
        )  # fmt: skip

        # the port goes with the power
        self._watch = threading.Thread(target=self._unplugged, daemon=True)
        self._watch.start()

    @property
    def flash(self) -> bytes:
        """What the flash holds."""
        return self._flash.read_bytes()[:FLASH_SIZE]

    def unplug(self) -> None:
        """Take power and port away."""
        self._process.kill()
        self._watch.join()

    def _unplugged(self) -> None:
        self._process.wait()
        self.port.unplug()

    def __enter__(self) -> "Uno":
        return self

    def __exit__(self, *exception: object) -> None:
        running = self._process.poll() is None
        self.unplug()
        assert running, "the simulator ended by itself"
