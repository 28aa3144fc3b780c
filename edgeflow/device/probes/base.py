"""The base of power probes: what starts one, stops it, and what it recorded in between."""

import abc
import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import ClassVar, Self

from edgeflow.device.ports import usb_ports
from edgeflow.device.transport import Transport, open_transport
from edgeflow.energy.recording import Recording
from edgeflow.errors import DeviceError


@dataclass(frozen=True)
class ProbeOptions:
    """How a probe is used.

    Attributes
    ----------
    voltage
        Volts of the board's supply; None: the probe measures it, or asks for it.
    supply
        The probe powers the board with `voltage`.
    spike_filter
        What follows a change of the probe's range is smoothed. Good for pictures, but it takes
        energy away.
    """

    voltage: float | None = None
    supply: bool = False
    spike_filter: bool = False


class Probe(abc.ABC):
    """A power probe at a place: a serial port, an address; None: the only one there is.

    ``with probe:`` opens it, `start` and `stop` make a recording.
    """

    NAME: ClassVar[str]
    ABOUT: ClassVar[str]
    #: Of its serial port; "" of what has none.
    USB: ClassVar[str] = ""

    def __init__(self, place: str | None = None, options: ProbeOptions | None = None) -> None:
        self.options = options or ProbeOptions()
        self.place = place

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @abc.abstractmethod
    def open(self) -> None:
        """Connect, and set the probe up; raise a DeviceError if it is not there, or another."""

    @abc.abstractmethod
    def start(self) -> None:
        """Begin to record."""

    @abc.abstractmethod
    def stop(self) -> Recording:
        """End the recording and return it.

        A probe that went away in between returns what it recorded until then, with a note.

        Raises
        ------
        EnergyError
            If nothing was recorded.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Let the probe go; never fails."""

    def port(self) -> str:
        """Return the serial port that the probe is at.

        Raises
        ------
        DeviceError
            If no place was given, and none or several fit.
        """
        if self.place:
            return self.place
        found = [port for port in usb_ports() if port.usb == self.USB]
        if len(found) == 1:
            return found[0].device
        if found:
            # the first of a probe's ports is the one that measures
            same = {(port.serial, port.location.partition(":")[0]) for port in found}
            if len(same) == 1:
                return min(port.device for port in found)
            raise DeviceError(
                f"several probes fit: {'; '.join(map(str, found))}: say --probe {self.NAME}:PORT"
            )
        known = f"no serial port has the USB id {self.USB}" if self.USB else "it needs its port"
        raise DeviceError(
            f"no {self.NAME} was found ({known}): plug it in, or say --probe {self.NAME}:PORT"
        )


class LineReader:
    """What arrives on a line, collected by a thread.

    Parameters
    ----------
    line : Transport
        Another thread may write to it.
    """

    def __init__(self, line: Transport) -> None:
        self._line = line
        self._chunks: list[bytes] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.failure: str | None = None
        self._begun = time.monotonic()
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._ending.is_set():
                if data := self._line.read(0.05):
                    self._chunks.append(data)
        except DeviceError as error:
            self.failure = f"{error} (after {time.monotonic() - self._begun:.1f} s)"

    def stop(self) -> bytes:
        """End the thread and return all that arrived."""
        self._ending.set()
        self._thread.join()
        return b"".join(self._chunks)


class SerialProbe(Probe):
    """A probe that talks over a serial port."""

    BAUD: ClassVar[int] = 115200

    def open(self) -> None:
        self.line = open_transport(self.port(), self.BAUD)
        try:
            self.prepare()
        except BaseException:
            self.close()
            raise

    @abc.abstractmethod
    def prepare(self) -> None:
        """Set the probe up, on `line`."""

    def close(self) -> None:
        line = getattr(self, "line", None)
        if line is not None:
            with contextlib.suppress(DeviceError):
                self.leave()
            line.close()

    def leave(self) -> None:
        """Say what a probe must hear last."""

    def ask(self, request: bytes, whole: Callable[[bytes], bool], seconds: float) -> bytes:
        """Send a request and return what comes, until it is `whole` or time is over."""
        self.line.write(request)
        answer, end = b"", time.monotonic() + seconds
        while not whole(answer) and (left := end - time.monotonic()) > 0:
            answer += self.line.read(left)
        return answer
