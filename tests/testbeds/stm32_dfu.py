"""The boot loader in the ROM of an STM32 at USB: DFU 1.1 with ST's extensions (AN3156)."""

import struct
from collections.abc import Callable

from tests.testbeds.desk import Device
from tests.testbeds.stm32_flash import FLASH, Chip, Flash

TRANSFER = 2048
DNLOAD, UPLOAD, GETSTATUS, CLRSTATUS, GETSTATE, ABORT = range(1, 7)
(IDLE, DNLOAD_SYNC, DNBUSY, DNLOAD_IDLE, MANIFEST_SYNC, MANIFEST, _, UPLOAD_IDLE, ERROR) = range(
    2, 11
)
OK, ERR_WRITE, ERR_ERASE, ERR_VENDOR = 0x00, 0x03, 0x04, 0x0B
SET_ADDRESS, ERASE = 0x21, 0x41
STALL, DONE = b"\0", b"\1"
#: Class DFU in its loader; its functional descriptor says what it can.
INTERFACE = bytes([9, 4, 0, 0, 0, 0xFE, 1, 2, 4])
INTERFACE += bytes([9, 0x21, 0x0B]) + struct.pack("<HHH", 255, TRANSFER, 0x011A)


class Dfu(Device):
    """The loader, to be plugged into a desk.

    Parameters
    ----------
    flash : Flash
    leave : callable
        Called when it is told to start the application.

    Attributes
    ----------
    protected
        Read protection level 1.
    unplug_after
        Blocks after which the cable is pulled.
    """

    def __init__(self, flash: Flash, leave: Callable[[], None]) -> None:
        name = f"@Internal Flash  /0x{FLASH:08x}/{layout(flash.chip)}"
        texts = ("STMicroelectronics", "STM32  BOOTLOADER", "385F32523030", name)
        super().__init__(
            "dfu", 0x0483, 0xDF11, texts, take=self._request, interface=INTERFACE.hex()
        )
        self._flash, self._leave = flash, leave
        self.protected = False
        self.unplug_after: int | None = None
        self._state, self._status, self._address = IDLE, OK, FLASH
        self._block: tuple[int, bytes] = (0, b"")
        self._blocks = 0

    def _request(self, packet: bytes) -> bytes | None:
        _, request, value, _, length = struct.unpack_from("<BBHHH", packet)
        if request == GETSTATUS:
            return self._get_status()
        if request == GETSTATE:
            return DONE + bytes([self._state])
        if request in (CLRSTATUS, ABORT):
            self._state, self._status = IDLE, OK
            return DONE
        if request == DNLOAD and self._state in (IDLE, DNLOAD_IDLE):
            self._block = (value, packet[8:])
            self._state = DNLOAD_SYNC if length else MANIFEST_SYNC
            return DONE
        if request == UPLOAD and self._state in (IDLE, UPLOAD_IDLE) and not self.protected:
            self._state = UPLOAD_IDLE
            start = self._address - FLASH + (value - 2) * TRANSFER
            return DONE + bytes(self._flash.bytes[start : start + length])
        self._state, self._status = ERROR, ERR_VENDOR
        return STALL

    def _get_status(self) -> bytes | None:
        if self._state == DNLOAD_SYNC:
            self._state = DNBUSY
        elif self._state == DNBUSY:
            if self._blocks == self.unplug_after:
                return None
            self._status = self._download(*self._block)
            self._state = DNLOAD_IDLE if self._status == OK else ERROR
        elif self._state == MANIFEST_SYNC:
            self._state = MANIFEST
            self._leave()
        return DONE + bytes([self._status, 0, 0, 0, self._state, 0])

    def _download(self, number: int, data: bytes) -> int:
        if self.protected:
            return ERR_VENDOR
        if number == 0 and data == bytes([ERASE]):
            self._flash.erase_all()
            return OK
        if number == 0:
            command, address = struct.unpack("<BI", data)
            if command == SET_ADDRESS:
                self._address = address
                return OK
            sector = self._flash.sector_at(address - FLASH)
            return OK if sector is not None and self._flash.erase(sector) else ERR_ERASE
        self._blocks += 1
        start = self._address - FLASH + (number - 2) * TRANSFER
        return OK if self._flash.write(start, data) else ERR_WRITE


def layout(chip: Chip) -> str:
    """Return the sectors as ST's loaders describe them: ``04*016Kg,01*064Kg,07*128Kg``."""
    sizes = list(dict.fromkeys(chip.sectors))
    return ",".join(f"{chip.sectors.count(k):02}*{k // 1024:03}Kg" for k in sizes)
