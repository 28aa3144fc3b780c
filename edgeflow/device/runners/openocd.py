"""OpenOCD."""

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from edgeflow.device.runners.base import (
    LOCKED,
    MISMATCH,
    NO_PROBE,
    OTHER_CHIP,
    STALLED,
    UNPLUGGED,
    FlashRunner,
)
from edgeflow.errors import NoProbeError
from edgeflow.targets.spec import Spec


class Openocd(FlashRunner):
    """OpenOCD reads its scripts, and ends with a comparison by a checksum on the chip."""

    NAME = "openocd"
    HELP = "debug probes of most kinds (ST-Link, CMSIS-DAP, J-Link, FTDI), by OpenOCD's scripts"
    TOOL = "openocd"
    INSTALL = "sudo apt-get install openocd (Debian, Ubuntu), sudo dnf install openocd (Fedora)"
    FAILURES = (
        # before what it tries afterwards
        (r"AP lock engaged", f"{LOCKED}: 'nrf52_recover'"),
        (r"no such device \(it may have been disconnected\)", UNPLUGGED),
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
        interfaces
            Scripts of debug probes, before all others: the first whose probe is there is taken.
        config
            OpenOCD's scripts, in order: ``board/st_nucleo_l4.cfg``.
        transport
            ``swd`` or ``jtag``, selected behind the first script.
        commands
            Commands of Tcl behind all scripts; a board file of one's own needs trust for them.
        """

        interfaces: tuple[str, ...] = ()
        config: tuple[str, ...] = Field(min_length=1)
        transport: Literal["swd", "jtag", "hla_swd", "hla_jtag"] | None = None
        commands: tuple[str, ...] = ()

    options: Options

    def write(self, image: Path) -> None:
        options = self.options
        for interface in options.interfaces[:-1]:
            with contextlib.suppress(NoProbeError):
                return self._write(image, (interface, *options.config))
        self._write(image, (*options.interfaces[-1:], *options.config))

    def _write(self, image: Path, scripts: Sequence[str]) -> None:
        options = self.options
        arguments: list[str] = []
        for number, script in enumerate(scripts):
            arguments += ["-f", script]
            if number == 0 and options.transport is not None:
                arguments += ["-c", f"transport select {options.transport}"]
        for command in options.commands:
            arguments += ["-c", command]
        if (chip := self.chip) is not None:
            # `program` begins with `init` itself, which may come twice
            look = (
                f'init; set chip [read_memory {chip.address} 32 1]; echo "chip is $chip"; '
                f"if {{($chip & {chip.mask}) != {chip.value & chip.mask}}} {{shutdown}}"
            )
            arguments += ["-c", look]
        program = f"program {image.name} verify reset exit"
        said = self.run([self.tool, *arguments, "-c", program])
        if chip is not None:
            found = re.search(r"^chip is (0x[0-9a-f]+|[0-9]+)", said, re.MULTILINE)
            if found is None:
                raise self.failed(said, "it did not say which chip it is")
            self.check_chip(chip, int(found[1], 0))
        self.demand(r"\*\* Verified OK \*\*", said)
