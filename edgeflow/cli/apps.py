"""``edgeflow apps``: guided ways to a running application."""

import json
import sys
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgeflow.cell_names import cell_names
from edgeflow.cli import console
from edgeflow.cli.all_steps import PROGRAM, build_all, compress_plainly
from edgeflow.cli.live import show_page
from edgeflow.cli.options import JSON, ROOT, TRUST_BOARD
from edgeflow.errors import DataError, TrainError
from edgeflow.files import FolderKind, output_folder, write_atomic
from edgeflow.recipes.limits import Limits, parse_bytes

if TYPE_CHECKING:
    from edgeflow.data import Dataset
    from edgeflow.program import Program

app = typer.Typer(name="apps", help="Guided ways to a running application.", no_args_is_help=True)

#: Of ``edgeflow apps har``: the folders in it have marks of their own.
FOLDER = FolderKind("apps")
_CHOICE = "har.json"


@app.callback()
def _root() -> None:
    pass


@dataclass(frozen=True)
class Choice:
    """What a person chose, with what is chosen without a word.

    Attributes
    ----------
    data : str
        A data set's name, or a file.
    cell : str
    hidden : int
    board : str
    flash : str
        Most bytes of the image, like 16k; "": any.
    """

    data: str = "seglearn-watch"
    cell: str = "gru"
    hidden: int = 32
    board: str = "qemu-m4"
    flash: str = ""


@app.command()
def har(
    data: str | None = typer.Option(None, "--data", help="A data set's name, or a file."),
    cell: str | None = typer.Option(None, "--cell", help="See 'edgeflow train --help'."),
    hidden: int | None = typer.Option(None, "--hidden", min=1, help="Units of the cell."),
    board: str | None = typer.Option(None, "--board", help="See 'edgeflow boards'."),
    max_flash: str | None = typer.Option(
        None, "--max-flash", help="Most bytes of the image, like 16k; then recipes are tried."
    ),
    out: Path = typer.Option(Path("edgeflow-har"), "--out", "-o", help="Folder for all results."),
    root: Path | None = ROOT,
    epochs: int | None = typer.Option(None, "--epochs", help="Fewer for a quick look."),
    yes: bool = typer.Option(False, "--yes", "-y", help="Ask nothing: take what is not given."),
    no_page: bool = typer.Option(False, "--no-page", help="End with the build."),
    http_port: int = typer.Option(
        8000, "--http-port", min=0, max=65535, help="Of the page; 0: any that is free."
    ),
    no_browser: bool = typer.Option(False, "--no-browser", help="Only print the page's address."),
    trust_board: bool = TRUST_BOARD,
    json_: bool = JSON,
) -> None:
    """From recordings of activities to a model at work on a board, with a page to watch.

    Asks for data, cell, board and budget, each with an answer to begin with; trains,
    compresses, compiles, and opens the page of 'edgeflow live'. Stopped, the same
    command goes on with the same answers.

    Examples:
      edgeflow apps har
      edgeflow apps har --yes
      edgeflow apps har --data mine.csv --cell lmu --max-flash 16k -o mine
    """
    from edgeflow.targets.board import load_board
    from edgeflow.targets.tools import find_tool

    given = {"data": data, "cell": cell, "hidden": hidden, "board": board, "flash": max_flash}
    choice = _choose(_kept(out), given, ask=not yes and sys.stdin.isatty())
    spec = load_board(choice.board, trusted=trust_board)
    for tool in spec.tools:
        find_tool(tool)  # missing ones are better known before the training
    limits = Limits(flash=parse_bytes("--max-flash", choice.flash) if choice.flash else None)
    FOLDER.check(out, {"--data": choice.data, "--root": root})
    dataset = _data(choice.data, root)
    options: dict[str, Any] = {"hidden": choice.hidden}
    if epochs is not None:
        options["epochs"] = epochs
    compress = compress_plainly
    if limits.on_board:
        compress = partial(_within, limits=limits, board=choice.board, trust_board=trust_board)
    with output_folder(out, FOLDER) as held:
        held.begin([PROGRAM, _CHOICE])
        write_atomic(out / _CHOICE, json.dumps(asdict(choice), indent=2) + "\n")
        build = build_all(dataset, choice.cell, spec, out, options, compress)
    if json_:
        console.print_json({**asdict(choice), "build": str(build.directory)})
    if not no_page:
        from edgeflow.apps import live

        program, made = live.load_model(build.directory)
        place = live.Place(trust_board=trust_board)
        show_page(
            program, made, live.board_of(made, place), place, dataset, http_port=http_port,
            browser=not no_browser, json_=False,
        )  # fmt: skip


def _choose(choice: Choice, given: dict[str, Any], *, ask: bool) -> Choice:
    """Return what is given, what a person says, and what is left as it was."""
    choice = replace(choice, **{name: value for name, value in given.items() if value is not None})
    if ask:
        from edgeflow.data import sources
        from edgeflow.targets.board import list_boards

        boards = [board.name for board in list_boards() if board.emulated]
        asked: dict[str, str] = {
            "data": f"recordings: {', '.join(sources())}, or a file",
            "cell": f"cell: {', '.join(cell_names())}",
            "hidden": "units of the cell",
            "board": f"board: {', '.join(boards)}, or another of 'edgeflow boards'",
            "flash": "most bytes of flash, like 16k; none: any",
        }
        for name, text in asked.items():
            if given[name] is None:
                answer = typer.prompt(text, default=getattr(choice, name), err=True)
                choice = replace(choice, **{name: answer})
    if choice.cell not in cell_names():
        raise TrainError(f"there is no cell '{choice.cell}': use one of {', '.join(cell_names())}")
    return choice


def _kept(out: Path) -> Choice:
    """Return the answers of an earlier call in this folder."""
    try:
        found = json.loads((out / _CHOICE).read_text(encoding="utf-8"))
        kinds = {field.name: type(getattr(Choice(), field.name)) for field in fields(Choice)}
        return Choice(**{k: v for k, v in found.items() if type(v) is kinds[k]})
    except (OSError, ValueError, KeyError, AttributeError):
        return Choice()


def _data(name: str, root: Path | None) -> "Dataset":
    from edgeflow.data import load_dataset

    dataset = load_dataset(name, root=root)
    console.notes(dataset.notes)
    if not dataset.classes:
        raise DataError(f"'{name}' has no classes, and activities are classes: give others")
    people = sum(map(len, dataset.people.values()))
    console.note(
        f"{dataset.name}: {len(dataset.recordings)} recordings of {people} subjects, "
        f"{len(dataset.classes)} classes",
        label="data      ",
    )
    return dataset


def _within(
    model: Path, dataset: "Dataset", file: Path, *, limits: Limits, board: str, trust_board: bool
) -> "tuple[Program, str]":
    """Compress by the recipe that is best within limits."""
    from edgeflow.cli.target import search_and_show
    from edgeflow.model_options import NONE_GIVEN

    found = search_and_show(
        str(model), dataset, limits, board, file, None, {}, model_options=NONE_GIVEN,
        trust_board=trust_board, restart=False, json_=False,
    )  # fmt: skip
    assert found.compressed is not None  # else the search has ended in an error
    return found.compressed.program, f"recipe '{found.rows[0]['recipe']}'"
