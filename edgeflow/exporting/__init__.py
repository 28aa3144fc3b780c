"""Exports of programs: files for other runtimes, libraries for other builds."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeflow.errors import ExportError
from edgeflow.files import check_outputs

if TYPE_CHECKING:
    from edgeflow.data import Dataset
    from edgeflow.program import Program


@dataclass(frozen=True)
class Format:
    """Something that a program can become.

    Parameters
    ----------
    help : str
        One line for ``--help``.
    module : str
        Has ``write(program, out, options) -> list[Path]``, the files it wrote.
    output : str
        Default file or folder; ``{name}`` stands for the library's name.
    options : tuple of str
        Fields of ``Options`` that it reads.
    folder : bool
        It is a folder, of which an export replaces what an earlier one made.
    several : bool
        It can be of several programs: `write` takes a mapping of them by name, too.
    notes : bool
        The module also has ``notes(program, options) -> list[str]``, for the user to know.
    checks : bool
        The module also has ``check(program, out, data) -> dict``: figures of the file on data, for
        a form whose results are not the program's to the bit.
    """

    help: str
    module: str
    output: str
    options: tuple[str, ...] = ()
    folder: bool = False
    several: bool = False
    notes: bool = False
    checks: bool = False


@dataclass(frozen=True)
class Options:
    """Options of an export; each format reads the fields that its entry in `FORMATS` names.

    Parameters
    ----------
    to : str
        The format: a key of `FORMATS`.
    name : str
        Of the library, whose functions and macros begin with it, or of the web package.
    core : str
        A core of ``targets/cores`` whose kernels the library has; ``c``: C that runs anywhere.
    optimize : str
        Goal of the choice of kernels (``edgeflow.codegen.choice.GOALS``).
    backend : str
        Generator of the code: "c", "tvm" or "auto" (``edgeflow.codegen.backends.BACKENDS``).
    data : Dataset or None
        Real recordings, for what an export shows or measures on them.
    activations : str
        Of a .tflite file: "int16" or "int8".
    inline : bool
        ONNX: standard operators only, no local functions.
    raw : bool
        ONNX: reads raw samples, and gives scores and the class.
    axes : str or mapping
        Of a watch's app: the axes that channels are, such as "ax=acc_x:g,ay=-acc_y:g".
    """

    to: str
    name: str = "model"
    core: str = "c"
    optimize: str = "balanced"
    backend: str = "c"
    data: "Dataset | None" = None
    activations: str = "int16"
    inline: bool = False
    raw: bool = False
    axes: "str | Mapping[str, str]" = ""


_onnx = partial(Format, module="edgeflow.exporting.onnx_graph", options=("inline", "raw"))
_library = partial(
    Format,
    module="edgeflow.exporting.library",
    options=("name", "core", "optimize", "backend", "data"),
    folder=True,
    several=True,
)
_watch = partial(
    Format,
    module="edgeflow.exporting.watches",
    options=("name", "optimize", "axes"),
    folder=True,
    notes=True,
)

#: By the name that ``--to`` takes.
FORMATS: Mapping[str, Format] = {
    "onnx": _onnx(
        "One step as an ONNX graph, states as inputs and outputs.", output="{name}-step.onnx"
    ),
    "onnx-scan": _onnx("Whole windows as an ONNX graph.", output="{name}-scan.onnx"),
    "tflite": Format(
        "One step for LiteRT (TensorFlow Lite), states as inputs and outputs.",
        "edgeflow.exporting.tflite",
        "{name}.tflite",
        ("data", "activations"),
        checks=True,
    ),
    "cmake": _library("A CMake project with a library target.", output="{name}-cmake"),
    "arduino": _library("An Arduino library.", output="{name}-arduino"),
    "platformio": _library("A PlatformIO library.", output="{name}-platformio"),
    "zephyr": _library("A Zephyr module.", output="{name}-zephyr"),
    "esp-idf": _library("A component of ESP-IDF.", output="{name}-esp-idf"),
    "pebble": _watch("An app for Pebble watches, in C.", output="{name}-pebble"),
    "infinitime": _watch(
        "An app for InfiniTime, the firmware of the PineTime.", output="{name}-infinitime"
    ),
    "banglejs": _watch(
        "An app for the Bangle.js 2, with the model as machine code.", output="{name}-banglejs"
    ),
    "wearos": _watch(
        "An app for Wear OS, with the model as a native library.", output="{name}-wearos"
    ),
    "apple": _watch("A Swift package for Apple Watch and iPhone.", output="{name}-apple"),
    "web": Format(
        "A package of WebAssembly and JavaScript, for browsers and Node.js.",
        "edgeflow.exporting.web",
        "{name}-web",
        ("name", "optimize", "data"),
        folder=True,
    ),
}


def check_export(
    to: str, out: str | Path | None, name: str | None, inputs: Mapping[str, object]
) -> None:
    """Refuse an output that is an input, or a folder that no library may replace.

    Parameters
    ----------
    to : str
    out, name : optional
        As of `export`.
    inputs : mapping
        What is read, as of `check_outputs`.

    Raises
    ------
    OutputError
    """
    if to in FORMATS:
        path = _path(to, out, name or Options.name)
        if not FORMATS[to].folder:
            check_outputs([path], inputs)
            return
        from edgeflow.exporting.library import FOLDER

        FOLDER.check(path, inputs)


def _path(to: str, out: str | Path | None, name: str) -> Path:
    return Path(FORMATS[to].output.format(name=name) if out is None else out)


def export(
    program: "Program | Mapping[str, Program]",
    to: str,
    out: str | Path | None = None,
    **options: Any,
) -> list[Path]:
    """Write a program in another form, or several as one library that shares kernels and tables.

    Parameters
    ----------
    program : Program or mapping
        Several programs by their names, with which their functions, types and macros begin.
    to : str
        A key of `FORMATS`.
    out : path, optional
        File or folder; default: the format's, in the current folder.
    **options
        Fields of `Options` that the format reads.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    ExportError
        If there is no such format, it does not have an option, or cannot express the program.
    OutputError
        If the folder of a library holds what EdgeFlow did not make, or another process writes it.
    ToolMissingError
        If the format takes a Python package that is not installed.
    """
    if to not in FORMATS:
        raise ExportError(f"there is no format '{to}': use one of {', '.join(FORMATS)}")
    for option in options:
        users = [name for name, form in FORMATS.items() if option in form.options]
        if to not in users:
            whose = f"; it is for {', '.join(users)}" if users else ""
            raise ExportError(f"{to} has no option '{option}'{whose}")
    if isinstance(program, Mapping) and not FORMATS[to].several:
        takers = ", ".join(name for name, form in FORMATS.items() if form.several)
        raise ExportError(f"{to} takes one program; {takers} take several")
    chosen = Options(to=to, **options)
    path = _path(to, out, chosen.name)
    written: list[Path] = import_module(FORMATS[to].module).write(program, path, chosen)
    return written
