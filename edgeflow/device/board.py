"""The base of all boards, real or emulated."""

import abc
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from edgeflow.device.client import Client, Expected
from edgeflow.device.line import EMULATED_FLOOR, FLOOR
from edgeflow.device.transport import Transport
from edgeflow.errors import DeviceError, ImageMismatchError
from edgeflow.targets.board import BoardSpec

#: When `Board.start` writes the image: ``needed``: where the board does not run it already.
Write = Literal["always", "needed", "never"]


class Board(abc.ABC):
    """A board that can be flashed, connected to and reset; a context manager that closes it.

    Parameters
    ----------
    spec : BoardSpec
        Description of the board.
    image : path, optional
        The image that `flash` writes.
    """

    def __init__(self, spec: BoardSpec, image: str | Path | None = None) -> None:
        self.spec = spec
        self.image = None if image is None else Path(image)
        self._transport: Transport | None = None

    #: When `start` writes.
    write: Write = "always"
    #: What `flash` writes with, for messages; "": it starts a process.
    tool: str = ""
    #: Whether `start` wrote the image.
    wrote = False
    # Whether others can open what the transport has open.
    _has_port = False
    # Seconds that the next connection may wait for the greeting of a board just started.
    _boot_time = 0.0

    @abc.abstractmethod
    def flash(self, image: str | Path | None = None) -> None:
        """Write an image (default: the board's `image`) and start it.

        Raises
        ------
        DeviceError
            If there is no image, or the board does not take it.
        ToolMissingError
            If the emulator or flash tool is not installed.
        """

    @abc.abstractmethod
    def reset(self) -> None:
        """Restart the image.

        Raises
        ------
        DeviceError
            If the board cannot be reset from here.
        """

    def release(self) -> None:
        """Let another program open the board's port, if it has one, until the next `connect`."""
        if self._has_port and self._transport is not None:
            self._transport.close()
            self._transport = None

    def close(self) -> None:
        """Let go of the board, and stop it if it was started here; may be called again."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def connect(
        self,
        expected: bytes | Expected | None = None,
        *,
        timeout: float = 5.0,
        retries: int = 3,
        patience: float = 30.0,
    ) -> Client:
        """Open the framed protocol; the parameters and errors are those of `Client`."""
        transport = self._open()
        boot_time, self._boot_time = self._boot_time, 0.0
        return Client(
            transport,
            expected,
            timeout=timeout,
            retries=retries,
            patience=patience,
            floor=EMULATED_FLOOR if self.spec.emulated else FLOOR,
            boot_time=boot_time,
        )

    def start(self, expected: Expected) -> Client:
        """Connect to a board that runs a build, and write its image before if `write` says so.

        A board that tells by the handshake that it is another one is never written to.

        Raises
        ------
        DeviceError, ToolMissingError
            Of `flash` and `connect`.
        """
        if self.write == "needed":
            self._open()  # a port that cannot be opened is no reason to write
            try:
                client = self.connect()
            except DeviceError:
                client = None
            if client is not None:
                try:
                    client.expect(expected)
                    return client
                except ImageMismatchError:
                    client.close()
                    if client.hello.board != (expected.board or client.hello.board):
                        raise
        if self.write != "never":
            self.flash()
            self.wrote = True
        return self.connect(expected)

    @abc.abstractmethod
    def _open(self) -> Transport:
        """Return the open stream, which the board owns."""

    def _image_to_write(self, image: str | Path | None) -> Path:
        if image is not None:
            self.image = Path(image)
        if self.image is None:
            raise DeviceError(f"{self.spec.name}: no image to write: give the folder of a build")
        if not self.image.is_file():
            raise DeviceError(
                f"{self.image}: no such image: build it with 'edgeflow compile MODEL "
                f"--board {self.spec.name} -o DIR'"
            )
        return self.image

    def __enter__(self) -> "Board":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def plugin_option(plugin: Sequence[str] | None) -> list[str]:
    """Return QEMU's option for a TCG plugin given as its path and ``key=value`` arguments."""
    if not plugin:
        return []
    path, *arguments = (text.replace(",", ",,") for text in plugin)
    return ["-plugin", ",".join((f"file={path}", *arguments))]
