"""The framed protocol as pure functions: messages to bytes and back.

``docs/protocol.md`` specifies it byte by byte; ``firmware/runtime/main.c`` is the other end.
"""

import binascii
import struct
from dataclasses import dataclass

import numpy as np
from cobs import cobs

from edgeflow.errors import ProtocolError

PROTOCOL_VERSION = 1

HELLO, STEP, STATS, BYE = 0x01, 0x02, 0x03, 0x04
REPLY = 0x80
ERROR = 0xFF

UNKNOWN_TYPE, BAD_LENGTH, WRONG_VERSION, TOO_MANY_STEPS = 1, 2, 3, 4

STEP_RESET = 0x01

# Reaches framed mode from any state: ends a frame that was cut off, ends a line that was cut
# off, gives the text command, and ends what framed mode takes for a broken frame.
SYNC = b"\x00\nframe\n\x00"

_HELLO = struct.Struct("<B8sHHHHI")
_STATS = struct.Struct("<III")


@dataclass(frozen=True)
class Message:
    """One frame: `type` and `sequence` in 0..255, and the rest of the payload."""

    type: int
    sequence: int
    body: bytes = b""


@dataclass(frozen=True)
class Hello:
    """A board's description of itself and its model.

    `window` is the samples of a decision (0: none), `max_steps` the most steps of a frame,
    `cycles_hz` the rate of the cycle counter (0: it has none), `version` the firmware's.
    """

    protocol: int
    model_hash: bytes
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
    the frames that the board dropped.
    """

    stack_bytes: int
    steps: int
    frame_errors: int


def encode_frame(message: Message) -> bytes:
    """Return the bytes of a frame, its ending zero included."""
    payload = bytes((message.type, message.sequence)) + message.body
    crc = binascii.crc_hqx(payload, 0xFFFF)
    return bytes(cobs.encode(payload + crc.to_bytes(2, "little"))) + b"\x00"


def decode_frame(code: bytes) -> Message | None:
    """Return the message of a frame given without its ending zero; None if it is damaged."""
    try:
        data = bytes(cobs.decode(code))
    except cobs.DecodeError:
        return None
    if len(data) < 4 or binascii.crc_hqx(data[:-2], 0xFFFF) != int.from_bytes(data[-2:], "little"):
        return None
    return Message(data[0], data[1], data[2:-2])


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
    try:
        fields = _HELLO.unpack_from(body)
        texts = []
        at = _HELLO.size
        for _ in range(2):
            end = at + 1 + body[at]
            if end > len(body):
                raise IndexError
            texts.append(body[at + 1 : end].decode("utf-8", "replace"))
            at = end
    except (struct.error, IndexError):
        raise ProtocolError(f"the board's reply to HELLO is cut off at {len(body)} bytes") from None
    return Hello(*fields, *texts)


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
    if len(body) != _STATS.size:
        raise ProtocolError(f"the board's reply to STATS has {len(body)} bytes, not {_STATS.size}")
    return Stats(*_STATS.unpack(body))


def refusal(body: bytes) -> str:
    """Return the meaning of an ERROR reply in words."""
    code, detail = (*body, 0, 0)[:2]
    texts = {
        UNKNOWN_TYPE: f"it does not know messages of type 0x{detail:02x}",
        BAD_LENGTH: f"a message of type 0x{detail:02x} has a wrong length",
        WRONG_VERSION: f"it speaks version {detail} of the protocol and this edgeflow version "
        f"{PROTOCOL_VERSION}: compile and flash the image again",
        TOO_MANY_STEPS: f"a frame holds at most {detail} steps",
    }
    return texts.get(code, f"error {code}")
