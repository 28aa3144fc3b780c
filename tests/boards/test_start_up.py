"""Start-up code of the boards that QEMU does not have, on a core of Unicorn.

Registers answer as the manuals say. What is compared with the board files comes from the values
that the code left in them: clock, wait states, pins and baud rate.
"""

import math
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("unicorn", reason="unicorn is not installed: pip install unicorn")

from edgeflow.targets.board import BoardSpec, load_board
from edgeflow.targets.pins import pin_number
from edgeflow.targets.toolchain import (
    board_defines,
    board_include_dirs,
    board_sources,
    compile_sources,
    link,
)
from tests.boards.chips import Chip, Registers, Started, bit, field_as

pytestmark = pytest.mark.board

ECHO = Path(__file__).parent / "echo.c"
MHZ = 1_000_000


def started(name: str, chip: Chip, folder: Path) -> Started:
    """Build the echo firmware for a board, and run it until it has greeted."""
    board = load_board(name)
    objects = compile_sources(
        board.core, [ECHO, *board_sources(board)], folder, include_dirs=board_include_dirs(),
        defines=board_defines(board), extra_flags=["-O2"],
    )  # fmt: skip
    run = Started(board, link(board, objects, folder / "firmware.elf"), chip)
    assert run.run() == f"HELLO {name}\r\n".encode()
    return run


def field(value: int, low: int, bits: int) -> int:
    return value >> low & ((1 << bits) - 1)


def check_baud(board: BoardSpec, rate: float) -> None:
    assert board.uart is not None
    assert rate == pytest.approx(board.uart.baud, rel=0.01)


def check_stm32_pins(run: Started, gpioa: int, enabled: int) -> None:
    """Both pins have the function of the UART, and their ports a clock."""
    uart = run.board.uart
    assert uart is not None and uart.tx is not None and uart.rx is not None
    for name in (uart.tx, uart.rx):
        port, pin = divmod(pin_number(name), 16)
        base = gpioa + 0x400 * port
        assert field(run.registers[base], 2 * pin, 2) == 2, "MODER: alternate function"
        assert field(run.registers[base + 0x20 + 4 * (pin // 8)], 4 * (pin % 8), 4) == uart.af
        assert enabled >> port & 1


@pytest.mark.parametrize(
    ("name", "apb1_limit", "clock_gate"),
    [("nucleo-f401re", 42, 17), ("nucleo-f446re", 45, 17)],
)
def test_stm32f4(name: str, apb1_limit: int, clock_gate: int, tmp_path: Path) -> None:
    cr, pllcfgr, cfgr, acr, usart = 0x40023800, 0x40023804, 0x40023808, 0x40023C00, 0x40004400
    pwr_cr = 0x40007000
    chip = Chip(
        usart + 4,
        {
            cr: bit(cr, (0, 1), (24, 25)),
            cfgr: field_as(cfgr, 0, 2, 2),
            pwr_cr + 4: lambda r: r[pwr_cr] & 0x30000,  # ODRDY, ODSWRDY
            usart: lambda r: 0xC0,
        },
        {cr: 0x83, pllcfgr: 0x24003010},
    )
    run = started(name, chip, tmp_path)
    board, regs, uart = run.board, run.registers, run.board.uart
    assert board.clock_hz is not None and uart is not None
    pll = regs[pllcfgr]
    vco = 16 * MHZ / field(pll, 0, 6) * field(pll, 6, 9)
    assert 192 * MHZ <= vco <= 432 * MHZ and field(pll, 22, 1) == 0  # of HSI
    assert vco / (2 * field(pll, 16, 2) + 2) == board.clock_hz
    assert field(regs[acr], 0, 4) == math.ceil(board.clock_hz / 30e6) - 1  # at 2.7 V or more
    assert run.first(acr) < run.first(cfgr, 3), "wait states before the clock"
    overdrive = regs[pwr_cr] & 0x30000
    assert overdrive == (0x30000 if board.clock_hz > 168 * MHZ else 0)
    apb1 = board.clock_hz / {0: 1, 4: 2, 5: 4}[field(regs[cfgr], 10, 3)]
    assert apb1 == uart.clock_hz <= apb1_limit * MHZ
    assert regs[0x40023840] >> clock_gate & 1
    check_baud(board, apb1 / regs[usart + 8])
    check_stm32_pins(run, 0x40020000, regs[0x40023830])


def test_stm32l4(tmp_path: Path) -> None:
    cr, cfgr, pllcfgr, acr, uart = 0x40021000, 0x40021008, 0x4002100C, 0x40022000, 0x40008000
    pwr_cr5 = 0x40007080
    chip = Chip(
        uart + 0x28,
        {
            cr: bit(cr, (8, 10), (24, 25)),
            cfgr: field_as(cfgr, 0, 2, 2),
            uart + 0x1C: lambda r: 0xC0,
        },
        {cr: 0x63, pwr_cr5: 0x100},
    )
    run = started("nucleo-l4r5zi", chip, tmp_path)
    regs = run.registers
    pll = regs[pllcfgr]
    vco = 16 * MHZ / (field(pll, 4, 4) + 1) * field(pll, 8, 7)
    assert 64 * MHZ <= vco <= 344 * MHZ and field(pll, 0, 2) == 2 and field(pll, 24, 1)
    assert vco / (2 * field(pll, 25, 2) + 2) == run.board.clock_hz
    assert field(regs[acr], 0, 4) == 5
    assert run.first(acr) < run.first(cfgr, 3)
    assert not regs[pwr_cr5] & 0x100, "boost"
    assert run.writes.index((pwr_cr5, 0)) < run.first(cfgr, 3)
    assert regs[0x40007004] & 0x200, "IOSV: port G has its supply"
    assert field(regs[cfgr], 4, 4) == 0 and regs[0x4002105C] & 1
    assert run.board.clock_hz is not None
    check_baud(run.board, 256 * run.board.clock_hz / regs[uart + 0x0C])
    check_stm32_pins(run, 0x48000000, regs[0x4002104C])


def test_stm32h7(tmp_path: Path) -> None:
    rcc, pwr, acr, uart = 0x58024400, 0x58024800, 0x52002000, 0x40004800
    chip = Chip(
        uart + 0x28,
        {
            rcc: bit(rcc, (24, 25)),
            rcc + 0x10: field_as(rcc + 0x10, 0, 3, 3),
            pwr + 4: lambda r: 0x2000,
            pwr + 0x18: bit(pwr + 0x18, always=0x2000),
            uart + 0x1C: lambda r: 0xC0,
            0xE000ED80: lambda r: 0xF00FE019,  # CCSIDR: 16 KB, 4 ways of 128 lines of 32 bytes
        },
        {rcc: 1, pwr + 0x0C: 6, pwr + 0x18: 0x4000},
    )
    run = started("nucleo-h743zi", chip, tmp_path)
    regs = run.registers
    divm, dividers = field(regs[rcc + 0x28], 4, 6), regs[rcc + 0x30]
    reference = 64 * MHZ / divm
    assert 4 * MHZ <= reference <= 8 * MHZ and field(regs[rcc + 0x2C], 2, 2) == 2
    vco = reference * (field(dividers, 0, 9) + 1)
    assert 192 * MHZ <= vco <= 836 * MHZ
    assert vco / (field(dividers, 9, 7) + 1) == run.board.clock_hz == 400 * MHZ
    assert field(regs[pwr + 0x18], 14, 2) == 3, "VOS1"
    assert (field(regs[acr], 0, 4), field(regs[acr], 4, 2)) == (2, 2)  # at 200 MHz and VOS1
    assert run.first(acr) < run.first(rcc + 0x10, 7)
    assert field(regs[rcc + 0x18], 0, 4) == 8 and field(regs[rcc + 0x1C], 4, 3) == 4
    uart_hz = run.board.clock_hz / 2 / 2
    assert run.board.uart is not None and run.board.uart.clock_hz == uart_hz
    check_baud(run.board, uart_hz / regs[uart + 0x0C])
    assert regs[0xE000ED14] & 0x30000 == 0x30000, "both caches"
    ways = {value >> 30 for to, value in run.writes if to == 0xE000EF60}
    lines = {value & 0x3FFFFFFF for to, value in run.writes if to == 0xE000EF60}
    assert ways == {0, 1, 2, 3} and lines == {32 * line for line in range(128)}
    assert regs[0xE0001FB0] == 0xC5ACCE55, "the DWT's lock"
    assert regs[rcc + 0xE8] >> 18 & 1
    check_stm32_pins(run, 0x58020000, regs[rcc + 0xE0])


def test_stm32u5(tmp_path: Path) -> None:
    rcc, vosr, acr, uart = 0x46020C00, 0x4602080C, 0x40022000, 0x40013800
    chip = Chip(
        uart + 0x28,
        {
            rcc: bit(rcc, (8, 10), (24, 25)),
            rcc + 0x1C: field_as(rcc + 0x1C, 0, 2, 2),
            vosr: bit(vosr, (16, 15), (18, 14)),
            uart + 0x1C: lambda r: 0xC0,
        },
    )
    run = started("nucleo-u575zi-q", chip, tmp_path)
    regs = run.registers
    pll, dividers = regs[rcc + 0x28], regs[rcc + 0x34]
    vco = 16 * MHZ / (field(pll, 8, 4) + 1) * (field(dividers, 0, 9) + 1)
    assert field(pll, 0, 2) == 2 and field(pll, 2, 2) == 3 and field(pll, 18, 1)
    assert 128 * MHZ <= vco <= 544 * MHZ and field(pll, 12, 4) == 0
    assert vco / (field(dividers, 24, 7) + 1) == run.board.clock_hz
    assert field(regs[vosr], 16, 2) == 3 and field(regs[vosr], 18, 1)
    assert run.first(rcc + 0x28) < run.first(vosr, 1 << 18) < run.first(rcc, 1 << 24)
    assert field(regs[acr], 0, 4) == 4 and run.first(acr) < run.first(rcc + 0x1C, 3)
    assert regs[0x40030400] & 1, "instruction cache"
    assert regs[rcc + 0x20] == 0 and regs[rcc + 0xA4] >> 14 & 1
    assert run.board.clock_hz is not None
    check_baud(run.board, run.board.clock_hz / regs[uart + 0x0C])
    check_stm32_pins(run, 0x42020000, regs[rcc + 0x8C])


@pytest.mark.parametrize("crystal", [True, False])
def test_nrf52(crystal: bool, tmp_path: Path) -> None:
    """With the crystal, and without one: then it goes on after a while."""
    uart, started_event = 0x40002000, 0x40000100
    answers: dict[int, Callable[[Registers], int]] = {uart + 0x11C: lambda r: 1}
    if crystal:
        answers[started_event] = lambda r: r[0x40000000]
    run = started("nrf52840-dk", Chip(uart + 0x51C, answers), tmp_path)
    regs = run.registers
    assert regs[0x40000000] == 1 and regs[0x4001E540] == 1
    assert (regs[uart + 0x50C], regs[uart + 0x514]) == (6, 8)
    assert regs[0x50000518] == regs[0x50000508] == 1 << 6, "TX drives, high"
    assert regs[0x50000700 + 4 * 8] & 2 == 0, "RX is connected"
    check_baud(run.board, regs[uart + 0x524] * 16e6 / 2**32)


class Flash:
    """The RP2040's serial interface with a W25Q16JV behind it, whose lines 2 and 3 may be off."""

    def __init__(self, quad: bool) -> None:
        self.status = [0, 2 if quad else 0]
        self.enabled = False
        self.sent: list[int] = []
        self.commands: list[list[int]] = []
        self.received: list[int] = []

    def send(self, registers: Registers, value: int) -> None:
        if registers[0x18000000] >> 21 & 3:  # quad: an instruction, then an address
            self.commands.append([value])
            return
        self.sent.append(value)
        self.received.append(self.status[1] if self.sent == [0x35, 0] else 0)
        if self.sent[0] == 0x06 or len(self.sent) == 2:
            self.commands.append(self.sent)
            if self.sent[0] == 0x06:
                self.enabled = True
            elif self.sent[0] == 0x31 and self.enabled:
                self.status[1], self.enabled = self.sent[1], False
            self.sent = []

    def take(self, _registers: Registers) -> int:
        return self.received.pop(0)


@pytest.mark.parametrize("quad", [True, False])
def test_rp2040(quad: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the second stage on; a flash that was never used in quad mode is told once."""
    flash, ssi, uart = Flash(quad), 0x18000000, 0x40034000
    chip = Chip(
        uart,
        {
            ssi + 0x28: lambda r: 4,
            ssi + 0x60: flash.take,
            0x40024004: lambda r: 1 << 31,
            0x40008044: lambda r: 1 << (r[0x4000803C] & 1),
            0x40008038: lambda r: 1 << (r[0x40008030] & 3),
            0x4000C008: lambda r: ~r[0x4000C000] & 0xFFFFFFFF,
            0x40028000: bit(0x40028000, always=1 << 31),
        },
        {0x4000C000: 0x01FFFFFF},
    )
    write = Started.write

    def send_too(run: Started, address: int, value: int) -> None:
        write(run, address, value)
        if address == ssi + 0x60:
            flash.send(run.registers, value)

    monkeypatch.setattr(Started, "write", send_too)
    run = started("rpi-pico", chip, tmp_path)
    regs, enable = run.registers, [[0x06], [0x31, 2], [0x05, 0]]
    assert flash.commands == [[0x35, 0], *([] if quad else enable), [0xEB], [0xA0]]
    assert flash.status[1] & 2
    # mode bits 0xA0, 4 clocks of waiting, 32 bits of address and mode, no instruction, four lines
    assert regs[ssi + 0xF4] == 0xA0 << 24 | 4 << 11 | 8 << 2 | 2 and regs[ssi + 8] == 1
    assert regs[0xE000ED08] == run.board.memory["flash"].base + 256
    pll = 12 * MHZ / regs[0x40028000] * regs[0x40028008]
    assert 750 * MHZ <= pll <= 1600 * MHZ
    post = field(regs[0x4002800C], 16, 3) * field(regs[0x4002800C], 12, 3)
    assert pll / post == run.board.clock_hz
    assert regs[0x4005802C] == 12 | 1 << 9, "a tick each microsecond"
    assert regs[0x40014004] == regs[0x4001400C] == 2
    assert run.board.clock_hz is not None
    check_baud(run.board, run.board.clock_hz * 4 / (64 * regs[uart + 0x24] + regs[uart + 0x28]))


def test_esp32c3(tmp_path: Path) -> None:
    """From behind the ROM's number; constants come by the data bus, words of code by the other."""
    uart = 0x60000000
    chip = Chip(
        uart,
        {uart + 0x1C: lambda r: 0, uart + 0x80: lambda r: 0},
        {0x600C0008: 0, 0x600C0058: 1, 0x600080AC: 1},
    )
    run = started("esp32c3-devkit", chip, tmp_path)
    regs = run.registers
    for protect, config in ((0x6001F064, 0x6001F048), (0x60020064, 0x60020048), (0x600080A8, 0x60008090)):  # fmt: skip
        key = run.writes.index((protect, 0x50D83AA1))
        assert run.writes[key + 1 : key + 3] == [(config, 0), (protect, 0)]
    assert regs[0x600080AC] == 1 << 31 | 1, "the super watchdog feeds itself"
    assert field(regs[0x600C0008], 0, 3) == 0b101 and field(regs[0x600C0058], 10, 2) == 1
    assert field(regs[uart + 0x78], 20, 2) == 3, "the crystal"
    divider = field(regs[uart + 0x14], 0, 12) + field(regs[uart + 0x14], 20, 4) / 16
    assert run.board.uart is not None and run.board.uart.clock_hz is not None
    check_baud(run.board, run.board.uart.clock_hz / divider)
