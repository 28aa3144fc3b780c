"""``edgeflow compress``: a trained model becomes an integer program."""

from pathlib import Path
from typing import Any

import typer

from edgeflow.cli import console
from edgeflow.cli.compressed import check_drop, show
from edgeflow.cli.options import DATA, JSON, PEOPLE, RATE, ROOT
from edgeflow.errors import CompressError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(compress)


def compress(
    model: str = typer.Argument(
        ...,
        help="A folder of 'edgeflow train', mymodel.py:Net, or an .onnx, .pt2 or .nir file.",
    ),
    data: str = DATA,
    out: Path = typer.Option(Path("model.onnx"), "--out", "-o", help="File of the program."),
    root: Path | None = ROOT,
    people: Path | None = PEOPLE,
    rate: float | None = RATE,
    window: int | None = typer.Option(None, "--window", help="Samples a decision of mymodel.py."),
    checkpoint: Path | None = typer.Option(
        None, "--checkpoint", help="state_dict with the weights of mymodel.py:Net."
    ),
    recipe: str | None = typer.Option(
        None,
        "--recipe",
        help="A .toml file with all steps, or a name; a wrong one lists them. Options override it.",
    ),
    weights: str | None = typer.Option(
        None,
        "--weights",
        help="int8, int4, or mixed: int4 where validation people lose at most --max-drop points "
        "(0.5).",
    ),
    activations: str | None = typer.Option(
        None, "--activations", help="int16 (12 bits in int16) or int8 inputs and states."
    ),
    cutoff: float | None = typer.Option(
        None,
        "--cutoff",
        help="Stop reading a window once the decision is clear; points of accuracy that this may "
        "cost on validation people, like 0.5.",
    ),
    delta: str | None = typer.Option(
        None,
        "--delta",
        help="Share of the columns of states and inputs that a product leaves out as they hardly "
        "moved: state=0.8,input=0.5; also group=2 (columns of a state), pressure=0.1 (on moves, in "
        "training).",
    ),
    epochs: int | None = typer.Option(
        None, "--epochs", help="Fine-tune for so many epochs with the integer outputs; 0: do not."
    ),
    teacher: list[str] = typer.Option(
        [], "--teacher", help="Fine-tune towards this trained model; several: towards their mean."
    ),
    spike_rate: float | None = typer.Option(
        None, "--spike-rate", help="Fine-tune towards so many spikes a neuron and step: 0.1."
    ),
    spike_regularizer: str | None = typer.Option(
        None, "--spike-regularizer", help="What pulls towards that rate: l1 (default), hoyer."
    ),
    prune: str | None = typer.Option(
        None,
        "--prune",
        help="Share of weights to make zero while fine-tuning: 0.75, or by matrix, like "
        "input=0.5,recurrent=0.8.",
    ),
    block: str | None = typer.Option(
        None,
        "--block",
        help="Rows x columns of weights that become zero together, like 4x2 (1x1); or a board, for "
        "the blocks that are cheapest on it.",
    ),
    structured: float | None = typer.Option(
        None, "--structured", help="Share of the units to cut off before fine-tuning, like 0.5."
    ),
    low_rank: str | None = typer.Option(
        None,
        "--low-rank",
        help="Rank that matrices of a state get while fine-tuning, to be two small ones: 12, or "
        "0.2 of the smaller side; or by matrix, like recurrent=12.",
    ),
    lr: float | None = typer.Option(None, "--lr", help="Peak learning rate of the fine-tuning."),
    batch: int | None = typer.Option(None, "--batch", help="Windows a step of the fine-tuning."),
    tail: float | None = typer.Option(
        None,
        "--tail",
        help="Share of a window whose outputs are fine-tuned, from its end; as it was trained.",
    ),
    seed: int | None = typer.Option(
        None, "--seed", help="Of the fine-tuning: same seed, same result (0)."
    ),
    restart: bool = typer.Option(False, "--restart", help="Begin fine-tuning or search anew."),
    max_drop: float | None = typer.Option(
        None, "--max-drop", help="Exit with 1 if accuracy falls by more points than this."
    ),
    max_flash: str | None = typer.Option(
        None, "--max-flash", help="Search for a recipe whose image has at most so many bytes: 16k."
    ),
    max_ram: str | None = typer.Option(
        None, "--max-ram", help="Search: at most so many bytes of RAM, stack included."
    ),
    max_instructions: float | None = typer.Option(
        None, "--max-instructions", help="Search: at most so many instructions a step, mean."
    ),
    board: str | None = typer.Option(
        None, "--board", help="Measure the program on this emulated board; of a search: qemu-m4."
    ),
    optimize: str | None = typer.Option(
        None, "--optimize", help="What it is compiled for there: speed, balanced (default), size."
    ),
    ladder: Path | None = typer.Option(
        None, "--ladder", help="A .toml file with the recipes that a search tries, in their order."
    ),
    json_: bool = JSON,
) -> None:
    """Quantize a trained model into one ONNX file of integer operations.

    Scales come from the training people, accuracy before and after from the
    test people. The run is recorded in a .json file beside the result, and its
    fine-tuning in a .run folder; stopped, the same command goes on.

    With --max-flash, --max-ram or --max-instructions recipes are tried in turn
    on a board, and the one within all limits that validation people are best
    served by is taken; its candidates stay in a .target folder.

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
    from edgeflow.data import load_dataset
    from edgeflow.recipes.apply import DEFAULT_BOARD, compress_by_recipe
    from edgeflow.recipes.limits import Limits, parse_bytes
    from edgeflow.recipes.measure import add_cost, emulated_board
    from edgeflow.recipes.recipe import make_recipe, parse_delta, read_recipe

    options: dict[str, Any] = {
        "prune": prune, "block": block, "structured": structured, "low-rank": low_rank,
        "delta": None if delta is None else parse_delta(delta),
        "epochs": epochs, "lr": lr, "batch": batch, "seed": seed, "tail": tail, "teacher": teacher,
        "weights": weights, "activations": activations, "cutoff": cutoff,
        "spike-rate": spike_rate, "spike-regularizer": spike_regularizer,
    }  # fmt: skip
    limits = Limits(
        drop=max_drop,
        flash=None if max_flash is None else parse_bytes("--max-flash", max_flash),
        ram=None if max_ram is None else parse_bytes("--max-ram", max_ram),
        instructions=max_instructions,
    )
    if out.exists() and Path(model).exists() and out.samefile(model):
        raise CompressError(f"{out}: the result would replace the model: choose another --out")
    if limits.on_board and recipe is not None:
        raise CompressError(
            f"--recipe {recipe}: a search tries several: name them in a file, --ladder FILE"
        )
    if not limits.on_board and ladder is not None:
        raise CompressError(
            f"--ladder {ladder}: it needs --max-flash, --max-ram or --max-instructions"
        )
    if board is not None:
        emulated_board(board)
    if limits.on_board:
        dataset = load_dataset(data, root=root, people=people, rate_hz=rate, window=window)
        search_and_show(
            model, dataset, limits, board or DEFAULT_BOARD, out, ladder, options,
            checkpoint=checkpoint, restart=restart, json_=json_,
        )  # fmt: skip
        return
    steps = make_recipe({} if recipe is None else read_recipe(recipe), options, where=recipe or "")
    with console.progress() as bar:
        console.stages(bar)("loading the data", 0, 0)
        dataset = load_dataset(data, root=root, people=people, rate_hz=rate, window=window)
    if steps.widths.weights == "mixed" and max_drop is not None:
        widths = steps.widths.model_copy(update={"max_drop": max_drop})
        steps = steps.model_copy(update={"widths": widths})
    with console.progress() as bar:
        task = bar.add_task("fine-tuning", total=None, status="", visible=steps.trains)
        on_stage = console.stages(bar)

        def on_epoch(epoch: int, total: int, row: dict[str, float]) -> None:
            status = f"loss {row['loss']:.3f}  {dataset.task.validation_text(row)}"
            bar.update(task, completed=epoch, total=total, status=status, visible=epoch < total)

        made = compress_by_recipe(
            model, dataset, steps, out,
            name=recipe, board=board or DEFAULT_BOARD, checkpoint=checkpoint, restart=restart,
            on_epoch=on_epoch, progress=on_stage,
        )  # fmt: skip
        result, record = made.compressed, made.record
        if board is not None:
            task = bar.add_task(f"profiling on {board}", total=None, status="")
            record = add_cost(
                out, record, emulated_board(board), dataset, optimize=steps.compile.optimize,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )  # fmt: skip
    show(out, result, record, json_)
    if steps.cutoff.max_drop is not None and result.program.cutoff is None:
        console.note(
            f"no cut-off saves samples at a loss of {steps.cutoff.max_drop:g} points: there is "
            "none in it",
            label="note: ",
        )
    for values, share in result.program.metadata["saturation"].items():
        if share > 1e-3:
            console.note(
                f"{values}: {share:.1%} of the values in calibration saturate in their format",
                label="note: ",
            )
    check_drop(result, max_drop)
