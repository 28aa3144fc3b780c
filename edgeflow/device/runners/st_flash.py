"""st-flash of the stlink tools."""

from pathlib import Path

from edgeflow.device.runners.base import LOCKED, MISMATCH, NO_PROBE, OTHER_CHIP, FlashRunner
from edgeflow.targets.spec import Spec


class StFlash(FlashRunner):
    """st-flash reads back and compares by itself, and says so."""

    NAME = "st-flash"
    HELP = "ST-Link probes on STM32, by the open stlink tools"
    TOOL = "st-flash"
    INSTALL = "sudo apt-get install stlink-tools (Debian, Ubuntu), sudo dnf install stlink (Fedora)"
    FAILURES = (
        (r"couldn't find any ST-Link|no ST-Link|couldn't locate any stlink", NO_PROBE),
        (r"unknown chip|unknown memory region|chip id .* not (found|supported)", OTHER_CHIP),
        (r"verification of flash failed|verify.*fail", MISMATCH),
        (r"read protect|RDP", LOCKED),
    )

    class Options(Spec):
        """``[runner.options.st-flash]``.

        Attributes
        ----------
        serial
            Serial number of the probe, where there are several.
        """

        serial: str | None = None

    options: Options

    def write(self, image: Path) -> None:
        chosen = ["--serial", self.options.serial] if self.options.serial is not None else []
        binary, address = self.binary(image)
        said = self.run([self.tool, "--reset", *chosen, "write", binary.name, f"0x{address:x}"])
        self.demand("Flash written and verified", said)
