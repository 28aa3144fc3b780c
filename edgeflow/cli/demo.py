"""``edgeflow demo``: the whole pipeline on real data and an emulated board."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgeflow.cli import console
from edgeflow.cli.all_steps import PROGRAM, build_all
from edgeflow.cli.options import JSON, ROOT, TRUST_BOARD
from edgeflow.cli.profile import show
from edgeflow.files import FolderKind, output_folder

if TYPE_CHECKING:
    from edgeflow.profiling.result import ProfileResult
    from edgeflow.targets.board import BoardSpec

DATA = "seglearn-watch"


def _earlier(folder: Path) -> dict[str, list[str]]:
    """Return the files of a demo without a mark, by command."""
    whole = (folder / "model" / "metrics.json").is_file() or (folder / "model" / ".lock").is_file()
    return {"demo": ["model.onnx"] if (folder / "model.onnx").is_file() else []} if whole else {}


#: Of ``edgeflow demo``: the folders in it have marks of their own.
FOLDER = FolderKind("demo", earlier=_earlier)


def command(
    board: str = typer.Option("qemu-m4", "--board", help="See 'edgeflow boards'."),
    out: Path = typer.Option(Path("edgeflow-demo"), "--out", "-o", help="Folder for all results."),
    root: Path | None = ROOT,
    hidden: int = typer.Option(32, "--hidden", help="Units of the GRU."),
    epochs: int | None = typer.Option(None, "--epochs", help="Fewer for a quick look."),
    trust_board: bool = TRUST_BOARD,
    json_: bool = JSON,
) -> None:
    """Train, compress, compile, flash and profile a GRU on real smartwatch recordings.

    Seven arm exercises of ten subjects; those it is tested on are not those
    it is trained on. Takes about a minute; a trained model in the folder is
    used again.

    Examples:
      edgeflow demo
      edgeflow demo --board qemu-rv32 -o demo-rv32
    """
    from edgeflow.targets.board import load_board
    from edgeflow.targets.tools import find_tool

    spec = load_board(board, trusted=trust_board)
    for tool in spec.tools:
        find_tool(tool)  # missing ones are better known before the training
    options: dict[str, Any] = {"hidden": hidden}
    if epochs is not None:
        options["epochs"] = epochs
    with output_folder(out, FOLDER) as held:
        held.begin([PROGRAM])
        result = _run(spec, out, root, options)
    show(result, out / spec.name / "report.html", json_)


def _run(
    spec: "BoardSpec", out: Path, root: Path | None, options: dict[str, Any]
) -> "ProfileResult":
    from edgeflow.data import load_dataset
    from edgeflow.profiling.run import profile

    console.note(f"{DATA}: 140 recordings of a smartwatch, 10 subjects", label="data      ")
    dataset = load_dataset(DATA, root=root)
    build = build_all(dataset, "gru", spec, out, options)
    with console.counting(f"flash and profile on {spec.name}") as on_progress:
        result = profile(build, dataset, board=spec, report=True, progress=on_progress)
    console.note(f"{result.steps} samples through the serial port", label="profile   ")
    return result
