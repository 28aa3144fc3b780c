"""The framed protocol as pure functions: messages to bytes and back.

``docs/protocol.md`` specifies it byte by byte; ``firmware/runtime/main.c`` is the other end.
"""

import binascii
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from cobs import cobs

from edgeflow.errors import ProtocolError

PROTOCOL_VERSION = 2

HELLO, STEP, STATS, BYE = 0x01, 0x02, 0x03, 0x04
LEARN, FORGET, SAVE, LOAD = 0x05, 0x06, 0x07, 0x08
REPLY = 0x80
ERROR = 0xFF

UNKNOWN_TYPE, BAD_LENGTH, WRONG_VERSION, TOO_MANY_STEPS, OTHER_SESSION = 1, 2, 3, 4, 5
NO_SUCH_CLASS, NOT_LEARNED_HERE, NOTHING_KEPT = 6, 7, 8

STEP_RESET = 0x01

# Reaches framed mode from any state: ends a frame that was cut off, ends a line that was cut
# off, gives the text command, and ends what framed mode takes for a broken frame.
SYNC = b"\x00\nframe\n\x00"

# A question that images of version 1 answer, which drop all frames of today unread.
OLD_PROBE = bytes.fromhex("00 06 01 01 01 bc d8 00")
# What one of today answers to that, for hosts of version 1; without its zeros.
OLD_REFUSAL = bytes.fromhex("07 ff 01 03 02 42 8d")

#: Of `Hello.cycles_hz`: a clock's nanoseconds, rather than cycles of the core.
NANOSECONDS = 1_000_000_000

_HEADER = struct.Struct("<IBB")
_CRC_SIZE = 4
_IDENTITY = struct.Struct("<B8s8sHHH")
_RATES = struct.Struct("<HI")
_OLD_HELLO = struct.Struct("<BB B8sHHHHI")
_NUMBER = struct.Struct("<H")
_STATS = struct.Struct("<III")
_STATS_MARKED = struct.Struct("<IIII")


@dataclass(frozen=True)
class Message:
    """One frame: `type` and `sequence` in 0..255, the rest of the payload, `session` of 32 bits."""

    type: int
    sequence: int
    body: bytes = b""
    session: int = 0


@dataclass(frozen=True)
class Hello:
    """A board's description of itself and its model.

    `model_hash` and `build_id` have 8 bytes, `window` is the samples of a decision (0: none),
    `max_steps` the most steps of a frame, `cycles_hz` the rate of the cycle counter (0: it has
    none), `version` that of the EdgeFlow which made the image.
    """

    protocol: int
    model_hash: bytes
    build_id: bytes
    inputs: int
    outputs: int
    window: int
    max_steps: int
    cycles_hz: int
    board: str
    version: str


@dataclass(frozen=True)
class Stats:
    """Counters of a board: `stack_bytes` since its reset, the others since HELLO.

    `stack_bytes` is the stack's high-water mark, 0 where it is not known; `frame_errors` counts
    the frames that the board dropped; `marker_cycles` is what a call of the marker costs, None of a
    board without one.
    """

    stack_bytes: int
    steps: int
    frame_errors: int
    marker_cycles: int | None = None


def encode_frame(message: Message) -> bytes:
    """Return the bytes of a frame, with a zero before and after."""
    payload = _HEADER.pack(message.session, message.type, message.sequence) + message.body
    crc = zlib.crc32(payload).to_bytes(_CRC_SIZE, "little")
    return b"\x00" + bytes(cobs.encode(payload + crc)) + b"\x00"


def decode_frame(code: bytes) -> Message | None:
    """Return the message of a frame given without its zeros; None if it is damaged."""
    data = _decoded(code)
    payload, crc = data[:-_CRC_SIZE], data[-_CRC_SIZE:]
    if len(payload) < _HEADER.size or zlib.crc32(payload) != int.from_bytes(crc, "little"):
        return None
    session, type, sequence = _HEADER.unpack_from(payload)
    return Message(type, sequence, payload[_HEADER.size :], session)


def decode_old_hello(code: bytes) -> str | None:
    """Return what an image of version 1 says of itself in reply to `OLD_PROBE`; None: it is none.

    It is given as `decode_frame` takes it.
    """
    data = _decoded(code)
    payload, crc = data[:-2], data[-2:]
    if binascii.crc_hqx(payload, 0xFFFF) != int.from_bytes(crc, "little"):
        return None
    try:
        type, _, version, model, *_ = _OLD_HELLO.unpack_from(payload)
        texts = []
        at = _OLD_HELLO.size
        for _ in range(2):
            texts.append(payload[at + 1 : at + 1 + payload[at]].decode("utf-8", "replace"))
            at += 1 + payload[at]
    except (struct.error, IndexError):
        return None
    if type != HELLO | REPLY or version != 1:
        return None
    return f"model {model.hex()} for {texts[0]}, made by EdgeFlow {texts[1]}"


def _decoded(code: bytes) -> bytes:
    try:
        return bytes(cobs.decode(code))
    except cobs.DecodeError:
        return b""


def encode_hello() -> bytes:
    """Return the body of HELLO."""
    return bytes((PROTOCOL_VERSION,))


def decode_hello(body: bytes) -> Hello:
    """Return the content of a reply to HELLO.

    Raises
    ------
    ProtocolError
        If it is cut off.
    """
    board, end, rest = body[_IDENTITY.size :].partition(b"\x00")
    version, other_end, rest = rest.partition(b"\x00")
    if not end or not other_end or len(rest) < _RATES.size:
        raise ProtocolError(f"the board's reply to HELLO is cut off at {len(body)} bytes")
    fields = (*_IDENTITY.unpack_from(body), *_RATES.unpack_from(rest))
    return Hello(*fields, *(text.decode("utf-8", "replace") for text in (board, version)))


def encode_steps(x: np.ndarray, reset: bool) -> bytes:
    """Return the body of STEP for int16 `x` of [n, inputs], n <= 255."""
    data = np.ascontiguousarray(x, dtype="<i2")
    return bytes((STEP_RESET if reset else 0, len(data))) + data.tobytes()


def decode_steps(
    body: bytes, steps: int, outputs: int, counted: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return (y int16 [steps, outputs], cycles uint32 [steps] or None) of a reply to STEP.

    Raises
    ------
    ProtocolError
        If the reply is about another number of steps or has another length.
    """
    cut = 2 + 2 * outputs * steps
    if len(body) != cut + 4 * steps * counted or body[0] != steps:
        raise ProtocolError(
            f"the board answered {steps} steps with {len(body)} bytes that do not fit them"
        )
    y = np.frombuffer(body[2:cut], dtype="<i2").astype(np.int16).reshape(steps, outputs)
    cycles = np.frombuffer(body[cut:], dtype="<u4").astype(np.uint32) if counted else None
    return y, cycles


def decode_stats(body: bytes) -> Stats:
    """Return the content of a reply to STATS.

    Raises
    ------
    ProtocolError
        If it has another length.
    """
    if len(body) == _STATS_MARKED.size:
        return Stats(*_STATS_MARKED.unpack(body))
    if len(body) != _STATS.size:
        raise ProtocolError(f"the board's reply to STATS has {len(body)} bytes, not {_STATS.size}")
    return Stats(*_STATS.unpack(body))


def encode_number(number: int) -> bytes:
    """Return the body of LEARN, of a class, or of SAVE and the head of LOAD, of an offset."""
    return _NUMBER.pack(number)


def decode_saved(body: bytes) -> tuple[int, bytes]:
    """Return the bytes of all that was learned, and a part of it, of a reply to SAVE.

    Raises
    ------
    ProtocolError
        If it is cut off.
    """
    if len(body) <= _NUMBER.size:
        raise ProtocolError(f"the board's reply to SAVE has {len(body)} bytes")
    return _NUMBER.unpack_from(body)[0], body[_NUMBER.size :]


def refusal(body: bytes) -> str:
    """Return the meaning of an ERROR reply in words."""
    code, detail = (*body, 0, 0)[:2]
    texts = {
        UNKNOWN_TYPE: f"it does not know messages of type 0x{detail:02x}",
        BAD_LENGTH: f"a message of type 0x{detail:02x} has a wrong length",
        WRONG_VERSION: f"it speaks version {detail} of the protocol and this edgeflow version "
        f"{PROTOCOL_VERSION}: compile and flash the image again",
        TOO_MANY_STEPS: f"a frame holds at most {detail} steps",
        NO_SUCH_CLASS: "the model has no such class",
        NOT_LEARNED_HERE: "what was learned is damaged, or of another program",
        NOTHING_KEPT: "it keeps nothing without power: its flash failed, is not one that EdgeFlow "
        "writes to, or has nothing of this program",
        OTHER_SESSION: "another program's session" if detail else "no session was begun",
    }
    return texts.get(code, f"error {code}")
