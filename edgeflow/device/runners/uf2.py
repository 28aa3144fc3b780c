"""Boot loaders that show a drive for UF2 files."""

import contextlib
import os
import time
from pathlib import Path
from typing import Annotated

from pydantic import Field

from edgeflow.device import uf2
from edgeflow.device.runners.base import FlashRunner, segments
from edgeflow.errors import DeviceError
from edgeflow.targets.spec import Spec, unknown

_WAIT = 10.0  # seconds


class Uf2(FlashRunner):
    """The boot loader restarts with the image when it has all blocks: the drive goes away."""

    NAME = "uf2"
    HELP = "boot loaders that show a USB drive: Raspberry Pi Pico, Adafruit, Seeed XIAO"
    TOOL = None
    INSTALL = "part of EdgeFlow"

    class Options(Spec):
        """``[runner.options.uf2]``.

        Attributes
        ----------
        family
            The chip: ``rp2040``, ``nrf52840`` and others of ``edgeflow/device/uf2.py``, or its
            number.
        board_id
            Of the drive's ``INFO_UF2.TXT``, or its begin.
        enter
            How a user gets to the drive, for the message where there is none.
        touch
            Whether opening the board's port at 1200 baud starts the boot loader.
        """

        family: Annotated[int, Field(ge=0, lt=1 << 32)] | str
        board_id: str
        enter: str = (
            "start its boot loader (hold BOOTSEL while you plug it in, or press reset twice)"
        )
        touch: bool = False

    options: Options

    def write(self, image: Path) -> None:
        data = uf2.write_uf2(segments(image), self._family())
        drive = self._drive()
        file = drive.folder / "edgeflow.uf2"
        try:
            with file.open("wb") as stream:
                # the last block restarts the board, with which the drive may go before the file
                # is closed
                stream.write(data)
                stream.flush()
                with contextlib.suppress(OSError):
                    os.fsync(stream.fileno())
        except OSError as error:
            if _is_there(drive):
                raise self.refused(f"{file}: {error.strerror}") from None
        deadline = time.monotonic() + _WAIT
        while _is_there(drive):
            if time.monotonic() > deadline:
                raise self.refused(self._why_it_stays(file, data))
            time.sleep(0.1)

    def _family(self) -> int:
        family = self.options.family
        if isinstance(family, int):
            return family
        if family not in uf2.FAMILIES:
            problem = unknown("UF2 family", family, sorted(uf2.FAMILIES))
            raise self.wrong(f"family: {problem}")
        return uf2.FAMILIES[family]

    def _drive(self) -> uf2.Drive:
        """Return the one drive of such a board."""
        deadline = time.monotonic()
        if self.options.touch and self.port is not None and not self._drives():
            touch(self.port)
            deadline += _WAIT
        while not (drives := self._drives()):
            if time.monotonic() >= deadline:
                others = ", ".join(drive.board_id for drive in uf2.find_drives())
                there = f" (there is: {others})" if others else ""
                raise self.refused(
                    f"no mounted drive has Board-ID {self.options.board_id}{there}: "
                    f"{self.options.enter}, and mount it"
                )
            time.sleep(0.2)
        if len(drives) > 1:
            folders = ", ".join(str(drive.folder) for drive in drives)
            raise self.refused(f"several drives fit ({folders}): leave one board plugged in")
        return drives[0]

    def _drives(self) -> list[uf2.Drive]:
        return [d for d in uf2.find_drives() if d.board_id.startswith(self.options.board_id)]

    def _why_it_stays(self, file: Path, data: bytes) -> str:
        """Return why a drive is still there."""
        try:
            same = uf2.read_uf2(file.read_bytes()) == uf2.read_uf2(data)
        except OSError:
            same = True
        if not same:
            return "verification failed: the drive has other blocks than were written: flash again"
        return (
            "the boot loader did not start the image: check the option 'family' and the addresses "
            "of [memory.flash] in the board file"
        )


def touch(port: str) -> None:
    """Ask a board for its boot loader by opening its port at 1200 baud.

    Raises
    ------
    DeviceError
        If the port cannot be opened.
    """
    import serial

    try:
        with serial.Serial(port, 1200):
            time.sleep(0.1)
    except (OSError, ValueError) as error:
        raise DeviceError(f"{port}: cannot be opened to start the boot loader ({error})") from None


def _is_there(drive: uf2.Drive) -> bool:
    try:
        return (drive.folder / "INFO_UF2.TXT").is_file()
    except OSError:
        return False
