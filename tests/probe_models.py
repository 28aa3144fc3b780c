"""Power probes as they behave at their port: PPK2 and LPM01A at ptys, Otii's server.

``python -m tests.probe_models SECONDS`` is a PPK2 in a process of its own that sends samples at their
pace once started; it prints its port, and at the end how many it sent.
"""

import json
import os
import socket
import sys
import threading
import time
import tty

import numpy as np

#: Of the notes on a real device; O, S, I, UG and GS are not 0 and 1, so that each counts.
METADATA = (
    "Calibrated: 0\nR0: 1003.3506\nR1: 101.5865\nR2: 10.3027\nR3: 0.9636\nR4: 0.0564\n"
    "GS0: 0.0000\nGS1: 112.7890\nGS2: 12.0148\nGS3: 1.0000\nGS4: 0.1000\n"
    "GI0: 1.0000\nGI1: 0.9695\nGI2: 0.9609\nGI3: 0.9519\nGI4: 0.9582\n"
    "O0: 144.0000\nO1: 178.0000\nO2: 188.0000\nO3: 78.0000\nO4: 150.0000\n"
    "S0: 0.000000048\nS1: 0.000000596\nS2: 0.000005281\nS3: 0.000062577\nS4: 0.002940743\n"
    "I0: -0.000000104\nI1: -0.000001443\nI2: 0.000036439\nI3: -0.000374119\nI4: -0.009388455\n"
    "UG0: 1.00\nUG1: 1.00\nUG2: 1.00\nUG3: 1.00\nUG4: 1.00\nHW: 9173\nIA: 56\nEND\n"
)


class Pty:
    """A pty whose other end a model serves in a thread."""

    def __init__(self) -> None:
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self.ended = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self.ended:
            try:
                data = os.read(self.master, 4096)
            except OSError:
                return
            self.take(data)

    def take(self, data: bytes) -> None:
        raise NotImplementedError

    def say(self, data: bytes) -> None:
        while data and not self.ended:
            try:
                data = data[os.write(self.master, data) :]
            except OSError:
                return

    def unplug(self) -> None:
        self.ended = True
        for end in (self.master, self._slave):
            os.close(end)


class Ppk2(Pty):
    """A PPK2 that sends words (uint32 [n]) once started, as many as there are."""

    def __init__(self, words: np.ndarray, chunk: int = 1000, pause: float = 0.0) -> None:
        self.words, self.chunk, self.pause = words.astype("<u4"), chunk, pause
        self.asked: list[bytes] = []
        self.sent = 0
        self.running = threading.Event()
        super().__init__()

    def take(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            size = {0x0C: 2, 0x0D: 3, 0x11: 2}.get(data[at], 1)
            request = data[at : at + size]
            self.asked.append(request)
            if request[0] == 0x19:
                self.say(METADATA.encode())
            elif request[0] == 0x06:
                self.running.set()
                threading.Thread(target=self._send, daemon=True).start()
            elif request[0] == 0x07:
                self.running.clear()
            at += size

    def _send(self) -> None:
        begun = time.monotonic()
        while self.running.is_set() and self.sent < len(self.words):
            part = self.words[self.sent : self.sent + self.chunk]
            self.say(part.tobytes())
            self.sent += len(part)
            if self.pause:
                time.sleep(max(0.0, begun + self.sent * self.pause - time.monotonic()))


def words_of(
    adc: np.ndarray, ranges: np.ndarray, lines: np.ndarray, counted: bool = True
) -> np.ndarray:
    counter = np.arange(len(adc)) % 64 if counted else np.zeros(len(adc), int)
    return (adc | ranges << 14 | counter << 18 | lines << 24).astype("<u4")


def random_words(n: int, seed: int = 0) -> np.ndarray:
    """Stretches of each range, some of them short, and lines."""
    rng = np.random.default_rng(seed)
    ranges = np.repeat(rng.integers(0, 5, n), rng.integers(1, 40, n))[:n]
    return words_of(rng.integers(400, 0x3000, n), ranges, rng.integers(0, 256, n))


class Lpm01a(Pty):
    """An LPM01A that sends values in ASCII, with events, each once started."""

    def __init__(self, lines: list[str]) -> None:
        self.lines, self.asked, self._text = lines, list[str](), b""
        super().__init__()

    def take(self, data: bytes) -> None:
        *commands, self._text = (self._text + data).split(b"\r\n")
        for command in commands:
            text = command.decode()
            self.asked.append(text)
            self.say(f"PowerShield > ack {text}\r\n".encode())
            if text == "start":
                self.say("".join(f"{line}\r\n" for line in self.lines).encode())
            elif text == "stop":
                self.say(b"PowerShield > Acquisition completed\r\n")


class OtiiServer:
    """Otii's program: its server, one Arc, a recording of given channels."""

    def __init__(self, channels: dict[str, dict[str, object]]) -> None:
        self.channels = channels
        self.asked: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        said = {"type": "information", "info": "connected", "data": {"protocol_version": "0.1"}}
        connection.sendall((json.dumps(said) + "\r\n").encode())
        for line in connection.makefile("r", newline="\r\n"):
            request = json.loads(line)
            self.asked.append(request["cmd"])
            answer = {"type": "response", "cmd": request["cmd"], "trans_id": request["trans_id"]}
            answer["data"] = self._answer(request["cmd"], request.get("data", {}))
            connection.sendall((json.dumps(answer) + "\r\n").encode())

    def _answer(self, command: str, data: dict[str, object]) -> dict[str, object]:
        if command == "otii_get_devices":
            return {"devices": [{"device_id": "abc", "name": "Arc", "type": "Arc"}]}
        if command == "otii_get_active_project":
            return {"project_id": -1}
        if command == "otii_create_project":
            return {"project_id": 7}
        if command == "project_get_last_recording":
            return {"recording_id": 3}
        found = self.channels.get(str(data.get("channel")), {"values": []})
        values: list[object] = found["values"]  # type: ignore[assignment]
        if command == "recording_get_channel_data_count":
            return {"count": len(values)}
        if command == "recording_get_channel_data":
            first = int(data["index"])  # type: ignore[call-overload]
            return {**found, "values": values[first : first + int(data["count"])]}  # type: ignore[call-overload]
        return {}


if __name__ == "__main__":
    model = Ppk2(random_words(int(float(sys.argv[1]) * 100_000)), chunk=2000, pause=1e-5)
    print(model.port, flush=True)
    while model.sent < len(model.words):
        time.sleep(0.05)
    time.sleep(1.0)
    print(model.sent, flush=True)
    sys.stdin.read()
