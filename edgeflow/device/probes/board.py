"""A sensor such as INA226 or INA228 behind a board of its own, which sends a table.

The board reads the sensor and writes lines to its serial port as soon as it is opened: a header
with units, ``t_us,current_ua,voltage_v,marker``, and a row for each sample. It repeats the header
now and then, so that it does not matter when the host begins to listen.
"""

import tempfile
from pathlib import Path

from edgeflow.device.probes.base import LineReader, SerialProbe
from edgeflow.energy.formats import ReadOptions
from edgeflow.energy.formats.table import column_of, read
from edgeflow.energy.recording import Recording
from edgeflow.errors import DeviceError, EnergyError


class SensorBoard(SerialProbe):
    NAME = "ina"
    ABOUT = "INA226 or INA228 behind a board that sends a table with units (docs/energy.md)"

    def prepare(self) -> None:
        text = self.ask(b"", lambda answer: _header(answer) is not None, 5.0)
        header = _header(text)
        if header is None:
            raise DeviceError(
                f"{self.line.name}: no table comes from there within 5 s: its header has units, "
                "t_us,current_ua,voltage_v,marker"
            )
        self.header = header

    def start(self) -> None:
        self.reader = LineReader(self.line)

    def stop(self) -> Recording:
        lines = self.reader.stop().decode("ascii", "replace").splitlines()
        columns = self.header.count(",")
        rows = [line for line in lines[1:-1] if line.count(",") == columns and line != self.header]
        with tempfile.TemporaryDirectory(prefix="edgeflow-") as folder:
            path = Path(folder) / "ina.csv"
            path.write_text("\n".join([self.header, *rows]) + "\n", encoding="ascii")
            try:
                found = read(path, ReadOptions(voltage=self.options.voltage))
            except EnergyError as error:
                said = str(error).replace(str(path), self.line.name)
                raise EnergyError(self.reader.failure or said) from None
        found = found.named("ina")
        return found if self.reader.failure is None else found.with_notes(self.reader.failure)


def _header(text: bytes) -> str | None:
    for line in text.decode("ascii", "replace").split("\n")[:-1]:
        roles = {column_of(title).role for title in line.strip().split(",")}
        if roles & {"current", "power"}:
            return line.strip()
    return None
