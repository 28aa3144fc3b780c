"""The boot loader in the ROM of an STM32, at its USART (ST's AN3155), and the flash behind it.

Judged as strictly as the silicon: only erased cells are written, aligned, in what the flash has.
The application that is written runs in QEMU, where that has the chip.
"""

import contextlib
import socket
import subprocess
import threading
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Any

from tests.testbeds.serial_port import Model, SerialPort, Unplugged
from tests.testbeds.stm32_flash import FLASH, Flash, K

ACK, NACK = b"\x79", b"\x1f"
RAM = 0x2000_0000
GET, VERSION, ID, READ, GO, WRITE, ERASE = 0x00, 0x01, 0x02, 0x11, 0x21, 0x31, 0x44
UNPROTECT = 0x92
COMMANDS = bytes([GET, VERSION, ID, READ, GO, WRITE, ERASE, 0x63, 0x73, 0x82, UNPROTECT])
PROTECTED = (READ, GO, WRITE, ERASE)  # refused while read protection is on


class Stm32(Model):
    """An STM32 at a serial port; RTS is wired to BOOT0, and a falling DTR resets it.

    Parameters
    ----------
    folder : Path
        For the port, and the image that QEMU is started with.
    library : Path
        See `SerialPort`.
    flash : Flash
    boot0 : bool
        Whether the loader runs, and not the application.
    qemu : sequence of str, optional
        Command that boots the application, without its image; default: it stays silent.

    Attributes
    ----------
    protected
        Read protection level 1.
    unplug_after
        Writes after which the cable is pulled.
    """

    def __init__(
        self,
        folder: Path,
        library: Path,
        flash: Flash,
        *,
        boot0: bool = True,
        qemu: tuple[str, ...] = (),
    ) -> None:
        super().__init__(SerialPort(folder, library, self._lines))
        self.flash, self.qemu = flash, qemu
        self.protected = False
        self.unplug_after: int | None = None
        self.runs: list[int] = []
        self._image = folder / "flash.bin"
        self._ram = bytearray(128 * K)
        self._loader = boot0
        self._dtr = self._rts = True
        self._reset = False
        self._writes = 0

    def serve(self) -> None:
        while True:
            self._reset = False
            try:
                if self._loader:
                    self._commands()
                else:
                    self._application()
            except _Reset:
                self.port.flush()

    # The loader

    def _commands(self) -> None:
        if self._take(1) != b"\x7f":  # its length tells the baud rate: what is wrong now stays so
            while True:
                self._take(1)
        self.port.write(ACK)
        while True:
            code, complement = self._take(2)
            known = code ^ complement == 0xFF and code in COMMANDS
            if known and not (self.protected and code in PROTECTED):
                self._command(code)
            else:
                self.port.write(NACK)

    def _command(self, code: int) -> None:
        self.port.write(ACK)
        if code == GET:
            self.port.write(bytes([len(COMMANDS), 0x31]) + COMMANDS + ACK)
        elif code == VERSION:
            self.port.write(b"\x31\x00\x00" + ACK)
        elif code == ID:
            self.port.write(b"\x01" + self.flash.chip.device_id.to_bytes(2, "big") + ACK)
        elif code == READ:
            self._read()
        elif code == WRITE:
            self._write()
        elif code == ERASE:
            self.port.write(ACK if self._erase() else NACK)
        elif code == GO and (address := self._address()) is not None:
            self.runs.append(address)
            self._loader = False
            raise _Reset
        elif code == UNPROTECT:
            self.flash.erase_all()
            self.protected = False
            self.port.write(ACK)
            raise _Reset

    def _read(self) -> None:
        address = self._address()
        if address is None:
            return
        count, complement = self._take(2)
        if count ^ complement != 0xFF:
            self.port.write(NACK)
            return
        memory, offset = self._memory(address)
        self.port.write(ACK + bytes(memory[offset : offset + count + 1]))

    def _write(self) -> None:
        address = self._address()
        if address is None:
            return
        count = self._take(1)[0] + 1
        data = self._take(count)
        good = reduce(xor, data, count - 1) == self._take(1)[0]
        memory, offset = self._memory(address)
        if good and memory is self._ram:
            memory[offset : offset + count] = data
        elif good:
            if self._writes == self.unplug_after:
                self.port.unplug()
                raise Unplugged
            self._writes += 1
            good = self.flash.write(offset, data)
        self.port.write(ACK if good else NACK)

    def _erase(self) -> bool:
        head = self._take(2)
        number = int.from_bytes(head, "big")
        if number >= 0xFFF0:
            self._take(1)
            self.flash.erase_all()
            return True
        codes = self._take(2 * (number + 1))
        if reduce(xor, head + codes) != self._take(1)[0]:
            return False
        pairs = zip(codes[::2], codes[1::2], strict=True)
        return all(self.flash.erase(high << 8 | low) for high, low in pairs)

    def _address(self) -> int | None:
        *four, check = self._take(5)
        address = int.from_bytes(bytes(four), "big")
        memory, offset = self._memory(address)
        good = reduce(xor, four) == check and 0 <= offset < len(memory)
        self.port.write(ACK if good else NACK)
        return address if good else None

    def _memory(self, address: int) -> tuple[Any, int]:
        return (self._ram, address - RAM) if address >= RAM else (self.flash.bytes, address - FLASH)

    def _take(self, count: int) -> bytes:
        while True:
            data = self.port.read(count, 0.05)
            if self._reset:
                raise _Reset
            if data:
                return data

    def _lines(self, dtr: bool, rts: bool) -> None:
        if self._dtr and not dtr:
            self._loader, self._reset = rts, True
        self._dtr, self._rts = dtr, rts

    # The application

    def _application(self) -> None:
        if not self.qemu:
            while True:
                self._take(1)
        self._image.write_bytes(self.flash.bytes)
        ours, theirs = socket.socketpair()
        process = subprocess.Popen(
            [
                *self.qemu, "-kernel", self._image,
                "-chardev", f"socket,id=uart,fd={theirs.fileno()},mux=on",
                "-serial", "chardev:uart", "-echr", "256",
            ],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
        )  # fmt: skip
        theirs.close()
        threading.Thread(target=self._answers, args=[ours], daemon=True).start()
        try:
            while True:
                ours.sendall(self._take(1) + self.port.read_waiting())
        finally:
            process.kill()
            process.wait()
            ours.close()

    def _answers(self, uart: socket.socket) -> None:
        """Hand over what the application says."""
        with contextlib.suppress(OSError, Unplugged):
            while data := uart.recv(65536):
                self.port.write(data)


class _Reset(Exception):
    """The chip starts anew."""
