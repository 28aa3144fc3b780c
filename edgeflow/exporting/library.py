"""A program as a library package: for CMake, Arduino, PlatformIO, Zephyr, ESP-IDF.

``src/`` has the generated C, flat, whose global names begin with the library's own, so that several
packages can be in one firmware: ``NAME_step``, and for a kernel ``NAME_ef_x``. Around it stands
what ``templates/<format>`` has: manifest, build files and an example that runs a window and checks
its outputs. ``edgeflow.json`` lists the files.
"""

import json
from pathlib import Path
from typing import Any

import jinja2

from edgeflow import __version__
from edgeflow.codegen.c_text import c_float, c_string, plain
from edgeflow.codegen.names import check_name
from edgeflow.codegen.plan import Plan, plan_library
from edgeflow.codegen.render import render
from edgeflow.errors import ExportError
from edgeflow.exporting import Options
from edgeflow.exporting.window import ExampleWindow, example_window
from edgeflow.files import write_atomic
from edgeflow.program import Program
from edgeflow.resources import resource
from edgeflow.targets.board import load_core

_TEMPLATES = Path(__file__).parent / "templates"
#: Lists the files of an export, so that the next one into the same folder leaves none behind.
RECORD = "edgeflow.json"


def write(program: Program, out: Path, options: Options) -> list[Path]:
    """Write the package.

    Parameters
    ----------
    program : Program
    out : Path
        Folder: new, empty, or that of an earlier export, which is replaced.
    options : Options

    Returns
    -------
    list of Path

    Raises
    ------
    ExportError
        If the name cannot be one, or something else is in the folder.
    TargetError
        If there is no such core or goal.
    ToolMissingError
        If the backend is TVM and that is not installed.
    DataError
        If the data are not what the model was made for.
    """
    old = _earlier(out)
    check_name(options.name, program)
    # the machine itself has plain C kernels and no others
    core = load_core("host" if options.core == "c" else options.core)
    plan = plan_library(program, core, backend=options.backend, optimize=options.optimize)
    sources = render(plan, options.name, shared=True)
    window = example_window(program, options.data)
    files = {f"src/{Path(name).name}": text for name, text in sources.items()}
    files |= _render(options.to, _context(program, plan, options, list(files), window))
    files["LICENSE"] = (resource("firmware").parent / "LICENSE").read_text(encoding="utf-8")
    record = {
        "edgeflow": __version__,
        "to": options.to,
        "name": options.name,
        "core": options.core,
        "model_hash": program.hash.hex(),
        "files": sorted(files),
    }
    files[RECORD] = json.dumps(record, indent=2) + "\n"
    for name in old - files.keys():
        (out / name).unlink(missing_ok=True)
    for name, text in files.items():
        write_atomic(out / name, text)
    return [out / name for name in sorted(files)]


def _earlier(out: Path) -> set[str]:
    """Return the files of an earlier export into the folder."""
    if out.exists() and not out.is_dir():
        raise ExportError(f"{out}: a file is in the way of the folder: give another --out")
    if not out.is_dir() or not any(out.iterdir()):
        return set()
    try:
        names = json.loads((out / RECORD).read_text(encoding="utf-8"))["files"]
        inside = [n for n in names if (out / n).resolve().is_relative_to(out.resolve())]
    except (OSError, ValueError, KeyError, TypeError):
        raise ExportError(
            f"{out}: not empty, and not an earlier export (no {RECORD} of one): give another --out"
        ) from None
    return set(inside)


def _context(
    program: Program, plan: Plan, options: Options, files: list[str], window: ExampleWindow
) -> dict[str, Any]:
    task = program.task
    measured = program.metadata if task.metrics and task.pair[1] in program.metadata else {}
    return {
        "name": options.name,
        "NAME": options.name.upper(),
        "program": program,
        "hash": program.hash.hex(),
        "core": options.core,
        "sources": [name for name in files if name.endswith((".c", ".S"))],
        "has_assembly": any(name.endswith(".S") for name in files),
        "state_bytes": plan.state_bytes,
        "weight_bytes": plan.weight_bytes,
        "measured": measured,
        "metric": task.headline.label if measured else "",
        "score": task.headline.text(measured.get(task.pair[1])) if measured else "",
        "window": window,
        "edgeflow": __version__,
    }


def _render(to: str, context: dict[str, Any]) -> dict[str, str]:
    """Return the files of the format's templates; those with a leading _ are only included."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"c_string": c_string, "c_float": c_float, "plain": plain}
    files = {}
    for folder in ("common", to):
        for path in sorted((_TEMPLATES / folder).rglob("*.j2")):
            if not path.name.startswith("_"):
                target = path.relative_to(_TEMPLATES / folder).with_suffix("").as_posix()
                template = environment.get_template(path.relative_to(_TEMPLATES).as_posix())
                files[target.replace("NAME", context["name"])] = template.render(to=to, **context)
    return files
