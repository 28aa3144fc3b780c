"""Boards emulated by QEMU: flashing boots a machine with the image in its flash."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from edgeflow.device.board import plugin_option
from edgeflow.device.process import Child, ProcessBoard, start_at_socket, wait_for
from edgeflow.device.transport import PortTransport, Transport
from edgeflow.errors import DeviceError
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.runner import QemuRunner
from edgeflow.targets.tools import find_tool


class QemuBoard(ProcessBoard):
    """An emulated board.

    Parameters
    ----------
    spec : BoardSpec
        One with a ``qemu`` runner.
    image : path, optional
        ELF file that `flash` writes.
    plugin : sequence of str, optional
        TCG plugin: its path, then ``key=value`` arguments.
    serial : {"socket", "pty"}
        Kind of serial port: a private socket, or a pseudo-terminal that another program can
        open after `release` (`port` is its path), at half the speed.
    arguments : sequence of str
        Further ones of the emulator.
    folder : path, optional
        Where it runs.
    """

    def __init__(
        self,
        spec: BoardSpec,
        image: str | Path | None = None,
        *,
        plugin: Sequence[str] | None = None,
        serial: Literal["socket", "pty"] = "socket",
        arguments: Sequence[str] = (),
        folder: Path | None = None,
    ) -> None:
        super().__init__(spec, image)
        if not isinstance(spec.runner, QemuRunner):
            raise DeviceError(f"{spec.name}: not a board of QEMU's system emulation")
        self._runner = spec.runner
        self._plugin = plugin
        self._serial = serial
        self._arguments, self._folder = arguments, folder
        self._has_port = serial == "pty"
        self._path: str | None = None

    @property
    def port(self) -> str | None:
        """Path of the pseudo-terminal; None for a private socket or before `flash`."""
        return self._path

    def close(self) -> None:
        super().close()
        self._path = None

    def _open(self) -> Transport:
        if self._transport is None and self._path is not None and self._child is not None:
            self._transport = PortTransport(self._path, why_gone=self._child.why_gone)
        return super()._open()

    def _launch(self, image: Path) -> tuple[Child, Transport]:
        command = [
            find_tool(self._runner.emulator), "-M", self._runner.machine, *self._runner.args,
            "-display", "none", "-monitor", "none", *plugin_option(self._plugin),
            *self._arguments, "-kernel", str(image.resolve()),
        ]  # fmt: skip
        if self._serial == "pty":
            child = Child([*command, *self._uart("pty")], cwd=self._folder)
            self._path = wait_for(
                child,
                lambda: re.search(r"redirected to (/\S+)", child.messages()),
                "open a pseudo-terminal",
            )[1]
            return child, PortTransport(self._path, why_gone=child.why_gone)
        return start_at_socket(
            self.spec.name,
            lambda fd: [*command, *self._uart(f"socket,fd={fd}")],
            folder=self._folder,
        )

    def _uart(self, kind: str) -> list[str]:
        """Return the options that put the first UART on a character device.

        A multiplexer reads ahead for UARTs that take a byte at a time: nearly twice as fast, and
        without the stalls of a second that they else have. UARTs with a FIFO are slower with it.
        """
        device, serial = f"{kind},id=uart", ["-serial", "chardev:uart"]
        if self.spec.uart is None or self.spec.uart.fifo:
            return ["-chardev", device, *serial]
        # 256 is no byte, so the multiplexer's escape commands are off
        return ["-chardev", f"{device},mux=on", *serial, "-echr", "256"]
