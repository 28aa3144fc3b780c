"""Templates of exported packages: texts with what differs from program to program."""

from pathlib import Path
from typing import Any

import jinja2

from edgeflow.codegen.c_text import c_float, c_string, plain
from edgeflow.codegen.plan import Plan
from edgeflow.data import Dataset
from edgeflow.exporting.window import example_window

#: A folder per format.
TEMPLATES = Path(__file__).parent / "templates"


def environment() -> jinja2.Environment:
    """Return the environment of the templates, which are named by their path in `TEMPLATES`."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters |= {"c_string": c_string, "c_float": c_float, "plain": plain, "number": _number}
    return found


def about(name: str, plan: Plan, data: Dataset | None) -> dict[str, Any]:
    """Return what templates may say of one program.

    Raises
    ------
    DataError
        If the data are not what the model was made for.
    """
    program = plan.program
    task = program.task
    measured = program.metadata if task.metrics and task.pair[1] in program.metadata else {}
    return {
        "name": name,
        "NAME": name.upper(),
        "CLASS": class_name(name),
        "program": program,
        "hash": program.hash.hex(),
        "state_bytes": plan.state_bytes,
        "weight_bytes": plan.weight_bytes,
        "measured": measured,
        "metric": task.headline.label if measured else "",
        "score": task.headline.text(measured.get(task.pair[1])) if measured else "",
        "window": example_window(program, data),
    }


def class_name(name: str) -> str:
    """Return a library's name as classes are named: "MyGait" of "my_gait"."""
    return name.title().replace("_", "")


def _number(value: Any) -> str:
    """Return a finite float32 in decimal, as JavaScript and JSON write it."""
    return f"{float(value):.9g}"
