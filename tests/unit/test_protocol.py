"""The framed protocol in Python: pure functions, both directions, byte by byte as documented.

Tier unit. Alone it holds the example frames of docs/protocol.md, and what version 1 says and reads.
"""

import binascii
import struct

import numpy as np
import pytest
from cobs import cobs
from hypothesis import given
from hypothesis import strategies as st

from edgeflow.device import protocol
from edgeflow.device.protocol import Hello, Message, Stats
from edgeflow.errors import ProtocolError
from tests.conftest import ROOT

bytes_ = st.integers(0, 255)


def test_frame_is_what_the_document_says() -> None:
    # the example of docs/protocol.md: HELLO of session 0x0a0b0c0d, sequence 1, version 2
    hello = Message(protocol.HELLO, 1, protocol.encode_hello(), 0x0A0B0C0D)
    frame = "00 0c 0d 0c 0b 0a 01 01 02 ea 95 c3 65 00"
    assert protocol.encode_frame(hello) == bytes.fromhex(frame)
    text = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    refusal = f"00 {protocol.OLD_REFUSAL.hex(' ')} 00"
    for shown in (frame, protocol.OLD_PROBE.hex(" "), refusal):
        assert f"\n{shown}\n" in text, shown


@given(bytes_, bytes_, st.binary(max_size=600), st.integers(0, 2**32 - 1))
def test_frame_comes_back(type: int, sequence: int, body: bytes, session: int) -> None:
    message = Message(type, sequence, body, session)
    frame = protocol.encode_frame(message)
    assert frame[0] == 0 and frame.index(0, 1) == len(frame) - 1
    assert protocol.decode_frame(frame[1:-1]) == message


@given(st.binary(max_size=300), st.data())
def test_damaged_payload_is_noticed(body: bytes, data: st.DataObject) -> None:
    # a CRC notices any burst of up to 32 bits
    payload = bytearray(cobs.decode(protocol.encode_frame(Message(2, 7, body, 99))[1:-1]))
    at = data.draw(st.integers(0, len(payload) - 4))
    burst = data.draw(st.integers(1, 2**32 - 1)).to_bytes(4, "little")
    payload[at : at + 4] = bytes(a ^ b for a, b in zip(payload[at : at + 4], burst, strict=True))
    assert protocol.decode_frame(cobs.encode(bytes(payload))) is None


@given(st.binary(max_size=80))
def test_any_bytes_decode_to_a_message_or_nothing(code: bytes) -> None:
    message = protocol.decode_frame(code)
    assert message is None or protocol.encode_frame(message)[1:-1]
    assert protocol.decode_old_hello(code) is None


def test_image_of_version_1_is_known_by_what_it_says() -> None:
    """Its reply to the question that its host asks, with its CRC-16."""
    fields = struct.pack("<BBB8sHHHHI", 0x81, 1, 1, bytes(range(8)), 6, 7, 40, 42, 0)
    payload = fields + b"\x07qemu-m4\x050.1.0"
    frame = cobs.encode(payload + binascii.crc_hqx(payload, 0xFFFF).to_bytes(2, "little"))
    said = protocol.decode_old_hello(frame)
    assert said == "model 0001020304050607 for qemu-m4, made by EdgeFlow 0.1.0"
    assert protocol.decode_frame(frame) is None
    # the question is one of version 1, the refusal an error of version 1 that says 2
    assert cobs.decode(protocol.OLD_PROBE[1:-1])[:3] == b"\x01\x01\x01"
    refusal = cobs.decode(protocol.OLD_REFUSAL)
    assert refusal[:4] == bytes((protocol.ERROR, 1, protocol.WRONG_VERSION, 2))
    assert binascii.crc_hqx(refusal[:4], 0xFFFF) == int.from_bytes(refusal[4:], "little")


def test_hello_comes_back_and_cut_off_is_refused() -> None:
    model, build = bytes(range(8)), bytes(range(8, 16))
    hello = Hello(2, model, build, 6, 7, 40, 36, 80_000_000, "qemu-m4", "1.2.3")
    body = struct.pack("<B8s8sHHH", 2, model, build, 6, 7, 40) + b"qemu-m4\x001.2.3\x00"
    body += struct.pack("<HI", 36, 80_000_000)
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
        (b"\x05\x01", "another program's session"),
        (b"\x05\x00", "no session"),
        (b"\x63", "error 99"),
        (b"", "error 0"),
    ],
)
def test_refusal_in_words(body: bytes, words: str) -> None:
    assert words in protocol.refusal(body)
