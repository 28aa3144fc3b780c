"""Programs as a library package: for CMake, Arduino, PlatformIO, Zephyr, ESP-IDF.

``src/`` has the generated C, flat, whose global names begin with the library's own, so that several
packages can be in one firmware: ``NAME_step``, and for a kernel ``NAME_ef_x``. Several programs in
one package have names of their own, ``WALK_step``, and share kernels and tables. Around it stands
what ``templates/<format>`` has: manifest, build files and an example that runs a window and checks
its outputs. ``profile/`` has the firmware that ``edgeflow profile`` talks to, unless there are
several programs. ``edgeflow.json`` describes the package and lists its files.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeflow import __version__
from edgeflow.codegen.names import check_name
from edgeflow.codegen.package import PROGRAM, RECORD
from edgeflow.codegen.plan import plan_library
from edgeflow.codegen.render import render
from edgeflow.digest import read_json, sealed_json
from edgeflow.errors import ExportError
from edgeflow.exporting import Options
from edgeflow.exporting.firmware import firmware
from edgeflow.exporting.template import TEMPLATES, about, environment
from edgeflow.files import FolderKind, is_inside, output_folder, write_atomic
from edgeflow.program import Program
from edgeflow.resources import license_file
from edgeflow.targets.core import load_core


@dataclass(frozen=True)
class Layout:
    """What a package holds, and where.

    Attributes
    ----------
    folders : tuple of str
        Of templates: a file of a later one takes the place of an earlier one's.
    sources : str
        Folder of the generated C in the package.
    firmware : bool
        Whether ``profile/`` belongs to it.
    context : mapping
        What its templates know beside the models.
    build : callable, optional
        Makes more files, by path, of the texts of all others.
    """

    folders: tuple[str, ...]
    sources: str = "src"
    firmware: bool = True
    context: Mapping[str, Any] = field(default_factory=dict)
    build: Callable[[Mapping[str, str]], Mapping[str, str | bytes]] | None = None


def write(program: Program | Mapping[str, Program], out: Path, options: Options) -> list[Path]:
    """Write the package.

    Parameters
    ----------
    program : Program or mapping
        Several by name; one has the library's.
    out : Path
        Folder: new, empty, or that of an earlier export, which is replaced.
    options : Options

    Returns
    -------
    list of Path

    Raises
    ------
    ExportError
        If a name cannot be one.
    OutputError
        If something else is in the folder, or another process writes it.
    TargetError
        If there is no such core or goal.
    ToolMissingError
        If the backend is TVM and that is not installed.
    DataError
        If the data are not what the model was made for.
    """
    return write_package(program, out, options, Layout(("common", options.to)))


def write_package(
    program: Program | Mapping[str, Program], out: Path, options: Options, layout: Layout
) -> list[Path]:
    """Write a package of any layout; parameters and errors are those of `write`."""
    programs = program if isinstance(program, Mapping) else {options.name: program}
    _check_names(options.name, programs)
    # the machine itself has plain C kernels and no others
    core = load_core("host" if options.core == "c" else options.core)
    sources: dict[str, str] = {}
    models = []
    for name, each in programs.items():
        plan = plan_library(each, core, backend=options.backend, optimize=options.optimize)
        if plan.generated and len(programs) > 1:
            raise ExportError(
                f"--backend {options.backend}: TVM writes code for one program, which others "
                "cannot share: leave --backend out"
            )
        sources |= render(plan, name, shared=True, library=options.name, folder="")
        models.append(about(name, plan, options.data))
    files: dict[str, str] = {f"{layout.sources}/{name}": text for name, text in sources.items()}
    context = _context(options, models, list(files)) | {"folder": layout.sources}
    context |= layout.context
    record: dict[str, Any] = {
        "edgeflow": __version__,
        "to": options.to,
        "name": options.name,
        "core": options.core,
    }
    (only,) = programs.values() if len(programs) == 1 else (None,)
    if only is None:
        record["models"] = {model["name"]: model["hash"] for model in models}
    else:
        (model,) = models
        record["model_hash"] = model["hash"]
        record |= {key: model[key] for key in ("weight_bytes", "state_bytes")}
        if layout.firmware:
            more, build_id = firmware(only, model["name"], options.to, files)
            record["build_id"] = build_id.hex()
            context["firmware"] = [name for name in more if name.endswith(".c")]
            files |= more
    files |= _render(options.to, layout.folders, context)
    files |= license_file()
    built = layout.build(files) if layout.build else {}
    record["files"] = sorted({*files, *built, *([] if only is None else [PROGRAM])})
    files[RECORD] = sealed_json(record, 2)
    with output_folder(out, FOLDER) as folder:
        for name, content in (files | dict(built)).items():
            write_atomic(folder.new / name, content, durable=False)
        if only is not None:
            only.save(folder.new / PROGRAM)
        return folder.commit()


def _check_names(library: str, programs: Mapping[str, Program]) -> None:
    if not programs:
        raise ExportError("there is no program to export")
    for name, program in programs.items():
        check_name(name, program)
        check_name(library, program)
        for taken in (f"{library}_ef", *(f"{other}_labels" for other in programs)):
            if name == taken:
                raise ExportError(f"'{name}' would be in the way of another file: rename it")


def _earlier(folder: Path) -> dict[str, list[str]]:
    """Return the files of an export without a mark, by command."""
    try:
        names = read_json(folder / RECORD)["files"]
        found = [name for name in (*names, RECORD) if is_inside(name) and (folder / name).is_file()]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return {"export": found}


#: Of libraries.
FOLDER = FolderKind("export", beside=("profile",), earlier=_earlier)


def _context(options: Options, models: list[dict[str, Any]], files: list[str]) -> dict[str, Any]:
    return {
        "name": options.name,
        "NAME": options.name.upper(),
        "models": models,
        "hash": " and ".join(model["hash"] for model in models),
        "core": options.core,
        "sources": [name for name in files if name.endswith((".c", ".S"))],
        "firmware": [],
        "has_assembly": any(name.endswith(".S") for name in files),
        "edgeflow": __version__,
    }


def _render(to: str, folders: tuple[str, ...], context: dict[str, Any]) -> dict[str, str]:
    """Return the files of the folders' templates; those with a leading _ are only included."""
    templates = environment()
    files = {}
    for folder in folders:
        for path in sorted((TEMPLATES / folder).rglob("*.j2")):
            # what has profile in its path is there with the firmware
            unused = path.parent.name == "profile" and not context["firmware"]
            if not path.name.startswith("_") and not unused:
                target = path.relative_to(TEMPLATES / folder).with_suffix("").as_posix()
                template = templates.get_template(path.relative_to(TEMPLATES).as_posix())
                # what has NAME or CLASS in its name is there for each program
                named = "NAME" in target or "CLASS" in target
                for model in context["models"] if named else [{}]:
                    path_of = target.replace("FOLDER", context["folder"])
                    path_of = path_of.replace("NAME", model.get("name", ""))
                    path_of = path_of.replace("CLASS", model.get("CLASS", ""))
                    files[path_of] = template.render(to=to, **(context | model))
    return files
