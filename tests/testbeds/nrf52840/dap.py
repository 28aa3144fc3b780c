"""The debug port of the chip: a SW-DP with a MEM-AP and Nordic's CTRL-AP.

Arm Debug Interface Architecture Specification ADIv5.2; CTRL-AP: nRF52840 PS 1.7, 4.7.
"""

from tests.testbeds.nrf52840 import debug
from tests.testbeds.nrf52840.chip import BusFault, Nrf52840

#: Acknowledgements of a transfer.
OK, FAULT, NOTHING = 1, 4, 7
_STICKY = 0x20


class Dap:
    """The chip as a debug probe sees it; whoever calls visits the core."""

    def __init__(self, chip: Nrf52840) -> None:
        self.chip = chip
        self._select = self._control = self._sticky = 0
        self._memory = _MemoryAp(chip)
        self._ports = {0: self._memory, 1: _ControlAp(chip)}

    def transfer(self, request: int, value: int = 0) -> tuple[int, int]:
        """Do one transfer.

        Parameters
        ----------
        request : int
            Bit 0: access port rather than debug port; bit 1: read; bits 2 and 3: address.
        value : int
            What is written.

        Returns
        -------
        tuple of int
            Acknowledgement, and what was read.
        """
        if not self.chip.powered:
            return NOTHING, 0
        is_port, reads, address = request & 1, request & 2, request & 0xC
        if not is_port:
            return OK, self._read(address) if reads else self._write(address, value)
        if self._sticky:
            return FAULT, 0
        port = self._ports.get(self._select >> 24)
        register = self._select & 0xF0 | address
        try:
            if port is None:
                return OK, 0
            return OK, port.read(register) if reads else port.write(register, value)
        except BusFault:
            self._sticky = _STICKY
            return FAULT, 0

    def clear(self) -> None:
        """Clear the sticky error (the register ABORT)."""
        self._sticky = 0

    def _read(self, address: int) -> int:
        if address == 0:
            return 0x2BA01477  # DPIDR
        if address == 4:  # power is acknowledged at once
            return self._control & 0x50000000 | self._control << 1 & 0xA0000000 | self._sticky
        return 0

    def _write(self, address: int, value: int) -> int:
        if address == 0 and value & 0x1E:
            self.clear()
        elif address == 4:
            self._control = value
        elif address == 8:
            self._select = value
        return 0


class _MemoryAp:
    """AHB-AP: registers, and memory at the address in TAR."""

    _CSW, _TAR, _DRW, _BASE, _IDR = 0x00, 0x04, 0x0C, 0xF8, 0xFC

    def __init__(self, chip: Nrf52840) -> None:
        self._chip = chip
        self._csw, self._tar = 0x23000002, 0

    def read(self, register: int) -> int:
        enabled = 0 if self._chip.protected else 0x40
        known = {
            self._CSW: self._csw | enabled,
            self._TAR: self._tar,
            self._BASE: debug.ROM | 3,
            self._IDR: 0x24770011,
        }
        if register in known:
            return known[register]
        address, size, shift = self._place(register)
        return self._chip.read(address, size) << shift if size else 0

    def write(self, register: int, value: int) -> int:
        if register == self._CSW:
            # packed transfers are not there: single ones instead
            self._csw = value & 0x7F000F17
        elif register == self._TAR:
            self._tar = value
        else:
            address, size, shift = self._place(register)
            if size:
                self._chip.write(address, value >> shift, size)
        return 0

    def _place(self, register: int) -> tuple[int, int, int]:
        """Return address, bytes, and bits to the left in the word, of a data register."""
        if register != self._DRW and not 0x10 <= register <= 0x1C:
            return 0, 0, 0
        if self._chip.protected:
            raise BusFault
        if register != self._DRW:
            return (self._tar & ~15) + (register & 0xC), 4, 0
        address, size = self._tar, 1 << (self._csw & 3)
        if self._csw & 0x10:  # within 1 KB is sure; the core's increments in 4
            self._tar = address & ~0xFFF | (address + size) & 0xFFF
        return address, size, 8 * (address & 3)


class _ControlAp:
    """CTRL-AP: resets, and erases all of a chip that is read-protected."""

    _RESET, _ERASEALL, _ERASEALLSTATUS, _APPROTECTSTATUS, _IDR = 0x00, 0x04, 0x08, 0x0C, 0xFC

    def __init__(self, chip: Nrf52840) -> None:
        self._chip = chip
        self._registers: dict[int, int] = {}

    def read(self, register: int) -> int:
        if register == self._APPROTECTSTATUS:
            return int(not self._chip.protected)
        known = {self._IDR: 0x02880000, self._ERASEALLSTATUS: 0}
        return known.get(register, self._registers.get(register, 0))

    def write(self, register: int, value: int) -> int:
        before = self._registers.get(register, 0)
        self._registers[register] = value
        if register == self._RESET and before & 1 and not value & 1:
            self._chip.reset()
        elif register == self._ERASEALL and value & 1:
            self._chip.recover()
        return 0
