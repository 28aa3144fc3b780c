"""OpenOCD."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from edgeflow.device.runners.base import MISMATCH, NO_PROBE, OTHER_CHIP, STALLED, FlashRunner
from edgeflow.targets.spec import Spec


class Openocd(FlashRunner):
    """OpenOCD reads its scripts, and ends with a comparison by a checksum on the chip."""

    NAME = "openocd"
    HELP = "debug probes of most kinds (ST-Link, CMSIS-DAP, J-Link, FTDI), by OpenOCD's scripts"
    TOOL = "openocd"
    INSTALL = "sudo apt-get install openocd (Debian, Ubuntu), sudo dnf install openocd (Fedora)"
    FAILURES = (
        (r"unexpected idcode|expected 1 of 1|IDCODE mismatch|unknown device|device id .* unknown",
         OTHER_CHIP),
        (r"\*\* Verify Failed|checksum mismatch", MISMATCH),
        (r"unable to find .*device|no device found|open failed|unable to open (CMSIS|ftdi|stlink)"
         r"|no J-Link device", NO_PROBE),
        (r"target not examined|examination failed|init mode failed|timed out while waiting",
         STALLED),
    )  # fmt: skip

    class Options(Spec):
        """``[runner.options.openocd]``.

        Attributes
        ----------
        config
            OpenOCD's scripts, in order: ``board/st_nucleo_l4.cfg``.
        transport
            ``swd`` or ``jtag``, selected behind the first script.
        commands
            Commands of Tcl behind all scripts; a board file of one's own needs trust for them.
        """

        config: tuple[str, ...] = Field(min_length=1)
        transport: Literal["swd", "jtag", "hla_swd", "hla_jtag"] | None = None
        commands: tuple[str, ...] = ()

    options: Options

    def write(self, image: Path) -> None:
        options = self.options
        arguments: list[str] = []
        for number, script in enumerate(options.config):
            arguments += ["-f", script]
            if number == 0 and options.transport is not None:
                arguments += ["-c", f"transport select {options.transport}"]
        for command in options.commands:
            arguments += ["-c", command]
        program = f"program {image.name} verify reset exit"
        self.demand(r"\*\* Verified OK \*\*", self.run([self.tool, *arguments, "-c", program]))
