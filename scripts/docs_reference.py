"""Tables and lists of the documentation that are made of the package itself.

The Python API, the cells, the options of the commands, the layers of packages.
``scripts/docs_tables.py`` writes them.
"""

import importlib
import inspect
import json
import re
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import typer

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import edgeflow  # noqa: E402
from edgeflow.cells import CELLS  # noqa: E402
from edgeflow.cells.options import option_defaults  # noqa: E402
from edgeflow.cli import app  # noqa: E402
from edgeflow.compression.options import DeltaOptions, ImcOptions  # noqa: E402
from edgeflow.device.runners import runners  # noqa: E402
from edgeflow.energy.consumers import (  # noqa: E402
    load_radio,
    load_sensor,
    radio_names,
    sensor_names,
)
from edgeflow.recipes.recipe import OPTIONS, Recipe  # noqa: E402
from edgeflow.resources import resource  # noqa: E402
from edgeflow.schema import settings_of, texts_of  # noqa: E402
from edgeflow.targets.board import list_boards  # noqa: E402
from edgeflow.targets.boards import memory_text  # noqa: E402
from edgeflow.targets.part import load_part  # noqa: E402
from edgeflow.targets.runner import HardwareRunner  # noqa: E402
from edgeflow.targets.trust import TRUSTED_OPTIONS  # noqa: E402

#: Classes of the Python API that are not names of ``edgeflow`` itself.
API_CLASSES = (
    "edgeflow.program.inference.Stream",
    "edgeflow.training.loop.TrainResult",
    "edgeflow.profiling.result.ProfileResult",
    "edgeflow.recipes.recipe.Recipe",
    "edgeflow.data.dataset.Dataset",
    "edgeflow.data.dataset.Windows",
    "edgeflow.quantization.Widths",
)
DOCSTRING_ONLY = {
    "members": "false",
    "show_root_heading": "false",
    "show_root_toc_entry": "false",
}


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _public() -> dict[str, Any]:
    """Return what ``edgeflow`` and its public packages offer, by name, without its version."""
    found: dict[str, Any] = {}
    for name in sorted(set(edgeflow.__all__) - {"__version__"}):
        value = getattr(edgeflow, name)
        if isinstance(value, ModuleType):
            found |= {f"{name}.{inner}": getattr(value, inner) for inner in sorted(value.__all__)}
        else:
            found[name] = value
    return found


def _reference(path: str, **options: str) -> str:
    lines = [f"::: {path}", *(["    options:"] if options else [])]
    return "\n".join(lines + [f"      {key}: {value}" for key, value in options.items()])


def _path(found: Any) -> str:
    return f"{found.__module__}.{found.__qualname__}"


def api_functions() -> str:
    """The functions of ``edgeflow``, for mkdocstrings."""
    return "\n\n".join(
        _reference(_path(found), heading=f"ef.{name}", toc_label=f"ef.{name}")
        for name, found in _public().items()
        if not isinstance(found, type)
    )


def api_classes() -> str:
    """The classes of ``edgeflow``, and what its functions return and take, for mkdocstrings."""
    paths = [_path(found) for found in _public().values() if isinstance(found, type)]
    return "\n\n".join(_reference(path) for path in dict.fromkeys([*paths, *API_CLASSES]))


def cells_reference() -> str:
    """A cell's equations, options and torch class, for mkdocstrings."""
    parts: list[str] = []
    modules: dict[str, str] = {}  # by name, the first cell of each
    classes: set[str] = set()
    for name, cell in CELLS.items():
        parts.append(f"## {name}")
        first = modules.setdefault(cell.origin, name)
        if first == name:
            parts.append(_reference(cell.origin, **DOCSTRING_ONLY))
        else:
            parts.append(f"Equations: [{first}](#{first}).")
        defaults = option_defaults(cell)
        if defaults:
            options = ", ".join(f"`{k}={json.dumps(v)}`" for k, v in defaults.items())
            parts.append(f"Options (`--set`), with their defaults: {options}.")
        path = _path(cell.module)
        if path.startswith(f"{cell.origin}.") and path not in classes:
            parts.append(_reference(path))
        elif not path.startswith("edgeflow."):
            parts.append(f"The layer is `torch.nn.{cell.module.__name__}`.")
        classes.add(path)
    return "\n\n".join(parts)


# ---------------------------------------------------------------- options


def options_of(command: str, *schemas: type) -> Callable[[], str]:
    """Return the table of a command's options, by group as in its help."""

    def table() -> str:
        stated = [setting for schema in schemas for setting in settings_of(schema).values()]
        defaults = {setting.option.name: setting.default for setting in stated}
        rows, last = [], ""
        for p in typer.main.get_command(app).commands[command].params:  # type: ignore[attr-defined]
            group = p.rich_help_panel or "General"
            name = ", ".join(f"`{o}`" for o in p.opts) if p.opts[0].startswith("-") else p.name
            default = defaults.get(p.opts[0], p.default)
            told = isinstance(default, str | int | float | Path) and default is not False
            shown = str(default) if told else ""
            rows.append(["" if group == last else group, name, p.help, shown])
            last = group
        return markdown(["", "option", "what", "default"], rows)

    return table


def recipe_entries() -> str:
    """The tables of a recipe and their entries, with the options that override them."""
    options = {setting.path: f"`{setting.option.name}`" for setting in OPTIONS.values()}
    rows = []
    for table, step in Recipe().settings().items():
        kind = Recipe.model_fields[table].annotation
        assert kind is not None
        name = f"`{table}`"
        for entry, default in step.items():
            what = options.get((table, entry)) or options.get((table,))
            shown = "" if default in (None, []) else f"`{json.dumps(default)}`"
            rows.append([name, f"`{entry}`", shown, what or texts_of(kind)[entry]])
            name = ""
    return markdown(["table", "entry", "default", "option"], rows)


def delta_parts() -> str:
    """The parts of ``--delta``."""
    return _parts_of(DeltaOptions)


def imc_parts() -> str:
    """The parts of ``--imc``."""
    return _parts_of(ImcOptions)


def _parts_of(options: type) -> str:
    rows = [[f"`{part}`", setting.help] for part, setting in settings_of(options).items()]
    return markdown(["part", "what"], rows)


def layers() -> str:
    """Return the packages of ``edgeflow`` and their floors, the top first."""
    contract, *_ = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    rows = []
    for floor, level in enumerate(reversed(contract["layers"]), 1):
        for name in level.split(" | "):
            module = importlib.import_module(f"edgeflow.{name}")
            about = (module.__doc__ or "").splitlines()[0]
            kind = "/" if hasattr(module, "__path__") else ".py"
            rows.append([str(floor), f"`{name}{kind}`", about])
    rows.sort(key=lambda row: -int(row[0]))
    return markdown(["floor", "in `edgeflow/`", "what it is"], rows)


def flash_tools() -> str:
    """What each flash tool writes through, and what installs it."""
    rows = [[f"`{name}`", kind.HELP, kind.INSTALL] for name, kind in runners().items()]
    return markdown(["tool", "for", "install"], rows)


def real_boards() -> str:
    """Clock, memories, serial port and flash tools of each board that is flashed."""
    rows = []
    for board in list_boards():
        if not isinstance(board.runner, HardwareRunner) or board.uart is None:
            continue
        flash, ram = (memory_text(board.memory[name].size) for name in ("flash", "ram"))
        pins = f"{board.uart.tx}, {board.uart.rx}" if board.uart.tx else "fixed"
        clock = f"{(board.clock_hz or 0) / 1e6:g} MHz"
        tools = ", ".join(board.runner.order)
        rows.append([f"`{board.name}`", board.core.name, clock, f"{flash}, {ram}", pins, tools])
    head = ["board", "core", "clock", "flash, RAM", "serial port: TX, RX", "flash tools"]
    return markdown(head, rows)


def flash_options() -> str:
    """The keys of ``[runner.options.TOOL]``."""
    rows = []
    for name, kind in runners().items():
        texts = attributes_of(kind.Options)
        for key, field in kind.Options.model_fields.items():
            trust = "; needs trust" if key in TRUSTED_OPTIONS else ""
            need = "required" if field.is_required() else "optional"
            rows.append([f"`{name}`", f"`{key}`", f"{need}{trust}", texts[key]])
    return markdown(["tool", "key", "", "what"], rows)


def attributes_of(schema: type) -> dict[str, str]:
    """Return the texts of the attributes in a class's docstring, by name."""
    text = inspect.cleandoc(schema.__doc__ or "").replace("``", "`")
    found = re.findall(r"^(\w+)\n((?: {4}.*\n?)+)", text, re.M)
    return {name: " ".join(body.split()) for name, body in found}


def part_energies() -> str:
    """Return published energies of parts, which theirs was not taken from, and their errors."""
    names = sorted(path.stem for path in (resource("calibration") / "parts").glob("*.toml"))
    rows = [
        [
            f"`{part.name}`", check.workload.partition(",")[0], f"{check.published_uj:,.0f}",
            f"{part.step_uj(part.clock_hz / check.published_per_s):,.0f}", f"{error:+.1f} %",
        ]
        for part in map(load_part, names)
        for check, error in part.energy_checks()
    ]  # fmt: skip
    head = ["part", "workload", "published, µJ an inference", "estimated, µJ", "error"]
    return markdown(head, rows)


def power_consumers() -> str:
    """Return the sensors and radios that budgets know."""
    sensors = [
        [f"`--sensor {one.name}`", one.description,
         ", ".join(f"{ua:g} µA at {hz:g} Hz" for hz, ua in zip(one.rates_hz, one.ua, strict=True))]
        for one in map(load_sensor, sensor_names())
    ]  # fmt: skip
    radios = [
        [f"`--radio {one.name}:N`", one.description, f"{one.uc_per_event:g} µC each, N a second"]
        for one in map(load_radio, radio_names())
    ]
    return markdown(["option", "what", "takes"], [*sensors, *radios])
