"""stm32flash."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from edgeflow.device.runners.base import LOCKED, MISMATCH, OTHER_CHIP, FlashRunner
from edgeflow.targets.spec import Spec

#: Bytes that every STM32 can write at once: a flash word of an H7.
FLASH_WORD = 32


class Stm32flash(FlashRunner):
    """The boot loader in the ROM of an STM32, at a USART (ST's AN3155)."""

    NAME = "stm32flash"
    HELP = "the boot loader in the ROM of an STM32, at a serial port: BOOT0 is high at reset"
    TOOL = "stm32flash"
    INSTALL = "sudo apt-get install stm32flash (Debian, Ubuntu)"
    NEEDS_PORT = True
    FAILURES = (
        (r"failed to init device|failed to (re)?send init",
         "the boot loader does not answer: set BOOT0 high, reset the board, and flash again"),
        (r"got NACK from device on command 0x(11|21|31|43|44)", LOCKED),
        (r"failed to verify at address", MISMATCH),
        (r"failed to read ACK byte|failed to open port",
         "the port or the chip went away: plug it in, reset it with BOOT0 high, and flash again"),
        (r"failed to write memory",
         "the chip does not take what is written: flash again; if that fails, too, look for write "
         "protection or worn flash"),
    )  # fmt: skip

    class Options(Spec):
        """``[runner.options.stm32flash]``.

        Attributes
        ----------
        device_id
            Product ID of the chip (ST's AN2606), which is checked before anything is erased.
        baud
            Bits per second.
        mode
            Bits, parity, stop bits. The loader takes ``8e1`` alone; a bridge may need another.
        gpio
            What modem lines do before and after, as the tool's ``-i`` takes it, on boards that
            have them at BOOT0 and NRST.
        """

        device_id: Annotated[int, Field(ge=0, le=0xFFF)] | None = None
        baud: Annotated[int, Field(ge=1200, le=1_000_000)] = 115200
        mode: Literal["8e1", "8n1", "8o1"] = "8e1"
        gpio: Annotated[str, Field(pattern=r"^[-a-z0-9,&:]+$")] | None = None

    options: Options

    @property
    def may_ask(self) -> bool:
        """Whether it resets the chip: a loader takes its baud rate from the first byte."""
        return self.options.gpio is not None

    def write(self, image: Path) -> None:
        options = self.options
        line = [self.tool, "-b", str(options.baud), "-m", options.mode]
        if options.gpio is not None:
            line += ["-i", options.gpio]
        self._check_chip(self.run([*line, str(self.port)]))
        # what ends within a flash word is not written
        file, start = self.binary(image, FLASH_WORD)
        said = self.run(
            [
                *line, "-w", file, "-v", "-S", f"0x{start:08x}:{file.stat().st_size}",
                "-g", f"0x{start:08x}", str(self.port),
            ]
        )  # fmt: skip
        self.demand(r"Wrote and verified address 0x[0-9a-f]+ \(100\.00%\) Done", said)

    def _check_chip(self, said: str) -> None:
        found = re.search(r"Device ID\s*: 0x([0-9a-f]+) \((.*)\)", said)
        wanted = self.options.device_id
        if wanted is not None and (found is None or int(found[1], 16) != wanted):
            there = f"0x{found[1][-3:]} ({found[2]})" if found else "not known"
            raise self.refused(f"{OTHER_CHIP}: its ID is {there}, not 0x{wanted:03x}")
