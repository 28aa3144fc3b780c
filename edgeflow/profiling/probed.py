"""A power probe beside a run, and runs at the pace of the data, which a probe is to see."""

import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np

from edgeflow.device import Client, StepResult
from edgeflow.device.probes import Probe
from edgeflow.energy.formats import own
from edgeflow.energy.recording import Recording
from edgeflow.errors import DeviceError, EnergyError
from edgeflow.profiling.energy import with_recording
from edgeflow.profiling.result import ProfileResult

#: File of the recording beside the profile.
POWER = "power.npz"
#: Seconds before the first step and after the last, for the power at rest.
_REST = 0.2
#: Seconds before a step from which on its time is waited for by looking, as sleeping is coarse.
_LOOK = 0.002


class PowerRun:
    """Records while its block runs; what goes wrong with the probe leaves the run alone.

    Parameters
    ----------
    probe : Probe
        Already open.
    """

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self.recording: Recording | None = None
        self.failure: str | None = None

    def __enter__(self) -> "PowerRun":
        try:
            self._probe.start()
        except DeviceError as error:
            self.failure = str(error)
        time.sleep(_REST)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.failure is not None:
            return
        if error is None:
            time.sleep(_REST)
        try:
            self.recording = self._probe.stop()
        except (DeviceError, EnergyError) as problem:
            self.failure = str(problem)

    def added(self, result: ProfileResult, path: Path) -> ProfileResult:
        """Return a profile with what was recorded, which is also written to a file."""
        notes = [] if self.failure is None else [f"no energy was measured: {self.failure}"]
        if self.recording is not None:
            own.write(self.recording, path)
            notes += self.recording.notes
            try:
                found = with_recording(result, self.recording)
                assert found.power is not None
                told = [note for note in found.power["notes"] if note not in notes]
                return replace(found, notes=[*found.notes, *notes, *told])
            except EnergyError as error:
                notes.append(f"no energy was measured: {error}; {path.name} has what was recorded")
        return replace(result, notes=[*result.notes, *notes])


class Ticks:
    """Steps one at a time, at a pace; steps that come late do not make the next ones early.

    Parameters
    ----------
    hz : float or None
        Steps a second; None: none are run here.
    """

    def __init__(self, hz: float | None) -> None:
        self._period = 0.0 if hz is None else 1 / hz
        self._next = time.monotonic()

    def steps(self, client: Client, x: np.ndarray) -> StepResult:
        """Run the model on samples int16 [n, inputs], n > 0, from a reset of its state."""
        results = []
        for i in range(len(x)):
            self._wait()
            results.append(client.steps(x[i : i + 1], reset=i == 0))
        cycles = [result.cycles for result in results if result.cycles is not None]
        y = np.concatenate([result.y for result in results])
        return StepResult(y, np.concatenate(cycles) if cycles else None)

    def _wait(self) -> None:
        now = time.monotonic()
        if now > self._next + self._period:  # late: the pace goes on from here
            self._next = now
        if (left := self._next - now - _LOOK) > 0:
            time.sleep(left)
        while time.monotonic() < self._next:
            pass
        self._next += self._period
