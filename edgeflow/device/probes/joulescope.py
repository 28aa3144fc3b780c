"""Joulescope JS110 and JS220, by the vendor's library."""

from typing import Any

import numpy as np

from edgeflow.device.probes.base import Probe
from edgeflow.energy.recording import Recording
from edgeflow.errors import DeviceError, EnergyError, ToolMissingError

#: By the name of a line, that of the library's signal.
_LINES = {"gpi[0]": "current_lsb", "gpi[1]": "voltage_lsb"}


class Collector:
    """What the library streams, kept; its interface is `StreamProcessApi` of the library."""

    def __init__(self) -> None:
        self._fields = ["current", "voltage", *_LINES.values()]
        self._parts: dict[str, list[np.ndarray]] = {name: [] for name in self._fields}
        self._at = 0
        self._lost = 0
        self._rate = 0.0

    def stream_notify(self, stream_buffer: Any) -> bool:
        """Take what is new; called by the library's thread, which goes on unless it is True."""
        first, end = stream_buffer.sample_id_range
        if self._at:
            self._lost += max(0, first - self._at)
        first = max(self._at, first)
        if first < end:
            self._rate = float(stream_buffer.output_sampling_frequency)
            found = stream_buffer.samples_get(first, end, fields=self._fields)["signals"]
            for name, parts in self._parts.items():
                parts.append(np.array(found[name]["value"]))
            self._at = end
        return False

    def close(self) -> None:
        """Do nothing; the library calls it when the device is closed."""

    def recording(self) -> Recording:
        """Return what was collected."""
        if not self._parts["current"]:
            raise EnergyError("joulescope: it sent no samples")
        whole = {name: np.concatenate(parts) for name, parts in self._parts.items()}
        current = whole["current"].astype(np.float64)
        digital = {line: whole[name].astype(bool) for line, name in _LINES.items()}
        notes = (f"the computer lost {self._lost:,} samples",) if self._lost else ()
        power = current * whole["voltage"]
        return Recording(self._rate, power, current, digital, source="joulescope", notes=notes)


class Joulescope(Probe):
    NAME = "joulescope"
    ABOUT = "Joulescope JS110 or JS220, by its library; its input 0 at the marker's pin"

    def open(self) -> None:
        try:
            import joulescope
        except ImportError:
            raise ToolMissingError(
                "--probe joulescope needs its library: pip install 'edgeflow[probes]'"
            ) from None
        try:
            self.device: Any = joulescope.scan_require_one(config="auto")
            self.device.open()
            for line, name in _LINES.items():
                self.device.parameter_set(name, f"gpi{line[4]}")
        except Exception as error:  # the library's, and those of USB
            raise DeviceError(
                f"no joulescope was found ({error}): plug one in, and end programs that use it"
            ) from None

    def start(self) -> None:
        self.collector = Collector()
        self.device.stream_process_register(self.collector)
        self.device.start()

    def stop(self) -> Recording:
        self.device.stop()
        self.device.stream_process_unregister(self.collector)
        return self.collector.recording()

    def close(self) -> None:
        if hasattr(self, "device"):
            self.device.close()
