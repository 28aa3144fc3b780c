"""Files of power probes' programs. A new one is one file in this folder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType

from edgeflow.discovery import modules_of
from edgeflow.energy.recording import Recording
from edgeflow.errors import EnergyError

Reader = Callable[[Path, "ReadOptions"], Recording]
_HEAD = 4096


@dataclass(frozen=True)
class ReadOptions:
    """What a file does not tell.

    Attributes
    ----------
    voltage
        Volts of the supply, of a file with currents only.
    rate_hz
        Samples a second, of a file without times.
    columns
        Names of columns by what they are: ``time``, ``current``, ``voltage``, ``power``, each with
        ``:UNIT`` behind it where the header has none.
    """

    voltage: float | None = None
    rate_hz: float | None = None
    columns: Mapping[str, str] = field(default_factory=dict)

    def supply(self, path: Path) -> float:
        """Return the voltage, or say that it is missing."""
        if self.voltage is None:
            raise EnergyError(f"{path}: has no voltage: say the supply's by --voltage, such as 3.0")
        return self.voltage


@cache
def formats() -> dict[str, ModuleType]:
    """Return the readers: modules with NAME, ABOUT, `matches` and `read`, by name.

    The table of any columns comes last.
    """
    found = {module.NAME: module for module in modules_of(__path__, __name__)}
    return dict(sorted(found.items(), key=lambda item: (item[0] == "table", item[0])))


def read_recording(
    path: str | Path, options: ReadOptions | None = None, format_name: str | None = None
) -> Recording:
    """Read a file of a power probe's program.

    Parameters
    ----------
    path : path
    options : ReadOptions, optional
    format_name : str, optional
        One of `formats`; default: found in the file.

    Raises
    ------
    EnergyError
        If it cannot be read, no format fits, or something is missing; with the file's name.
    ToolMissingError
        If the format's library is not installed.
    """
    path, options = Path(path), options or ReadOptions()
    known = formats()
    if format_name is not None and format_name not in known:
        raise EnergyError(f"no format '{format_name}'; known: {', '.join(known)}")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise EnergyError(f"{path}: cannot be read ({error.strerror})") from None
    if not head:
        raise EnergyError(f"{path}: is empty")
    for name, module in known.items():
        if name == format_name or (format_name is None and module.matches(path, head)):
            read: Reader = module.read
            return read(path, options)
    raise EnergyError(
        f"{path}: no recording of a power probe that is known: {', '.join(known)}; a table needs a "
        "header with units, such as Time (s),Current (mA)"
    )
