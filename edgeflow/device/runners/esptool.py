"""esptool."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from edgeflow.device.runners.base import LOCKED, MISMATCH, OTHER_CHIP, UNPLUGGED, FlashRunner
from edgeflow.targets.spec import Spec


class Esptool(FlashRunner):
    """The boot loader in the ROM of an ESP32; the digest of what was written is compared."""

    NAME = "esptool"
    HELP = "the boot loader in the ROM of an ESP32, at its serial port"
    TOOL = "esptool"
    INSTALL = "pip install 'esptool>=5'"
    NEEDS_PORT = True
    FAILURES = (
        (r"this chip is .*, not|unexpected chip ID|wrong .?-?-?chip argument", OTHER_CHIP),
        (r"MD5 of file does not match|hash of data does not match", MISMATCH),
        (r"secure download mode|flash encryption|secure boot", LOCKED),
        (r"lost connection|serial exception|could not open|device disconnected|write timeout",
         UNPLUGGED),
        (r"failed to connect|no serial data received|wrong boot mode",
         "the boot loader does not answer: hold BOOT, press RESET, let BOOT go, and flash again"),
    )  # fmt: skip

    class Options(Spec):
        """``[runner.options.esptool]``.

        Attributes
        ----------
        chip
            ``esp32c3``; any other is refused before anything is erased.
        offset
            In the flash, for the image.
        baud
            Bits per second while writing.
        stub
            False: the ROM's loader writes, without the faster one that esptool starts in RAM.
        """

        chip: Annotated[str, Field(pattern=r"^esp[a-z0-9]+$")]
        offset: Annotated[int, Field(ge=0, lt=1 << 28)] = 0
        baud: Annotated[int, Field(ge=9600, le=4_000_000)] = 460800
        stub: bool = True

    options: Options

    def write(self, image: Path) -> None:
        options = self.options
        said = self.run(
            [
                self.tool, "--chip", options.chip, "--port", str(self.port),
                "--baud", str(options.baud), *([] if options.stub else ["--no-stub"]),
                "write-flash", hex(options.offset), image.with_suffix(".bin"),
            ]
        )  # fmt: skip
        self.demand(r"Hash of data verified", said)
