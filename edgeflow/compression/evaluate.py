"""Compress a model on a data set and measure what it cost."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.compression.anytime import decide, with_cutoff
from edgeflow.compression.quantize import quantize
from edgeflow.data.dataset import sort_people
from edgeflow.errors import CompressError
from edgeflow.importers import FloatChain, load_float_model, model_text
from edgeflow.metrics import accuracy_by_sample, classification, samples_to_enough
from edgeflow.program import Program
from edgeflow.program.firing import fired_shares, spike_rates
from edgeflow.progress import StageProgress, silent
from edgeflow.quantization import Widths

if TYPE_CHECKING:
    from torch import nn

    from edgeflow.data import Dataset

#: Calibration windows: more change scales in the fourth digit only.
CALIBRATION_WINDOWS = 512
#: Windows that are scored at a time: as many as `FloatChain.run` takes, whose last bits depend on
#: it; and so few integer ones that progress shows, whose number changes nothing.
FLOAT_BATCH, INTEGER_BATCH = 512, 128


#: Makes a float model and widths of others, given windows to calibrate on.
Tune = Callable[[FloatChain, NDArray[np.float32], Widths], tuple[FloatChain, Widths]]


@dataclass(frozen=True)
class Compressed:
    """An integer program and what it scores.

    Parameters
    ----------
    program : Program
        Its metadata holds `scores` but for the people's and, of a program with delta matrices,
        "fired": the shares of columns that fire a step on training people, by layer and field;
        of one with spiking neurons, "spikes": the shares of neurons, by layer and state.
    scores : dict
        "split", "windows", "accuracy_float", "accuracy_int" (shares of windows),
        "agreement" (share of windows with the same decision), "output_error" (largest difference
        of an output, in units of the float outputs' standard deviation), "macro_f1" and "mcc"
        (each of "float" and "int"), "recall" (for each class, "float" and "int"; None of a class
        without windows), "people" (for each person the two accuracies "float" and "int",
        "windows", and "macro_f1" of "float" and "int"), "warmup" (for "float" and "int": "accuracy"
        after each sample since the reset, and "samples" to 95 % of the last); with a cut-off also
        "samples_read" (mean of a window) and "accuracy_int_whole" (of reading all samples).
    """

    program: Program
    scores: dict[str, Any]


def compress_model(
    model: "nn.Module | str | Path",
    dataset: "Dataset",
    *,
    checkpoint: str | Path | None = None,
    widths: Widths | None = None,
    split: str = "test",
    cutoff: float | None = None,
    tune: Tune | None = None,
    progress: StageProgress = silent,
) -> Compressed:
    """Quantize `model`, calibrated on the training people, scored on people of `split`.

    `cutoff` adds a cut-off that may cost so many points of accuracy on validation people
    (:func:`edgeflow.compression.anytime.with_cutoff`).

    `tune` may change the float model and the widths before they become integers, such as
    `edgeflow.compression.tuning.Tuning`; scores compare with the model as it came.

    `progress` is told of each stage but of what `tune` does.

    Raises
    ------
    CompressError, ProgramError, DataError, TrainError
        If the model or the data cannot be used.
    """
    progress("loading the model", 0, 0)
    chain, calibration = load_chain(model, dataset, checkpoint=checkpoint)
    progress("loading the model", 1, 1)
    widths, tuned = widths or Widths(), chain
    if tune is not None:
        tuned, widths = tune(chain, calibration, widths)
    program = quantize(tuned, calibration, widths, progress=progress)
    if cutoff is not None:
        progress("choosing a cut-off", 0, 0)
        program = with_cutoff(program, dataset, cutoff)
    progress("counting what fires", 0, 0)
    return scored(chain, with_fired(program, calibration), dataset, split, progress=progress)


def with_fired(program: Program, x: NDArray[np.float32]) -> Program:
    """Return a program whose metadata tells how often its delta matrices and neurons fire.

    On raw samples x [n, time, channels], each if there are any: "fired", the share of columns that
    fire a step, by layer and field, by which `edgeflow compile` chooses kernels; "spikes", the
    share of neurons that spike a step, by layer and state.
    """
    whole = program.quantize_input(x)
    found = {"fired": fired_shares(program, whole), "spikes": spike_rates(program, whole)}
    seen = {key: shares for key, shares in found.items() if shares}
    return replace(program, metadata={**program.metadata, **seen}) if seen else program


def scored(
    chain: FloatChain,
    program: Program,
    dataset: "Dataset",
    split: str,
    *,
    progress: StageProgress = silent,
) -> Compressed:
    """Return a program with its scores on people of `split` in the place of any others."""
    scores = score(chain, program, dataset, split, progress=progress)
    of_all = {name: value for name, value in scores.items() if name != "people"}
    metadata = {**program.metadata, **of_all, "data": dataset.name}
    return Compressed(replace(program, metadata=metadata), scores)


def load_chain(
    model: "nn.Module | str | Path", dataset: "Dataset", *, checkpoint: str | Path | None = None
) -> tuple[FloatChain, NDArray[np.float32]]:
    """Return a trained model that fits the data, and windows of training people to calibrate on.

    Raises
    ------
    CompressError, DataError, TrainError
        If the model or the data cannot be used.
    """
    train = dataset.windows("train")
    calibration = calibration_sample(train.x)
    chain = load_float_model(
        model,
        calibration,
        checkpoint=checkpoint,
        channels=tuple(dataset.channels),
        classes=tuple(dataset.classes),
        window=dataset.window,
        rate_hz=dataset.rate_hz,
    )
    if list(chain.classes) != list(dataset.classes):
        raise CompressError(
            f"{model_text(model)}: the model tells {len(chain.classes)} classes "
            f"({', '.join(chain.classes)}) apart, the data has {len(dataset.classes)} "
            f"({', '.join(dataset.classes)})"
        )
    outputs = chain.run(calibration[:1]).shape[-1]
    if outputs != len(dataset.classes):
        raise CompressError(
            f"{model_text(model)}: the model has {outputs} outputs, the data "
            f"{len(dataset.classes)} classes"
        )
    if chain.window not in (0, dataset.window):
        calibration = calibration_sample(dataset.windows("train", length=chain.window).x)
    return chain, calibration


def score(
    chain: FloatChain,
    program: Program,
    dataset: "Dataset",
    split: str,
    *,
    progress: StageProgress = silent,
) -> dict[str, Any]:
    """Compare the float model with its program on the windows of a split."""
    windows = dataset.windows(split, length=program.window or None)
    whole_program = program.without_cutoff()
    real = _in_batches(
        chain.run, windows.x, FLOAT_BATCH, f"scoring the float model on the {split} split", progress
    )
    integer = _in_batches(
        lambda x: whole_program.run(program.quantize_input(x)), windows.x, INTEGER_BATCH,
        f"scoring the integers on the {split} split", progress,
    )  # fmt: skip
    decided, read = decide(program, integer)
    float_class, int_class = real[:, -1].argmax(axis=1), decided.argmax(axis=1)
    error = np.abs(integer * program.output_scale - real).max() / (real.std() or 1.0)
    found = {
        name: classification(windows.y, classes, dataset.classes, windows.person)
        for name, classes in (("float", float_class), ("int", int_class))
    }
    people = {
        person: {
            **{name: one["subjects"][person]["accuracy"] for name, one in found.items()},
            "windows": found["int"]["subjects"][person]["windows"],
            "macro_f1": {n: one["subjects"][person]["macro_f1"] for n, one in found.items()},
        }
        for person in sort_people(set(windows.person.tolist()))
    }
    warmup = {
        name: {"accuracy": accuracy, "samples": samples_to_enough(accuracy)}
        for name, outputs in (("float", real), ("int", integer))
        for accuracy in [accuracy_by_sample(outputs, windows.y)]
    }
    whole = {} if program.cutoff is None else {
        "samples_read": float(read.mean()),
        "accuracy_int_whole": float((integer[:, -1].argmax(axis=1) == windows.y).mean()),
    }  # fmt: skip
    return {
        "split": split,
        "windows": len(windows.y),
        "accuracy_float": float((float_class == windows.y).mean()),
        "accuracy_int": float((int_class == windows.y).mean()),
        "agreement": float((float_class == int_class).mean()),
        "output_error": float(error),
        "macro_f1": {name: one["macro_f1"] for name, one in found.items()},
        "mcc": {name: one["mcc"] for name, one in found.items()},
        "recall": {
            label: {name: one["recall"][label] for name, one in found.items()}
            for label in dataset.classes
        },
        "people": people,
        "warmup": warmup,
        **whole,
    }


def _in_batches(
    run: Callable[[NDArray[np.float32]], NDArray[Any]],
    x: NDArray[np.float32],
    size: int,
    stage: str,
    progress: StageProgress,
) -> NDArray[Any]:
    """Return run(x), found for `size` windows at a time."""
    parts = []
    for start in range(0, len(x), size):
        progress(stage, start, len(x))
        parts.append(run(x[start : start + size]))
    progress(stage, len(x), len(x))
    return np.concatenate(parts)


def calibration_sample(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return at most `CALIBRATION_WINDOWS` windows, evenly spread."""
    if len(x) <= CALIBRATION_WINDOWS:
        return x
    return x[np.linspace(0, len(x) - 1, CALIBRATION_WINDOWS).astype(int)]
