"""The virtual nRF52840: memories, peripherals, power, read protection, and faults to order."""

import random
import struct
from collections.abc import Callable

from unicorn import UC_HOOK_MEM_WRITE, Uc, UcError

from tests.testbeds.nrf52840 import debug
from tests.testbeds.nrf52840.core import Core
from tests.testbeds.nrf52840.peripherals import Clock, Gpio, Nvmc, Peripheral, Uart

FLASH, RAM = 1 << 20, 256 << 10
_RAM_BASE, _FICR, _UICR = 0x20000000, 0x10000000, 0x10001000
_APPROTECT = _UICR + 0x208
_APB, _AHB = 0x40000000, 0x50000000
#: Pins of the development kit's USB bridge (nRF52840 DK, table of its interface MCU).
TX, RX = 6, 8


class BusFault(Exception):
    """Nothing is at an address, or it is protected."""


class Nrf52840:
    """A chip on a board with a USB bridge; power is off at first.

    Parameters
    ----------
    say : callable, optional
        Takes what the UART says.
    part : int
        What FICR.INFO.PART says.

    Attributes
    ----------
    flips : set of int
        Addresses of words whose lowest bit is wrong after they were programmed.
    words_left : int, optional
        Power is lost after so many words more were written to flash.
    erases_left : int, optional
        Power is lost while the so-many-th page more is erased: some of its bits are still there.
    """

    def __init__(
        self, say: Callable[[bytes], None] = lambda data: None, *, part: int = 0x52840
    ) -> None:
        self.core = Core()
        self.flips: set[int] = set()
        self.words_left: int | None = None
        self.erases_left: int | None = None
        self.erased_pages = self.written_words = self.resets = 0
        self._written: list[tuple[int, int, int, int]] = []
        self.uart = Uart(say, TX, RX)
        self.nvmc = Nvmc(self._erase, self.erase_all, self._settle)
        self._peripherals: dict[int, Peripheral] = {
            0x40000000: Clock(), 0x40002000: self.uart, 0x4001E000: self.nvmc, 0x50000000: Gpio(),
        }  # fmt: skip
        self.private = debug.PrivateBus(self.core, self.reset)
        self._map(part)
        self.core.on_reset = self.reset
        self.core.on_idle = self._after_slice

    @property
    def powered(self) -> bool:
        """Whether power is on."""
        return not self.core.off

    @property
    def protected(self) -> bool:
        """Whether the debug port is kept away from the memories."""
        return self._protected

    def power_on(self) -> None:
        """Start; flash and UICR are as they were left."""
        self.core.uc.mem_write(_RAM_BASE, bytes(RAM))
        self.private.power_on()
        self.core.off = False
        self._protected = self._word(_APPROTECT) & 0xFF not in (0xFF, 0x5A)
        self.reset()

    def power_off(self) -> None:
        """Stop at once."""
        self.core.off = True
        self.words_left = self.erases_left = None
        self.core.uc.emu_stop()

    def lock(self) -> None:
        """Set the read protection, as the maker of a product does; it holds from the next power-on."""
        self.core.uc.mem_write(_APPROTECT, struct.pack("<I", 0xFFFFFF00))

    def erase_all(self) -> None:
        """Erase flash and UICR."""
        self._erase(0, FLASH)
        self._erase(_UICR, 0x1000)

    def recover(self) -> None:
        """Erase all, and end the read protection (ERASEALL of CTRL-AP)."""
        self.erase_all()
        self.core.uc.mem_write(_RAM_BASE, bytes(RAM))
        self._protected = False

    def reset(self) -> None:
        """Reset core and peripherals."""
        self._settle()
        self.resets += 1
        for peripheral in self._peripherals.values():
            peripheral.reset()
        self.core.reset(halt=self.private.after_reset())

    def receive(self, data: bytes) -> None:
        """Take bytes from the line."""
        if self.powered and self.uart.receive(data):
            self.core.wake()

    def flash(self, address: int, size: int) -> bytes:
        """Return what is in flash."""
        return bytes(self.core.uc.mem_read(address, size))

    def read(self, address: int, size: int = 4) -> int:
        """Return what the debugger reads.

        Raises
        ------
        BusFault
            If nothing is there.
        """
        if address >= debug.BASE:
            return self.private.read(address & ~3) >> 8 * (address & 3) & (1 << 8 * size) - 1
        if (page := self._peripheral(address)) is not None:
            return page.read(address & 0xFFF)
        try:
            return int.from_bytes(self.core.uc.mem_read(address, size), "little")
        except UcError:
            raise BusFault from None

    def write(self, address: int, value: int, size: int = 4) -> None:
        """Write for the debugger.

        Raises
        ------
        BusFault
            If nothing is there, or flash is written in less than words.
        """
        value &= (1 << 8 * size) - 1
        if address >= debug.BASE:
            self.private.write(address, value)
        elif (page := self._peripheral(address)) is not None:
            page.write(address & 0xFFF, value)
        elif address < FLASH or address >> 12 == _UICR >> 12:
            if size != 4 or address & 3:
                raise BusFault
            self._program(address, self._word(address), value)
        elif address >> 12 != _FICR >> 12:
            try:
                self.core.uc.mem_write(address, value.to_bytes(size, "little"))
            except UcError:
                raise BusFault from None

    def _map(self, part: int) -> None:
        uc = self.core.uc
        uc.mem_map(0, FLASH)
        uc.mem_map(_FICR, 0x2000)
        uc.mem_map(_RAM_BASE, RAM)
        uc.mem_write(0, b"\xff" * FLASH)
        uc.mem_write(_FICR, b"\xff" * 0x2000)
        # PS 1.7, 4.4: CODEPAGESIZE, CODESIZE, INFO.PART, VARIANT AAD0, PACKAGE QI, RAM, FLASH
        known = {
            0x10: 4096,
            0x14: 256,
            0x100: part,
            0x104: 0x41414430,
            0x108: 0x2004,
            0x10C: 256,
            0x110: 1024,
        }
        for offset, value in known.items():
            uc.mem_write(_FICR + offset, struct.pack("<I", value))
        uc.mmio_map(_APB, 0x100000, self._core_reads, _APB, self._core_writes, _APB)
        uc.mmio_map(_AHB, 0x1000, self._core_reads, _AHB, self._core_writes, _AHB)
        private = self.private
        uc.mmio_map(
            debug.BASE, debug.SIZE,
            lambda uc, offset, size, data: private.read(debug.BASE + offset), None,
            lambda uc, offset, size, value, data: private.write(
                debug.BASE + offset, value, from_core=True
            ), None,
        )  # fmt: skip
        uc.hook_add(UC_HOOK_MEM_WRITE, self._flash_written, None, 0, FLASH - 1)
        uc.hook_add(UC_HOOK_MEM_WRITE, self._flash_written, None, _UICR, _UICR + 0xFFF)

    def _peripheral(self, address: int) -> Peripheral | None:
        if _APB <= address < _APB + 0x100000 or _AHB <= address < _AHB + 0x1000:
            return self._peripherals.setdefault(address & ~0xFFF, Peripheral())
        return None

    def _core_reads(self, uc: Uc, offset: int, size: int, base: int) -> int:
        page = self._peripheral(base + offset)
        return 0 if page is None else page.read(offset & 0xFFF)

    def _core_writes(self, uc: Uc, offset: int, size: int, value: int, base: int) -> None:
        page = self._peripheral(base + offset)
        if page is not None:
            page.write(offset & 0xFFF, value)

    def _after_slice(self) -> None:
        self._settle()
        self.uart.flush()

    def _word(self, address: int) -> int:
        return int.from_bytes(self.core.uc.mem_read(address, 4), "little")

    def _flash_written(
        self, uc: Uc, kind: int, address: int, size: int, value: int, data: object
    ) -> None:
        # comes before the write, which cannot be prevented: `_settle` puts right what it does
        self._written.append((address, size, self._word(address & ~3), value & 0xFFFFFFFF))

    def _settle(self) -> None:
        written, self._written = self._written, []
        for address, size, before, value in written:
            self.core.uc.mem_write(address & ~3, struct.pack("<I", before))
            if size == 4 and address & 3 == 0:  # others are not taken
                self._program(address, before, value)

    def _program(self, address: int, before: int, value: int) -> None:
        """Write a word to flash: bits only become 0, and only while NVMC allows it."""
        if not self.nvmc.writes or not self.powered:
            return
        self.written_words += 1
        self.core.uc.mem_write(address, struct.pack("<I", before & value ^ (address in self.flips)))
        if self.words_left is not None:
            self.words_left -= 1
            if self.words_left <= 0:
                self.power_off()

    def _erase(self, address: int, size: int) -> None:
        if not self.powered:
            return
        self.erased_pages += size // 4096
        if self.erases_left is not None:
            self.erases_left -= 1
            if self.erases_left <= 0:
                before = self.core.uc.mem_read(address, size)
                mask = random.Random(address).randbytes(size)
                self.core.uc.mem_write(address, bytes(map(int.__or__, before, mask)))
                self.power_off()
                return
        self.core.uc.mem_write(address, b"\xff" * size)
