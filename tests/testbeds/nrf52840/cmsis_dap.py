"""Commands of a CMSIS-DAP v2 probe (SWD only), which carries them out on a debug port.

Arm CMSIS-DAP 2.1.0, "Commands". https://arm-software.github.io/CMSIS_5/DAP/html/group__DAP__Commands__gr.html
"""

import struct

from tests.testbeds.nrf52840.dap import OK, Dap

PACKET = 512
_TEXTS = {1: b"EdgeFlow\0", 2: b"Virtual CMSIS-DAP\0", 3: b"EF0001\0", 4: b"2.1.0\0", 9: b"1.0\0"}
_INFO, _CONNECT, _TRANSFER, _BLOCK, _ABORT, _RESET = 0x00, 0x02, 0x05, 0x06, 0x08, 0x0A
_PINS, _SEQUENCE = 0x10, 0x1D
#: Disconnect, host status, transfer set-up, delay, clock, SWJ sequence, SWD set-up: done at once.
_ACCEPTED = (0x01, 0x03, 0x04, 0x07, 0x09, 0x11, 0x12, 0x13)
_READ, _MATCH_VALUE, _MATCH_MASK = 0x02, 0x10, 0x20
_MISMATCH = 0x10


class Probe:
    """A probe on a debug port."""

    def __init__(self, dap: Dap) -> None:
        self._dap = dap
        self._mask = 0xFFFFFFFF

    def command(self, packet: bytes) -> bytes:
        """Return the answer to a command."""
        code = packet[0]
        if code == _TRANSFER:
            return self._transfer(packet)
        if code == _BLOCK:
            return self._block(packet)
        if code == _INFO:
            return self._info(packet[1])
        if code == _CONNECT:
            return bytes([code, 1])
        if code == _ABORT:
            self._dap.clear()
            return bytes([code, 0])
        if code == _RESET:
            return bytes([code, 0, 0])
        if code == _PINS:
            return bytes([code, 0x83])
        if code == _SEQUENCE:
            return bytes([code, 0]) + _sequence(packet)
        return bytes([code, 0]) if code in _ACCEPTED else b"\xff"

    def _info(self, what: int) -> bytes:
        if what in _TEXTS:
            return bytes([_INFO, len(_TEXTS[what])]) + _TEXTS[what]
        if what == 0xFF:
            return bytes([_INFO, 2]) + struct.pack("<H", PACKET)
        if what in (0xF0, 0xFE):  # SWD; one packet at a time
            return bytes([_INFO, 1, 1])
        return bytes([_INFO, 0])

    def _transfer(self, packet: bytes) -> bytes:
        at, out, ack, done = 3, b"", OK, 0
        for _ in range(packet[2]):
            request, value = packet[at], 0
            at += 1
            if not request & _READ or request & _MATCH_VALUE:
                value = struct.unpack_from("<I", packet, at)[0]
                at += 4
            if request & _MATCH_MASK and not request & _READ:
                self._mask = value
                done += 1
                continue
            ack, read = self._dap.transfer(request, value)
            if ack != OK:
                break
            done += 1
            if request & _MATCH_VALUE:
                if read & self._mask != value:
                    ack = OK | _MISMATCH
                    break
            elif request & _READ:
                out += struct.pack("<I", read)
        return bytes([_TRANSFER, done, ack]) + out

    def _block(self, packet: bytes) -> bytes:
        count, request = struct.unpack_from("<HB", packet, 2)
        values = (0,) * count if request & _READ else struct.unpack_from(f"<{count}I", packet, 5)
        out, ack, done = b"", OK, 0
        for value in values:
            ack, read = self._dap.transfer(request, value)
            if ack != OK:
                break
            done += 1
            if request & _READ:
                out += struct.pack("<I", read)
        return bytes([_BLOCK]) + struct.pack("<HB", done, ack) + out


def _sequence(packet: bytes) -> bytes:
    """Return zeros for the bits that are read in sequences of SWD."""
    at, out = 2, b""
    for _ in range(packet[1]):
        bits = packet[at] & 63 or 64
        size = (bits + 7) // 8
        if packet[at] & 0x80:
            out, at = out + bytes(size), at + 1
        else:
            at += 1 + size
    return out
