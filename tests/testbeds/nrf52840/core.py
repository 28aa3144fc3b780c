"""A Cortex-M4 core: Unicorn executes its instructions in a thread; a debugger stops it in between.

Cycles are the virtual chip's own: one an instruction, of which a block's (up to a jump) are counted
when it begins, so that equal runs count the same. Sleep in WFI takes none. Silicon takes more: loads,
jumps and flash wait. What would raise an exception locks the core up, as handlers are not modelled.
"""

import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from unicorn import (
    UC_ARCH_ARM,
    UC_HOOK_BLOCK,
    UC_HOOK_CODE,
    UC_HOOK_INTR,
    UC_MODE_MCLASS,
    UC_MODE_THUMB,
    Uc,
    UcError,
)
from unicorn import arm_const as arm

#: Instructions that run before a debugger, who waits, gets its turn.
SLICE = 10_000
#: Numbers of DCRSR (Armv7-M ARM, C1.6.3) and Unicorn's; special registers have methods.
_REGISTERS = {number: arm.UC_ARM_REG_R0 + number for number in range(13)} | {
    13: arm.UC_ARM_REG_SP,
    14: arm.UC_ARM_REG_LR,
    16: arm.UC_ARM_REG_XPSR,
    17: arm.UC_ARM_REG_MSP,
    18: arm.UC_ARM_REG_PSP,
}
_PC, _XPSR, _SPECIAL, _FPSCR, _FIRST_SINGLE = 15, 16, 20, 33, 64
_BKPT = 7  # Unicorn's number of the exception
_THUMB = 1 << 24
_ENDLESS = 0xFFFFFFFE  # no code is there


class Core:
    """The core. All but `visit` and `close` are for who visits.

    Attributes
    ----------
    halted : bool
        Stopped by a debugger.
    locked_up : str
        Why the core cannot go on; "" while it can.
    debugged : bool
        A debugger takes the BKPT instructions (DHCSR.C_DEBUGEN).
    cycles : int
        Instructions since power came on.
    breakpoints : set of int
        Addresses of the breakpoint unit.
    on_halt : callable
        Takes the bit of DFSR that says why the core halted: 1 asked, 2 breakpoint.
    on_idle : callable
        Called after each slice.
    on_reset : callable
        Called when the core asked for a reset of the chip.
    """

    def __init__(self) -> None:
        self.uc = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
        self.uc.ctl_set_cpu_model(arm.UC_CPU_ARM_CORTEX_M4)
        self.uc.hook_add(UC_HOOK_BLOCK, self._begins)
        self.uc.hook_add(UC_HOOK_INTR, self._raises)
        self.halted = False
        self.locked_up = ""
        self.debugged = False
        self.cycles = 0
        self.breakpoints: set[int] = set()
        self.on_halt: Callable[[int], None] = lambda why: None
        self.on_idle: Callable[[], None] = lambda: None
        self.on_reset: Callable[[], None] = lambda: None
        self.pc = 0
        self.off = True
        self._reset_wanted = False
        self._wake = False
        self._hooks: dict[int, int] = {}
        self._counts: dict[tuple[int, int], int] = {}
        self._block = (0, 0)
        self._left = 0
        self._passing = False  # the breakpoint that the core stands on
        self._stopped_by = ""
        self._turn = threading.Condition()
        self._visitors = 0
        self._closed = False
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    @contextmanager
    def visit(self) -> Iterator[None]:
        """Look at or change the chip, while the core stands still between two instructions."""
        self._visitors += 1
        with self._turn:
            self._visitors -= 1
            yield
            self._turn.notify_all()

    def close(self) -> None:
        """End the thread."""
        with self.visit():
            self._closed = True
        self._thread.join()

    def wake(self) -> None:
        """End the sleep in WFI: an interrupt is pending."""
        self._wake = True

    def ask_for_reset(self) -> None:
        """Reset the chip after the instruction that asks for it."""
        self._reset_wanted = True
        self.uc.emu_stop()

    def reset(self, halt: bool) -> None:
        """Begin at the vector table."""
        self.forget_code()
        sp, entry = struct.unpack("<II", self.uc.mem_read(0, 8))
        for register in (arm.UC_ARM_REG_MSP, arm.UC_ARM_REG_SP):
            self.uc.reg_write(register, sp & ~3)
        self.uc.reg_write(arm.UC_ARM_REG_LR, 0xFFFFFFFF)
        for register in (arm.UC_ARM_REG_PRIMASK, arm.UC_ARM_REG_CONTROL):
            self.uc.reg_write(register, 0)
        self.pc, self.halted, self.locked_up = entry & ~1, halt, ""
        self._reset_wanted, self._wake = False, True

    def halt(self, why: int) -> None:
        """Stop; `why` is a bit of DFSR."""
        if not self.halted:
            self.halted, self.locked_up = True, ""
            self.on_halt(why)

    def resume(self) -> None:
        """Go on after a halt."""
        self.forget_code()
        self.halted, self._wake = False, True

    def step(self) -> None:
        """Run one instruction and halt."""
        self.forget_code()
        self._run(1)
        self.on_halt(1)

    def forget_code(self) -> None:
        """Notice that code was written: what was translated of it is old."""
        self.uc.ctl_flush_tb()
        self._counts.clear()

    def set_breakpoints(self, addresses: set[int]) -> None:
        """Stop before the instructions at these addresses."""
        for address in self.breakpoints - addresses:
            self.uc.hook_del(self._hooks.pop(address))
        for address in addresses - self.breakpoints:
            self._hooks[address] = self.uc.hook_add(
                UC_HOOK_CODE, self._at_breakpoint, None, address, address
            )
        self.breakpoints = set(addresses)
        self.forget_code()

    def read_register(self, number: int) -> int:
        """Return a register by its number in DCRSR."""
        read = self.uc.reg_read
        if number == _PC:
            return self.pc
        if number == _XPSR:
            return read(arm.UC_ARM_REG_XPSR) | _THUMB
        if number in _REGISTERS:
            return read(_REGISTERS[number]) & 0xFFFFFFFF
        if number == _SPECIAL:
            return read(arm.UC_ARM_REG_PRIMASK) & 1 | (read(arm.UC_ARM_REG_CONTROL) & 7) << 24
        if number == _FPSCR:
            return read(arm.UC_ARM_REG_FPSCR)
        if _FIRST_SINGLE <= number < _FIRST_SINGLE + 32:
            return read(arm.UC_ARM_REG_S0 + number - _FIRST_SINGLE) & 0xFFFFFFFF
        return 0

    def write_register(self, number: int, value: int) -> None:
        """Set a register by its number in DCRSR."""
        write = self.uc.reg_write
        if number == _PC:
            self.pc = value & ~1
        elif number in _REGISTERS:
            write(_REGISTERS[number], value)
        elif number == _SPECIAL:
            write(arm.UC_ARM_REG_PRIMASK, value & 1)
            write(arm.UC_ARM_REG_CONTROL, value >> 24 & 7)
        elif number == _FPSCR:
            write(arm.UC_ARM_REG_FPSCR, value)
        elif _FIRST_SINGLE <= number < _FIRST_SINGLE + 32:
            write(arm.UC_ARM_REG_S0 + number - _FIRST_SINGLE, value)

    def _live(self) -> None:
        asleep = False
        while True:
            with self._turn:
                while not self._closed and (self._visitors or not self._runs(asleep)):
                    # looks now and then, as what wakes it need not take its turn
                    self._turn.wait(0.002)
                if self._closed:
                    return
                asleep = self._run()

    def _runs(self, asleep: bool) -> bool:
        stands = self.off or self.halted or self.locked_up
        return not stands and (self._wake or not asleep)

    def _run(self, count: int = 0) -> bool:
        """Run a slice, or a number of instructions; return whether the core went to sleep."""
        self._left, self._stopped_by, self._wake = SLICE, "", False
        self._passing, self._block = True, (0, 0)
        before = self.cycles
        try:
            self.uc.emu_start(self.pc | 1, _ENDLESS, count=count)
        except UcError as error:
            self._stopped_by = f"fault: {error}"
        self.pc = self.uc.reg_read(arm.UC_ARM_REG_PC) & ~1
        if count:
            self.cycles = before + count
        elif self._stopped_by not in ("", "slice"):
            begins, ends = self._block
            if begins <= self.pc < ends:  # the rest of the block did not run
                self.cycles -= self._instructions(self.pc, ends - self.pc)
        self.on_idle()
        if self._reset_wanted:
            self.on_reset()
        elif self._stopped_by == "breakpoint":
            self.halt(2)
        elif self._stopped_by.startswith("fault"):
            self.locked_up = f"{self._stopped_by} at 0x{self.pc:08x}"
        return not (count or self._stopped_by or self._reset_wanted)

    def _begins(self, uc: Uc, address: int, size: int, data: object) -> None:
        count = self._counts.get((address, size))
        if count is None:
            count = self._counts[address, size] = self._instructions(address, size)
        self._left -= count
        if self._left < 0:
            self._stopped_by = "slice"
            uc.emu_stop()  # before its first instruction
            return
        self._block = address, address + size
        self.cycles += count

    def _instructions(self, address: int, size: int) -> int:
        """Return the number of Thumb instructions: those of 32 bits begin with 0b11101 or more."""
        halves = struct.unpack(f"<{size // 2}H", self.uc.mem_read(address, size))
        at = count = 0
        while at < len(halves):
            at += 2 if halves[at] >> 11 >= 0b11101 else 1
            count += 1
        return count

    def _at_breakpoint(self, uc: Uc, address: int, size: int, data: object) -> None:
        if not self._passing or address != self.pc:
            self._stopped_by = "breakpoint"
            uc.emu_stop()
        self._passing = False

    def _raises(self, uc: Uc, number: int, data: object) -> None:
        is_halt = number == _BKPT and self.debugged
        self._stopped_by = "breakpoint" if is_halt else f"fault: exception {number}"
        uc.emu_stop()
