"""BOSSA."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from edgeflow.device.runners.base import MISMATCH, UNPLUGGED, FlashRunner
from edgeflow.targets.spec import Spec


class Bossac(FlashRunner):
    """The SAM-BA boot loader of Arduinos with a SAM chip; tried on no board and no model of one."""

    NAME = "bossac"
    HELP = "the SAM-BA boot loader of Arduinos with a SAM D or SAM E chip, at a serial port"
    TOOL = "bossac"
    INSTALL = "sudo apt-get install bossa-cli (Debian, Ubuntu)"
    NEEDS_PORT = True
    FAILURES = (
        (r"verify failed|errors? found", MISMATCH),
        (r"no device found|device unsupported|SAM-BA operation failed",
         "the boot loader does not answer: press RESET twice, and flash again"),
        (r"no serial ports|failed to open", UNPLUGGED),
    )  # fmt: skip

    class Options(Spec):
        """``[runner.options.bossac]``.

        Attributes
        ----------
        offset
            In the flash, for the image: behind the boot loader (0x2000 of a SAM D21).
        touch
            Whether the port is opened at 1200 baud first, which starts the boot loader.
        """

        offset: Annotated[int, Field(ge=0, multiple_of=64)] = 0x2000
        touch: bool = True

    options: Options

    def write(self, image: Path) -> None:
        options = self.options
        said = self.run(
            [
                self.tool, f"--port={Path(str(self.port)).name}",
                *(["--arduino-erase"] if options.touch else []),
                f"--offset={options.offset:#x}", "--erase", "--write", "--verify", "--reset",
                image.with_suffix(".bin"),
            ]
        )  # fmt: skip
        self.demand(r"Verify successful", said)
