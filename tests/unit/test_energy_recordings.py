"""Energy of steps and layers in recordings of known power, in each file format.

Alone catches a reader that shifts, drops or scales samples, steps found in the wrong place, edges
that are not there, and power that is taken for steps.
"""

import dataclasses
import json
import random
from pathlib import Path

import numpy as np
import pytest

from edgeflow.energy.formats import ReadOptions, formats, own, read_recording
from edgeflow.energy.measure import measure
from edgeflow.energy.recording import Recording
from edgeflow.energy.steps import Expected
from edgeflow.errors import EnergyError
from tests import power
from tests.power import VOLTS, WRITERS, Board

LAYERS = ("a", "b", "c")
WITH_VOLTAGE = ReadOptions(voltage=VOLTS)


def expected(board: Board, **changes: object) -> Expected:
    # the profile's time of a step is an estimate, 15 % off
    made = Expected(board.steps, LAYERS, 1.15 * sum(board.layers_s), None, board.pace_hz)
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def recorded(board: Board, rate_hz: float, *, lines: bool = True) -> Recording:
    digital = board.lines(rate_hz) if lines else {}
    return Recording(rate_hz, board.power(rate_hz), digital=digital, source="here")


FAST = [("jls", 100_000.0), ("power-profiler", 50_000.0), *[(name, 20_000.0) for name in WRITERS]]
SLOW = [(name, rate) for rate in (50_000.0, 100_000.0) for name in WRITERS]


@pytest.mark.parametrize(
    ("name", "rate_hz"),
    FAST + [pytest.param(*one, marks=pytest.mark.slow) for one in SLOW if one not in FAST],
)
def test_steps_and_layers(name: str, rate_hz: float, tmp_path: Path) -> None:
    """Noise, drift, a clock 200 ppm off, nine steps without their edges."""
    if name == "jls":
        pytest.importorskip("pyjls", reason="pyjls is not installed")
    board = Board(steps=150)
    writer, ending = WRITERS[name]
    made = writer(tmp_path / f"run{ending}", board, rate_hz, missing=6)
    found = measure(read_recording(made, WITH_VOLTAGE), expected(board))
    assert len(found.energy_j) == board.steps - 9
    assert found.steps.confidence == pytest.approx(1 - 9 / 150)
    assert f"of {board.steps - 9} of {board.steps} steps" in found.steps.notes[0]
    assert found.energy_j.mean() == pytest.approx(board.step_j.mean(), rel=0.01)
    assert np.median(found.energy_j) == pytest.approx(np.median(board.step_j), rel=0.01)
    assert found.layers_j is not None
    assert found.layers_j == pytest.approx(board.layers_j.mean(axis=0), rel=0.03)
    assert found.idle_w == pytest.approx(board.idle_w + board.drift_w / 2, rel=0.03)
    wakeup = board.wakeup_s * (board.wakeup_w - board.idle_w)
    assert found.wakeup_j == pytest.approx(wakeup, rel=0.1)


@pytest.mark.parametrize("rate_hz", [20_000.0, 50_000.0, 100_000.0])
def test_without_a_digital_line(rate_hz: float) -> None:
    board = Board(steps=150)
    found = measure(recorded(board, rate_hz, lines=False), expected(board))
    assert found.energy_j.mean() == pytest.approx(board.step_j.mean(), rel=0.03)
    assert len(found.energy_j) == board.steps and found.layers_j is None
    assert 0.95 <= found.steps.confidence < 1


@pytest.mark.parametrize("noise_w", [3e-3, 10e-3, 20e-3, 40e-3])
def test_noise_is_right_or_refused(noise_w: float) -> None:
    board = Board(steps=150, noise_w=noise_w)
    try:
        found = measure(recorded(board, 50_000.0, lines=False), expected(board))
    except EnergyError as error:
        assert "no digital line" in str(error) and noise_w > 3e-3
    else:
        assert found.energy_j.mean() == pytest.approx(board.step_j.mean(), rel=0.03)


def test_lpm01a_without_lines(tmp_path: Path) -> None:
    board = Board(steps=150)
    made = power.write_lpm01a(tmp_path / "log.txt", board, 50_000.0)
    found = measure(read_recording(made), expected(board))
    assert found.energy_j.mean() == pytest.approx(board.step_j.mean(), rel=0.03)


@pytest.mark.parametrize("form", ["digits", "columns", "bits", "none"])
def test_forms_of_power_profiler(form: str, tmp_path: Path) -> None:
    board = Board(steps=40)
    made = power.write_power_profiler(tmp_path / "run.csv", board, 50_000.0, form)
    found = read_recording(made, WITH_VOLTAGE)
    assert found.rate_hz == pytest.approx(50_000.0, rel=1e-6)
    lines = board.lines(50_000.0)
    assert set(found.digital) == ({f"D{i}" for i in range(8)} if form != "none" else set())
    for name in found.digital:
        assert (found.digital[name] == lines.get(name, False)).all()
    with pytest.raises(EnergyError, match="has no voltage: say the supply's by --voltage"):
        read_recording(made)


def test_jls_is_read_as_written(tmp_path: Path) -> None:
    pytest.importorskip("pyjls", reason="pyjls is not installed")
    board = Board(steps=40)
    made = power.write_jls(tmp_path / "run.jls", board, 100_000.0)
    current = (Board(steps=40).power(100_000.0) / VOLTS).astype(np.float32)
    found = read_recording(made)
    assert found.current_a is not None and (found.current_a == current).all()
    lines = board.lines(100_000.0)
    assert (found.digital["gpi[0]"] == lines["D0"]).all()
    assert (found.digital["gpi[1]"] == lines["D1"]).all()
    cut = tmp_path / "cut.jls"
    cut.write_bytes(made.read_bytes()[:3000])
    with pytest.raises(EnergyError, match="cut.jls: "):
        read_recording(cut)


def test_gaps_are_left_out(tmp_path: Path) -> None:
    board = Board(steps=120)
    made = power.write_table(tmp_path / "run.csv", board, 20_000.0)
    lines = made.read_text().splitlines()
    begin = int(board.edges[40, 0] * 20_000)
    made.write_text("\n".join([*lines[: begin + 3], *lines[begin + 13 :]]) + "\n")
    found = measure(read_recording(made), expected(board))
    assert found.recording.lost == 10 and "10 samples are missing in 1 gaps" in found.steps.notes[0]
    assert len(found.energy_j) == board.steps - 1
    assert found.energy_j.mean() == pytest.approx(board.step_j.mean(), rel=0.01)


def test_marker_is_subtracted() -> None:
    board = Board(steps=120)
    run = recorded(board, 100_000.0)
    plain = measure(run, expected(board))
    less = measure(run, expected(board, marker_s=10e-6))
    # four marks of 10 µs each at the power of a step
    assert plain.energy_j.mean() - less.energy_j.mean() == pytest.approx(less.marker_j)
    assert less.marker_j == pytest.approx(4 * 10e-6 * board.step_j.mean() / 1600e-6, rel=0.01)


@pytest.mark.parametrize(
    ("text", "role", "factor"),
    [("Time (s)", "time", 1), ("Main(mA)", "current", 1e-3), ("Main Voltage(V)", "voltage", 1),
     ("current_ua", "current", 1e-6), ("I [µA]", "current", 1e-6), ("Timestamp(ms)", "time", 1e-3),
     ("Power (mW)", "power", 1e-3), ("Energy (J)", "", 1), ("D0", "", 1)],
)  # fmt: skip
def test_units_of_headers(text: str, role: str, factor: float) -> None:
    from edgeflow.energy.formats.table import column_of

    column = column_of(text)
    assert (column.role, column.factor) == (role, factor)


def test_monsoon_and_named_columns(tmp_path: Path) -> None:
    monsoon = tmp_path / "monsoon.csv"
    monsoon.write_text("Time(ms),Main(mA),Main Voltage(V),\n0,10,3\n0.2,20,3\n0.4,30,3\n")
    found = read_recording(monsoon)
    assert found.rate_hz == pytest.approx(5000) and found.power_w == pytest.approx(
        [0.03, 0.06, 0.09]
    )
    scope = tmp_path / "scope.csv"
    scope.write_text("Time [s],Channel 0,Channel 1\n0,10,0\n0.001,20,1\n0.002,30,1\n")
    with pytest.raises(EnergyError, match="no recording of a power probe that is known"):
        read_recording(scope)
    options = ReadOptions(voltage=2.0, columns={"current": "Channel 0:mA"})
    found = read_recording(scope, options, "table")
    assert found.power_w == pytest.approx([0.02, 0.04, 0.06])
    assert found.digital["Channel 1"].tolist() == [False, True, True]


def test_energy_of_lpm01a(tmp_path: Path) -> None:
    """Joules of each millisecond, as the benchmark's energy mode asks for them."""
    made = power.write_lpm01a_values(
        tmp_path / "log.txt", np.full(2000, 2.124e-5), 1000.0, "energy", {499: "fal", 1499: "fal"}
    )
    found = read_recording(made)
    assert found.power_w == pytest.approx(21.24e-3)
    assert found.events["D7"] == pytest.approx([0.499, 1.499])


WRONG = {
    "no digital line, and the power shows .* bursts for 300 steps": {"steps": 300, "pace_hz": None},
    "seconds": {"steps": 4000},
    "and the profile knows no time of a step": {"step_s": None},
    "bursts of the power take .* µs, a step 5000": {"step_s": 5e-3},
}


@pytest.mark.parametrize("said", WRONG)
def test_another_profile_is_refused(said: str) -> None:
    board = Board(steps=150)
    if said == "seconds":
        said = r"3.* s are shorter than the profile, whose 4,000 steps take 80.00 s"
        changes: dict[str, object] = WRONG["seconds"]
    else:
        changes = WRONG[said]
    with pytest.raises(EnergyError, match=said):
        measure(recorded(board, 20_000.0, lines=False), expected(board, **changes))


def test_wrong_files(tmp_path: Path) -> None:
    wrong = {
        "empty.csv": (b"", "is empty"),
        "words.csv": (b"a,b\n1,2\n", "no recording of a power probe"),
        "nan.csv": (b"Time (s),I (A)\n0,1\n0.1,x\n0.2,3\n0.3,3\n", "not rows of 2 numbers"),
        "back.csv": (b"Time (s),P (W)\n0,1\n0.2,1\n0.1,1\n", "is not after that of the row before"),
        "one.csv": (b"Time (s),P (W)\n0,1\n", "fewer than two rows"),
        "two.csv": (b"Time (s),a (A),b (A)\n0,1,1\n1,1,1\n", "several columns of a current"),
        "rate.csv": (b"P (W),D0\n1,1\n2,0\n", "say how many samples a second by --rate"),
        "otii.json": (b'{"mc": {"values": 3}}', "not channels of an Otii recording"),
    }
    for name, (content, said) in wrong.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(EnergyError, match=said) as caught:
            read_recording(tmp_path / name, WITH_VOLTAGE)
        assert name in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(EnergyError, match="cannot be read"):
        read_recording(tmp_path / "none.csv")
    with pytest.raises(EnergyError, match="no format 'xls'; known: edgeflow, jls, lpm01a, otii, "):
        read_recording(tmp_path / "back.csv", format_name="xls")


def test_damaged_files(tmp_path: Path) -> None:
    """Bytes that are changed, left out or put in: an error of one line, or a recording."""
    board = Board(steps=6)
    files = [writer(tmp_path / f"{name}{ending}", board, 2_000.0)
             for name, (writer, ending) in WRITERS.items() if name != "jls"]  # fmt: skip
    files.append(power.write_lpm01a(tmp_path / "log.txt", board, 2_000.0))
    own.write(recorded(board, 2_000.0), tmp_path / "power.npz")
    files.append(tmp_path / "power.npz")
    rng, odd = random.Random(0), [b",", b"\n", b"nan", b"1e308", b"9" * 30, b"{", b"null", b"\xff"]
    for number in range(180):
        path = files[number % len(files)]
        data = bytearray(path.read_bytes())
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(min(len(data), rng.choice([300, 1 << 30])))
            data[at : at + rng.choice([0, 1, 30])] = rng.choice(odd)
        damaged = path.with_stem("damaged")
        damaged.write_bytes(data)
        try:
            measure(read_recording(damaged, WITH_VOLTAGE), expected(board))
        except EnergyError as error:
            assert "\n" not in str(error)


def test_last_line_that_was_cut(tmp_path: Path) -> None:
    (tmp_path / "cut.csv").write_text("Time (s),P (W)\n0,1\n0.1,2\n0.2,3\n0.3,")
    assert read_recording(tmp_path / "cut.csv").samples == 3


def test_formats_are_found_by_their_files() -> None:
    assert list(formats()) == ["edgeflow", "jls", "lpm01a", "otii", "power-profiler", "table"]


def test_otii_holds_the_last_voltage(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    analog = {"timestamp": 0.0, "data_type": "analog"}
    path.write_text(json.dumps({
        "mc": {**analog, "interval": 0.5, "values": [1.0, 1.0, 1.0, 1.0]},
        "mv": {**analog, "interval": 1.0, "values": [2.0, 3.0]},
        "i1": {"data_type": "digital", "values": [{"timestamp": 0.6, "value": True}]},
    }))  # fmt: skip
    found = read_recording(path)
    assert found.power_w == pytest.approx([2, 2, 3, 3])
    assert found.digital["i1"].tolist() == [False, False, True, True]
