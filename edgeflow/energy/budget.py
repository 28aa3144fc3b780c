"""A day on a battery: mean currents of what a model needs, with the error of each."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgeflow.errors import EnergyError

MEASURED, ESTIMATED, GIVEN = "measured", "estimated", "given"
_BATTERY = re.compile(
    r"\s*(\d+(?:\.\d+)?)\s*(m?)(Ah|Wh)\s*(?:@\s*(\d+(?:\.\d+)?)\s*V\s*)?", re.IGNORECASE
)
#: Of a converter that steps down.
_EFFICIENCY = 0.9
#: Error in percent of a line whose error nobody published, in that of the sum.
_UNKNOWN = 100.0


@dataclass(frozen=True)
class Battery:
    """A battery: milliamperehours, and volts on average; `usable` is the share that is used."""

    mah: float
    volts: float
    usable: float = 1.0

    @staticmethod
    def parse(text: str, usable: float = 1.0) -> "Battery":
        """Read ``180mAh@3.7V``, ``0.66Wh@3.7V``.

        Raises
        ------
        EnergyError
            If it is no capacity with a voltage.
        """
        found = _BATTERY.fullmatch(text)
        if found is None or found[4] is None:
            raise EnergyError(f"--battery {text}: a capacity and its voltage, such as 180mAh@3.7V")
        volts = float(found[4])
        amount = float(found[1]) * (1 if found[2] else 1000)
        if volts <= 0 or amount <= 0:
            raise EnergyError(f"--battery {text}: more than 0")
        return Battery(amount / volts if found[3].lower() == "wh" else amount, volts, usable)

    def days(self, ua: float) -> float:
        """Return how many days a mean current of the battery takes it.

        Raises
        ------
        EnergyError
            If nothing takes any.
        """
        if ua <= 0:
            raise EnergyError(
                "nothing takes any current: a budget needs a step, or a sleep, of some"
            )
        return self.mah * self.usable * 1000 / ua / 24


@dataclass(frozen=True)
class Figure:
    """A number and where it is from.

    Attributes
    ----------
    value
        In the unit that its name says.
    kind
        ``measured``, ``estimated``, or ``given`` by the user.
    error_percent
        None: not known. Of what is given, 0.
    source
        A model, a file or an option.
    """

    value: float
    kind: str
    error_percent: float | None = None
    source: str = ""


@dataclass(frozen=True)
class Load:
    """What a processor needs.

    Attributes
    ----------
    supply_v
        Volts that the energies are at.
    step_uj, step_us
        Energy and time of a step.
    wake_us
        Until it computes, before each step; at the power of computing.
    wake_uj
        Measured energy of the same; None: of the time.
    sleep_ua
        Between steps.
    """

    supply_v: float
    step_uj: Figure
    step_us: Figure
    sleep_ua: Figure
    wake_us: Figure = Figure(0.0, GIVEN, 0.0)
    wake_uj: Figure | None = None


@dataclass(frozen=True)
class Line:
    """A consumer: mean microamperes of the battery."""

    name: str
    ua: float
    kind: str
    error_percent: float | None
    source: str

    def to_json(self, total: float) -> dict[str, Any]:
        """Return the line as JSON values, with its share of a total."""
        return {
            "name": self.name, "ua": self.ua, "share": self.ua / total if total else 0.0,
            "kind": self.kind, "error_percent": self.error_percent, "source": self.source,
        }  # fmt: skip


@dataclass(frozen=True)
class Budget:
    """Mean currents of all consumers, at a rate of steps."""

    rate_hz: float
    duty: float
    lines: tuple[Line, ...]
    battery: Battery

    @property
    def mean_ua(self) -> float:
        """Microamperes of the battery."""
        return sum(line.ua for line in self.lines)

    @property
    def error_percent(self) -> float:
        """Error of the mean, if those of the lines go one way; one not known counts as 100 %."""
        errors = [
            _UNKNOWN if one.error_percent is None else one.error_percent for one in self.lines
        ]
        total = sum(one.ua * error for one, error in zip(self.lines, errors, strict=True))
        return total / self.mean_ua if self.mean_ua else 0.0

    @property
    def days(self) -> float:
        """Of the battery."""
        return self.battery.days(self.mean_ua)

    @property
    def kind(self) -> str:
        """``measured`` if all lines are, or are given; else ``estimated``."""
        return MEASURED if all(line.kind != ESTIMATED for line in self.lines) else ESTIMATED


def battery_ua(load_ua: float, supply_v: float, battery: Battery, regulator: str) -> float:
    """Return the battery's current for a load at its supply.

    Parameters
    ----------
    load_ua : float
    supply_v : float
    battery : Battery
    regulator : str
        ``ldo``: the same current, the rest of the voltage is heat; ``buck``: the same power, at
        90 %.
    """
    if regulator == "ldo" and supply_v <= battery.volts:
        return load_ua
    # a battery below the supply needs a converter, too
    return load_ua * supply_v / battery.volts / _EFFICIENCY


def budget(
    load: Load,
    battery: Battery,
    rate_hz: float,
    *,
    others: Sequence[Line] = (),
    regulator: str = "ldo",
    work: float = 1.0,
) -> Budget:
    """Return the mean currents of a processor that runs so many steps a second, and of others.

    Parameters
    ----------
    load : Load
    battery : Battery
    rate_hz : float
    others : sequence of Line
        Sensor and radio; already as currents of the battery.
    regulator : str
        As of `battery_ua`.
    work : float
        Share of a step's time and energy that is spent: what early exit or sparsity leaves.

    Raises
    ------
    EnergyError
        If steps take longer than there is time between them.
    """
    step_us = load.step_us.value * work
    if load.step_us.value <= 0 or load.step_uj.value < 0 or load.sleep_ua.value < 0:
        raise EnergyError("a step's time, its energy and the current of sleep must be more than 0")
    busy = rate_hz * (step_us + load.wake_us.value) / 1e6
    if busy > 1:
        raise EnergyError(
            f"a step takes {step_us + load.wake_us.value:,.0f} µs with its wake-up: more than the "
            f"{1e6 / rate_hz:,.0f} µs between two at {rate_hz:g} Hz"
        )

    def line(name: str, uw: float, of: Figure) -> Line:
        ua = battery_ua(uw / load.supply_v, load.supply_v, battery, regulator)
        return Line(name, ua, of.kind, of.error_percent, of.source)

    power_uw = load.step_uj.value / load.step_us.value * 1e6
    wake_uj, wake = load.wake_us.value * power_uw / 1e6, load.wake_us
    if load.wake_uj is not None:
        wake_uj, wake = load.wake_uj.value, load.wake_uj
    elif wake_uj:
        both = (wake.error_percent, load.step_uj.error_percent)
        error = None if None in both else sum(e or 0.0 for e in both)
        wake = Figure(wake_uj, ESTIMATED, error, wake.source)
    lines = [
        line("active", rate_hz * load.step_uj.value * work, load.step_uj),
        line("wake-ups", rate_hz * wake_uj, wake),
        line("idle", (1 - busy) * load.sleep_ua.value * load.supply_v, load.sleep_ua),
        *others,
    ]
    kept = tuple(one for one in lines if one.ua > 0 or one.name in ("active", "idle"))
    return Budget(rate_hz, rate_hz * step_us / 1e6, kept, battery)
