"""Boards that run already, behind a port: real ones, or an emulator started by hand."""

from pathlib import Path

from edgeflow.device.board import Board
from edgeflow.device.runners import FlashRunner
from edgeflow.device.transport import Transport, open_transport
from edgeflow.errors import DeviceError
from edgeflow.targets.board import BoardSpec


class SerialBoard(Board):
    """A board behind a serial port.

    Parameters
    ----------
    port : str
        ``/dev/ttyACM0``, ``COM3``, a pseudo-terminal, or ``socket://host:port``.
    image : path, optional
        ELF file that `flash` writes.
    runner : FlashRunner, optional
        Tool that writes the image; without one the board can only be connected to.
    """

    _has_port = True

    def __init__(
        self,
        spec: BoardSpec,
        port: str,
        image: str | Path | None = None,
        *,
        runner: FlashRunner | None = None,
    ) -> None:
        super().__init__(spec, image)
        self.port = port
        self._runner = runner

    def flash(self, image: str | Path | None = None) -> None:
        path = self._image_to_write(image)
        if self._runner is None:
            raise DeviceError(
                f"{self.port}: nothing was given that could write an image over this port: name a "
                "flash tool with --runner"
            )
        self.close()
        self._runner.flash(path)

    def reset(self) -> None:
        if self._runner is None:
            raise DeviceError(f"{self.port}: this board must be reset by hand")
        self.flash()

    def _open(self) -> Transport:
        if self._transport is None:
            baud = self.spec.uart.baud if self.spec.uart is not None else 115200
            self._transport = open_transport(self.port, baud)
        return self._transport
