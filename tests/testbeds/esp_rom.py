"""The serial loader of an ESP32-C3: its ROM's, and the stub that esptool starts, with the flash.

The stub is not run: once it is started, the model answers as it does. What is written is judged as
NOR flash is, so that a sector that was not erased shows.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterator
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Any

from tests.testbeds.serial_port import Model, SerialPort, Unplugged

(FLASH_BEGIN, FLASH_DATA, FLASH_END, MEM_BEGIN, MEM_END, MEM_DATA, SYNC, WRITE_REG, READ_REG,
 SPI_SET_PARAMS, _, SPI_ATTACH, _, CHANGE_BAUD, DEFLATE_BEGIN, DEFLATE_DATA, DEFLATE_END, MD5,
 SECURITY_INFO) = range(0x02, 0x15)  # fmt: skip
ERASE_FLASH, ERASE_REGION, READ_FLASH, RUN_USER_CODE = 0xD0, 0xD1, 0xD2, 0xD3
BAD_CHECKSUM, UNKNOWN = 0x07, 0x05
STUB_GREETING = b"OHAI"
SECTOR = 4096

#: Identity by chip: number in the security info, and the word that older loaders tell chips by.
ESP32_C3, ESP32_S3 = 5, 9
MAC_LOW, MAC_HIGH = 0x6000_8844, 0x6000_8848  # eFuse words of the C3
SPI_CMD, SPI_USR2, SPI_W0 = 0x6000_2000, 0x6000_2020, 0x6000_2058
READ_ID, FLASH_ID = 0x9F, 0x16_40EF  # a Winbond of 4 MB


class Esp(Model):
    """A chip in its loader, which the modem lines put it into: RTS is EN, DTR is GPIO9 (inverted).

    Parameters
    ----------
    folder, library : Path
        See `SerialPort`.
    flash : bytearray
        What stays when the power goes.
    chip : int
        Its number.

    Attributes
    ----------
    bad
        Offset of a cell that stores something else than what is written.
    unplug_after
        Blocks after which the cable is pulled.
    deaf
        Whether the modem lines do not reach the chip, which runs its image.
    boots
        Whether each reset was into the loader.
    stub
        Whether esptool's stub was started.
    """

    def __init__(
        self, folder: Path, library: Path, flash: bytearray, *, chip: int = ESP32_C3
    ) -> None:
        super().__init__(SerialPort(folder, library, self._lines))
        self.flash, self.chip = flash, chip
        self.bad: int | None = None
        self.unplug_after: int | None = None
        self.deaf = False
        self.boots: list[bool] = []
        self.stub = False
        self._stub_now = False
        self._loader = True
        self._rts = True
        self._registers = {MAC_LOW: 0xD500_0102, MAC_HIGH: 0xA0B0}
        self._blocks = 0
        self._at = 0
        self._unpack: Any = None

    def serve(self) -> None:
        for frame in self._frames():
            if not self._loader or self.deaf or len(frame) < 8 or frame[0] != 0:
                continue  # of a tool that has been stopped in a frame
            _, operation, size, check = struct.unpack_from("<BBHI", frame)
            data = frame[8 : 8 + size]
            words = struct.unpack_from(f"<{len(data) // 4}I", data)
            self._command(operation, data, words, check)

    def _command(self, op: int, data: bytes, words: tuple[int, ...], check: int) -> None:
        if op == SYNC:
            for _ in range(8):
                self._reply(op, 0 if self._stub_now else 0x2012_0707)
        elif op == READ_REG:
            self._reply(op, self._registers.get(words[0], 0))
        elif op == WRITE_REG:
            self._write_register(words[0], words[1])
            self._reply(op)
        elif op == SECURITY_INFO:
            self._reply(op, data=struct.pack("<I8sII", 0, bytes(8), self.chip, 0))
        elif op == MEM_END:
            self._reply(op)
            if words[1]:  # an entry point
                self.stub = self._stub_now = True
                self._send(STUB_GREETING)
        elif op in (MEM_DATA, FLASH_DATA, DEFLATE_DATA):
            block = data[16:]
            if reduce(xor, block, 0xEF) != check:
                self._reply(op, error=BAD_CHECKSUM)
                return
            if op != MEM_DATA:
                self._block(self._unpack(block))
            self._reply(op)
        elif op in (FLASH_BEGIN, DEFLATE_BEGIN):
            size, _, _, self._at = words[:4]
            self._erase(self._at, size)
            self._unpack = zlib.decompressobj().decompress if op == DEFLATE_BEGIN else bytes
            self._reply(op)
        elif op == MD5:
            digest = hashlib.md5(self.flash[words[0] : words[0] + words[1]])
            self._reply(op, data=digest.digest() if self._stub_now else digest.hexdigest().encode())
        elif op in (MEM_BEGIN, SPI_SET_PARAMS, SPI_ATTACH, CHANGE_BAUD, FLASH_END, DEFLATE_END):
            self._reply(op)
        else:
            self._reply(op, error=UNKNOWN)

    def _block(self, data: bytes) -> None:
        if self._blocks == self.unplug_after:
            self.port.unplug()
            raise Unplugged
        self._blocks += 1
        place = slice(self._at, self._at + len(data))
        old = self.flash[place]
        self.flash[place] = bytes(a & b for a, b in zip(old, data, strict=True))
        if self.bad is not None and place.start <= self.bad < place.stop:
            self.flash[self.bad] ^= 0x10
        self._at = place.stop

    def _erase(self, start: int, size: int) -> None:
        end = start + (size + SECTOR - 1) // SECTOR * SECTOR
        self.flash[start:end] = b"\xff" * (end - start)

    def _write_register(self, address: int, value: int) -> None:
        self._registers[address] = value
        if address == SPI_CMD and value & 1 << 18:  # a command of the flash
            self._registers[SPI_CMD] = 0
            command = self._registers.get(SPI_USR2, 0) & 0xFF
            self._registers[SPI_W0] = FLASH_ID if command == READ_ID else 0

    def _reply(self, op: int, value: int = 0, data: bytes = b"", error: int = 0) -> None:
        status = bytes([error != 0, error]) + (b"" if self._stub_now else b"\0\0")
        self._send(struct.pack("<BBHI", 1, op, len(data) + len(status), value) + data + status)

    def _send(self, frame: bytes) -> None:
        escaped = frame.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
        self.port.write(b"\xc0" + escaped + b"\xc0")

    def _frames(self) -> Iterator[bytes]:
        """Yield what stands between two marks (SLIP, RFC 1055)."""
        frame = bytearray()
        while True:
            byte = self.port.read(1)
            if byte == b"\xc0":
                if frame:
                    yield bytes(frame).replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")
                frame.clear()
            else:
                frame += byte

    def _lines(self, dtr: bool, rts: bool) -> None:
        if self._rts and not rts:  # EN rises
            self._loader, self._stub_now = dtr, False
            self.boots.append(dtr)
        self._rts = rts
