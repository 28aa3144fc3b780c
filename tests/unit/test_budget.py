"""Budgets of a day: their arithmetic, their errors, and published figures.

Alone catches a part's energy or sleep that is off published ones, and an estimate without its error.
"""

import dataclasses

import pytest

from edgeflow.energy import consumers
from edgeflow.energy.budget import (
    ESTIMATED,
    GIVEN,
    MEASURED,
    Battery,
    Figure,
    Line,
    Load,
    battery_ua,
    budget,
)
from edgeflow.errors import EnergyError
from edgeflow.profiling.budget import Given, day_of
from edgeflow.profiling.result import ProfileResult
from edgeflow.targets.board import load_board
from edgeflow.targets.part import load_part
from tests.unit.test_profile_report import a_result

CELL = Battery(100.0, 3.0)
LOAD = Load(
    3.0, Figure(60.0, MEASURED, 0.0), Figure(2000.0, MEASURED, 0.0), Figure(2.0, GIVEN, 0.0)
)

#: Energy of an inference in µJ as MLPerf Tiny v1.1 publishes it, of workloads that the energy per
#: cycle was not taken from (that is anomaly detection): part, µJ, inferences a second, source.
PUBLISHED = {
    "keyword spotting on L4R5": ("nucleo-l4r5zi", 2833.138, 15.884),
    "visual wake words on L4R5": ("nucleo-l4r5zi", 5618.279, 8.413),
    "keyword spotting on U575": ("nucleo-u575zi-q", 1004.221, 26.112),
    "image classification on U575": ("nucleo-u575zi-q", 3383.822, 7.858),
    "visual wake words on U575": ("nucleo-u575zi-q", 1920.636, 14.073),
    "image classification on H7A3": ("nucleo-h7a3zi-q", 6310.692, 19.296),
    "visual wake words on H7A3": ("nucleo-h7a3zi-q", 3699.351, 33.864),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_energies_of_inferences(name: str) -> None:
    """github.com/mlcommons/tiny_results_v1.1, closed/STMicroelectronics/results."""
    part_name, published, per_s = PUBLISHED[name]
    part = load_part(part_name)
    assert part.supply_v is not None
    uj = Figure(part.step_uj(part.clock_hz / per_s), ESTIMATED, part.energy_error_percent)
    load = Load(part.supply_v, uj, Figure(1e6 / per_s, MEASURED, 0.0), Figure(0.0, GIVEN, 0.0))
    # an inference each second; the supply is the battery
    found = budget(load, Battery(100.0, part.supply_v), 1.0)
    joules = found.mean_ua * part.supply_v
    assert joules == pytest.approx(published, rel=0.2)
    assert abs(joules / published - 1) <= found.error_percent / 100 + 1e-6


def test_published_battery_life() -> None:
    """embedwise.pages.dev/calculators/nrf52-power-profiler: its default, 174 µA, 4.0 months.

    nRF52840 at 3.0 V with DC/DC: 5 % of the time computing, an advertisement a second, a
    peripheral of 1 µA, 500 mAh.
    """
    part = load_part("nrf52840-dk")
    assert part.sleep is not None and part.energy is not None
    radio = consumers.load_radio("ble-advertising")
    load = Load(
        3.0, Figure(part.step_uj(0.05 * part.clock_hz), ESTIMATED), Figure(50_000.0, ESTIMATED),
        Figure(part.sleep.ua, ESTIMATED),
    )  # fmt: skip
    others = [
        Line("radio", radio.uc_per_event, ESTIMATED, None, ""),
        Line("more", 1.0, GIVEN, 0.0, ""),
    ]
    found = budget(load, Battery(500.0, 3.0), 1.0, others=others)
    assert found.mean_ua == pytest.approx(174, rel=0.2)
    assert found.days / 30.4 == pytest.approx(4.0, rel=0.2)


def test_published_idle_and_advertising() -> None:
    """devzone.nordicsemi.com, question 63521: 4.3 µA idle, 1280 µA for 2 s in 602 s: 8.5 µA mean."""
    load = Load(3.7, Figure(1280 * 3.7 * 2, MEASURED, 0.0), Figure(2e6, MEASURED, 0.0),
                Figure(4.3, MEASURED, 0.0))  # fmt: skip
    found = budget(load, Battery(250.0, 3.7), 1 / 602)
    assert found.mean_ua == pytest.approx((1280 * 2 + 4.3 * 600) / 602, rel=1e-6)
    assert found.kind == MEASURED and found.error_percent == 0


def test_errors_of_parts_are_those_of_published_figures() -> None:
    errors = {
        name: load_part(name).energy_error_percent
        for name in ("nucleo-l4r5zi", "nucleo-u575zi-q", "nucleo-h7a3zi-q", "nrf52840-dk")
    }
    assert errors["nucleo-l4r5zi"] == pytest.approx(26)
    assert errors["nucleo-u575zi-q"] == pytest.approx(7.6, abs=0.2)
    assert errors["nucleo-h7a3zi-q"] == pytest.approx(3.0, abs=0.2)
    assert errors["nrf52840-dk"] is None


def test_mean_current() -> None:
    found = budget(LOAD, CELL, 50.0)
    assert found.duty == pytest.approx(0.1)
    assert [line.name for line in found.lines] == ["active", "idle"]
    assert [line.ua for line in found.lines] == pytest.approx([1000.0, 1.8])
    assert found.days == pytest.approx(100e3 / 1001.8 / 24) and found.kind == MEASURED
    half = budget(LOAD, CELL, 50.0, work=0.5)
    assert half.mean_ua == pytest.approx(500 + 0.95 * 2)
    woken = dataclasses.replace(LOAD, wake_us=Figure(200.0, ESTIMATED, None, "a part"))
    found = budget(woken, CELL, 50.0)
    assert found.lines[1].ua == pytest.approx(100.0) and found.lines[1].error_percent is None
    # one not known counts as 100 %
    assert found.error_percent == pytest.approx(100 * 100 / found.mean_ua)
    assert found.kind == ESTIMATED


def test_no_time_is_an_error() -> None:
    with pytest.raises(
        EnergyError, match="a step takes 2,000 µs .* more than the 1,000 µs between"
    ):
        budget(LOAD, CELL, 1000.0)


def test_regulators() -> None:
    assert battery_ua(100.0, 1.8, Battery(100, 3.6), "ldo") == 100
    assert battery_ua(100.0, 1.8, Battery(100, 3.6), "buck") == pytest.approx(100 / 2 / 0.9)
    assert battery_ua(100.0, 3.0, Battery(100, 1.5), "ldo") == pytest.approx(200 / 0.9)


@pytest.mark.parametrize(
    ("text", "mah"), [("180mAh@3.7V", 180), ("0.18 Ah @ 3.7 V", 180), ("0.666Wh@3.7V", 180)]
)
def test_batteries(text: str, mah: float) -> None:
    assert Battery.parse(text).mah == pytest.approx(mah)
    assert Battery.parse(text).volts == 3.7


@pytest.mark.parametrize(
    "text", ["180mAh", "180@3.7V", "mAh@3V", "0mAh@3V", "180mAh@0V", "-1mAh@3V"]
)
def test_wrong_batteries(text: str) -> None:
    with pytest.raises(EnergyError, match="--battery"):
        Battery.parse(text)


def test_consumers() -> None:
    sensor = consumers.load_sensor("lis2dh")
    assert sensor.current_ua(25) == 11 and sensor.current_ua(100) == 11
    assert 2 < sensor.current_ua(10) < 11
    for name in consumers.sensor_names():
        assert consumers.load_sensor(name).sources
    for name in consumers.radio_names():
        assert consumers.load_radio(name).uc_per_event > 0
    with pytest.raises(EnergyError, match="no sensor 'bmi9'; known: lis2dh, lsm6dso"):
        consumers.load_sensor("bmi9")


def profiled(**changes: object) -> ProfileResult:
    latency = {"mean": 200.0, "p50": 200.0, "p99": 200.0, "max": 200.0, "kind": "estimated",
               "model": "a model", "error_percent": 18.0}  # fmt: skip
    energy = {"mean": 8.6, "kind": "estimated", "model": "a model", "error_percent": 49.0}
    return dataclasses.replace(a_result(), latency_us=latency, energy_uj=energy, **changes)  # type: ignore[arg-type]


def test_what_was_measured_goes_first() -> None:
    board = load_board("qemu-m4")
    day = day_of(board, CELL, profile=profiled())
    kinds = {line.name: (line.kind, line.error_percent) for line in day.now.lines}
    assert kinds["active"] == (ESTIMATED, 49.0) and kinds["idle"] == (ESTIMATED, None)
    power = {"recording": "run.jls", "idle_uw": 3.6, "wakeup": {"us": 10.0, "energy_uj": 0.2}}
    energy = {"mean": 9.0, "kind": "measured", "model": None, "error_percent": None}
    day = day_of(board, CELL, profile=dataclasses.replace(profiled(power=power), energy_uj=energy))
    kinds = {line.name: (line.kind, line.source) for line in day.now.lines}
    assert kinds["active"] == (MEASURED, "run.jls") == kinds["wake-ups"]
    assert kinds["idle"] == (MEASURED, "run.jls")
    assert day.load.sleep_ua.value == pytest.approx(2.0)
    given = Given(sleep_ua=5.0, wake_us=0.0, active_ma=20.0)
    day = day_of(board, CELL, profile=profiled(power=power), given=given)
    assert day.load.sleep_ua == Figure(5.0, GIVEN, 0.0, "--sleep-ua")
    assert day.load.step_uj.value == pytest.approx(20 * 1.8 * 0.2)


def test_rows_of_other_choices() -> None:
    board = load_board("qemu-m4")
    names = [name for name, _, _ in day_of(board, CELL, profile=profiled()).rows]
    assert names == ["at 25 Hz", "at 10 Hz", "if early exit skipped half of the steps",
                     "if deltas left out 80 % of the columns"]  # fmt: skip
    samples = {"mean": 5.0, "p50": 5.0, "p99": 9.0, "max": 9.0}
    cutoff = {"samples_read": samples, "steps_skipped": 0.5, "instructions_per_skipped_step": 20.0}
    day = day_of(board, CELL, profile=profiled(
        cutoff=cutoff, delta={"input_sparsity": 0.8, "state_sparsity": 0.6}))  # fmt: skip
    rows = {name: one for name, one, _ in day.rows}
    assert rows["without early exit"].lines[0].ua == pytest.approx(2 * day.now.lines[0].ua)
    assert rows["without deltas, at most"].lines[0].ua == pytest.approx(day.now.lines[0].ua / 0.3)
    assert rows["at 25 Hz"].lines[0].ua == pytest.approx(day.now.lines[0].ua / 2)
