"""The host's end of the framed protocol: handshake, steps, counters."""

import itertools
import re
import time
from dataclasses import dataclass

import numpy as np

from edgeflow.device import protocol
from edgeflow.device.protocol import Hello, Message, Stats
from edgeflow.device.transport import Transport
from edgeflow.errors import DeviceError, ImageMismatchError, ProtocolError

# A board that has just been powered or opened may miss the first attempts.
_HANDSHAKE_TIMEOUTS = (1.0, 2.0, 5.0, 5.0)
_FAULT = re.compile(rb"\r\n(FAULT cause=[ -~]*)\r\n")


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
    expected_hash : bytes, optional
        Hash (8 bytes) of the model that must be on the board.
    timeout : float
        Seconds until a message is sent again. Emulated UARTs stall for a second now and then.
    retries : int
        Number of times that a message is sent again.
    boot_time : float
        Seconds that a board which was just started has to greet. What is sent before it listens
        would be lost or delayed.

    Attributes
    ----------
    hello : Hello
        The board's description of itself.

    Raises
    ------
    DeviceError
        If the board is gone or does not answer.
    ProtocolError
        If it answers something else.
    ImageMismatchError
        If it runs another model.
    """

    def __init__(
        self,
        transport: Transport,
        expected_hash: bytes | None = None,
        *,
        timeout: float = 5.0,
        retries: int = 3,
        boot_time: float = 0.0,
    ) -> None:
        self._transport = transport
        self._timeout = timeout
        self._retries = retries
        self._sequence = 0
        self._received = bytearray()
        if boot_time > 0:
            self._received += transport.read(boot_time)
            self._check_fault()
        self.hello = self._handshake()
        if expected_hash is not None and self.hello.model_hash != expected_hash:
            raise ImageMismatchError(
                f"{transport.name}: the board runs model {self.hello.model_hash.hex()}, expected "
                f"{expected_hash.hex()}: write the image with 'edgeflow flash DIR', or compile "
                "the model again"
            )

    def steps(self, x: np.ndarray, reset: bool = False) -> StepResult:
        """Run the model on samples.

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
        ProtocolError
            If the board refuses, or answers something else.
        """
        x = np.asarray(x)
        if x.dtype != np.int16 or x.ndim != 2 or x.shape[1] != self.hello.inputs:
            raise DeviceError(
                f"the model on {self.hello.board} takes int16 samples of shape "
                f"[n, {self.hello.inputs}], not {x.dtype} {list(x.shape)}"
            )
        counted = self.hello.cycles_hz != 0
        y = np.empty((len(x), self.hello.outputs), np.int16)
        cycles = np.empty(len(x), np.uint32)
        # no samples with `reset` still make one frame, which only resets
        for start in range(0, max(len(x), int(reset)), self.hello.max_steps):
            part = x[start : start + self.hello.max_steps]
            stop = start + len(part)
            body = self._request(protocol.STEP, protocol.encode_steps(part, reset and start == 0))
            y[start:stop], counts = protocol.decode_steps(
                body, len(part), self.hello.outputs, counted
            )
            if counts is not None:
                cycles[start:stop] = counts
        return StepResult(y, cycles if counted else None)

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
            self._send(Message(protocol.BYE, self._sequence))
            self._await({self._sequence}, protocol.BYE, 1.0)
        except DeviceError:
            pass

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _handshake(self) -> Hello:
        sent = set()
        for timeout in _HANDSHAKE_TIMEOUTS:
            self._sequence = (self._sequence + 1) % 256
            sent.add(self._sequence)
            self._transport.write(protocol.SYNC)
            self._send(Message(protocol.HELLO, self._sequence, protocol.encode_hello()))
            # a late reply to an earlier attempt is as good
            body = self._await(sent, protocol.HELLO, timeout)
            if body is not None:
                hello = protocol.decode_hello(body)
                if hello.max_steps < 1:
                    raise ProtocolError(f"{self._transport.name}: the board takes no steps")
                return hello
        raise DeviceError(
            f"{self._transport.name}: the board does not answer: check port and speed, reset it, "
            "or write the image with 'edgeflow flash DIR'"
        )

    def _request(self, type: int, body: bytes = b"") -> bytes:
        """Send a message until it is answered; return the body of the reply."""
        self._sequence = (self._sequence + 1) % 256
        message = Message(type, self._sequence, body)
        for attempt in itertools.count():
            self._send(message, again=attempt > 0)
            reply = self._await({self._sequence}, type, self._timeout)
            if reply is not None:
                return reply
            if attempt == self._retries:
                break
        raise DeviceError(
            f"{self._transport.name}: no answer from the board after {self._retries + 1} attempts "
            f"of {self._timeout:g} s: reset it, then try again"
        )

    def _send(self, message: Message, again: bool = False) -> None:
        # a zero first, in case the board still waits for the end of a damaged frame
        self._transport.write(b"\x00" * again + protocol.encode_frame(message))

    def _await(self, sequences: set[int], type: int, timeout: float) -> bytes | None:
        """Return the body of the reply; None if it did not come in `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            message = self._next_frame(deadline)
            if message is None:
                return None
            if message.sequence not in sequences:
                continue  # a late reply to something answered before
            if message.type == protocol.ERROR:
                raise ProtocolError(
                    f"{self._transport.name}: the board refused a message: "
                    f"{protocol.refusal(message.body)}"
                )
            if message.type == type | protocol.REPLY:
                return message.body

    def _next_frame(self, deadline: float) -> Message | None:
        while True:
            end = self._received.find(0)
            if end >= 0:
                message = protocol.decode_frame(bytes(self._received[:end]))
                del self._received[: end + 1]
                if message is not None:
                    return message
                # text, or damaged on the way: the time-out asks for it again
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return None
            if end < 0:
                self._received += self._transport.read(remaining)
                self._check_fault()

    def _check_fault(self) -> None:
        """Raise at once when the firmware reports that it stopped."""
        fault = _FAULT.search(self._received)
        if fault is not None:
            raise DeviceError(
                f"{self._transport.name}: the firmware stopped with {fault[1].decode('ascii')}: "
                "this is an error in the image; reset the board"
            )
