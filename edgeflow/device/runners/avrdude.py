"""AVRDUDE."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from edgeflow.device.runners.base import MISMATCH, OTHER_CHIP, FlashRunner
from edgeflow.targets.spec import Spec

_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]


class Avrdude(FlashRunner):
    """The boot loader of an Arduino, or another programmer of AVRs at a serial port."""

    NAME = "avrdude"
    HELP = "AVR chips, by the boot loader of an Arduino or a programmer at a serial port"
    TOOL = "avrdude"
    INSTALL = "sudo apt-get install avrdude (Debian, Ubuntu), sudo dnf install avrdude (Fedora)"
    NEEDS_PORT = True
    FAILURES = (
        (r"verification mismatch|verification error", MISMATCH),
        (r"expected signature for", OTHER_CHIP),
        (r"can't open device|cannot open (device|port)|unable to open",
         "the port cannot be opened: plug the board in, and close other programs that use it"),
        (r"not in sync|programmer (is )?not responding|not getting response|read timeout"
         r"|protocol error|unable to read signature|ser_(send|recv|drain)",
         "the boot loader does not answer: check cable, programmer and baud, press RESET as it "
         "begins, and flash again"),
    )  # fmt: skip

    class Options(Spec):
        """``[runner.options.avrdude]``.

        Attributes
        ----------
        part
            ``m328p``: its signature is checked before anything is written.
        programmer
            ``arduino`` (an Uno's), ``wiring`` (a Mega's), or another of ``avrdude -c ?``.
        baud
            Bits per second of the boot loader.
        erase
            Whether the whole chip is erased; boot loaders erase what they write.
        """

        part: _Name
        programmer: _Name = "arduino"
        baud: Annotated[int, Field(ge=1200, le=1_000_000)] = 115200
        erase: bool = False

    options: Options

    def write(self, image: Path) -> None:
        options = self.options
        said = self.run(
            [
                self.tool, "-p", options.part, "-c", options.programmer, "-P", str(self.port),
                "-b", str(options.baud), *([] if options.erase else ["-D"]),
                "-U", f"flash:w:{image.with_suffix('.hex').name}:i",
            ]
        )  # fmt: skip
        self.demand(r"bytes of flash verified", said)
