"""dfu-util."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from edgeflow.device.runners.base import LOCKED, OTHER_CHIP, UNPLUGGED, FlashRunner
from edgeflow.device.runners.stm32flash import FLASH_WORD
from edgeflow.targets.spec import Spec

_GONE = 74  # EX_IOERR: the device that was told to leave is gone before it has said so


class DfuUtil(FlashRunner):
    """A USB boot loader of the class DFU with ST's extensions (AN3156)."""

    NAME = "dfu-util"
    HELP = "the boot loader in the ROM of an STM32, at its own USB port: BOOT0 is high at reset"
    TOOL = "dfu-util"
    INSTALL = "sudo apt-get install dfu-util (Debian, Ubuntu), sudo dnf install dfu-util (Fedora)"
    FAILURES = (
        (r"no DFU capable USB device",
         "no device in its boot loader was found: set BOOT0 high, reset the board, flash again"),
        (r"more than one DFU capable",
         "several boot loaders are connected: leave one, or name it by the option 'serial'"),
        (r"ERASE_PAGE not correctly executed|errVENDOR|read.?protect", LOCKED),
        (r"is not (erasable|writeable|readable)",
         f"{OTHER_CHIP}, or its image is for other addresses"),
        (r"LIBUSB_ERROR_(NO_DEVICE|IO|PIPE)|error (sending|during)|get_status: ", UNPLUGGED),
    )  # fmt: skip

    class Options(Spec):
        """``[runner.options.dfu-util]``.

        Attributes
        ----------
        usb
            VID:PID of the boot loader.
        alt
            Number of its memory.
        layout
            Sectors of the flash, as ``dfu-util -l`` shows them: ``04*016Kg,01*064Kg,07*128Kg``.
            A chip with others is refused before anything is erased.
        serial
            Which device, where there are several.
        """

        usb: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{4}:[0-9a-fA-F]{4}$")] = "0483:df11"
        alt: Annotated[int, Field(ge=0, le=255)] = 0
        layout: Annotated[str, Field(pattern=r"^[0-9*KMBa-g ,/x]+$")] | None = None
        serial: Annotated[str, Field(pattern=r"^[A-Za-z0-9]+$")] | None = None

    options: Options

    def write(self, image: Path) -> None:
        options = self.options
        # behind the comma: what it is in its loader; one ID alone is not asked of such a device
        device = [self.tool, "-d", f"{options.usb},{options.usb}", "-a", str(options.alt)]
        device += [] if options.serial is None else ["-S", options.serial]
        if options.layout is not None:
            said = self.run([*device, "-l"])
            if f"/{options.layout}" not in said and "Found DFU" in said:
                raise self.refused(f"{OTHER_CHIP}: its flash is not of {options.layout}")
        # what ends within a flash word is not written
        file, start = self.binary(image, FLASH_WORD)
        size, back = file.stat().st_size, image.with_name("back.bin")
        self.run([*device, "-s", f"0x{start:08x}", "-D", file])
        self.run([*device, "-s", f"0x{start:08x}:{size}", "-U", back])
        self.compare(image, self.read(back, size), start)
        self.run([*device, "-s", f"0x{start:08x}:leave"], codes=(0, _GONE))
