"""The boot loader in the ROM of an STM32 at USB: DFU 1.1 with ST's extensions (AN3156).

    umockdev-wrapper /usr/bin/python3 -m tests.testbeds.dfu_device FLASH RESET SETTINGS

FLASH is the chip's, in a file. RESET is the FIFO of the modem lines of the same chip's serial port,
which resets it into the application. SETTINGS is a JSON object: ``chip``, ``bad``, ``protected``,
``unplug_after``. It prints the value of UMOCKDEV_DIR and goes on until its standard input ends.
"""

import json
import struct
import sys
from pathlib import Path
from typing import Any

from tests.testbeds import stm32_flash
from tests.testbeds.stm32_flash import FLASH, Chip, Flash
from tests.testbeds.usb_device import UsbDevice

TRANSFER = 2048
DNLOAD, UPLOAD, GETSTATUS, CLRSTATUS, GETSTATE, ABORT = range(1, 7)
(IDLE, DNLOAD_SYNC, DNBUSY, DNLOAD_IDLE, MANIFEST_SYNC, MANIFEST, _, UPLOAD_IDLE, ERROR) = range(
    2, 11
)
OK, ERR_WRITE, ERR_ERASE, ERR_ADDRESS, ERR_VENDOR = 0x00, 0x03, 0x04, 0x08, 0x0B
SET_ADDRESS, ERASE = 0x21, 0x41


class Dfu(UsbDevice):
    """The loader.

    Parameters
    ----------
    flash : Flash
    reset : Path
    protected : bool
        Read protection level 1.
    unplug_after : int, optional
        Blocks after which the cable is pulled.
    """

    def __init__(
        self, flash: Flash, reset: Path, *, protected: bool, unplug_after: int | None
    ) -> None:
        device = bytes([18, 1, 0, 2, 0, 0, 0, 64])
        device += struct.pack("<HHH", 0x0483, 0xDF11, 0x2200) + bytes([1, 2, 3, 1])
        interface = bytes([9, 4, 0, 0, 0, 0xFE, 1, 2, 4])
        interface += bytes([9, 0x21, 0x0B]) + struct.pack("<HHH", 255, TRANSFER, 0x011A)
        head = bytes([9, 2]) + struct.pack("<H", 9 + len(interface)) + bytes([1, 1, 0, 0xC0, 50])
        strings = {
            1: "STMicroelectronics", 2: "STM32  BOOTLOADER", 3: "385F32523030",
            4: f"@Internal Flash  /0x{FLASH:08x}/{layout(flash.chip)}",
        }  # fmt: skip
        super().__init__(device, head + interface, strings, 3)
        self._flash, self._reset, self._protected = flash, reset, protected
        self._unplug_after = unplug_after
        self._state, self._status, self._address = IDLE, OK, FLASH
        self._waiting: tuple[int, bytes] | None = None
        self._blocks = 0

    def control(self, kind: int, request: int, value: int, length: int, data: bytes) -> Any:
        if request == GETSTATUS:
            return self._get_status()
        if request == GETSTATE:
            return bytes([self._state])
        if request in (CLRSTATUS, ABORT):
            self._state, self._status = IDLE, OK
            return b""
        if request == DNLOAD and self._state in (IDLE, DNLOAD_IDLE):
            self._waiting = (value, data)
            self._state = DNLOAD_SYNC if length else MANIFEST_SYNC
            return b""
        if request == UPLOAD and self._state in (IDLE, UPLOAD_IDLE) and not self._protected:
            self._state = UPLOAD_IDLE
            start = self._address - FLASH + (value - 2) * TRANSFER
            return bytes(self._flash.bytes[start : start + length])
        self._state, self._status = ERROR, ERR_VENDOR
        return None

    def _get_status(self) -> bytes:
        if self._state == DNLOAD_SYNC:
            self._state = DNBUSY
        elif self._state == DNBUSY:
            assert self._waiting is not None
            self._status = self._download(*self._waiting)
            self._state = DNLOAD_IDLE if self._status == OK else ERROR
        elif self._state == MANIFEST_SYNC:
            self._state = MANIFEST
            self._reset.write_text("0 0\n1 0\n")  # NRST with BOOT0 low
        return bytes([self._status, 0, 0, 0, self._state, 0])

    def _download(self, block: int, data: bytes) -> int:
        if self._protected:
            return ERR_VENDOR
        if block == 0:
            (address,) = struct.unpack_from("<I", data, 1) if len(data) == 5 else (None,)
            if data[0] == SET_ADDRESS and address is not None:
                self._address = address
                return OK
            if data == bytes([ERASE]):
                self._flash.erase_all()
                return OK
            sector = self._flash.sector_at(address - FLASH)
            return OK if sector is not None and self._flash.erase(sector) else ERR_ERASE
        if self._blocks == self._unplug_after:
            self.gone = True
        self._blocks += 1
        start = self._address - FLASH + (block - 2) * TRANSFER
        return OK if self._flash.write(start, data) else ERR_WRITE


def layout(chip: Chip) -> str:
    """Return the sectors as ST's loaders describe them: ``04*016Kg,01*064Kg,07*128Kg``."""
    sizes = list(dict.fromkeys(chip.sectors))
    return ",".join(f"{chip.sectors.count(k):02}*{k // 1024:03}Kg" for k in sizes)


def main() -> None:
    flash, reset, settings = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    memory = Flash(flash, getattr(stm32_flash, settings.pop("chip")))
    memory.bad = settings.pop("bad", None)
    device = Dfu(
        memory,
        reset,
        protected=settings.pop("protected", False),
        unplug_after=settings.pop("unplug_after", None),
    )
    print(device.root, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
