"""What a chip's registers answer while it starts: enough for start-up code to go on, from the
manuals, and a record of what was written in which order."""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import unicorn
from elftools.elf.elffile import ELFFile
from unicorn import arm_const

from edgeflow.targets.board import BoardSpec

Answer = Callable[[Mapping[int, int]], int]
MOST_INSTRUCTIONS = 20_000_000


@dataclass(frozen=True)
class Chip:
    """Registers that do not read as they were written."""

    sent: int
    #: By address; each is given all registers, and 0 for those that nobody wrote.
    answers: Mapping[int, Answer] = field(default_factory=dict)
    reset: Mapping[int, int] = field(default_factory=dict)


class Registers(dict):
    """Written values by address; 0 where there is none."""

    def __missing__(self, address: int) -> int:
        return 0


class Started:
    """A firmware that runs on a core of Unicorn until it has sent a line.

    Attributes
    ----------
    output
        Bytes that the UART was given.
    writes
        Addresses and values in the order of writing.
    registers
        Last values.
    """

    def __init__(self, board: BoardSpec, elf: Path, chip: Chip) -> None:
        self.board, self.chip = board, chip
        self.output = b""
        self.writes: list[tuple[int, int]] = []
        self.registers = Registers(chip.reset)
        self.arm = board.core.disassembler == "thumb"
        self.boot_rom = board.soc is not None and board.soc.name == "rp2040"
        self.core = self._core()
        self._load(elf)
        self._devices()

    def _core(self) -> unicorn.Uc:
        if not self.arm:
            return unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
        core = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        models = {
            "cortex-m0": arm_const.UC_CPU_ARM_CORTEX_M0,
            "cortex-m4": arm_const.UC_CPU_ARM_CORTEX_M4,
            "cortex-m7": arm_const.UC_CPU_ARM_CORTEX_M7,
            "cortex-m33": arm_const.UC_CPU_ARM_CORTEX_M33,
        }
        core.ctl_set_cpu_model(models[self.board.core.name])
        return core

    def _load(self, elf: Path) -> None:
        flash = self.board.memory["flash"]
        places = [flash.base] if self.arm else [flash.base, 0x3C000000]  # and the data bus's view
        for place in places:
            self.core.mem_map(place, flash.size)
        for name, region in self.board.memory.items():
            if name != "flash":
                self.core.mem_map(region.base, -(-region.size // 4096) * 4096)
        with elf.open("rb") as file:
            image = ELFFile(file)
            self.entry = image["e_entry"]
            for segment in image.iter_segments("PT_LOAD"):
                data = segment.data() if self.arm else without_counter(segment.data())
                for place in places:
                    self.core.mem_write(place + segment["p_paddr"] - flash.base, data)

    def _devices(self) -> None:
        ranges = [(0x40000000, 0x20000000), (0xE0000000, 0x100000)]
        if not self.arm:
            ranges = [(0x60000000, 0x200000)]
        if self.boot_rom:
            ranges.append((0x18000000, 0x1000))
        for base, size in ranges:
            self.core.mmio_map(base, size, self._read, base, self._write, base)

    def _read(self, _core: unicorn.Uc, offset: int, _size: int, base: int) -> int:
        answer = self.chip.answers.get(base + offset)
        return answer(self.registers) if answer else self.registers[base + offset]

    def _write(self, core: unicorn.Uc, offset: int, _size: int, value: int, base: int) -> None:
        self.write(base + offset, value)
        if self.output.endswith(b"\n"):
            core.emu_stop()

    def write(self, address: int, value: int) -> None:
        """Take what the core writes."""
        self.registers[address] = value
        self.writes.append((address, value))
        if address == self.chip.sent:
            self.output += bytes([value & 0xFF])

    def run(self) -> bytes:
        """Run until a line is out; return it."""
        start = self.entry
        if self.boot_rom:
            start = self.board.memory["flash"].base | 1  # the second stage, as if it were in RAM
        elif self.arm:
            stack, start = struct.unpack(
                "<2I", self.core.mem_read(self.board.memory["flash"].base, 8)
            )
            self.core.reg_write(arm_const.UC_ARM_REG_SP, stack)
        self.core.emu_start(start, 0xFFFFFFFE, count=MOST_INSTRUCTIONS)
        return self.output

    def first(self, address: int, mask: int = 0xFFFFFFFF) -> int:
        """Return the place in `writes` of the first one that set bits of `mask`."""
        return next(
            n for n, (to, value) in enumerate(self.writes) if to == address and value & mask
        )


def without_counter(code: bytes) -> bytes:
    """Return code without the accesses to the ESP32-C3's cycle counter, which Unicorn has not."""
    patched = bytearray(code)
    for at in range(0, len(code) - 3, 2):
        word = int.from_bytes(code[at : at + 4], "little")
        if word & 0x7F == 0x73 and word >> 20 in (0x7E0, 0x7E1, 0x7E2):
            patched[at : at + 4] = (0x13).to_bytes(4, "little")  # nop
    return bytes(patched)


def bit(address: int, *pairs: tuple[int, int], always: int = 0) -> Answer:
    """Return an answer: a register as written, where each first bit also shows as the second."""

    def answer(registers: Mapping[int, int]) -> int:
        value = registers[address]
        shown = sum(1 << ready for on, ready in pairs if value >> on & 1)
        return value | shown | always

    return answer


def field_as(address: int, low: int, bits: int, shown: int) -> Answer:
    """Return an answer: a register as written, with a field of it shown at another place."""

    def answer(registers: Mapping[int, int]) -> int:
        mask = (1 << bits) - 1
        value = registers[address] & ~(mask << shown)
        return value | (value >> low & mask) << shown

    return answer
