"""Options of a command that are made of the fields of settings (`edgeflow.schema`)."""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, get_origin

import typer
from typer.models import OptionInfo

from edgeflow.schema import PANELS, Setting, settings_of


def with_options(**schemas: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options that schemas state.

    Parameters
    ----------
    **schemas : type
        By a keyword-only parameter of the command, which gets the values of the schema's options,
        by option without dashes; None, or an empty list, is not given.

    Returns
    -------
    callable
        A decorator. The command's options are in the order of their groups.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        stated = {name: settings_of(schema) for name, schema in schemas.items()}
        signature = inspect.signature(command)
        parameters = [p for p in signature.parameters.values() if p.name not in schemas]
        for settings in stated.values():
            parameters += [_parameter(key, setting) for key, setting in settings.items()]
        parameters.sort(key=_panel)

        @wraps(command)
        def run(**given: Any) -> None:
            chosen = {
                name: {key: _value(s, given.pop(_variable(key))) for key, s in settings.items()}
                for name, settings in stated.items()
            }
            command(**given, **chosen)

        run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate


def _variable(key: str) -> str:
    return key.replace("-", "_")


def _parameter(key: str, setting: Setting) -> inspect.Parameter:
    option = setting.option
    kind: Any = (str if option.parse else setting.type) | None
    default: Any = None
    if get_origin(setting.type) in (tuple, Mapping):
        kind, default = list[str], []
    elif option.shown:
        kind, default = setting.type, setting.default
    info = typer.Option(default, option.name, help=setting.help, rich_help_panel=setting.panel)
    both = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Parameter(_variable(key), both, default=info, annotation=kind)


def _panel(parameter: inspect.Parameter) -> int:
    """Return the place of a parameter's panel; those without one are first."""
    info = parameter.default
    panel = info.rich_help_panel if isinstance(info, OptionInfo) else None
    return -1 if panel is None else PANELS.index(panel)


def _value(setting: Setting, value: Any) -> Any:
    parse = setting.option.parse
    return value if parse is None or value is None or value == [] else parse(value)
