"""What a program on a board needs of a battery: from a profile, or from what is expected of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edgeflow.codegen.fit import expected_step
from edgeflow.energy.budget import (
    ESTIMATED,
    GIVEN,
    MEASURED,
    Battery,
    Budget,
    Figure,
    Line,
    Load,
    battery_ua,
    budget,
)
from edgeflow.energy.consumers import load_radio, load_sensor
from edgeflow.errors import EnergyError
from edgeflow.profiling.result import ProfileResult
from edgeflow.profiling.timing import worst_of_both
from edgeflow.program import Program
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.part import Part, estimated_part

#: A budget at a rate, with a share of the work; its name, and from what.
At = Callable[[float, float], Budget]
Row = tuple[str, Budget, str]
#: Share of the columns that layers with deltas leave out, where nothing is known of the data.
_SPARSITY = 0.8


@dataclass(frozen=True)
class Given:
    """Numbers of the user, which go before all others; None: not given.

    Attributes
    ----------
    active_ma
        While it computes, at `supply_v`.
    sleep_ua, wake_us
        Between steps, and to wake up.
    supply_v
        Volts of the board.
    sensor, radio
        Microamperes, or a name: of a radio with ``:EVENTS`` a second behind it.
    """

    active_ma: float | None = None
    sleep_ua: float | None = None
    wake_us: float | None = None
    supply_v: float | None = None
    sensor: str | None = None
    radio: str | None = None
    regulator: str = "ldo"


@dataclass(frozen=True)
class Day:
    """A budget, and what would change it.

    Attributes
    ----------
    now
        As it is.
    load
        What it is made of.
    rows
        Other budgets by their name, and from what.
    """

    now: Budget
    load: Load
    rows: list[Row] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        load = self.load
        return {
            "battery": {
                "mah": self.now.battery.mah, "volts": self.now.battery.volts,
                "usable": self.now.battery.usable,
            },
            "supply_v": load.supply_v,
            "step_us": _figure(load.step_us),
            "step_uj": _figure(load.step_uj),
            "lines": [line.to_json(self.now.mean_ua) for line in self.now.lines],
            **_row(self.now),
            "rows": [{"name": name, "from": what, **_row(one)} for name, one, what in self.rows],
        }  # fmt: skip


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        "value": figure.value, "kind": figure.kind, "error_percent": figure.error_percent,
        "source": figure.source,
    }  # fmt: skip


def _row(one: Budget) -> dict[str, Any]:
    error = one.error_percent
    return {
        "rate_hz": one.rate_hz,
        "duty": one.duty,
        "mean_ua": one.mean_ua,
        "days": one.days,
        "kind": one.kind,
        "error_percent": error,
        "days_least": one.days / (1 + error / 100),
    }


def day_of(
    board: BoardSpec,
    battery: Battery,
    *,
    profile: ProfileResult | None = None,
    program: Program | None = None,
    rate_hz: float | None = None,
    given: Given | None = None,
) -> Day:
    """Return the budget of a program on a board.

    Parameters
    ----------
    board : BoardSpec
    battery : Battery
    profile : ProfileResult, optional
        Of the program on this board, whose figures go before those that are expected.
    program : Program, optional
        Needed without a profile.
    rate_hz : float, optional
        Samples a second; default: the profile's or the program's.
    given : Given, optional

    Raises
    ------
    EnergyError
        If a number is neither known nor given; with the option that gives it.
    """
    given = given or Given()
    part = estimated_part(board)
    rate = rate_hz or (profile.rate_hz if profile else program.rate_hz if program else 0.0)
    if not rate:
        raise EnergyError("the data has no rate: say samples a second by --rate")
    rate /= profile.samples_per_step if profile else 1
    load = load_of(board, part, profile, program, given)

    def at(hz: float, work: float) -> Budget:
        others = _others(given, hz, battery)
        return budget(load, battery, hz, others=others, regulator=given.regulator, work=work)

    now = at(rate, 1.0)
    rows = [(f"at {rate / k:g} Hz", at(rate / k, 1.0), "the same step, less often") for k in (2, 5)]
    rows += _early_exit(at, rate, profile)
    rows += _deltas(at, rate, profile)
    return Day(now, load, rows)


def load_of(
    board: BoardSpec,
    part: Part | None,
    profile: ProfileResult | None,
    program: Program | None,
    given: Given,
) -> Load:
    """Return what the processor needs: measured where it was, else estimated; or given."""
    power = None if profile is None else profile.power
    supply = given.supply_v or (part.supply_v if part else None)
    if supply is None:
        raise EnergyError(f"{board.name}: its supply is not known: say it by --supply-v")
    time = _time(board, part, profile, program)
    if given.active_ma is not None:
        uj = given.active_ma * supply * time.value / 1e3
        energy = Figure(uj, time.kind, time.error_percent, f"--active-ma, {time.source}")
    else:
        energy = _energy(board, part, profile, time, supply)
    if given.sleep_ua is not None:
        sleep = Figure(given.sleep_ua, GIVEN, 0.0, "--sleep-ua")
    elif power is not None and power["idle_uw"] > 0:
        sleep = Figure(power["idle_uw"] / supply, MEASURED, 0.0, power["recording"])
    elif part is not None and part.sleep is not None:
        said = f"{part.name}, {part.sleep.mode}"
        sleep = Figure(part.sleep.ua, ESTIMATED, part.sleep.error_percent, said)
    else:
        raise EnergyError(f"{board.name}: no current of its sleep is known: say --sleep-ua")
    wake, wake_uj = Figure(0.0, GIVEN, 0.0, "--wake-us"), None
    if given.wake_us is not None:
        wake = Figure(given.wake_us, GIVEN, 0.0, "--wake-us")
    elif power is not None:
        wake = Figure(power["wakeup"]["us"], MEASURED, 0.0, power["recording"])
        wake_uj = Figure(power["wakeup"]["energy_uj"], MEASURED, 0.0, power["recording"])
    elif part is not None and part.sleep is not None:
        said = f"{part.name}, {part.sleep.mode}"
        wake = Figure(part.sleep.wake_us, ESTIMATED, part.sleep.error_percent, said)
    return Load(supply, energy, time, sleep, wake, wake_uj)


def _time(
    board: BoardSpec, part: Part | None, profile: ProfileResult | None, program: Program | None
) -> Figure:
    if profile is not None and profile.latency_us is not None:
        latency = profile.latency_us
        measured = latency["kind"] == MEASURED
        error = 0.0 if measured else latency["error_percent"]
        return Figure(latency["mean"], latency["kind"], error, latency["model"] or "the profile")
    if program is not None and part is not None:
        known = expected_step(program, board)
        if known is not None:
            cycles, error = known
            said = f"kernels' costs and cycles per instruction on {part.name}, not run"
            return Figure(cycles * 1e6 / part.clock_hz, ESTIMATED, error, said)
    raise EnergyError(
        f"{board.name}: the time of a step is not known: profile the build on it, and give the "
        "build's folder"
    )


def _energy(
    board: BoardSpec, part: Part | None, profile: ProfileResult | None, time: Figure, supply: float
) -> Figure:
    if profile is not None and profile.energy_uj is not None:
        energy = profile.energy_uj
        measured = energy["kind"] == MEASURED
        source = energy["model"] or (profile.power or {}).get("recording", "the profile")
        error = 0.0 if measured else energy["error_percent"]
        return Figure(energy["mean"], energy["kind"], error, source)
    if part is None or part.energy is None:
        raise EnergyError(
            f"{board.name}: no energy of its part is known: say the current while it computes by "
            "--active-ma"
        )
    uj = part.step_uj(time.value * part.clock_hz / 1e6)
    error = worst_of_both(time.error_percent, part.energy_error_percent)
    return Figure(uj, ESTIMATED, error, f"{part.energy.pj_per_cycle:g} pJ/cycle of {part.name}")


def _others(given: Given, rate_hz: float, battery: Battery) -> list[Line]:
    """Return the lines of sensor and radio."""
    lines = []
    if (text := given.sensor) is not None:
        if (ua := _number(text)) is not None:
            lines.append(Line("sensor", ua, GIVEN, 0.0, "--sensor"))
        else:
            sensor = load_sensor(text)
            ua = sensor.current_ua(rate_hz)
            ua = battery_ua(ua, sensor.supply_v, battery, given.regulator)
            lines.append(Line("sensor", ua, ESTIMATED, None, sensor.description))
    if (text := given.radio) is not None:
        if (ua := _number(text)) is not None:
            lines.append(Line("radio", ua, GIVEN, 0.0, "--radio"))
        else:
            name, _, events = text.partition(":")
            if (often := _number(events or "1")) is None:
                raise EnergyError(f"--radio {text}: '{events}' is no number of events a second")
            radio = load_radio(name)
            ua = battery_ua(radio.uc_per_event * often, radio.supply_v, battery, given.regulator)
            said = f"{radio.description}, {often:g} a second"
            lines.append(Line("radio", ua, ESTIMATED, None, said))
    return lines


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    if not 0 <= value < 1e7:
        raise EnergyError(f"{text}: not from 0 to 10,000,000 microamperes")
    return value


def _early_exit(at: At, rate: float, profile: ProfileResult | None) -> list[Row]:
    cutoff = None if profile is None else profile.cutoff
    if cutoff is None or cutoff["steps_skipped"] >= 1:
        return [("if early exit skipped half of the steps", at(rate, 0.5), "arithmetic")]
    skipped = cutoff["steps_skipped"]
    # skipped steps take next to nothing
    what = f"{100 * skipped:.0f} % of the steps are skipped on the profile's data"
    return _if_it_fits("without early exit", at, rate, 1 / (1 - skipped), what)


def _deltas(at: At, rate: float, profile: ProfileResult | None) -> list[Row]:
    sparsity: Mapping[str, float | None] = {} if profile is None else profile.delta
    known = [value for value in sparsity.values() if value is not None]
    if known:
        mean = sum(known) / len(known)
        if mean < 1:  # the most: gates and calls are in both
            what = f"{100 * mean:.0f} % of the columns are left out on the profile's data"
            return _if_it_fits("without deltas, at most", at, rate, 1 / (1 - mean), what)
        return []
    share = _products_share(profile)
    work = 1 - share * _SPARSITY
    what = f"products, {100 * share:.0f} % of a step, for one column in five"
    return [(f"if deltas left out {100 * _SPARSITY:.0f} % of the columns", at(rate, work), what)]


def _if_it_fits(name: str, at: At, rate: float, work: float, what: str) -> list[Row]:
    """Return a row of more work than now; none where there is no time for it."""
    try:
        return [(name, at(rate, work), what)]
    except EnergyError:
        return []


def _products_share(profile: ProfileResult | None) -> float:
    """Return the share of a step that its matrices take: by multiplications and loads, if known."""
    mix = {} if profile is None else profile.instruction_mix
    total = sum(mix.values())
    if not total:
        return 0.85
    names = ("mac", "mac_long", "load", "load_next", "load_multiple", "simd", "mve", "mve_memory")
    return min(0.95, sum(mix.get(name, 0.0) for name in names) / total)
