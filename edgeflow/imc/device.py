"""Devices of analog crossbars: published models of a technology, from ``calibration/imc``."""

import math
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, model_validator

from edgeflow.calibration import Data
from edgeflow.errors import ImcError
from edgeflow.imc.curve import Curve, Pair
from edgeflow.imc.named import load_named, names_in

Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=1e12)]
Positive = Annotated[float, Field(gt=0, le=1e9)]
Text = Annotated[str, Field(min_length=1, max_length=1000)]


class Spread(Data):
    """What a device's conductance has become at a time, where no law over time is published.

    Attributes
    ----------
    seconds
        Since programming.
    sd
        Standard deviation about the target, in µS, of the target.
    """

    seconds: Seconds
    sd: Curve


class Drift(Data):
    """Conductance falls as g ((t + t0) / t0)^-nu; nu = abs(normal) is each device's own.

    Attributes
    ----------
    t0_s
        Time of the first reading, in seconds.
    nu_mean, nu_sd
        Of the normal distribution, of the target.
    """

    t0_s: Positive
    nu_mean: Curve
    nu_sd: Curve


class Relaxation(Data):
    """Conductance moves by a normal number, whose mean and sd are lines in ln t (t in seconds).

    Attributes
    ----------
    mean, sd
        (a, b) of a + b ln t, in µS.
    """

    mean: Pair
    sd: Pair

    def at(self, seconds: float) -> tuple[float, float]:
        """Return mean and sd at a time since programming above 0, in µS."""
        t = math.log(seconds)
        return self.mean[0] + self.mean[1] * t, self.sd[0] + self.sd[1] * t


class Read(Data):
    """Noise of a reading.

    Attributes
    ----------
    relative
        True: `sd` is a share of the conductance at the time of the reading; False: it is in µS.
    sd
        Of the conductance after programming.
    pulse_s
        Width t_r of a reading's pulse, in seconds, for noise of 1/f accumulated since programming:
        sd is multiplied by sqrt(ln((t + t0 + t_r) / (2 t_r))), with t0 of the drift (0 without).
        None: noise that does not grow.
    """

    relative: bool
    sd: Curve
    pulse_s: Annotated[float, Field(gt=0, le=1)] | None = None


class Device(Data):
    """A technology of analog memory: the content of ``calibration/imc/<name>.toml``.

    A conductance is what one side of a pair has: of `devices_per_side` devices in parallel, which
    the formulas treat as one.

    Attributes
    ----------
    name, about
        A name for ``--device``, and a line on what it is.
    g_min, g_max
        Range of targets, in µS.
    valid_s
        First and last time since programming, in seconds, that the sources have data for; None:
        any. A device with `spread` has data for the times in it only.
    devices_per_side
        Devices in parallel per conductance.
    programming
        Standard deviation after programming, in µS, of the target; None: exact.
    spread
        Deviations by time, in the place of `programming`, `drift`, `relaxation` and `read`.
    drift, relaxation, read
        What comes later; None: nothing does.
    stuck_on, stuck_off
        Shares of conductances that stay at `g_max`, and at `g_min`.
    wire_ohm
        Resistance of the wire from a cell to the next, in ohm; None: not known.
    read_v
        Voltage of a reading, in volt; None: not known.
    sources
        Where the numbers are from.
    unverified
        Fields whose numbers no source was looked up for, as ``field: why``.
    """

    name: Text
    about: Text
    g_min: Annotated[float, Field(ge=0, le=1e6)]
    g_max: Annotated[float, Field(gt=0, le=1e6)]
    valid_s: tuple[Seconds, Seconds] | None = None
    devices_per_side: Annotated[int, Field(ge=1, le=64)] = 1
    programming: Curve | None = None
    spread: Annotated[list[Spread], Field(max_length=64)] = Field([])
    drift: Drift | None = None
    relaxation: Relaxation | None = None
    read: Read | None = None
    stuck_on: Share = 0.0
    stuck_off: Share = 0.0
    wire_ohm: Annotated[float, Field(ge=0, le=1e6)] | None = None
    read_v: Annotated[float, Field(gt=0, le=100)] | None = None
    sources: Annotated[list[Text], Field(min_length=1)]
    unverified: list[Text] = Field([])

    @model_validator(mode="after")
    def _consistent(self) -> "Device":
        if self.g_min >= self.g_max:
            raise ValueError("g_min is not below g_max")
        if self.stuck_on + self.stuck_off > 1:
            raise ValueError("stuck_on and stuck_off are above 1 together")
        self._check_times()
        self._check_curves()
        for line in self.unverified:
            field, colon, _ = line.partition(":")
            if not colon or field.split(".")[0] not in type(self).model_fields:
                raise ValueError(f"unverified: '{line}' is not 'field: why'")
        return self

    def _check_times(self) -> None:
        if self.spread:
            if self.valid_s or self.programming or self.drift or self.relaxation or self.read:
                raise ValueError(
                    "spread takes the place of valid_s, programming, drift, relaxation and read"
                )
            if self.times_s != tuple(sorted(set(self.times_s))):
                raise ValueError("spread: seconds must rise")
        elif self.valid_s is not None and self.valid_s[0] > self.valid_s[1]:
            raise ValueError("valid_s: the first time is after the last")
        if self.relaxation is not None:
            if self.first_s is None or self.last_s is None or self.first_s <= 0:
                raise ValueError("relaxation needs valid_s, from a time above 0 s on")
            if min(self.relaxation.at(time)[1] for time in (self.first_s, self.last_s)) < 0:
                raise ValueError("relaxation.sd: below 0 within valid_s")

    def _check_curves(self) -> None:
        """Check values over the range of targets."""
        g = np.linspace(self.g_min, self.g_max, 257)
        curves = {f"spread.{n}.sd": spread.sd for n, spread in enumerate(self.spread)}
        if self.programming is not None:
            curves["programming"] = self.programming
        if self.drift is not None:
            curves |= {"drift.nu_mean": self.drift.nu_mean, "drift.nu_sd": self.drift.nu_sd}
        if self.read is not None:
            curves["read.sd"] = self.read.sd
        for name, curve in curves.items():
            with np.errstate(all="ignore"):  # a power may be beyond floats
                values = curve.at(g, self.g_max)
            wrong = g[~((values >= 0) & np.isfinite(values))]
            if wrong.size:
                raise ValueError(f"{name}: not a number from 0 on at {wrong[0]:.4g} µS")

    @property
    def ideal(self) -> bool:
        """True if conductances are what they shall be, for ever."""
        noise = self.programming or self.spread or self.drift or self.relaxation or self.read
        return not (noise or self.stuck_on or self.stuck_off)

    @property
    def times_s(self) -> tuple[float, ...]:
        """The only times that there is data for, in seconds; empty: see `first_s`, `last_s`."""
        return tuple(spread.seconds for spread in self.spread)

    @property
    def first_s(self) -> float | None:
        """First time that there is data for, in seconds since programming; None: any."""
        return self.times_s[0] if self.spread else self.valid_s and self.valid_s[0]

    @property
    def last_s(self) -> float | None:
        """Last time that there is data for, in seconds since programming; None: any."""
        return self.times_s[-1] if self.spread else self.valid_s and self.valid_s[1]

    def check_time(self, seconds: float) -> None:
        """Check that there is data for a time since programming.

        Raises
        ------
        ImcError
            If not, or if it is not a number from 0 on.
        """
        if not 0 <= seconds < np.inf:
            raise ImcError(f"a time is a number of seconds from 0 on, not {seconds:g}")
        times, first, last = self.times_s, self.first_s, self.last_s
        if times and seconds not in times:
            data = f"only of {', '.join(f'{time:g}' for time in times)} s"
        elif first is not None and last is not None and not first <= seconds <= last:
            data = f"of {first:g} s to {last:g} s" if first < last else f"only of {first:g} s"
        else:
            return
        raise ImcError(
            f"device '{self.name}' has no data of {seconds:g} s after programming: {data}"
        )


def device_names() -> list[str]:
    """Return the names of the devices that come with EdgeFlow."""
    return names_in("imc")


def load_device(name: str | Path) -> Device:
    """Return a device.

    Parameters
    ----------
    name : str or path
        One of `device_names`, or a .toml file of one's own.

    Raises
    ------
    ImcError
        If there is no such device, or a value in its file is wrong.

    Examples
    --------
    >>> load_device("pcm").g_max
    25.0
    """
    return load_named(Device, "device", "imc", name)
