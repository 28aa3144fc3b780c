"""``edgeflow export``: a program as a file for other runtimes, or a library for other builds."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import typer

from edgeflow.cli import console, dataset
from edgeflow.cli.options import DATA_FILES, JSON
from edgeflow.cli.schema import with_options
from edgeflow.codegen.names import name_files, name_of_file
from edgeflow.data.reading import DataOptions
from edgeflow.errors import DataError, ExportError
from edgeflow.exporting import FORMATS, Options, check_export, export

_FORMATS = "\n\n".join(f"{name}: {form.help}" for name, form in FORMATS.items())


@with_options(reading=DataOptions)
def command(
    models: list[Path] = typer.Argument(
        ...,
        metavar="MODEL...",
        help="A program: model.onnx of 'edgeflow compress'. Several become one library that shares "
        "kernels and tables; the functions of each begin with its file's name.",
    ),
    to: str = typer.Option(..., "--to", help=_FORMATS),
    out: Path | None = typer.Option(
        None, "--out", "-o", help="File or folder; default: named after the model and the format."
    ),
    name: str | None = typer.Option(
        None,
        "--name",
        help="Of a library or a watch: its functions and macros begin with it; of a web package: "
        "npm's. Default: the file's; of several programs, that of --out.",
    ),
    core: str | None = typer.Option(
        None,
        "--core",
        help="Of a library: a core such as cortex-m4, whose fast kernels it gets. "
        "Default: c, which runs anywhere.",
    ),
    optimize: str | None = typer.Option(
        None,
        "--optimize",
        help="Of a library, a watch or a web package: speed, cycles, balanced (default) or size.",
    ),
    backend: str | None = typer.Option(
        None, "--backend", help="Of a library, its kernels and steps: c (default), tvm or auto."
    ),
    data: str | None = typer.Option(
        None,
        "--data",
        help=f"{DATA_FILES}: the example of a library or web package classifies a window of its "
        "test subjects; a .tflite file is run on all of these.",
    ),
    inline: bool = typer.Option(
        False, "--inline", help="Of ONNX: expand local functions, which some runtimes do not know."
    ),
    raw: bool = typer.Option(
        False,
        "--raw",
        help="Of ONNX: read raw samples, in the data's units, and give scores, class and label.",
    ),
    activations: str | None = typer.Option(
        None, "--activations", help="Of .tflite: int16 (default) or int8."
    ),
    axes: str | None = typer.Option(
        None,
        "--axes",
        help="Of a watch: the axes that channels are, where their names or units do not say it: "
        "ax=acc_x:g,ay=-acc_y:g.",
    ),
    json_: bool = JSON,
    *,
    reading: dict[str, Any],
) -> None:
    """Write a program for other tools: a library of C code, an app of a watch, or a model file.

    A library is a folder that the ecosystem's own tools build: sources, manifest, example,
    README, licence. Two of them can be in one firmware if their names differ. A web package is
    built already, by the compiler of PyPI's ziglang, and has an example as a page.

    Examples:
      edgeflow export model.onnx --to cmake --data seglearn-watch -o my-library
      edgeflow export model.onnx --to arduino --name gesture --core cortex-m4
      edgeflow export model.onnx --to arduino --core cortex-m55 --backend auto
      edgeflow export model.onnx --to zephyr --data mine.csv
      edgeflow export walk.onnx fall.onnx --to cmake -o lib
      edgeflow export model.onnx --to wearos
      edgeflow export wrist.onnx --to pebble --axes acc_x=-acc_y,acc_y=acc_x
      edgeflow export model.onnx --to web --data seglearn-watch -o my-page
      edgeflow export model.onnx --to onnx -o step.onnx
      edgeflow export model.onnx --to onnx-scan --raw -o windows.onnx
      edgeflow export model.onnx --to tflite --data seglearn-watch -o model.tflite
    """
    from edgeflow.data import match_notes
    from edgeflow.program import Program

    if to not in FORMATS:
        raise ExportError(f"--to {to}: use one of {', '.join(FORMATS)}")
    if data is None and any(value not in (None, []) for value in reading.values()):
        raise DataError(
            "--root, --people and --rate describe --data, as --columns and others do: give it too"
        )
    names = name_files(models)
    target = _target(names, to, out, name)
    check_export(to, target, None, {"MODEL": models, **dataset.inputs(data or "", reading)})
    programs = dict(zip(names, map(Program.load, models), strict=True))
    program = programs[names[0]]
    asked: dict[str, Any] = {"name": name, "core": core, "optimize": optimize, "data": data}
    asked |= {"backend": backend, "axes": axes}
    asked |= {"inline": inline or None, "raw": raw or None, "activations": activations}
    options = {key: value for key, value in asked.items() if value is not None}
    form = FORMATS[to]
    if "name" in form.options:
        options.setdefault("name", _own_name(names, out))
    if "data" in options and "data" in form.options:
        options["data"] = dataset.load(options["data"], reading, program.window or None)
        console.notes(match_notes(program, options["data"]))
    files = export(programs if len(programs) > 1 else program, to, target, **options)
    if form.notes:
        module = import_module(form.module)
        console.notes(module.notes(program, Options(to=to, **options)))
    figures = None
    if form.checks and "data" in options:
        figures = import_module(form.module).check(program, target, options["data"])
    if json_:
        console.print_json(
            {
                "to": to,
                "out": str(target),
                "model_hash": program.hash.hex(),
                "models": {name: each.hash.hex() for name, each in programs.items()},
                "files": [str(file) for file in files],
                "check": figures,
            }
        )
        return
    size = sum(file.stat().st_size for file in files)
    count = f"{len(files)} files" if len(files) > 1 else "1 file"
    console.out.print(
        f"{target}: {to} of program {' and '.join(each.hash.hex() for each in programs.values())}, "
        f"{count}, {size:,} bytes",
        soft_wrap=True,
    )
    if figures:
        metric, same = program.task.headline, figures["agreement"]
        agreement = "" if same is None else f"same class in {same:.2%}; "
        console.out.print(
            f"{figures['windows']} windows of test subjects: {metric.label} "
            f"{metric.text(figures[metric.name])} as a program, "
            f"{metric.text(figures[f'{metric.name}_exported'])} as exported; "
            f"{agreement}outputs differ by {figures['mean_difference']:.2f} units on average, "
            f"by {figures['largest_difference']:.1f} at most",
            soft_wrap=True,
        )
    if target.is_dir():
        verb = "build" if "core" in form.options else "use"
        console.note(f"{target / 'README.md'} tells how to {verb} it")


def _own_name(names: Sequence[str], out: Path | None) -> str:
    if len(names) == 1:
        return names[0]
    return "models" if out is None else name_of_file(out)


def _target(names: Sequence[str], to: str, out: Path | None, name: str | None) -> Path:
    form = FORMATS[to]
    chosen = name if name is not None and "name" in form.options else _own_name(names, out)
    return Path(form.output.format(name=chosen)) if out is None else out
