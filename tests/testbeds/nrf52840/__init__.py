"""A virtual nRF52840 development kit: chip, CMSIS-DAP probe, and serial port of the kit's bridge."""

from tests.testbeds.desk import Desk, Device
from tests.testbeds.nrf52840.chip import Nrf52840
from tests.testbeds.nrf52840.cmsis_dap import Probe
from tests.testbeds.nrf52840.dap import Dap


class Kit:
    """The kit, powered, with both its USB devices.

    Parameters
    ----------
    part : int
        What FICR says that the chip is.
    """

    def __init__(self, part: int = 0x52840) -> None:
        self.chip = Nrf52840(self._say, part=part)
        self._commands = Probe(Dap(self.chip))
        self.probe = Device(
            "probe", 0x0D28, 0x0204, ("EdgeFlow", "Virtual CMSIS-DAP", "EF0001", "CMSIS-DAP v2"),
            self._command, place=4,
        )  # fmt: skip
        self.bridge = Device(
            "bridge", 0x1366, 0x1015, ("EdgeFlow", "J-Link", "000683000001", "J-Link CDC"),
            self._hear, tty="ttyACM0", place=2,
        )  # fmt: skip
        with self.chip.core.visit():
            self.chip.power_on()

    def plug_into(self, desk: Desk) -> None:
        """Plug both devices in."""
        desk.plug(self.probe)
        desk.plug(self.bridge)

    def close(self) -> None:
        """End the core's thread."""
        self.chip.core.close()

    def _say(self, data: bytes) -> None:
        self.bridge.say(data)

    def _hear(self, data: bytes) -> None:
        with self.chip.core.visit():
            self.chip.receive(data)

    def _command(self, packet: bytes) -> bytes:
        with self.chip.core.visit():
            return self._commands.command(packet)
