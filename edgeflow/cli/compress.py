"""``edgeflow compress``: a trained model becomes an integer program."""

from pathlib import Path
from typing import Any

import typer

from edgeflow.cli import console, dataset
from edgeflow.cli.compressed import show
from edgeflow.cli.options import DATA, JSON, TRUST_BOARD
from edgeflow.cli.schema import with_options
from edgeflow.data.reading import DataOptions
from edgeflow.errors import CompressError
from edgeflow.files import check_outputs, model_files
from edgeflow.model_options import ModelOptions
from edgeflow.recipes.limits import Limits
from edgeflow.recipes.recipe import Recipe, make_recipe, read_recipe
from edgeflow.schema import MEASUREMENT, SEARCH, by_field


@with_options(origin=DataOptions, options=Recipe, constraints=Limits, reading=ModelOptions)
def command(
    model: str = typer.Argument(
        ...,
        help="A folder of 'edgeflow train', mymodel.py:Net, or an .onnx, .pt2, .keras, .h5 or .nir "
        "file.",
    ),
    data: str = DATA,
    out: Path = typer.Option(Path("model.onnx"), "--out", "-o", help="File of the program."),
    window: int | None = typer.Option(None, "--window", help="Samples per decision of mymodel.py."),
    recipe: str | None = typer.Option(
        None,
        "--recipe",
        help="A .toml file with all steps, or a name; a wrong one lists them. Options override it.",
    ),
    restart: bool = typer.Option(False, "--restart", help="Begin fine-tuning or search anew."),
    ladder: Path | None = typer.Option(
        None,
        "--ladder",
        help="A .toml file with the recipes that a search tries, in their order.",
        rich_help_panel=SEARCH,
    ),
    board: str | None = typer.Option(
        None,
        "--board",
        help="Measure the program on this emulated board; of a search: qemu-m4.",
        rich_help_panel=MEASUREMENT,
    ),
    trust_board: bool = TRUST_BOARD,
    json_: bool = JSON,
    *,
    origin: dict[str, Any],
    options: dict[str, Any],
    constraints: dict[str, Any],
    reading: dict[str, Any],
) -> None:
    """Quantize a trained model into one ONNX file of integer operations.

    Scales come from the training subjects, accuracy before and after from the
    test subjects. The run is recorded in a .json file beside the result, and its
    fine-tuning in a .run folder; stopped, the same command goes on.

    With --max-flash, --max-ram or --max-instructions recipes are tried in turn
    on a board, and of those within all constraints the one with the best accuracy
    on validation subjects is taken; its candidates stay in a .target folder.

    Examples:
      edgeflow compress runs/gru32 --data seglearn-watch -o model.onnx
      edgeflow compress runs/gru32 --data seglearn-watch --recipe small
      edgeflow compress runs/gru32 --data seglearn-watch --weights int4 --epochs 5
      edgeflow compress runs/gru32 --data seglearn-watch --prune 0.75 --epochs 10
      edgeflow compress runs/gru32 --data seglearn-watch --delta state=0.8
      edgeflow compress runs/gru32 --data seglearn-watch --max-instructions 4000
      edgeflow compress mymodel.py:Net --checkpoint net.pt --data mine.npz
      edgeflow compress exported.onnx --data mine.npz -o model.onnx
    """
    from edgeflow.cli.target import search_and_show
    from edgeflow.compression.record import check_place, record_path
    from edgeflow.recipes.apply import DEFAULT_BOARD, compress_by_recipe, for_model
    from edgeflow.recipes.measure import emulated_board

    limits = Limits(**by_field(Limits, constraints))
    model_options = ModelOptions(**by_field(ModelOptions, reading))
    _check(recipe, ladder, limits)
    read = {
        "MODEL": model_files(model), "--recipe": recipe, "--ladder": ladder,
        "--checkpoint": model_options.checkpoint, "--teacher": model_files(options.get("teacher")),
        "--folds": model_files(options.get("folds")), **dataset.inputs(data, origin),
    }  # fmt: skip
    check_outputs((out, record_path(out)), read)
    check_place(out)
    measured = None if board is None else emulated_board(board, trusted=trust_board)

    def load() -> Any:
        return dataset.load(data, origin, window)

    if limits.on_board:
        search_and_show(
            model, load(), limits, board or DEFAULT_BOARD, out, ladder, options,
            model_options=model_options, trust_board=trust_board, restart=restart, json_=json_,
        )  # fmt: skip
        return
    steps = make_recipe({} if recipe is None else read_recipe(recipe), options, where=recipe or "")
    with console.progress() as bar:
        console.stages(bar)("loading the data", 0, 0)
        whole = load()
        loaded = for_model(whole, model)
    with console.progress() as bar:
        task = bar.add_task("fine-tuning", total=None, status="", visible=steps.trains)
        made = compress_by_recipe(
            model, whole, steps.allowing(limits.drop), out,
            name=recipe, board=board or DEFAULT_BOARD, measured=measured,
            model_options=model_options, restart=restart,
            on_epoch=console.epochs(bar, task, loaded.task), progress=console.stages(bar),
        )  # fmt: skip
    show(out, made.compressed, made.record, json_)
    console.notes(made.notes())
    limits.check_drop(loaded.task, made.compressed.scores)


def _check(recipe: str | None, ladder: Path | None, limits: Limits) -> None:
    """Refuse files and options that do not go together."""
    if limits.on_board and recipe is not None:
        raise CompressError(
            f"--recipe {recipe}: a search tries several: name them in a file, --ladder FILE"
        )
    if not limits.on_board and ladder is not None:
        raise CompressError(
            f"--ladder {ladder}: it needs --max-flash, --max-ram or --max-instructions"
        )
