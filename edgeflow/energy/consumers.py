"""Sensors and radios beside the processor: ``calibration/power``."""

import re
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, model_validator

from edgeflow.calibration import Data, read_data
from edgeflow.errors import EnergyError
from edgeflow.resources import resource
from edgeflow.targets.part import Sources

_Current = Annotated[float, Field(ge=0, le=1e7)]


class Sensor(Data):
    """A sensor's current by its rate; a line between the rates that are known."""

    name: str
    description: str
    supply_v: Annotated[float, Field(gt=0, le=60)]
    rates_hz: Annotated[list[float], Field(min_length=1)]
    ua: Annotated[list[_Current], Field(min_length=1)]
    sources: Sources
    unverified: list[str] = Field([])

    @model_validator(mode="after")
    def _ascends(self) -> "Sensor":
        if len(self.ua) != len(self.rates_hz) or sorted(self.rates_hz) != self.rates_hz:
            raise ValueError("rates_hz: must ascend, with as many 'ua'")
        return self

    def current_ua(self, rate_hz: float) -> float:
        """Return the microamperes at a rate; above the known ones the highest's."""
        return float(np.interp(rate_hz, self.rates_hz, self.ua))


class Radio(Data):
    """A radio's charge of an event: an advertisement, a connection event."""

    name: str
    description: str
    supply_v: Annotated[float, Field(gt=0, le=60)]
    uc_per_event: Annotated[float, Field(gt=0, le=1e6)]
    sources: Sources
    unverified: list[str] = Field([])


def sensor_names() -> list[str]:
    """Return the names of the sensors that are known."""
    return _names("sensors")


def radio_names() -> list[str]:
    """Return the names of the radios that are known."""
    return _names("radios")


def load_sensor(name: str) -> Sensor:
    """Return a sensor.

    Raises
    ------
    EnergyError
        If there is none of that name; with those that there are.
    TargetError
        If its file is wrong.
    """
    return read_data(Sensor, _file("sensors", name))


def load_radio(name: str) -> Radio:
    """Return a radio; errors are those of `load_sensor`."""
    return read_data(Radio, _file("radios", name))


def _folder(kind: str) -> Path:
    return resource("calibration") / "power" / kind


def _names(kind: str) -> list[str]:
    return sorted(path.stem for path in _folder(kind).glob("*.toml"))


def _file(kind: str, name: str) -> Path:
    path = _folder(kind) / f"{name}.toml"
    if not re.fullmatch(r"[\w-]+", name) or not path.is_file():
        raise EnergyError(
            f"no {kind[:-1]} '{name}'; known: {', '.join(_names(kind))}; or say its microamperes"
        )
    return path
