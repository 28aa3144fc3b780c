"""Compression by a recipe: a trained model becomes a program and its record."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.cells import load_model
from edgeflow.codegen.sparse import preferred_block
from edgeflow.compression.delta import with_thresholds
from edgeflow.compression.evaluate import (
    Compressed,
    calibration_sample,
    compress_model,
    set_hop,
    with_fired,
)
from edgeflow.compression.prune import PruneOptions
from edgeflow.compression.prune.mask import Block
from edgeflow.compression.prune.options import Ranks, parse_by_matrix
from edgeflow.compression.quantize import quantize
from edgeflow.compression.record import check_place, make_record, run_folder, save_both
from edgeflow.compression.tuning import MIXED_DROP, Tuning
from edgeflow.data.frames import for_channels
from edgeflow.data.purpose import for_task
from edgeflow.digest import ChangedError, read_json
from edgeflow.errors import CompressError
from edgeflow.files import held_file, scratch_folder
from edgeflow.importers import load_float_model, model_text
from edgeflow.model_options import NONE_GIVEN, ModelOptions
from edgeflow.progress import StageProgress, silent
from edgeflow.quantization import Widths
from edgeflow.quantization.widths import DEFAULT_STATE
from edgeflow.recipes.decide import with_adapt, with_decision
from edgeflow.recipes.measure import FINAL_STEPS, measure
from edgeflow.recipes.recipe import Recipe, as_options
from edgeflow.recipes.steps import ACTIVATIONS, THE_BOARD, WEIGHTS
from edgeflow.targets.board import BoardSpec, load_board
from edgeflow.tasks import Task
from edgeflow.training.fit import OnEpoch
from edgeflow.training.spikes import SpikeRate

if TYPE_CHECKING:
    from torch import nn

    from edgeflow.data import Dataset
    from edgeflow.program import Program

#: The board of a recipe's blocks if none is named.
DEFAULT_BOARD = "qemu-m4"
#: Share of values in calibration that may saturate without a remark.
MOST_SATURATED = 1e-3


@dataclass(frozen=True)
class Result:
    """The program of a recipe.

    Attributes
    ----------
    record : dict
        As it was written.
    """

    recipe: Recipe
    compressed: Compressed
    record: dict[str, Any]

    def notes(self) -> list[str]:
        """Return remarks of a line each: of the import, of the integers, of what a step gave."""
        program, drop = self.compressed.program, self.recipe.cutoff.max_drop
        found = [*program.metadata.get("notes", ())]
        found += [
            f"{values}: {share:.1%} of the values in calibration saturate in their format"
            for values, share in program.metadata["saturation"].items()
            if share > MOST_SATURATED
        ]
        if drop is not None and program.cutoff is None:
            none = f"no early exit saves samples at a loss of {drop:g} points: there is none in it"
            found.insert(0, none)
        return found


def compress_by_recipe(
    model: "nn.Module | str | Path",
    dataset: "Dataset",
    recipe: Recipe,
    out: str | Path,
    *,
    name: str | None = None,
    board: str = DEFAULT_BOARD,
    measured: BoardSpec | None = None,
    model_options: ModelOptions = NONE_GIVEN,
    split: str = "test",
    restart: bool = False,
    on_epoch: OnEpoch | None = None,
    progress: StageProgress = silent,
) -> Result:
    """Compress a trained model; go on where an interrupted fine-tuning stopped.

    Parameters and errors are those of `edgeflow.compress` with a data set. The record of the
    program at `out` and the folder of its fine-tuning stand beside it; `name` is that of the
    recipe, for the record. With `measured`, the record has the cost on this board.
    """
    check_place(out)
    with held_file(out):
        return _compress(
            model, dataset, recipe, Path(out), name, board, measured, model_options, split, restart,
            on_epoch, progress,
        )  # fmt: skip


def _compress(
    model: "nn.Module | str | Path", dataset: "Dataset", recipe: Recipe, out: Path,
    name: str | None, board: str, measured: BoardSpec | None, model_options: ModelOptions,
    split: str, restart: bool, on_epoch: OnEpoch | None, progress: StageProgress,
) -> Result:  # fmt: skip
    whole, dataset = dataset, for_model(dataset, model)
    mixed = None
    if recipe.widths.weights == "mixed":
        drop = recipe.widths.max_drop
        mixed = MIXED_DROP if drop is None else drop
    train, spikes = recipe.train, []
    if train.spike_rate is not None:
        spikes.append(SpikeRate(train.spike_rate, regularizer=train.spike_regularizer))
    tuning = Tuning(
        dataset,
        run_folder(out),
        options=train.options(trained_tail(model)),
        methods=spikes,
        teachers=train.teachers,
        mixed=mixed,
        prune=prune_options(recipe, board),
        delta=recipe.delta or None,
        imc=recipe.imc or None,
        restart=restart,
        on_epoch=on_epoch,
        on_matrix=lambda done, total: progress("choosing widths", done, total),
    )
    compressed = compress_model(
        model,
        dataset,
        model_options=model_options,
        widths=widths_of(recipe),
        split=split,
        hop=recipe.windows.hop,
        cutoff=recipe.cutoff.max_drop,
        tune=tuning,
        progress=progress,
    )
    program = with_decision(
        compressed.program, recipe.decide, whole, dataset, split, widths_of(recipe), progress
    )  # fmt: skip
    program = with_adapt(program, recipe.adapt, dataset, split, progress)
    compressed = replace(compressed, program=program)
    command = {"recipe": name, **as_options(recipe)}
    record = make_record(out, model_text(model), compressed, command, tuning)
    if measured is not None:
        with scratch_folder("build") as folder:
            record["cost"] = measure(
                compressed.program, measured, whole, folder,
                steps=FINAL_STEPS, optimize=recipe.compile.optimize,
                progress=lambda done, total: progress(f"profiling on {measured.name}", done, total),
            )  # fmt: skip
    save_both(compressed.program, out, record)
    return Result(recipe, compressed, record)


def compress_on_windows(
    model: "nn.Module | str | Path",
    windows: NDArray[np.float32],
    recipe: Recipe,
    *,
    model_options: ModelOptions = NONE_GIVEN,
    channels: tuple[str, ...] = (),
    classes: tuple[str, ...] = (),
    window: int = 0,
    rate_hz: float = 0.0,
    widths: Widths | None = None,
) -> "Program":
    """Compress a trained model on windows to calibrate on, without labels.

    On a data set's training windows it gives the program that `compress_by_recipe` does.

    Parameters and errors are those of `edgeflow.compress`; a recipe with steps that look at labels
    is an error, too.
    """
    needs = {
        "fine-tuning": recipe.trains,
        "mixed weights": recipe.widths.weights == "mixed",
        "early exit": recipe.cutoff.max_drop is not None,
        "detecting events": recipe.decide.detect is not None,
        "flagging anomalies": recipe.decide.anomaly is not None,
        "counting": recipe.decide.count,
        "learning on the device": recipe.adapt.learner is not None,
    }
    for step, asked in needs.items():
        if asked:
            raise CompressError(
                f"{step} needs labels: give a Dataset (edgeflow.load_dataset), not windows alone"
            )
    calibration = calibration_sample(windows)
    chain = load_float_model(
        model, calibration, channels=channels, classes=classes, window=window, rate_hz=rate_hz,
        **vars(model_options),
    )  # fmt: skip
    set_hop(chain, recipe.windows.hop)
    if classes and tuple(chain.classes) != classes:
        raise CompressError(
            f"{model_text(model)}: the model tells {', '.join(chain.classes)} apart, "
            f"not {', '.join(classes)}"
        )
    widths = widths or widths_of(recipe)
    if recipe.delta:
        chain = with_thresholds(chain, calibration, recipe.delta, widths)
    return with_fired(quantize(chain, calibration, widths), calibration)


def widths_of(recipe: Recipe) -> Widths:
    """Return the widths that a recipe begins with."""
    bits = ACTIVATIONS[recipe.widths.activations]
    # the default width of states may become wider, 8 bits are asked for
    state = None if bits == DEFAULT_STATE else bits
    return Widths(bits, state, WEIGHTS[recipe.widths.weights])


def prune_options(recipe: Recipe, board: str = DEFAULT_BOARD) -> PruneOptions | None:
    """Return the pruning of a recipe; None: nothing is pruned.

    Raises
    ------
    CompressError, TargetError
        If the block is neither a shape nor a board.
    """
    prune = recipe.prune
    if prune.share is None and prune.low_rank is None and not prune.structured:
        return None
    sparsity, matrices = parse_by_matrix(prune.share or "0", "0.75")
    ranks = Ranks(*parse_by_matrix(prune.low_rank or "0", "12"))
    if re.match(r"\d", prune.block):
        shape = Block.parse(prune.block)
    else:
        name = board if prune.block == THE_BOARD else prune.block
        core = load_board(name, trusted=True).core  # looked at; nothing of it is run
        form = preferred_block(core, ACTIVATIONS[recipe.widths.activations])
        shape = Block(form.rows, form.cols, form.step)
    return PruneOptions(sparsity, matrices, shape, prune.structured or 0.0, ranks)


def for_model(dataset: "Dataset", model: "nn.Module | str | Path") -> "Dataset":
    """Return a data set as ``edgeflow train`` had it for a model: in its hops, for its task."""
    if isinstance(model, str | Path):
        path = Path(model)
        if path.name != "model.pt" and not (path / "model.pt").is_file():
            return dataset
        model = load_model(path)
    dataset = for_channels(dataset, getattr(model, "channels", ()))
    task = getattr(model, "target", None)
    return for_task(dataset, task) if isinstance(task, Task) else dataset


def trained_tail(model: "nn.Module | str | Path") -> float | None:
    """Return the share of a window, from its end, that a model was trained on; None if unknown.

    ``edgeflow train`` writes it into ``metrics.json`` beside the model.
    """
    if not isinstance(model, str | Path):
        return None
    path = Path(model)
    metrics = (path if path.is_dir() else path.parent) / "metrics.json"
    if not path.is_dir() and path.name != "model.pt":
        return None
    try:
        tail = read_json(metrics)["arguments"]["tail"]
    except ChangedError as error:
        raise CompressError(f"{metrics}: {error}: train the model again") from None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return float(tail) if isinstance(tail, int | float) and 0 < tail <= 1 else None
