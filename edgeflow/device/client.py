"""The host's end of the framed protocol: handshake, steps, counters."""

import itertools
import re
import secrets
import time
from dataclasses import dataclass

import numpy as np

from edgeflow.device import protocol
from edgeflow.device.line import FLOOR, Line, Pace
from edgeflow.device.protocol import Hello, Message, Stats
from edgeflow.device.transport import Transport
from edgeflow.errors import (
    BoardResetError,
    DeviceError,
    ImageMismatchError,
    ProtocolError,
    SessionLostError,
)

# A board that has just been powered or opened may miss the first attempts.
_HANDSHAKE_TIMEOUTS = (1.0, 1.0, 1.0, 2.0, 4.0, 5.0)
_FAULT = re.compile(rb"\r\n(FAULT cause=[ -~]*)\r\n")
_GREETING = re.compile(rb"EdgeFlow \S+ \S+ model [0-9a-f]{16}\r\n")
#: Time-outs in a row after which the board may have left framed mode.
_LOST = 3
#: Times that a call of `Client.steps` begins anew after a reset of the board.
_MOST_RESETS = 3


@dataclass(frozen=True)
class Expected:
    """What must be on a board: hash of the model and number of the build (8 bytes each), board.

    What is None may be anything; `build_id` is b"" of a build that has no number. `write` says how
    the image gets onto the board, `again` how it is made: of what the messages advise.
    """

    model_hash: bytes
    build_id: bytes | None = None
    board: str | None = None
    write: str = "write the image with 'edgeflow flash DIR'"
    again: str = "compile the model again"


@dataclass(frozen=True)
class StepResult:
    """Outputs of steps: `y` int16 [n, outputs]; `cycles` uint32 [n], None without a counter."""

    y: np.ndarray
    cycles: np.ndarray | None


class Client:
    """A session with a board, after the handshake.

    Parameters
    ----------
    transport : Transport
        The stream to the board, which stays the caller's to close.
    expected : bytes or Expected, optional
        What must be on the board; bytes are the hash of the model.
    timeout : float
        Seconds: the longest time until a message is sent again, unless the board was seen to take
        longer. Time-outs are those of the measured round trips (`edgeflow.device.line.Pace`).
    retries : int
        Least number of times that a message is sent again before the board is given up.
    patience : float
        Seconds without an answer before the board is given up.
    floor : float
        Seconds: the shortest time until a message is sent again.
    boot_time : float
        Seconds that a board which was just started has to greet. What is sent before it listens
        would be lost or delayed.

    Attributes
    ----------
    hello : Hello
        The board's description of itself.
    line : Line
        What went wrong on the line so far, and how long answers take.

    Raises
    ------
    DeviceError
        If the board is gone or does not answer.
    ProtocolError
        If it answers something else.
    ImageMismatchError
        If it runs another model or build, or is another board.
    """

    def __init__(
        self,
        transport: Transport,
        expected: bytes | Expected | None = None,
        *,
        timeout: float = 5.0,
        retries: int = 3,
        patience: float = 30.0,
        floor: float = FLOOR,
        boot_time: float = 0.0,
    ) -> None:
        self.line = Line()
        self._transport = transport
        self._timeout, self._retries = timeout, retries
        self._patience, self._floor = patience, floor
        self._sequence = 0
        self._session = 0
        self._learned = False
        self._received = bytearray()
        if boot_time > 0:
            self._received += transport.read(boot_time)
            self._check_fault()
        if isinstance(expected, bytes):
            expected = Expected(expected)
        self._write = Expected.write if expected is None else expected.write
        self.hello = self._handshake()
        if expected is not None:
            self.expect(expected)

    def expect(self, expected: Expected) -> None:
        """Raise an ImageMismatchError that says what is on the board, if it is something else."""
        _check(self._transport.name, self.hello, expected)

    def steps(self, x: np.ndarray, reset: bool = False) -> StepResult:
        """Run the model on samples.

        If the board is reset in between, all of them are run again where they begin with a reset
        of the state, which a new session allows: `line` counts that.

        Parameters
        ----------
        x : int16 array [n, inputs]
            Quantized samples, any n.
        reset : bool
            Clear the model's state before the first of them.

        Raises
        ------
        DeviceError
            If `x` does not fit the model, or the board is gone or does not answer.
        BoardResetError
            If the board was reset and the state lost, or was reset again and again.
        SessionLostError
            If another program talks to the board.
        ImageMismatchError
            If the board that was reset is now another, or has another image.
        ProtocolError
            If the board refuses, or answers something else.
        """
        x = np.asarray(x)
        if x.dtype != np.int16 or x.ndim != 2 or x.shape[1] != self.hello.inputs:
            raise DeviceError(
                f"the model on {self.hello.board} takes int16 samples of shape "
                f"[n, {self.hello.inputs}], not {x.dtype} {list(x.shape)}"
            )
        for resets in itertools.count(1):
            try:
                return self._steps(x, reset)
            except BoardResetError:
                if self._learned:  # which is lost, too
                    raise
                if not reset or resets > _MOST_RESETS:
                    raise
                self._begin_again()
        raise AssertionError

    def _steps(self, x: np.ndarray, reset: bool) -> StepResult:
        counted = self.hello.cycles_hz != 0
        y = np.empty((len(x), self.hello.outputs), np.int16)
        cycles = np.empty(len(x), np.uint32)
        start = 0
        # no samples with `reset` still make one frame, which only resets
        while start < max(len(x), int(reset)):
            part = x[start : start + self._pace.steps]
            stop = start + len(part)
            body = protocol.encode_steps(part, reset and start == 0)
            body = self._request(protocol.STEP, body, len(part))
            y[start:stop], counts = protocol.decode_steps(
                body, len(part), self.hello.outputs, counted
            )
            if counts is not None:
                cycles[start:stop] = counts
            start = max(stop, 1)
        return StepResult(y, cycles if counted else None)

    def learn(self, label: int) -> None:
        """Label what the board read last: index of a class.

        From here on a reset of the board is an error, as it loses what was learned.

        Raises
        ------
        DeviceError
            If the board is gone, does not answer, or has no model that learns, or no such class.
        """
        self._learned = True
        self._request(protocol.LEARN, protocol.encode_number(label))

    def forget(self) -> None:
        """Return the board to the trained model; errors as of `learn`."""
        self._request(protocol.FORGET)

    def save_learned(self) -> bytes:
        """Return what the board has learned, for `load_learned` and `Program.load_learned`.

        Errors as of `learn`.
        """
        blob, size = b"", 1
        while len(blob) < size:
            reply = self._request(protocol.SAVE, protocol.encode_number(len(blob)))
            size, part = protocol.decode_saved(reply)
            blob += part
        return blob

    def load_learned(self, blob: bytes) -> None:
        """Give the board what was learned before; errors as of `learn`."""
        self._learned = True
        size = 2 * self.hello.inputs * self.hello.max_steps  # fits in a frame, as samples do
        for start in range(0, len(blob), size):
            part = blob[start : start + size]
            self._request(protocol.LOAD, protocol.encode_number(start) + part)

    def keep_learned(self) -> None:
        """Let the board write what it has learned to its flash, whence it starts with it.

        Errors as of `learn`; a ProtocolError, too, where the board has no flash that EdgeFlow
        writes to.
        """
        self._request(protocol.SAVE)

    def load_kept(self) -> None:
        """Let the board take what it last kept in its flash; errors as of `keep_learned`."""
        self._learned = True
        self._request(protocol.LOAD)

    def stats(self) -> Stats:
        """Return the board's counters.

        Raises
        ------
        DeviceError
            If the board is gone or does not answer.
        """
        return protocol.decode_stats(self._request(protocol.STATS))

    def close(self) -> None:
        """Return the board to text mode if it still answers; the stream stays open."""
        try:
            self._sequence = (self._sequence + 1) % 256
            self._send(Message(protocol.BYE, self._sequence, session=self._session))
            self._await(protocol.BYE, 1.0)
        except DeviceError:
            pass

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _handshake(self) -> Hello:
        self._begun = False
        self._session = 1 + secrets.randbelow(2**32 - 1)
        self._sequence = 0
        message = Message(protocol.HELLO, 0, protocol.encode_hello(), self._session)
        for attempt, timeout in enumerate(_HANDSHAKE_TIMEOUTS):
            self._transport.write(protocol.SYNC)
            self._send(message)
            if attempt > 0:
                self._transport.write(protocol.OLD_PROBE)
            body = self._await(protocol.HELLO, timeout)
            if body is not None:
                hello = protocol.decode_hello(body)
                if hello.max_steps < 1:
                    raise ProtocolError(f"{self._transport.name}: the board takes no steps")
                self._pace = Pace(hello.max_steps, self._floor, self._timeout)
                self._begun = True
                return hello
        raise DeviceError(
            f"{self._transport.name}: the board does not answer: check port and speed, reset it, "
            f"or {self._write}"
        )

    def _begin_again(self) -> None:
        """Begin a new session after a reset; the board must be the one that it was."""
        before, self.hello = self.hello, self._handshake()
        what = Expected(before.model_hash, before.build_id, before.board, self._write)
        _check(f"{self._transport.name}: the board was reset or replaced", self.hello, what)

    def _request(self, type: int, body: bytes = b"", steps: int = 0) -> bytes:
        """Send a message until it is answered; return the body of the reply."""
        self._sequence = (self._sequence + 1) % 256
        message = Message(type, self._sequence, body, self._session)
        self.line.requests += 1
        started = time.monotonic()
        silent = 0  # time-outs in a row
        for attempt in itertools.count():
            if silent >= _LOST:
                self._transport.write(protocol.SYNC)
                self.line.syncs += 1
            self._send(message)
            damaged = self.line.damaged
            reply = self._await(type, self._pace.timeout(steps))
            elapsed = time.monotonic() - started
            if reply is not None:
                self._pace.answered(elapsed, steps, again=attempt > 0)
                if attempt == 0:
                    self.line.round_trips.append(elapsed)
                return reply
            if self.line.damaged == damaged:
                self._pace.passed()
                silent += 1
            else:
                silent = 0
            if attempt >= self._retries and elapsed >= self._patience:
                break
            self.line.retries += 1
        raise DeviceError(
            f"{self._transport.name}: no answer from the board after {attempt + 1} attempts in "
            f"{elapsed:.0f} s: reset it, then try again"
        )

    def _send(self, message: Message) -> None:
        self._transport.write(protocol.encode_frame(message))

    def _await(self, type: int, timeout: float) -> bytes | None:
        """Return the body of the reply; None if it did not come in time or came damaged."""
        deadline = time.monotonic() + timeout
        while True:
            message = self._next_frame(deadline)
            if message is None:
                return None
            if message.session != self._session:
                # refusals are for the other, and what came before our HELLO is old
                if self._begun and message.type != protocol.ERROR:
                    raise self._lost()
                continue
            if message.sequence != self._sequence:
                continue  # a late reply to something answered before
            if message.type == protocol.ERROR:
                if message.body[:1] == bytes((protocol.OTHER_SESSION,)):
                    raise self._lost() if message.body[1:2] != b"\x00" else self._reset()
                raise ProtocolError(
                    f"{self._transport.name}: the board refused a message: "
                    f"{protocol.refusal(message.body)}"
                )
            if message.type == type | protocol.REPLY:
                return message.body

    def _next_frame(self, deadline: float) -> Message | None:
        """Return the next message; None if it did not come in time, or came damaged."""
        while True:
            end = self._received.find(0)
            if end >= 0:
                code = bytes(self._received[:end])
                del self._received[: end + 1]
                message = protocol.decode_frame(code)
                if message is not None:
                    return message
                if self._begun and code not in (b"", protocol.OLD_REFUSAL):
                    self.line.damaged += 1
                    return None  # asked for again at once
                old = None if self._begun else protocol.decode_old_hello(code)
                if old is not None:
                    raise ImageMismatchError(
                        f"{self._transport.name}: the board speaks version 1 of the protocol and "
                        f"this edgeflow version {protocol.PROTOCOL_VERSION} (it runs {old}): "
                        "compile and flash the image again"
                    )
                continue
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return None
            self._received += self._transport.read(remaining)
            self._check_fault()
            if self._begun and b"EdgeFlow " in self._received and _GREETING.search(self._received):
                raise self._reset()

    def _check_fault(self) -> None:
        """Raise at once when the firmware reports that it stopped."""
        check_fault(self._transport.name, self._received)

    def _lost(self) -> SessionLostError:
        return SessionLostError(
            f"{self._transport.name}: another program began a session with this board: stop it, "
            "then try again"
        )

    def _reset(self) -> BoardResetError:
        self.line.resets += 1
        self._received.clear()
        return BoardResetError(
            f"{self._transport.name}: the board was reset, which lost the model's state: check its "
            "power, then run the samples again from a reset of the state"
        )


def check_fault(name: str, received: bytes | bytearray) -> None:
    """Raise a DeviceError if the firmware of a board says that it stopped."""
    fault = b"FAULT" in received and _FAULT.search(received)
    if fault:
        raise DeviceError(
            f"{name}: the firmware stopped with {fault[1].decode('ascii')}: "
            "this is an error in the image; reset the board"
        )


def _check(name: str, hello: Hello, expected: Expected) -> None:
    """Raise an ImageMismatchError that says what is there, if it is not what is expected."""
    there = (
        f"model {hello.model_hash.hex()}, build {hello.build_id.hex()} for {hello.board} by "
        f"EdgeFlow {hello.version}"
    )
    what_to_do = f"{expected.write}, or {expected.again}"
    if hello.model_hash != expected.model_hash:
        raise ImageMismatchError(
            f"{name}: the board runs another program ({there}), expected "
            f"{expected.model_hash.hex()}: {what_to_do}"
        )
    if expected.board not in (None, hello.board):
        raise ImageMismatchError(
            f"{name}: another board runs this program ({there}), expected {expected.board}: "
            f"connect that one, or compile the model for {hello.board}"
        )
    if expected.build_id not in (None, hello.build_id):
        number = expected.build_id.hex() if expected.build_id else "a build without a number"
        raise ImageMismatchError(
            f"{name}: the board runs another build of this program ({there}), expected {number}: "
            f"{what_to_do}"
        )
