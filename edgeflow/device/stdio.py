"""Boards that are programs: the serial port is their standard input and output."""

from collections.abc import Sequence
from pathlib import Path

from edgeflow.device.board import plugin_option
from edgeflow.device.process import Child, ProcessBoard
from edgeflow.device.transport import PipeTransport, Transport
from edgeflow.errors import DeviceError
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.runner import QemuRunner, QemuUserRunner
from edgeflow.targets.tools import find_tool


class StdioBoard(ProcessBoard):
    """A program of this machine, or of another under QEMU's user mode.

    Parameters
    ----------
    spec : BoardSpec
        One with a ``native`` or ``qemu-user`` runner.
    image : path, optional
        ELF file that `flash` starts.
    plugin : sequence of str, optional
        TCG plugin: its path, then ``key=value`` arguments; only under QEMU.
    """

    # the firmware ends with its input; a signal would cost the plugin its results
    _ask_to_stop = False

    def __init__(
        self,
        spec: BoardSpec,
        image: str | Path | None = None,
        *,
        plugin: Sequence[str] | None = None,
    ) -> None:
        super().__init__(spec, image)
        if isinstance(spec.runner, QemuRunner):
            raise DeviceError(f"{spec.name}: not a board with standard input and output")
        if plugin and not isinstance(spec.runner, QemuUserRunner):
            raise DeviceError(f"{spec.name}: only an emulated board can run a QEMU plugin")
        self._plugin = plugin

    def _launch(self, image: Path) -> tuple[Child, Transport]:
        command = [str(image.resolve())]
        if isinstance(self.spec.runner, QemuUserRunner):
            emulator = [find_tool(self.spec.runner.program), "-cpu", self.spec.runner.cpu]
            command = [*emulator, *plugin_option(self._plugin), *command]
        child = Child(command, pipes=True)
        output, input = child.process.stdout, child.process.stdin
        assert output is not None and input is not None
        return child, PipeTransport(self.spec.name, output, input, child.why_gone)
