"""Boards whose core is simulated from its RTL: flashing starts a simulator with the image."""

from pathlib import Path

from edgeflow.device.process import Child, ProcessBoard, start_at_socket
from edgeflow.device.transport import Transport
from edgeflow.errors import DeviceError
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.rtl import build_simulator
from edgeflow.targets.runner import RtlRunner


def rtl_command(spec: BoardSpec, image: Path, fd: int) -> list[str]:
    """Return the command that simulates a board with an image, its serial port at `fd`.

    Raises
    ------
    EdgeFlowError
        If the simulator is to be built and cannot be.
    """
    assert isinstance(spec.runner, RtlRunner) and spec.uart is not None
    return [
        str(build_simulator(spec.runner.rtl, spec.runner.configuration)), str(image), str(fd),
        f"{spec.uart.base:#x}:{spec.uart.irq}",
        *(f"{memory.base:#x}:{memory.size}" for memory in spec.memory.values()),
    ]  # fmt: skip


class RtlBoard(ProcessBoard):
    """A simulated board, whose cycle counter counts what the core takes.

    The first `flash` builds the simulator.

    Parameters
    ----------
    spec : BoardSpec
        One with an ``rtl`` runner.
    image : path, optional
        ELF file that `flash` writes.
    """

    # it ends when its serial port is closed
    _ask_to_stop = False

    def __init__(self, spec: BoardSpec, image: str | Path | None = None) -> None:
        super().__init__(spec, image)
        if not isinstance(spec.runner, RtlRunner):
            raise DeviceError(f"{spec.name}: not a board that is simulated from RTL")

    def _launch(self, image: Path) -> tuple[Child, Transport]:
        return start_at_socket(self.spec.name, lambda fd: rtl_command(self.spec, image, fd))
