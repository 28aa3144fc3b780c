"""The private peripheral bus of a Cortex-M4: debug registers, breakpoints, cycle counter, ROM table.

The core and the debugger see the same registers (Armv7-M Architecture Reference Manual, part C).
"""

from collections.abc import Callable

from tests.testbeds.nrf52840.core import Core

BASE, SIZE = 0xE0000000, 0x100000
ROM = 0xE00FF000
_ITM, _DWT, _FPB, _SCS = 0xE0000000, 0xE0001000, 0xE0002000, 0xE000E000
_CPUID, _AIRCR, _DFSR, _FPCAR = 0xE000ED00, 0xE000ED0C, 0xE000ED30, 0xE000EF38
_DHCSR, _DCRSR, _DCRDR, _DEMCR = 0xE000EDF0, 0xE000EDF4, 0xE000EDF8, 0xE000EDFC
_MVFR0, _MVFR1 = 0xE000EF40, 0xE000EF44
_CYCCNT = _DWT + 4
_COMPARATORS = range(_FPB + 8, _FPB + 8 + 6 * 4, 4)
_ENABLED, _HALT, _STEP = 1, 2, 4  # of DHCSR
_VC_CORERESET, _TRCENA = 1, 1 << 24  # of DEMCR
#: Part numbers of the components (Arm Cortex-M4 TRM, table 9-1), JEP106 code of Arm, classes.
_PARTS = {_ITM: 0x001, _DWT: 0x002, _FPB: 0x003, _SCS: 0x00C, ROM: 0x4C4}
_FIXED = {
    _CPUID: 0x410FC241,
    _MVFR0: 0x10110021,
    _MVFR1: 0x11000011,
    # offsets of the components, and that they are there
    ROM: 0xFFF0F003,
    ROM + 4: 0xFFF02003,
    ROM + 8: 0xFFF03003,
    ROM + 12: 0xFFF01003,
    ROM + 16: 0,
    ROM + 0xFCC: 1,
}


class PrivateBus:
    """Registers of the core's own address space.

    Parameters
    ----------
    core : Core
    reset : callable
        Resets the chip at once (AIRCR.SYSRESETREQ of a debugger).
    """

    def __init__(self, core: Core, reset: Callable[[], None]) -> None:
        self._core = core
        self._reset = reset
        core.on_halt = self._halted
        self.power_on()

    def power_on(self) -> None:
        """Forget what a debugger has set."""
        self._control = self._data = self._monitor = self._why = 0
        self._was_reset = True
        self._breakpoint_unit = {_FPB: 0x60}  # 6 comparators, off
        self._counting, self._counter = False, 0
        self._others: dict[int, int] = {}
        self._core.debugged = False
        self._core.set_breakpoints(set())

    def after_reset(self) -> bool:
        """Learn of a reset, which debug registers survive; return whether the core shall halt."""
        self._was_reset = True
        self._others.clear()
        halts = bool(self._control & _ENABLED and self._monitor & _VC_CORERESET)
        self._why |= 8 if halts else 0
        return halts

    def read(self, address: int) -> int:
        """Return a register."""
        page, offset = address & ~0xFFF, address & 0xFFF
        if address in _FIXED:
            return _FIXED[address]
        if address == _DHCSR:
            return self._status()
        if address == _CYCCNT:
            return self._cycles() & 0xFFFFFFFF
        if address == _DWT:
            return 0x40000000 | self._counting  # 4 comparators, which are not modelled
        if page == _FPB and offset < 0xFD0:
            return self._breakpoint_unit.get(address, 0)
        if page in _PARTS and offset >= 0xFD0:
            return _identity(_PARTS[page], 1 if page == ROM else 0xE).get(offset, 0)
        known = {_DCRDR: self._data, _DEMCR: self._monitor, _DFSR: self._why, _AIRCR: 0xFA050000}
        return known.get(address, self._others.get(address, 0))

    def write(self, address: int, value: int, *, from_core: bool = False) -> None:
        """Set a register."""
        if address == _DHCSR:
            if value >> 16 == 0xA05F and not from_core:
                self._run_control(value)
        elif address == _DCRSR:
            if value >> 16 & 1:
                self._core.write_register(value & 0x7F, self._data)
            else:
                self._data = self._core.read_register(value & 0x7F)
        elif address == _DCRDR:
            self._data = value
        elif address == _DEMCR:
            self._monitor = value
        elif address == _DFSR:
            self._why &= ~value
        elif address == _AIRCR:
            if value >> 16 == 0x05FA and value & 5:
                self._core.ask_for_reset() if from_core else self._reset()
        elif address == _CYCCNT:
            self._counter = value - self._core.cycles if self._counting else value
        elif address == _DWT:
            self._count(bool(value & 1 and self._monitor & _TRCENA))
        elif address & ~0xFFF == _FPB:
            self._set_breakpoint(address, value)
        else:
            self._others[address] = value

    def _halted(self, why: int) -> None:
        self._why |= why

    def _status(self) -> int:
        core, was_reset = self._core, self._was_reset
        self._was_reset = False
        bits = {16: True, 17: core.halted, 19: bool(core.locked_up), 24: True, 25: was_reset}
        return self._control & 0xF | sum(1 << bit for bit, is_set in bits.items() if is_set)

    def _run_control(self, value: int) -> None:
        self._control = value & 0xF
        self._core.debugged = bool(value & _ENABLED)
        if not value & _ENABLED or not value & (_HALT | _STEP):
            if self._core.halted:
                self._core.resume()
        elif value & _HALT:
            self._core.halt(1)
        elif self._core.halted:
            self._core.step()

    def _cycles(self) -> int:
        return self._core.cycles + self._counter if self._counting else self._counter

    def _count(self, counting: bool) -> None:
        if counting != self._counting:
            now = self._cycles()
            self._counting = counting
            self._counter = now - self._core.cycles if counting else now

    def _set_breakpoint(self, address: int, value: int) -> None:
        unit = self._breakpoint_unit
        if address == _FPB:
            if value & 2:  # the key
                unit[_FPB] = 0x60 | value & 1
        elif address in _COMPARATORS:
            unit[address] = value
        compared = [unit.get(register, 0) for register in _COMPARATORS]
        places = {(v & 0x1FFFFFFC) + (2 if v >> 30 == 2 else 0) for v in compared if v & 1}
        self._core.set_breakpoints(places if unit[_FPB] & 1 else set())


def _identity(part: int, kind: int) -> dict[int, int]:
    """Return the registers PIDR and CIDR of a component of Arm's."""
    return {
        0xFD0: 4, 0xFE0: part & 0xFF, 0xFE4: 0xB0 | part >> 8, 0xFE8: 0x0B,
        0xFF0: 0x0D, 0xFF4: kind << 4, 0xFF8: 0x05, 0xFFC: 0xB1,
    }  # fmt: skip
