"""Options that fields of settings state once, for command line, recipe files and documentation.

A field of a pydantic model or of a dataclass that an option sets is annotated with it. The help of
the option is the field's text in the NumPy docstring of the class, its group the class's `panel`::

    structured: Annotated[Share | None, Option("--structured")] = None
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import AfterValidator, BaseModel

QUANTIZATION, PRUNING, DELTA = "Quantization", "Pruning", "Delta updates"
FINE_TUNING, EARLY_EXIT, DECISIONS = "Fine-tuning", "Early exit", "Decisions"
LEARNING = "Learning on the device"
SEARCH, MEASUREMENT = "Search", "Measurement"
DATA, MODEL, TRAINING, METHODS = "Data", "Model", "Training", "Methods"
IMPORT = "Models from elsewhere"
ARRAYS = "Analog arrays"
#: Groups of options in the order of help and documentation.
PANELS = (
    DATA, MODEL, TRAINING, METHODS, IMPORT,
    QUANTIZATION, PRUNING, DELTA, FINE_TUNING, EARLY_EXIT, DECISIONS, LEARNING,
    SEARCH,
    MEASUREMENT, ARRAYS,
)  # fmt: skip


def share(value: float) -> float:
    """Return a share.

    Raises
    ------
    ValueError
        If it is not in [0, 1).
    """
    if not 0 <= value < 1:
        raise ValueError("a share is in [0, 1)")
    return value


Share = Annotated[float, AfterValidator(share)]


@dataclass(frozen=True)
class Option:
    """An option of the command line.

    Parameters
    ----------
    name : str
        With its dashes: ``"--low-rank"``; of a part of an option, an example: ``"state=0.8"``.
    parse : callable, optional
        Makes the field's value of a text; None: the text is converted to the field's type.
    shown : bool
        Without the option the field's default is given, and help shows it; else nothing is given.
    panel : str
        Its group; "": that of its class.
    """

    name: str
    parse: Callable[[Any], Any] | None = None
    shown: bool = False
    panel: str = ""


@dataclass(frozen=True)
class Setting:
    """A field that an option sets.

    Attributes
    ----------
    path : tuple of str
        The field, after the field of the model that holds it.
    type : type
        Of the field, without None and checks.
    panel : str
        Group of options, one of `PANELS`, or "".
    """

    option: Option
    path: tuple[str, ...]
    type: Any
    default: Any
    help: str
    panel: str


@cache
def settings_of(schema: type) -> dict[str, Setting]:
    """Return the fields that options set, also of models in fields, by option without dashes.

    Parameters
    ----------
    schema : type
        A pydantic model or a dataclass.
    """
    found: dict[str, Setting] = {}
    texts = texts_of(schema)
    for name, kind, notes, default in _fields(schema):
        option = next((note for note in notes if isinstance(note, Option)), None)
        if option is not None:
            owner = next(base for base in schema.__mro__ if name in inspect.get_annotations(base))
            panel = option.panel or getattr(owner, "panel", "")
            key = option.name.removeprefix("--")
            found[key] = Setting(option, (name,), _plain(kind), default, texts[name], panel)
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            for key, inner in settings_of(kind).items():
                found[key] = replace(inner, path=(name, *inner.path))
    return found


def texts_of(schema: type) -> dict[str, str]:
    """Return the texts of fields in the docstrings of a class and its bases, by field."""
    found: dict[str, str] = {}
    for base in reversed(schema.__mro__):
        text = inspect.cleandoc(base.__doc__ or "").replace("``", "")
        for names, body in re.findall(r"^(\w[\w, ]*) : .*\n((?: {4}.*\n?)+)", text, re.M):
            found |= dict.fromkeys(names.split(", "), " ".join(body.split()))
    return found


def by_field(schema: type, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that options give to the fields of a dataclass.

    Parameters
    ----------
    options : mapping
        Values by option without dashes; None, or an empty list, is not given.
    """
    settings = settings_of(schema)
    given = {key: value for key, value in options.items() if value is not None and value != []}
    return {settings[key].path[0]: value for key, value in given.items()}


def _fields(schema: type) -> list[tuple[str, Any, tuple[Any, ...], Any]]:
    """Return name, type, annotations and default of each field."""
    if issubclass(schema, BaseModel):
        infos = schema.model_fields.items()
        return [(name, i.annotation, tuple(i.metadata), i.default) for name, i in infos]
    assert is_dataclass(schema)
    hints = get_type_hints(schema, include_extras=True)
    parts = {f.name: get_args(hints[f.name]) or (hints[f.name],) for f in fields(schema)}
    return [(f.name, parts[f.name][0], parts[f.name][1:], f.default) for f in fields(schema)]


def _plain(kind: Any) -> Any:
    """Return a type without None and annotations."""
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0])
    some = [part for part in get_args(kind) if part is not type(None)]
    return _plain(some[0]) if type(None) in get_args(kind) else kind
