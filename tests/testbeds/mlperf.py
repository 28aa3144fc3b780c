"""What stands around a board in MLPerf Tiny: the firmware at a serial port of a desk, and for the
energy mode the interface board and ST's LPM01A power monitor.

Only as far as the benchmark's own runner needs them. The interface board (firmware of the
benchmark's ``interface`` folder) passes on ``dut COMMAND%`` to the board, and puts ``[dut]: `` before
what comes back. The LPM01A (ST UM2243) answers each line with ``ack`` and sends, once started, an
energy for each millisecond, a time each second, and an event for each falling edge of its D7.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

from edgeflow.device import Board
from edgeflow.errors import DeviceError

STLINK = (0x0483, 0x374B)
INTERFACE = (0x0483, 0x374E)
MONITOR = (0x0483, 0x5740)


class Firmware:
    """A board that runs an image; its output goes to `heard`, in a thread.

    Parameters
    ----------
    board : Board
        Flashed and then owned.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self.heard: Callable[[bytes], None] = lambda data: None
        board.flash()
        self._line = board._open()
        self._ending = False
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def say(self, data: bytes) -> None:
        self._line.write(data)

    def close(self) -> None:
        self._ending = True
        if self._thread.is_alive():
            self._thread.join()
        self._board.close()

    def _listen(self) -> None:
        with contextlib.suppress(DeviceError):
            while not self._ending:
                if data := self._line.read(0.05):
                    self.heard(data)


class InterfaceBoard:
    """Between the runner and the board.

    Parameters
    ----------
    firmware : Firmware
    say : callable
        Sends bytes to the runner.
    wire : Wire, optional
        The pin's; what the board says after an edge waits until the runner has read of that.
    """

    def __init__(
        self, firmware: Firmware, say: Callable[[bytes], None], wire: "Wire | None" = None
    ) -> None:
        self._firmware, self._say, self._wire = firmware, say, wire
        self._command = b""
        self._answer = b""
        self.bauds: list[int] = []
        firmware.heard = self.pass_back

    def take(self, data: bytes) -> None:
        """Read bytes of the runner."""
        *commands, self._command = (self._command + data).split(b"%")
        for command in commands:
            word, _, rest = command.decode().partition(" ")
            if word == "setbaud":
                self.bauds.append(int(rest))
            self._say(f"m-{word}\r\nm-ready\r\n".encode())
            if word == "dut":
                self._firmware.say(rest.encode() + b"%")

    def pass_back(self, data: bytes) -> None:
        """Pass on what the board says, at the pace of the line between them."""
        time.sleep(10 * len(data) / self.bauds[-1] if self.bauds else 0)
        if self._wire is not None:
            self._wire.settle()
        *lines, self._answer = (self._answer + data).split(b"\n")
        for line in lines:
            self._say(b"[dut]: " + line + b"\n")


class Wire:
    """From a pin of QEMU's nRF51 to the monitor's D7: QEMU logs what is written to the pins.

    Parameters
    ----------
    log : Path
        QEMU's, of `ARGUMENTS`.
    pin : int
    monitor : PowerMonitor
    """

    #: Of QEMU, before the log's path.
    ARGUMENTS = ("-trace", "nrf51_gpio_write", "-D")
    #: Seconds after an edge until a runner on a busy machine has read of it.
    _READ = 1.5

    def __init__(self, log: Path, pin: int, monitor: "PowerMonitor") -> None:
        self._file = log.open(encoding="ascii")
        self._cleared = f"offset 0x50c value {1 << pin:#x}"
        self._monitor = monitor
        self._lock = threading.Lock()
        self._last = 0.0
        threading.Thread(target=self._watch, daemon=True).start()

    def settle(self) -> None:
        """Wait until the last edge is long enough ago."""
        self._look()
        time.sleep(max(0.0, self._last + self._READ - time.monotonic()))

    def _watch(self) -> None:
        while True:
            self._look()
            time.sleep(0.002)

    def _look(self) -> None:
        with self._lock:
            for line in self._file:
                if self._cleared in line:
                    self._last = time.monotonic()
                    self._monitor.edge()


class PowerMonitor:
    """An LPM01A that measures as much as it is told.

    Parameters
    ----------
    say : callable
        Sends bytes to the runner.
    active, idle : str
        Energy of a millisecond between an odd and an even edge, and elsewhere, as the monitor
        writes it: 2124-08 is 21.24 uJ.
    rate : int
        Its milliseconds in a second of this machine's: the runner reads a byte at a time, and
        cannot follow all on a busy machine.
    """

    def __init__(
        self,
        say: Callable[[bytes], None],
        active: str = "2124-08",
        idle: str = "1000-09",
        rate: int = 1000,
    ) -> None:
        self._say, self._active, self._idle, self._rate = say, active, idle, rate
        self._lock = threading.Lock()
        self._line = b""
        self._started: float | None = None
        self._sent = 0
        self._edges = 0
        self.commands: list[str] = []
        self._thread = threading.Thread(target=self._measure, daemon=True)
        self._thread.start()

    @property
    def edges(self) -> int:
        """Edges since the start of the measurement."""
        return self._edges

    def take(self, data: bytes) -> None:
        """Read bytes of the runner."""
        *lines, self._line = (self._line + data).replace(b"\r", b"").split(b"\n")
        for line in lines:
            self._run(line.decode())

    def edge(self) -> None:
        """Notice a falling edge at D7."""
        with self._lock:
            if self._started is not None:
                self._catch_up()
                self._say(b"event %02d ris\r\n" % (self._edges % 100))
                self._edges += 1

    def _run(self, command: str) -> None:
        self.commands.append(command)
        with self._lock:
            if command == "stop":
                self._started = None
                self._say(b"PowerShield > ack stop\r\nAcquisition completed\r\n")
                return
            self._say(f"PowerShield > ack {command}\r\n".encode())
            if command == "start":
                self._started, self._sent, self._edges = time.monotonic(), 0, 0

    def _measure(self) -> None:
        while True:
            time.sleep(0.02)
            with self._lock:
                if self._started is not None:
                    self._catch_up()

    def _catch_up(self) -> None:
        """Send the samples of the time that has passed."""
        assert self._started is not None
        due = int((time.monotonic() - self._started) * self._rate)
        text = ""
        for number in range(self._sent + 1, due + 1):
            text += (self._active if self._edges % 2 else self._idle) + "\r\n"
            if number % 1000 == 0:
                text += f"TimeStamp: {number // 1000 % 1000:03}s 000ms, buff 05%\r\n"
        self._sent = max(self._sent, due)
        self._say(text.encode())
