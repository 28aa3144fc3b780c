"""``edgeflow budget``: how many days a battery lasts, and what takes it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgeflow.cli import console
from edgeflow.cli.options import JSON, TRUST_BOARD
from edgeflow.errors import EnergyError

if TYPE_CHECKING:
    from edgeflow.profiling.budget import Day
    from edgeflow.profiling.result import ProfileResult


def command(
    model: Path = typer.Argument(
        ..., help="A folder of 'edgeflow profile', or its profile.json; or a program, model.onnx."
    ),
    board: str | None = typer.Option(
        None, "--board", help="A name of 'edgeflow boards' or a .toml file; default: the profile's."
    ),
    battery: str = typer.Option(
        ..., "--battery", help="Capacity and mean voltage: 180mAh@3.7V, 0.66Wh@3.7V."
    ),
    usable: float = typer.Option(
        1.0, "--usable", min=0.01, max=1, help="Share of the battery that is used."
    ),
    rate: float | None = typer.Option(
        None, "--rate", min=0.001, max=1e5, help="Samples a second; default: the data's."
    ),
    sleep_ua: float | None = typer.Option(
        None, "--sleep-ua", min=0, max=1e6, help="Between steps; default: measured, or the part's."
    ),
    wake_us: float | None = typer.Option(
        None, "--wake-us", min=0, max=1e6, help="To wake up; default: measured, or the part's."
    ),
    active_ma: float | None = typer.Option(
        None, "--active-ma", min=0.001, max=1e5, help="While it computes, in place of the energy."
    ),
    supply_v: float | None = typer.Option(
        None, "--supply-v", min=0.5, max=60, help="Volts of the board; default: the part's."
    ),
    sensor: str | None = typer.Option(
        None, "--sensor", help="Its microamperes, or a name: lsm6dso, lis2dh, ... (docs/energy.md)."
    ),
    radio: str | None = typer.Option(
        None, "--radio", help="Its microamperes, or NAME:EVENTS a second: ble-advertising:1."
    ),
    regulator: str = typer.Option(
        "ldo", "--regulator", help="Between battery and board: ldo (the same current) or buck."
    ),
    trust_board: bool = TRUST_BOARD,
    json_: bool = JSON,
) -> None:
    """Estimate how long a battery lasts: mean current of computing, sleep, sensor and radio.

    What was measured (edgeflow energy, edgeflow profile --probe) goes before estimates, and
    your numbers go before both. Every line says what it is and how wrong it may be.

    Examples:
      edgeflow budget build --battery 180mAh@3.7V
      edgeflow budget build --battery 220mAh@3V --sleep-ua 2 --sensor lis2dh
      edgeflow budget build --battery 180mAh@3.7V --radio ble-advertising:1
      edgeflow budget model.onnx --board qemu-m4 --battery 180mAh@3.7V
    """
    from edgeflow.energy.budget import Battery
    from edgeflow.profiling.budget import Given, day_of
    from edgeflow.program import Program
    from edgeflow.targets.board import load_board

    if regulator not in ("ldo", "buck"):
        raise EnergyError(f"--regulator {regulator}: ldo or buck")
    cell = Battery.parse(battery, usable)
    profile = _profile(model)
    program = None if profile is not None else Program.load(model)
    name = board if board is not None else profile.board if profile is not None else None
    if name is None:
        raise EnergyError(f"{model}: a program has no board: say it by --board")
    if profile is not None and board not in (None, profile.board):
        raise EnergyError(f"{model}: profiled on {profile.board}, not on {board}: profile it there")
    spec = load_board(name, trusted=trust_board)
    given = Given(active_ma, sleep_ua, wake_us, supply_v, sensor, radio, regulator)
    day = day_of(spec, cell, profile=profile, program=program, rate_hz=rate, given=given)
    if json_:
        console.print_json({"board": spec.name, **day.to_json()})
        return
    _show(spec.name, day)


def _profile(path: Path) -> "ProfileResult | None":
    """Return the profile of a folder or file; None of a program."""
    from edgeflow.profiling.result import ProfileResult
    from edgeflow.profiling.run import RESULT

    if path.is_dir():
        return ProfileResult.load(path / RESULT)
    return ProfileResult.load(path) if path.suffix == ".json" else None


def _show(board: str, day: "Day") -> None:
    now = day.now
    console.table(
        f"{board}: {now.rate_hz:g} steps a second, {100 * now.duty:.3g} % of the time",
        ["consumer", "µA", "share", "kind", "from"],
        [
            [line.name, f"{line.ua:,.4g}", f"{100 * line.ua / now.mean_ua:.1f} %",
             _kind(line.kind, line.error_percent), line.source]
            for line in now.lines
        ],
        text=("kind", "from"),
    )  # fmt: skip
    rows: list[tuple[str, Any, str]] = [("as it is", now, ""), *day.rows]
    console.table(
        f"{now.battery.mah:g} mAh at {now.battery.volts:g} V",
        ["", "steps/s", "mean µA", "days", "kind", "from"],
        [
            [name, f"{one.rate_hz:g}", f"{one.mean_ua:,.4g}", f"{one.days:,.3g}",
             _kind(one.kind if name == "as it is" else "estimated", one.error_percent), what]
            for name, one, what in rows
        ],
        text=("kind", "from"),
    )  # fmt: skip


def _kind(kind: str, error: float | None) -> str:
    if kind != "estimated":
        return kind
    return f"{kind}, error not known" if error is None else f"{kind}, ±{error:.0f} %"
