"""``edgeflow demo``: the whole pipeline on real data and an emulated board."""

from pathlib import Path
from typing import Any

import typer

from edgeflow.cli import console
from edgeflow.cli.options import JSON, ROOT
from edgeflow.cli.profile import show
from edgeflow.errors import CheckFailed

DATA = "seglearn-watch"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    board: str = typer.Option("qemu-m4", "--board", help="See 'edgeflow boards'."),
    out: Path = typer.Option(Path("edgeflow-demo"), "--out", "-o", help="Folder for all results."),
    root: Path | None = ROOT,
    hidden: int = typer.Option(32, "--hidden", help="Units of the GRU."),
    epochs: int | None = typer.Option(None, "--epochs", help="Fewer for a quick look."),
    json_: bool = JSON,
) -> None:
    """Train, compress, compile, flash and profile a GRU on real smartwatch recordings.

    Seven arm exercises of ten people, told apart by people who were not trained on. Takes about
    two minutes; a trained model in the folder is used again.

    Examples: edgeflow demo

    edgeflow demo --board qemu-rv32 -o demo-rv32
    """
    from edgeflow.codegen.build import compile_program
    from edgeflow.compress.evaluate import compress_model
    from edgeflow.data import load_dataset
    from edgeflow.profile.report import write_report
    from edgeflow.profile.run import profile
    from edgeflow.targets.board import load_board
    from edgeflow.train import train

    spec = load_board(board)
    options: dict[str, Any] = {"hidden": hidden}
    if epochs is not None:
        options["epochs"] = epochs
    model, file, folder = out / "model", out / "model.onnx", out / spec.name

    console.note(f"[bold]data[/bold]      {DATA}: 140 recordings of a smartwatch, 10 people")
    dataset = load_dataset(DATA, root=root)
    with console.progress() as bar:
        task = bar.add_task("train", total=None, status="")

        def on_epoch(epoch: int, total: int, row: dict[str, float]) -> None:
            status = f"validation {row['val_accuracy']:.1%}"
            bar.update(task, completed=epoch, total=total, status=status)

        trained = train(dataset, "gru", out=model, on_epoch=on_epoch, **options)
    metrics = trained.metrics
    console.note(
        f"[bold]train[/bold]     GRU-{hidden}, {metrics['parameters']} parameters: "
        f"{metrics['test']['accuracy']:.1%} on unseen people"
    )
    compressed = compress_model(model, dataset)
    compressed.program.save(file)
    console.note(
        f"[bold]compress[/bold]  int8 weights, 12-bit states: "
        f"{compressed.scores['accuracy_int']:.1%}; {file}"
    )
    build = compile_program(compressed.program, spec, folder)
    console.note(f"[bold]compile[/bold]   for {spec.name} ({spec.core.name}): {build.elf}")
    with console.progress() as bar:
        task = bar.add_task(f"flash and profile on {spec.name}", total=None, status="")
        result = profile(
            build,
            dataset,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    report = folder / "report.html"
    write_report(result, report)
    console.note(f"[bold]profile[/bold]   {result.steps} samples through the serial port")
    if json_:
        console.print_json(result.to_json())
    else:
        show(result)
        console.note(f"report: {report}")
    if result.mismatches:
        raise CheckFailed(
            f"{result.mismatches} of {result.steps} steps on {spec.name} differ from the oracle"
        )
