"""Lines that fail: a transport with seeded faults, and boards that several hosts reach."""

import contextlib
import itertools
import os
import random
import selectors
import socket
import subprocess
import threading
import time
import tty
from collections.abc import Callable
from pathlib import Path

from edgeflow.device.transport import Transport


class FaultyLine(Transport):
    """A board's real transport whose bytes are lost, doubled and changed in both directions.

    Parameters
    ----------
    open : callable
        Returns the transport of a board that has just been started anew.
    rate : float
        Of bytes: as many are flipped, dropped or doubled, evenly among the three.
    every : int
        Writes after which the next of these comes: a run of bytes is lost, a stall begins, the board
        is reset. 0: none.
    """

    def __init__(
        self, open: Callable[[], Transport], seed: int, rate: float, every: int = 0
    ) -> None:
        self._open, self._inner = open, open()
        super().__init__(self._inner.name)
        self._random = random.Random(seed)
        self._rate, self._every = rate, every
        self._writes = 0
        self._kinds = itertools.cycle(("cut", "stall", "reset"))
        self._stalled_until = 0.0
        self.counts = dict.fromkeys(("flip", "drop", "double", "stall", "cut", "reset"), 0)

    def write(self, data: bytes) -> None:
        data = self._damaged(data)
        self._writes += 1
        if self._every and self._writes % self._every == 0:
            kind = next(self._kinds)
            self.counts[kind] += 1
            if kind == "cut":
                start = self._random.randrange(len(data) + 1)
                data = data[:start] + data[start + self._random.randrange(1, 100) :]
            elif kind == "stall":
                self._stalled_until = time.monotonic() + self._random.uniform(0.1, 1.0)
            else:
                self._inner = self._open()
        self._inner.write(data)

    def read(self, timeout: float) -> bytes:
        if time.monotonic() < self._stalled_until:
            time.sleep(max(0.0, min(timeout, self._stalled_until - time.monotonic())))
            return b""
        return self._damaged(self._inner.read(timeout))

    def close(self) -> None:
        self._inner.close()

    def _damaged(self, data: bytes) -> bytes:
        result, start = bytearray(), 0
        while True:
            # the way to the next fault of many rare ones is exponential
            at = start + int(self._random.expovariate(self._rate)) if self._rate else len(data)
            if at >= len(data):
                return bytes(result + data[start:])
            result += data[start:at]
            kind = self._random.choice(("flip", "drop", "double"))
            self.counts[kind] += 1
            if kind == "flip":
                result.append(data[at] ^ 1 << self._random.randrange(8))
            elif kind == "double":
                result += data[at : at + 1] * 2
            start = at + 1


class Served:
    """A board that is a program, behind a port that any number of hosts can open at once.

    All hear all that it says. A context manager that stops both.

    Parameters
    ----------
    image : Path
        The program.
    kind : {"tcp", "pty"}
    after : int, optional
        Bytes from the hosts after which `then` is called, once.
    """

    def __init__(
        self,
        image: Path,
        kind: str,
        *,
        after: int = 0,
        then: Callable[["Served"], None] | None = None,
    ) -> None:
        self._after, self._then = after, then
        self._heard = 0
        self._hosts: list[socket.socket | int] = []
        self._selector = selectors.DefaultSelector()
        self._fds: list[int] = []
        self._stop, stopped = os.pipe()
        self._fds += [self._stop, stopped]
        if kind == "tcp":
            self._server = socket.create_server(("127.0.0.1", 0))
            self._selector.register(self._server, selectors.EVENT_READ, self._accept)
            self.port = f"socket://127.0.0.1:{self._server.getsockname()[1]}"
        else:
            # the end of the hosts stays open: a port does not go away with the last of them
            master, slave = os.openpty()
            tty.setraw(slave)
            self._fds += [master, slave]
            self.port = os.ttyname(slave)
            self._hosts.append(master)
            self._selector.register(master, selectors.EVENT_READ, self._from_host)
        self._selector.register(stopped_read := self._stop, selectors.EVENT_READ, None)
        assert stopped_read == self._stop
        self._wake = stopped
        self.start(image)
        self._thread = threading.Thread(target=self._serve)

    def start(self, image: Path) -> None:
        """Start a program in the place of the one that runs: a reset, or another board."""
        old = getattr(self, "_process", None)
        if old is not None:
            self._selector.unregister(old.stdout)
            self._end(old)
        self._process = subprocess.Popen(
            [image.resolve()], bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self._selector.register(self._process.stdout, selectors.EVENT_READ, self._from_board)

    def __enter__(self) -> "Served":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        os.write(self._wake, b"x")
        self._thread.join()
        self._selector.close()
        self._end(self._process)
        for host in self._hosts:
            if isinstance(host, socket.socket):
                host.close()
        if hasattr(self, "_server"):
            self._server.close()
        for fd in self._fds:
            os.close(fd)

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                key.data(key.fileobj)

    def _accept(self, server: socket.socket) -> None:
        host, _ = server.accept()
        host.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._hosts.append(host)
        self._selector.register(host, selectors.EVENT_READ, self._from_host)

    def _from_host(self, host: socket.socket | int) -> None:
        try:
            data = os.read(host if isinstance(host, int) else host.fileno(), 65536)
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(host)
            self._hosts.remove(host)
            if isinstance(host, socket.socket):
                host.close()
            return
        self._heard += len(data)
        if self._then is not None and self._heard > self._after:
            then, self._then = self._then, None
            then(self)
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(data)

    def _from_board(self, output: object) -> None:
        assert self._process.stdout is not None
        data = os.read(self._process.stdout.fileno(), 65536)
        for host in self._hosts:
            with contextlib.suppress(OSError):
                os.write(host if isinstance(host, int) else host.fileno(), data)

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            stream.close()
