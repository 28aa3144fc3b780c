"""pyOCD."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from edgeflow.device.runners.base import (
    LOCKED,
    NO_PROBE,
    OTHER_CHIP,
    STALLED,
    UNPLUGGED,
    FlashRunner,
    segments,
)
from edgeflow.targets.spec import Spec


class Pyocd(FlashRunner):
    """pyOCD compares nothing itself: the memory is read back."""

    NAME = "pyocd"
    HELP = "CMSIS-DAP, ST-Link and J-Link probes on Arm Cortex-M, by pyOCD"
    TOOL = "pyocd"
    INSTALL = "pip install pyocd"
    FAILURES = (
        (r"no (available |connected |matching )?debug probe", NO_PROBE),
        (r"APPROTECT enabled|is protected|device is locked", LOCKED),
        (r"target type .* not recognized|unknown target|no target (type )?named",
         "pyOCD does not know its target: 'pyocd list --targets' shows those that it does; others "
         "need 'pyocd pack install TARGET', or the option 'pack'"),
        (r"does not match|wrong target|unexpected (part|chip|idcode)", OTHER_CHIP),
        (r"no ACK|transfer fault|SWD/JTAG communication failure|timed? ?out", STALLED),
        (r"probe (disconnected|was removed)|usb\.core\.USBError|\[Errno 19\]", UNPLUGGED),
    )  # fmt: skip

    class Options(Spec):
        """``[runner.options.pyocd]``.

        Attributes
        ----------
        target
            Name of the chip; on-board probes may tell it by themselves.
        pack
            CMSIS pack with the chip, a path beside the board file; a file of one's own needs trust.
        frequency
            Clock of the debug port in Hz.
        probe
            Unique ID of the probe, or its begin, where there are several.
        """

        target: str | None = None
        pack: str | None = None
        frequency: Annotated[int, Field(gt=0, le=100_000_000)] | None = None
        probe: str | None = None

    options: Options

    def write(self, image: Path) -> None:
        # without --no-wait it waits for a probe for ever
        common = ["--no-wait", "--no-config"]
        options = self.options
        for name, value in (
            ("target", options.target),
            ("frequency", options.frequency),
            ("uid", options.probe),
        ):
            common += [f"--{name}", str(value)] if value is not None else []
        if options.pack is not None:
            common += ["--pack", str(self.beside(options.pack))]
        self.run([self.tool, "flash", *common, "--no-reset", image.name])
        parts = segments(image)
        reads = [
            part
            for number, (address, data) in enumerate(parts)
            for part in ("-c", f"savemem 0x{address:x} {len(data)} {number}.bin")
        ]
        self.run([self.tool, "commander", *common, "-M", "halt", *reads])
        for number, (address, data) in enumerate(parts):
            self.compare(image, self.read(image.with_name(f"{number}.bin"), len(data)), address)
        self.run([self.tool, "reset", *common])
