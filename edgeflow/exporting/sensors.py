"""Which axis of a device's sensors each channel of a model is, and the factor between their units.

Axes are named as Android's and most data sets' are: x points to the right of the screen, y to its
top, z out of it, and a device that rests face up measures +1 g along z (it reports what pushes it,
the specific force). Devices that report gravity instead, -1 g, differ from it by the sign of all
three axes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from edgeflow.data.matching import plain_unit
from edgeflow.errors import ExportError
from edgeflow.program import Program

#: Sensors in the order of their axes, by the names of `Axis.name`.
SENSORS = {"acc": "accelerometer", "gyr": "gyroscope"}
#: What one g, or one radian per second, is in each unit.
_UNITS = {
    "acc": {"g": 1.0, "mg": 1000.0, "m/s2": 9.80665},
    "gyr": {"rad/s": 1.0, "°/s": 57.29577951308232},
}
#: Names of channels that say which axis they are.
_NAMES = {
    "acc": re.compile(r"a(cc(el(eration|erometer)?)?)?[_. -]?([xyz])", re.ASCII | re.IGNORECASE),
    "gyr": re.compile(r"g(yr(o(scope)?)?)?[_. -]?([xyz])", re.ASCII | re.IGNORECASE),
}
_AXIS = re.compile(r"(-?)(acc|gyr)_([xyz])(?::(.+))?", re.ASCII)
_FORM = "--axes CHANNEL=AXIS, as in acc_x=-acc_y or ax=acc_x:m/s2"


@dataclass(frozen=True)
class Axis:
    """A channel of a model as an axis of a sensor.

    Attributes
    ----------
    channel : str
    sensor : str
        A key of `SENSORS`.
    axis : str
        "x", "y" or "z".
    sign : int
        1, or -1 if the channel points the other way.
    unit : str
        Of the channel, as it is written.
    factor : float
        Channel's value of one g or one radian per second along the axis, with the sign.
    """

    channel: str
    sensor: str
    axis: str
    sign: int
    unit: str
    factor: float

    @property
    def name(self) -> str:
        """Sensor and axis, such as ``acc_x``."""
        return f"{self.sensor}_{self.axis}"

    @property
    def index(self) -> int:
        """Place among the values of all sensors: accelerometer x, y, z, gyroscope x, y, z."""
        return 3 * list(SENSORS).index(self.sensor) + "xyz".index(self.axis)


def channel_axes(
    program: Program, device: str, sensors: tuple[str, ...], given: str | Mapping[str, str] = ""
) -> list[Axis]:
    """Return the axis that each channel of a program is.

    Parameters
    ----------
    program : Program
    device : str
        What errors call the device.
    sensors : tuple of str
        Keys of `SENSORS` that it has.
    given : str or mapping
        Axes of channels whose names or units do not say it: ``acc_x=-acc_y,ax=acc_x:m/s2``.

    Raises
    ------
    ExportError
        If the axis or the unit of a channel is not known, or the device has no such sensor.
    """
    chosen = _parse(given)
    channels = program.input.channels
    for name in chosen:
        if name not in channels:
            raise ExportError(
                f"--axes {name}: the model has no such channel, but {', '.join(channels)}"
            )
    units = program.metadata.get("units") or ()
    units = units if len(units) == len(channels) else [""] * len(channels)
    axes = [
        _axis(channel, unit, chosen.get(channel))
        for channel, unit in zip(channels, units, strict=True)
    ]
    missing = [axis for axis in axes if axis.sensor not in sensors]
    if missing:
        has = [axis.channel for axis in axes if axis.sensor in sensors]
        remedy = f"train a model of {','.join(has)} alone" if has else "choose another device"
        raise ExportError(
            f"{device} gives apps no {SENSORS[missing[0].sensor]}, which the model's channels "
            f"{', '.join(axis.channel for axis in missing)} need: {remedy}, or say which axis each "
            f"is with {_FORM}"
        )
    return axes


def _parse(given: str | Mapping[str, str]) -> dict[str, str]:
    if isinstance(given, Mapping):
        return {str(channel): str(axis) for channel, axis in given.items()}
    if not isinstance(given, str):
        raise ExportError(f"axes is {given!r}: give a mapping of channels, or write {_FORM}")
    found: dict[str, str] = {}
    for part in filter(None, given.split(",")):
        channel, equals, axis = part.partition("=")
        if not equals:
            raise ExportError(f"--axes {part}: write {_FORM}")
        found[channel.strip()] = axis.strip()
    return found


def _axis(channel: str, unit: str, given: str | None) -> Axis:
    if given is not None:
        match = _AXIS.fullmatch(given)
        if match is None:
            raise ExportError(f"--axes {channel}={given}: write {_FORM}")
        sign, sensor, axis = -1 if match[1] else 1, match[2], match[3]
        unit = match[4] or unit
    else:
        sign = 1
        names = {key: form.fullmatch(channel) for key, form in _NAMES.items()}
        sensor, match = next(((key, m) for key, m in names.items() if m), ("", None))
        if match is None:
            raise ExportError(
                f"the name of channel '{channel}' does not say which axis of a sensor it is: "
                f"say it with {_FORM}"
            )
        axis = channel[-1].lower()
    known = {plain_unit(name): value for name, value in _UNITS[sensor].items()}
    if plain_unit(unit) not in known:
        what = f"is in '{unit}', which is no unit of" if unit else "has no unit; of"
        turned = "-" if sign < 0 else ""
        raise ExportError(
            f"channel '{channel}' {what} {SENSORS[sensor]}s, there are "
            f"{', '.join(_UNITS[sensor])}: say it with "
            f"--axes {channel}={turned}{sensor}_{axis}:UNIT"
        )
    return Axis(channel, sensor, axis, sign, unit, sign * known[plain_unit(unit)])
