"""The framed protocol in Python: pure functions, both directions."""

import struct

import numpy as np
import pytest
from cobs import cobs
from hypothesis import given
from hypothesis import strategies as st

from edgeflow.device import protocol
from edgeflow.device.protocol import Hello, Message, Stats
from edgeflow.errors import ProtocolError

bytes_ = st.integers(0, 255)


def test_frame_is_what_the_document_says() -> None:
    # the example of docs/protocol.md: HELLO, sequence 1, version 1
    frame = protocol.encode_frame(Message(protocol.HELLO, 1, protocol.encode_hello()))
    assert frame == bytes.fromhex("06 01 01 01 bc d8 00")


@given(bytes_, bytes_, st.binary(max_size=600))
def test_frame_comes_back(type: int, sequence: int, body: bytes) -> None:
    message = Message(type, sequence, body)
    frame = protocol.encode_frame(message)
    assert frame.index(0) == len(frame) - 1
    assert protocol.decode_frame(frame[:-1]) == message


@given(st.binary(max_size=300), st.data())
def test_damaged_payload_is_noticed(body: bytes, data: st.DataObject) -> None:
    # a CRC notices any burst of up to 16 bits
    payload = bytearray(cobs.decode(protocol.encode_frame(Message(2, 7, body))[:-1]))
    bit = data.draw(st.integers(0, 8 * len(payload) - 1))
    payload[bit // 8] ^= 1 << bit % 8
    assert protocol.decode_frame(cobs.encode(bytes(payload))) is None


@given(st.binary(max_size=80))
def test_any_bytes_decode_to_a_message_or_nothing(code: bytes) -> None:
    message = protocol.decode_frame(code)
    assert message is None or protocol.encode_frame(message)[:-1]


def test_hello_comes_back_and_cut_off_is_refused() -> None:
    hello = Hello(1, bytes(range(8)), 6, 7, 40, 36, 80_000_000, "qemu-m4", "1.2.3")
    body = struct.pack("<B8sHHHHI", 1, bytes(range(8)), 6, 7, 40, 36, 80_000_000)
    body += b"\x07qemu-m4\x051.2.3"
    assert protocol.decode_hello(body) == hello
    for size in range(len(body)):
        with pytest.raises(ProtocolError, match="cut off"):
            protocol.decode_hello(body[:size])


@pytest.mark.parametrize("counted", [False, True])
def test_steps_come_back(counted: bool) -> None:
    y = np.arange(-6, 6, dtype=np.int16).reshape(4, 3)
    cycles = np.array([0, 1, 70_000, 2**32 - 1], np.uint32)
    body = b"\x04\x00" + y.tobytes() + (cycles.tobytes() if counted else b"")
    result, counts = protocol.decode_steps(body, 4, 3, counted)
    assert (result == y).all() and result.dtype == np.int16
    if counted:
        assert counts is not None and (counts == cycles).all()
    else:
        assert counts is None
    for wrong in (body[:-1], body + b"\x00", b"\x03" + body[1:], b""):
        with pytest.raises(ProtocolError):
            protocol.decode_steps(wrong, 4, 3, counted)


def test_steps_body() -> None:
    x = np.array([[1, -2], [3, 4]], np.int16)
    assert protocol.encode_steps(x, True) == bytes.fromhex("01 02 0100 feff 0300 0400")
    # not contiguous, as a slice of channels is
    assert protocol.encode_steps(x[:, ::-1], False) == bytes.fromhex("00 02 feff 0100 0400 0300")


def test_stats() -> None:
    assert protocol.decode_stats(struct.pack("<III", 400, 5, 6)) == Stats(400, 5, 6)
    with pytest.raises(ProtocolError):
        protocol.decode_stats(b"\x00" * 11)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"\x01\x55", "type 0x55"),
        (b"\x02\x02", "wrong length"),
        (b"\x03\x09", "version 9"),
        (b"\x04\x24", "36 steps"),
        (b"\x63", "error 99"),
        (b"", "error 0"),
    ],
)
def test_refusal_in_words(body: bytes, words: str) -> None:
    assert words in protocol.refusal(body)
