"""From recordings to a build in one go: what ``edgeflow demo`` and ``edgeflow apps`` share."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeflow.cli import console

if TYPE_CHECKING:
    from edgeflow.codegen.build import Build
    from edgeflow.data import Dataset
    from edgeflow.program import Program
    from edgeflow.targets.board import BoardSpec

#: In the folder of all results: the trained model, and the program.
MODEL, PROGRAM = "model", "model.onnx"
#: Compresses the model of a folder into a program's file, and tells what came out.
Compress = Callable[[Path, "Dataset", Path], "tuple[Program, str]"]


def compress_plainly(model: Path, dataset: "Dataset", file: Path) -> "tuple[Program, str]":
    """Quantize a model; return the program, and a line on it."""
    from edgeflow.compression.evaluate import compress_model

    with console.progress() as bar:
        compressed = compress_model(model, dataset, progress=console.stages(bar))
    compressed.program.save(file)
    after = dataset.task.headline.named(compressed.scores[dataset.task.pair[1]], 1)
    return compressed.program, f"int8 weights, 12-bit states: {after}"


def build_all(
    dataset: "Dataset",
    cell: str,
    spec: "BoardSpec",
    out: Path,
    options: Mapping[str, Any],
    compress: Compress = compress_plainly,
) -> "Build":
    """Train, compress and compile, telling each step; a trained model in the folder is used again.

    Parameters
    ----------
    out : Path
        Folder for the model, the program and the build.
    options : mapping
        Of `edgeflow.training.train`.
    """
    from edgeflow.codegen.build import compile_program
    from edgeflow.training import train

    file = out / PROGRAM
    with console.counting("train") as on_progress:

        def on_epoch(epoch: int, total: int, row: dict[str, float]) -> None:
            on_progress(epoch, total, dataset.task.validation_text(row))

        trained = train(dataset, cell, out=out / MODEL, on_epoch=on_epoch, **options)
    metrics, metric = trained.metrics, dataset.task.headline
    console.note(
        f"{_named(cell, options)}, {metrics['parameters']} parameters: "
        f"{metric.named(metrics['test'][metric.name], 1)} on unseen subjects",
        label="train     ",
    )
    program, about = compress(out / MODEL, dataset, file)
    console.note(f"{about}; {file}", label="compress  ")
    with console.progress() as bar:
        build = compile_program(program, spec, out / spec.name, progress=console.stages(bar))
    console.note(f"for {spec.name} ({spec.core.name}): {build.elf}", label="compile   ")
    return build


def _named(cell: str, options: Mapping[str, Any]) -> str:
    hidden = options.get("hidden")
    return f"{cell.upper()}-{hidden}" if hidden else cell.upper()
