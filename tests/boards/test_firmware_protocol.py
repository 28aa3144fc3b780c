"""The firmware's end of the protocol, built for this machine with sanitizers."""

import dataclasses
import random
import subprocess
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from cobs import cobs
from hypothesis import given
from hypothesis import strategies as st

from edgeflow.device import protocol
from edgeflow.device.client import Client
from edgeflow.device.protocol import Message, Stats
from edgeflow.device.transport import PipeTransport, Transport
from edgeflow.resources import resource
from tests.firmware_model import (
    BUILD_ID,
    INPUTS,
    MODEL_HASH,
    VERSION,
    build_sanitized,
    run_model,
    sources,
)

PROTOCOL = resource("firmware") / "protocol"
CODEC = Path(__file__).parent.parent / "firmware_model" / "codec" / "codec.c"


# ---- coder, decoder and CRC --------------------------------------------------------------------


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[bytes, bytes], bytes]]:
    files = [CODEC, PROTOCOL / "ef_cobs.c", PROTOCOL / "ef_crc32.c"]
    program = build_sanitized(files, tmp_path_factory.mktemp("codec") / "codec")
    process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def call(operation: bytes, data: bytes) -> bytes | None:
        stdin.write(operation + len(data).to_bytes(2, "little") + data)
        stdin.flush()
        size = int.from_bytes(stdout.read(2), "little")
        return None if size == 0xFFFF else stdout.read(size)

    yield call
    stdin.close()
    stdout.close()
    assert process.wait(10) == 0


# long runs without a zero are where COBS has its corners
payloads = st.one_of(
    st.binary(max_size=700),
    st.lists(
        st.sampled_from([b"\x00", b"\x01" * 253, b"\x02" * 254, b"\x03" * 255, b"\xff"]), max_size=5
    ).map(b"".join),
)


@given(payloads)
def test_c_and_python_codes_agree(codec: Callable[[bytes, bytes], bytes], data: bytes) -> None:
    code = cobs.encode(data)
    assert codec(b"e", data) == code
    assert codec(b"d", code) == data


@given(st.binary(max_size=300).map(lambda data: data.replace(b"\x00", b"\x01")))
def test_c_and_python_refuse_the_same_codes(
    codec: Callable[[bytes, bytes], bytes], code: bytes
) -> None:
    try:
        expected = cobs.decode(code)
    except cobs.DecodeError:
        expected = None
    assert codec(b"d", code) == expected


@given(st.binary(max_size=300))
def test_c_and_python_crcs_agree(codec: Callable[[bytes, bytes], bytes], data: bytes) -> None:
    assert codec(b"c", data) == zlib.crc32(data).to_bytes(4, "little")


def test_crc_is_the_catalogued_one(codec: Callable[[bytes, bytes], bytes]) -> None:
    # the check value of CRC-32/ISO-HDLC
    assert codec(b"c", b"123456789") == (0xCBF43926).to_bytes(4, "little")


def test_decoder_stops_at_the_end_of_its_buffer(codec: Callable[[bytes, bytes], bytes]) -> None:
    assert codec(b"d", cobs.encode(b"\x05" * 2048)) == b"\x05" * 2048
    assert codec(b"d", cobs.encode(b"\x05" * 2049)) is None


# ---- the whole firmware ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = [*sources(), resource("firmware") / "hal" / "ef_hal_stdio.c"]
    return build_sanitized(files, tmp_path_factory.mktemp("firmware") / "firmware")


@pytest.fixture()
def firmware(program: Path) -> Iterator[Transport]:
    """Transport to a running firmware, which must end well when its input ends."""
    process = subprocess.Popen(
        program, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin and process.stdout and process.stderr
    transport = PipeTransport("firmware", process.stdout, process.stdin)
    yield transport
    process.stdin.close()
    said = process.stderr.read().decode()
    assert (process.wait(10), said) == (0, "")
    process.stderr.close()
    process.stdout.close()


def read_until(transport: Transport, end: bytes, timeout: float = 5.0) -> bytes:
    data = b""
    while not data.endswith(end):
        part = transport.read(timeout)
        assert part, f"only {data!r} came"
        data += part
    return data


def exchange(transport: Transport, message: Message) -> Message | None:
    """Return the answer to a message; what is before the zero of its frame must be nothing."""
    transport.write(protocol.encode_frame(message))
    data = b""
    while data.count(0) < 2:
        part = transport.read(5.0)
        assert part, f"only {data!r} came"
        data += part
    assert data[0] == 0 and data.index(0, 1) == len(data) - 1
    return protocol.decode_frame(data[1:-1])


def begin(transport: Transport, session: int) -> None:
    """Begin a session, from any state."""
    Client(transport)
    reply = exchange(transport, Message(protocol.HELLO, 0, protocol.encode_hello(), session))
    assert reply is not None and (reply.type, reply.session) == (0x81, session)


def counters(transport: Transport, sequence: int, session: int) -> Stats:
    reply = exchange(transport, Message(protocol.STATS, sequence, session=session))
    assert reply is not None and reply.type == protocol.STATS | protocol.REPLY
    return protocol.decode_stats(reply.body)


def test_text_commands(firmware: Transport) -> None:
    greeting = read_until(firmware, b"\n")
    assert greeting == f"EdgeFlow {VERSION} host model {MODEL_HASH.hex()}\r\n".encode()
    firmware.write(b"help\n")
    assert b"info " in read_until(firmware, b"BYE\r\n")
    firmware.write(b"info\r")
    lines = read_until(firmware, b"stack_used 0\r\n").decode().split("\r\n")
    assert {f"model {MODEL_HASH.hex()}", f"build {BUILD_ID.hex()}"} <= set(lines)
    assert {"board host", "inputs 6", "outputs 7", "window 40", "max_steps 28"} <= set(lines)
    firmware.write(b"\r\n\x00reset\r\n")
    assert read_until(firmware, b"\n") == b"ok\r\n"


@pytest.mark.parametrize("line", [b"bogus\n", b"name%", b"\x1b[A\xff\x80\n", b"x" * 500 + b"\r"])
def test_unknown_command_gets_a_hint(firmware: Transport, line: bytes) -> None:
    read_until(firmware, b"\n")
    firmware.write(line)
    answer = read_until(firmware, b"\n")
    assert answer.startswith(b"unknown command: ") and answer.endswith(b"(try 'help')\r\n")
    assert answer.isascii() and len(answer) < 130


def test_bye_returns_to_text(firmware: Transport) -> None:
    with Client(firmware) as client:
        client.steps(np.zeros((3, INPUTS), np.int16))
    firmware.write(b"reset\n")
    assert read_until(firmware, b"\n") == b"ok\r\n"


@pytest.mark.parametrize(
    ("message", "refusal"),
    [
        (Message(0x55, 9), bytes([protocol.UNKNOWN_TYPE, 0x55])),
        (Message(0, 9), bytes([protocol.UNKNOWN_TYPE, 0])),
        (Message(protocol.HELLO, 9), bytes([protocol.BAD_LENGTH, protocol.HELLO])),
        (Message(protocol.HELLO, 9, b"\x07"), bytes([protocol.WRONG_VERSION, 2])),
        (Message(protocol.STEP, 9), bytes([protocol.BAD_LENGTH, protocol.STEP])),
        (Message(protocol.STEP, 9, b"\x00\x01abc"), bytes([protocol.BAD_LENGTH, protocol.STEP])),
        (
            Message(protocol.STEP, 9, b"\x00\x1d" + bytes(2 * INPUTS * 29)),
            bytes([protocol.TOO_MANY_STEPS, 28]),
        ),
    ],
)
def test_wrong_requests_are_refused_with_a_code(
    firmware: Transport, message: Message, refusal: bytes
) -> None:
    begin(firmware, 0xDEADBEEF)
    message = dataclasses.replace(message, session=0xDEADBEEF)
    answer = Message(protocol.ERROR, 9, refusal, 0xDEADBEEF)
    assert exchange(firmware, message) == answer == exchange(firmware, message)
    assert counters(firmware, 9, 0xDEADBEEF).steps == 0


def test_repeated_sequence_number_does_not_step_again(firmware: Transport) -> None:
    begin(firmware, 1)
    x = np.ones((2, INPUTS), np.int16)
    step = Message(protocol.STEP, 77, protocol.encode_steps(x, True), 1)
    first = exchange(firmware, step)
    assert first is not None and exchange(firmware, step) == first
    other = Message(protocol.STEP, 78, protocol.encode_steps(x, False), 1)
    reply = exchange(firmware, other)
    assert reply is not None
    y, _ = protocol.decode_steps(reply.body, 2, 7, True)
    assert (y == run_model(np.ones((4, INPUTS), np.int16))[2:]).all()
    assert counters(firmware, 79, 1).steps == 4


def test_two_hosts_never_get_each_others_replies(firmware: Transport) -> None:
    """Both count from the same number; only the last to begin is served, the other is told."""
    x = np.full((1, INPUTS), 5, np.int16)
    step = Message(protocol.STEP, 9, protocol.encode_steps(x, True), 1)
    begin(firmware, 1)
    first = exchange(firmware, step)
    begin(firmware, 2)
    lost = Message(protocol.ERROR, 9, bytes((protocol.OTHER_SESSION, 1)), 1)
    assert exchange(firmware, step) == lost
    theirs = dataclasses.replace(step, session=2, body=protocol.encode_steps(2 * x, True))
    second = exchange(firmware, theirs)
    assert first is not None and second is not None
    assert (first.session, second.session) == (1, 2) and first.body[2:16] != second.body[2:16]
    # the refusal of one host costs the other neither its session nor its last reply
    for stray in (
        step,
        Message(protocol.BYE, 3, session=1),
        Message(protocol.HELLO, 4, b"\x01", 1),
    ):
        answer = exchange(firmware, stray)
        assert answer is not None and answer.type == protocol.ERROR
        assert exchange(firmware, theirs) == second
    assert counters(firmware, 10, 2).steps == 1


def test_without_a_session_no_request_runs(firmware: Transport) -> None:
    """After a reset, or BYE: a host must know that the model's state is gone."""
    step = Message(
        protocol.STEP, 1, protocol.encode_steps(np.ones((1, INPUTS), np.int16), False), 5
    )
    none = Message(protocol.ERROR, 1, bytes((protocol.OTHER_SESSION, 0)), 5)
    read_until(firmware, b"\n")
    firmware.write(b"frame\n")
    assert read_until(firmware, b"\n") == b"framed mode\r\n"
    assert exchange(firmware, step) == none
    begin(firmware, 5)
    assert exchange(firmware, Message(protocol.BYE, 1, session=5)) is not None
    firmware.write(b"frame\n")
    assert read_until(firmware, b"\n") == b"framed mode\r\n"
    assert exchange(firmware, step) == none


def test_new_host_may_use_an_old_sequence_number(firmware: Transport) -> None:
    for _ in range(2):
        # each client counts from the same number; the second must not get the first's reply
        client = Client(firmware)
        x = np.full((1, INPUTS), 5, np.int16)
        client.steps(x)
        assert client.stats().steps == 1
    hello = Message(protocol.HELLO, 9, protocol.encode_hello(), 3)
    step = Message(protocol.STEP, 10, protocol.encode_steps(x, True), 3)
    for message in (hello, hello, step, hello, step):
        reply = exchange(firmware, message)
        assert reply is not None and reply.type == message.type | protocol.REPLY


def test_host_of_version_1_is_told_the_version(firmware: Transport) -> None:
    read_until(firmware, b"\n")
    for question in (protocol.SYNC + protocol.OLD_PROBE, protocol.OLD_PROBE):
        firmware.write(question)
        assert protocol.OLD_REFUSAL in read_until(firmware, protocol.OLD_REFUSAL + b"\x00")
    assert Client(firmware).hello.build_id == BUILD_ID


def test_firmware_survives_any_bytes(firmware: Transport) -> None:
    rng = random.Random(1)
    x = np.arange(8 * INPUTS, dtype=np.int16).reshape(8, INPUTS)
    good = protocol.encode_frame(Message(protocol.STEP, 5, protocol.encode_steps(x, True)))
    expected = run_model(x)
    Client(firmware)
    for turn in range(400):
        kind = turn % 5
        if kind == 0:
            noise = rng.randbytes(rng.randrange(2000))
        elif kind == 1:
            noise = good[: rng.randrange(len(good))]
        elif kind == 2:  # over-long
            noise = cobs.encode(rng.randbytes(rng.randrange(513, 1500)))
        elif kind == 3:
            flipped = bytearray(good)
            flipped[rng.randrange(len(good) - 1)] ^= 1 << rng.randrange(8)
            noise = bytes(flipped)
        else:  # a whole message with random content
            body = rng.randbytes(rng.randrange(511))
            noise = protocol.encode_frame(Message(rng.choice([2, 2, 3, 9]), 5, body))
        firmware.write(noise + b"\x00")
        client = Client(firmware)
        assert (client.steps(x, reset=True).y == expected).all(), (turn, noise)
