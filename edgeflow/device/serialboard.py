"""Boards that run already, behind a port: real ones, or an emulator started by hand."""

import time
from pathlib import Path

from edgeflow.device.board import Board, Write
from edgeflow.device.ports import find_port
from edgeflow.device.runners import FlashRunner
from edgeflow.device.transport import Transport, open_transport
from edgeflow.errors import DeviceError, PortBusyError
from edgeflow.targets.board import BoardSpec

#: Seconds that a port may take to come back after the image was written.
_COME_BACK = 10.0
_BOOT_TIME = 1.0  # seconds


class SerialBoard(Board):
    """A board behind a serial port.

    Parameters
    ----------
    port : str or None
        ``/dev/ttyACM0``, ``COM3``, a pseudo-terminal, or ``socket://host:port``; None: the one with
        a USB id of the board, looked for whenever it is opened.
    image : path, optional
        ELF file that `flash` writes.
    runner : FlashRunner, optional
        Tool that writes the image; without one the board can only be connected to.
    write : str
        When `start` writes.

    Raises
    ------
    DeviceError
        If no port is given and none fits, or several do.
    """

    _has_port = True

    def __init__(
        self,
        spec: BoardSpec,
        port: str | None,
        image: str | Path | None = None,
        *,
        runner: FlashRunner | None = None,
        write: Write = "never",
    ) -> None:
        super().__init__(spec, image)
        self._search = port is None
        self.port = find_port(spec).device if port is None else port
        self.write = write
        self._runner = runner
        if runner is not None:
            runner.port, self.tool = self.port, runner.NAME
        self._written = 0.0

    def flash(self, image: str | Path | None = None) -> None:
        path = self._image_to_write(image)
        if self._runner is None:
            raise DeviceError(
                f"{self.port}: nothing was given that could write an image over this port: name a "
                "flash tool with --runner"
            )
        self.close()
        self._runner.flash(path)
        self._written = time.monotonic()
        self._boot_time = _BOOT_TIME

    def reset(self) -> None:
        if self._runner is None:
            raise DeviceError(f"{self.port}: this board must be reset by hand")
        self.flash()

    def _open(self) -> Transport:
        while self._transport is None:
            try:
                if self._search:
                    # a board that was written may come back under another name
                    self.port = find_port(self.spec).device
                baud = self.spec.uart.baud if self.spec.uart is not None else 115200
                self._transport = open_transport(self.port, baud)
            except PortBusyError:
                raise
            except DeviceError:
                if time.monotonic() > self._written + _COME_BACK or not self._written:
                    raise
                time.sleep(0.2)
        return self._transport
