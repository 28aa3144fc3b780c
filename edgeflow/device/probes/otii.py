"""Qoitech's Otii Arc and Ace, by the TCP server of its desktop program: lines of JSON."""

import itertools
import json
import socket
from pathlib import Path
from typing import Any

from edgeflow.device.probes.base import Probe
from edgeflow.energy.formats import ReadOptions
from edgeflow.energy.formats.otii import recording_of
from edgeflow.energy.recording import Recording
from edgeflow.errors import DeviceError, EnergyError

_PORT = 1905
_CHUNK = 40_000
_CHANNELS = ("mc", "mv", "i1", "i2")


class Otii(Probe):
    NAME = "otii"
    ABOUT = "Qoitech Otii, by its program's TCP server (HOST:PORT); its GPI1 at the marker's pin"

    def open(self) -> None:
        host, _, port = (self.place or "127.0.0.1").rpartition(":")
        if not host:
            host, port = port, str(_PORT)
        try:
            self._socket = socket.create_connection((host, int(port)), timeout=10.0)
        except (OSError, ValueError) as error:
            raise DeviceError(
                f"--probe otii: nothing answers at {host}:{port} ({error}): start Otii's program "
                "with its TCP server"
            ) from None
        self._file = self._socket.makefile("r", encoding="utf-8", newline="\r\n")
        self._numbers = itertools.count(1)
        try:
            if json.loads(self._line()).get("type") != "information":
                raise ValueError
        except ValueError:
            raise DeviceError(f"--probe otii: {host}:{port} is no server of Otii") from None
        devices = self._ask("otii_get_devices", timeout=10)["devices"]
        arcs = [device for device in devices if device.get("type") in ("Arc", "Ace")]
        if not arcs:
            raise DeviceError("--probe otii: its program knows no Arc or Ace: plug one in")
        self.device = str(arcs[0]["device_id"])
        project = self._ask("otii_get_active_project")["project_id"]
        self.project = self._ask("otii_create_project")["project_id"] if project == -1 else project
        self._ask("arc_add_to_project", device_id=self.device)
        for channel in _CHANNELS:
            self._ask("arc_enable_channel", device_id=self.device, channel=channel, enable=True)
        if self.options.supply:
            if self.options.voltage is None:
                raise EnergyError("--probe otii --supply: say the voltage by --voltage")
            self._ask("arc_set_main_voltage", device_id=self.device, value=self.options.voltage)
            self._ask("arc_set_main", device_id=self.device, enable=True)

    def _line(self) -> str:
        try:
            line = self._file.readline()
        except (OSError, UnicodeDecodeError) as error:
            raise DeviceError(f"--probe otii: its server went away ({error})") from None
        if not line:
            raise DeviceError("--probe otii: its server went away")
        return line

    def _ask(self, command: str, **data: Any) -> Any:
        number = str(next(self._numbers))
        request: dict[str, Any] = {"type": "request", "cmd": command, "trans_id": number}
        if data:
            request["data"] = data
        try:
            self._socket.sendall((json.dumps(request) + "\r\n").encode())
        except OSError as error:
            raise DeviceError(f"--probe otii: its server went away ({error})") from None
        while True:
            answer = json.loads(self._line())
            if answer.get("trans_id") != number or answer["type"] == "progress":
                continue
            if answer["type"] == "error":
                raise DeviceError(
                    f"--probe otii: {command}: {answer.get('errorcode', '')} "
                    f"{answer.get('data', {}).get('message', '')}".rstrip()
                )
            return answer.get("data", {})

    def start(self) -> None:
        self._ask("project_start_recording", project_id=self.project)

    def stop(self) -> Recording:
        self._ask("project_stop_recording", project_id=self.project)
        last = self._ask("project_get_last_recording", project_id=self.project)
        number = last.get("recording_id", -1)
        if number == -1:
            raise EnergyError("--probe otii: it has no recording")
        channels = {name: self._channel(number, name) for name in _CHANNELS}
        there = {name: found for name, found in channels.items() if found.get("values")}
        options = ReadOptions(voltage=self.options.voltage)
        return recording_of(there, Path("otii"), options)

    def _channel(self, recording: int, name: str) -> dict[str, Any]:
        where = {"recording_id": recording, "device_id": self.device, "channel": name}
        count = self._ask("recording_get_channel_data_count", **where)["count"]
        whole: dict[str, Any] = {}
        for index in range(0, count, _CHUNK):
            size = min(_CHUNK, count - index)
            part = self._ask("recording_get_channel_data", **where, index=index, count=size)
            if whole:
                whole["values"] += part["values"]
            else:
                whole = part
        return whole

    def close(self) -> None:
        if hasattr(self, "_socket"):
            self._socket.close()
