"""ST's power monitor X-NUCLEO-LPM01A, in ASCII (UM2243)."""

from pathlib import Path

from edgeflow.device.probes.base import LineReader, SerialProbe
from edgeflow.energy.formats import ReadOptions
from edgeflow.energy.formats.lpm01a import recording_of
from edgeflow.energy.recording import Recording
from edgeflow.errors import DeviceError, EnergyError

#: Samples a second of currents: the most that it sends in ASCII.
_RATE = "10k"


class Lpm01a(SerialProbe):
    NAME = "lpm01a"
    ABOUT = "ST X-NUCLEO-LPM01A, 10 kS/s; powers the board; edges of its D7"
    USB = "0483:5740"
    BAUD = 3_686_400

    def prepare(self) -> None:
        volts = self.options.voltage
        if volts is None or not 1.8 <= volts <= 3.3:
            raise EnergyError("--probe lpm01a: say its supply by --voltage, 1.8 to 3.3")
        self._told: list[str] = []
        self._say("htc")
        for command in (
            "pwr off", "acqtime inf", "trigdelay 0", "trigsrc sw", "eventsrc d7 fal",
            "output current", "format ascii_dec", f"freq {_RATE}",
            f"volt {round(1000 * volts)}m", "pwr on",
        ):  # fmt: skip
            self._say(command)

    def _say(self, command: str) -> None:
        answer = self.ask(
            f"{command}\r\n".encode(), lambda text: b"ack" in text and text.endswith(b"\n"), 2.0
        )
        if b"ack" not in answer:
            raise DeviceError(
                f"{self.line.name}: no LPM01A answers '{command}' there: check the port, and that "
                "it is in no menu"
            )
        self._told += answer.decode("ascii", "replace").splitlines()

    def start(self) -> None:
        self.reader = LineReader(self.line)
        self.line.write(b"start\r\n")

    def stop(self) -> Recording:
        if self.reader.failure is None:
            self.line.write(b"stop\r\n")
        text = self.reader.stop().decode("ascii", "replace")
        lines = self._told + text.splitlines()
        found = recording_of(lines, Path("lpm01a"), ReadOptions(voltage=self.options.voltage))
        if self.reader.failure is None:
            return found
        return found.with_notes(self.reader.failure)

    def leave(self) -> None:
        self.line.write(b"hrc\r\n")
