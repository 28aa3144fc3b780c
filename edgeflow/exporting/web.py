"""A program as an npm package: the generated C as WebAssembly, with JavaScript around it.

``templates/web`` has the files. Each ``.wasm`` file carries what ``model.js`` says of the model, as
JSON in its custom section ``edgeflow``, so that the two cannot be mixed up.
"""

import json
import re
from pathlib import Path
from typing import Any

from edgeflow import __version__
from edgeflow.codegen.plan import Plan, plan_library
from edgeflow.errors import ExportError
from edgeflow.exporting import Options
from edgeflow.exporting.library import FOLDER
from edgeflow.exporting.template import TEMPLATES, about, environment
from edgeflow.exporting.wasm import compile_module, with_section
from edgeflow.exporting.web_page import page_files
from edgeflow.files import output_folder, write_atomic
from edgeflow.program import Program
from edgeflow.resources import license_file
from edgeflow.targets.core import load_core

#: Of the custom section; ``model.js`` looks for it.
SECTION = "edgeflow"
#: The modules, by their targets.
MODULES = {"model.wasm": "simd", "model-plain.wasm": "plain"}
#: Names that npm takes, with a scope or without, but for two.
_NAME = re.compile(r"(@[a-z0-9-][a-z0-9._-]*/)?[a-z0-9-][a-z0-9._-]*")
_MAX_NAME = 214
_TAKEN = ("node_modules", "favicon.ico")


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
        If npm does not take the name, or the C cannot be compiled.
    OutputError
        If something else is in the folder, or another process writes it.
    TargetError
        If there is no such goal.
    ToolMissingError
        If the package ``ziglang`` is not installed.
    DataError
        If the data are not what the model was made for.
    """
    check_name(options.name)
    plan = plan_library(program, load_core("host"), optimize=options.optimize)
    context = about(options.name, plan, options.data)
    units = context["window"].units or tuple(program.metadata.get("units") or ())
    info = describe(plan, options.name, units)
    section = json.dumps(info, separators=(",", ":")).encode()
    with output_folder(out, FOLDER) as folder:
        modules = {
            name: with_section(compile_module(plan, target), SECTION, section)
            for name, target in MODULES.items()
        }
        sizes = {name: len(module) for name, module in modules.items()}
        context |= {"info": info, "sizes": sizes, "edgeflow": __version__}
        texts = _texts(context) | page_files(program, options.data) | license_file()
        for name, content in (modules | texts).items():
            write_atomic(folder.new / name, content, durable=False)
        return folder.commit()


def check_name(name: str) -> None:
    """Refuse a name that npm does not take.

    Raises
    ------
    ExportError
    """
    if not _NAME.fullmatch(name) or len(name) > _MAX_NAME or name in _TAKEN:
        raise ExportError(
            f"'{name}' cannot name an npm package: use --name with a-z, 0-9, -, _ and ., such as "
            "gait or @me/gait"
        )


def describe(plan: Plan, name: str, units: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what ``model.info`` is in JavaScript: JSON values.

    Parameters
    ----------
    plan : Plan
    name : str
        Of the package.
    units : tuple of str
        One per channel; empty if not known.
    """
    program, cutoff = plan.program, plan.program.cutoff
    form = program.output and program.output.times(program.output_scale)
    stored = [
        array.nbytes
        for node in program.nodes
        for field, array in node.arrays().items()
        if field in plan.steps[node.name].arrays
    ]
    return {
        "name": name,
        "hash": program.hash.hex(),
        "edgeflow": __version__,
        "task": program.task.name,
        "classes": list(program.classes),
        "channels": list(program.input.channels),
        "units": list(units),
        "rateHz": program.rate_hz,
        "window": program.window,
        "inputs": program.inputs,
        "outputs": program.outputs,
        "outputScale": float(program.output_scale),
        "outputNames": list(program.task.outputs),
        "outputFormat": None if form is None else form.to_json(),
        "learns": program.learns,
        "earlyExit": (
            None if cutoff is None else {"threshold": cutoff.threshold, "start": cutoff.start}
        ),
        "weightBytes": plan.weight_bytes + sum(stored),
        "stateBytes": plan.state_bytes,
    }


def _texts(context: dict[str, Any]) -> dict[str, str]:
    """Return the texts of the templates; those without ``.j2`` are the same in every package."""
    templates, root = environment(), TEMPLATES / "web"
    files = {}
    for path in sorted(file for file in root.rglob("*") if file.is_file()):
        target = path.relative_to(root).as_posix()
        if path.suffix == ".j2":
            template = templates.get_template(f"web/{target}")
            files[target.removesuffix(".j2")] = template.render(context)
        else:
            files[target] = path.read_text(encoding="utf-8")
    return files
