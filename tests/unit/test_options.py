"""Options of the commands: each is stated by a field, once."""

from dataclasses import MISSING, fields
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from edgeflow.cli import app
from edgeflow.cli.schema import with_options
from edgeflow.cli.train import MethodOptions
from edgeflow.compression.options import DeltaOptions
from edgeflow.errors import CompressError
from edgeflow.recipes.limits import Limits
from edgeflow.recipes.recipe import OPTIONS, Recipe
from edgeflow.schema import PANELS, by_field, settings_of
from edgeflow.training.options import TrainOptions

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("command", "schemas"),
    [("compress", (Recipe, Limits)), ("train", (TrainOptions, MethodOptions))],
)
def test_a_command_has_the_options_of_its_schemas(command: str, schemas: tuple[type, ...]) -> None:
    """Alone catches an option that is lost, or gets another help or group, on its way."""
    found = {p.opts[0]: p for p in COMMANDS[command].params}
    for schema in schemas:
        for setting in settings_of(schema).values():
            option = setting.option
            parameter = found[option.name]
            assert (parameter.help, parameter.rich_help_panel) == (setting.help, setting.panel)
            assert parameter.default in ([setting.default] if option.shown else [None, []])
    panels = [p.rich_help_panel for p in COMMANDS[command].params if p.rich_help_panel]
    assert panels == sorted(panels, key=PANELS.index)


def test_values_reach_the_command() -> None:
    """Alone catches an option that the command line takes and then drops."""
    small, seen = typer.Typer(), {}

    @small.command()
    @with_options(options=Recipe, limits=Limits)
    def run(*, options: dict[str, Any], limits: dict[str, Any]) -> None:
        seen.update(options | limits)

    arguments = {
        "optimize": "size", "max-flash": "16k", "delta": "state=0.8", "teacher": "a", "lr": "0.1"
    }  # fmt: skip
    words = [word for name, value in arguments.items() for word in (f"--{name}", value)]
    assert CliRunner().invoke(small, words).exit_code == 0
    assert {name: value for name, value in seen.items() if value not in (None, [])} == {
        "optimize": "size", "max-flash": 16000, "delta": {"state": "0.8"}, "teacher": ["a"],
        "lr": 0.1,
    }  # fmt: skip


def test_every_entry_of_a_recipe_has_an_option_or_a_place_in_the_table() -> None:
    """Alone catches a field that neither command line nor documentation would show."""
    paths = {setting.path for setting in OPTIONS.values()}
    for table, info in Recipe.model_fields.items():
        for name in getattr(info.annotation, "model_fields", {}):
            assert (table, name) in paths or (table, name) == ("widths", "max_drop")


def test_values_by_field() -> None:
    """Alone catches an option whose value goes to another field."""
    given = {"max-drop": 0.5, "max-flash": None, "max-ram": 100}
    assert by_field(Limits, given) == {"drop": 0.5, "ram": 100}
    assert by_field(TrainOptions, {"set": {"order": 3}, "lr": None}) == {
        "cell_options": {"order": 3}
    }


def test_delta_updates_have_one_default() -> None:
    """Alone catches a default of the class that differs from that of a recipe: nothing is left out."""
    assert Recipe().delta == DeltaOptions() and not DeltaOptions()
    assert all(item.default is not MISSING for item in fields(DeltaOptions))
    for wrong in ({"state": 1.0}, {"input": -0.1}, {"group": 0}, {"pressure": -1.0}):
        with pytest.raises(CompressError, match="^delta "):
            DeltaOptions(**wrong)
