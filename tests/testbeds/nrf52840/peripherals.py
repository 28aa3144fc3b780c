"""Peripherals of the nRF52840 that EdgeFlow and flash tools touch.

Registers are those of the nRF52840 Product Specification 1.7 (NVMC 4.3, CLOCK 5.4, GPIO 6.9,
UART 6.33). Offsets without a meaning here keep what is written.
"""

from collections import deque
from collections.abc import Callable

PAGE = 4096


class Peripheral:
    """Registers by their offsets."""

    def __init__(self) -> None:
        self.registers: dict[int, int] = {}

    def reset(self) -> None:
        """Take the values after a reset."""
        self.registers.clear()

    def read(self, offset: int) -> int:
        """Return a register."""
        return self.registers.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """Set a register."""
        self.registers[offset] = value


class Clock(Peripheral):
    """CLOCK: oscillators run at once."""

    # task: its event
    _STARTS = {0x000: 0x100, 0x008: 0x104}  # noqa: RUF012
    _RUNNING = {0x408: 0x000, 0x40C: 0x000, 0x414: 0x008, 0x418: 0x008}  # noqa: RUF012

    def read(self, offset: int) -> int:
        if offset in self._RUNNING:
            started = self.registers.get(self._RUNNING[offset], 0)
            return started if offset in (0x408, 0x414) else started << 16 | started
        return super().read(offset)

    def write(self, offset: int, value: int) -> None:
        super().write(offset, value)
        if offset in self._STARTS and value & 1:
            super().write(self._STARTS[offset], 1)


class Gpio(Peripheral):
    """P0 and P1: outputs are set, cleared and read."""

    def read(self, offset: int) -> int:
        port, register = _port(offset)
        if register in (0x508, 0x50C, 0x510):
            register = 0x504
        return super().read(port + register)

    def write(self, offset: int, value: int) -> None:
        port, register = _port(offset)
        for out, sets, clears in ((0x504, 0x508, 0x50C), (0x514, 0x518, 0x51C)):
            before = super().read(port + out)
            if register == sets:
                register, value = out, before | value
            elif register == clears:
                register, value = out, before & ~value
        super().write(port + register, value)


def _port(offset: int) -> tuple[int, int]:
    port = 0x300 if offset >= 0x804 else 0
    return port, offset - port


class Nvmc(Peripheral):
    """NVMC: erases flash and allows writing to it.

    Parameters
    ----------
    erase : callable
        Takes the first address and the size of what is to be erased.
    settle : callable
        Called before each access, so that what the core has just written is there.
    """

    _CONFIG, _ERASEPAGE, _ERASEALL = 0x504, 0x508, 0x50C

    def __init__(
        self, erase: Callable[[int, int], None], erase_all: Callable[[], None],
        settle: Callable[[], None],
    ) -> None:  # fmt: skip
        super().__init__()
        self._erase, self._erase_all, self._settle = erase, erase_all, settle

    @property
    def writes(self) -> bool:
        """True while flash takes writes."""
        return self.registers.get(self._CONFIG, 0) & 3 == 1

    def read(self, offset: int) -> int:
        self._settle()
        return 1 if offset in (0x400, 0x408) else super().read(offset)

    def write(self, offset: int, value: int) -> None:
        self._settle()
        erases = self.registers.get(self._CONFIG, 0) & 3 == 2
        if offset == self._ERASEPAGE:
            if erases:
                self._erase(value & ~(PAGE - 1), PAGE)
        elif offset == self._ERASEALL:
            if erases and value & 1:
                self._erase_all()
        else:
            super().write(offset, value)


class Uart(Peripheral):
    """UART0, wired to a bridge that speaks 115,200 baud at two pins.

    Bytes cross at once rather than at the baud rate, and wait where the chip's six bytes of FIFO
    would overflow.

    Parameters
    ----------
    send : callable
        Takes what the chip says, in pieces.
    tx, rx : int
        Pins that the bridge is wired to, as in PSEL: 32 and more are of P1.
    """

    _STARTRX, _STARTTX, _RXDRDY, _TXDRDY = 0x000, 0x008, 0x108, 0x11C
    _ENABLE, _PSELTXD, _PSELRXD, _RXD, _TXD, _BAUDRATE = 0x500, 0x50C, 0x514, 0x518, 0x51C, 0x524

    def __init__(self, send: Callable[[bytes], None], tx: int, rx: int) -> None:
        super().__init__()
        self._send, self._pins = send, (tx, rx)
        self._said = bytearray()
        self._waiting: deque[int] = deque()

    def reset(self) -> None:
        super().reset()
        self._waiting.clear()

    def receive(self, data: bytes) -> bool:
        """Take bytes from the line; return whether the chip listens."""
        if not self._listens(self._STARTRX, self._PSELRXD, self._pins[1]):
            return False
        self._waiting += data
        self.registers[self._RXDRDY] = 1
        return True

    def flush(self) -> None:
        """Hand over what the chip has said."""
        if self._said:
            said, self._said = bytes(self._said), bytearray()
            self._send(said)

    def read(self, offset: int) -> int:
        if offset != self._RXD:
            return super().read(offset)
        byte = self._waiting.popleft() if self._waiting else 0
        if self._waiting:
            self.registers[self._RXDRDY] = 1
        return byte

    def write(self, offset: int, value: int) -> None:
        super().write(offset, value)
        if offset == self._TXD:
            self.registers[self._TXDRDY] = 1
            if self._listens(self._STARTTX, self._PSELTXD, self._pins[0]):
                self._said.append(value & 0xFF)

    def _listens(self, started: int, pin_register: int, pin: int) -> bool:
        register = self.registers.get
        # PSEL is all ones after reset; the rate of the register is in units of 16 MHz / 2^32
        baud = register(self._BAUDRATE, 0) * 16e6 / 2**32
        return (
            register(self._ENABLE, 0) == 4 and register(started, 0) == 1
            and register(pin_register, -1) == pin and abs(baud / 115_200 - 1) < 0.025
        )  # fmt: skip
