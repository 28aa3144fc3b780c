"""Compression of a model on a data set, and scores before and after."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.compression.anytime import decide, with_cutoff
from edgeflow.compression.quantize import quantize
from edgeflow.compression.suspicion import class_notes, record_notes
from edgeflow.data.dataset import sort_people
from edgeflow.data.matching import check_match, classes_remedy
from edgeflow.data.sequences import sequences_of, training_stretches
from edgeflow.errors import CompressError
from edgeflow.importers import FloatChain, load_float_model, model_text
from edgeflow.metrics import side_by_side
from edgeflow.model_options import NONE_GIVEN, ModelOptions
from edgeflow.overlap import hop_of
from edgeflow.program import Program
from edgeflow.program.firing import fired_shares, spike_rates
from edgeflow.progress import StageProgress, silent
from edgeflow.quantization import Widths
from edgeflow.tasks.output import scale_by

if TYPE_CHECKING:
    from torch import nn

    from edgeflow.data import Dataset

#: Calibration windows: more change scales in the fourth digit only.
CALIBRATION_WINDOWS = 512
#: Windows that are scored at a time: as many as `FloatChain.run` takes, whose last bits depend on
#: it; and so few integer ones that progress shows, whose number changes nothing.
FLOAT_BATCH, INTEGER_BATCH = 512, 1024


#: Makes a float model and widths of others, given windows to calibrate on.
Tune = Callable[[FloatChain, NDArray[np.float32], Widths], tuple[FloatChain, Widths]]


@dataclass(frozen=True)
class Compressed:
    """An integer program and what it scores.

    Parameters
    ----------
    program : Program
        Its metadata holds `scores` but for the subjects' and, of a program with delta matrices,
        "fired": the shares of columns that are updated per step on training subjects, by layer and
        field; of one with spiking neurons, "spikes": the shares of neurons, by layer and state.
    scores : dict
        "split", "windows", "accuracy_float", "accuracy_int" (shares of windows),
        "agreement" (share of windows with the same decision), "output_error" (largest difference
        of an output, in units of the float outputs' standard deviation), "macro_f1" and "mcc"
        (each of "float" and "int"), "recall" (for each class, "float" and "int"; None of a class
        without windows), "people" (for each subject the two accuracies "float" and "int",
        "windows", and "macro_f1" of "float" and "int"), "warmup" (for "float" and "int": "accuracy"
        after each sample since the reset, and "samples" to 95 % of the last); with an early exit
        also "samples_read" (mean over windows) and "accuracy_int_whole" (of reading all samples).
        Of a program without windows each step of whole recordings counts as a window, but for the
        first "warmup_samples" of each; "recordings" is their number. Where windows overlap, each
        decision does, one every "hop" samples.
        Of another task than classification the same with its metrics: the headline's name in the
        place of "accuracy", and what else its `Task.scores` has in that of the others.
    """

    program: Program
    scores: dict[str, Any]


def compress_model(
    model: "nn.Module | str | Path",
    dataset: "Dataset",
    *,
    model_options: ModelOptions = NONE_GIVEN,
    widths: Widths | None = None,
    split: str = "test",
    hop: int | None = None,
    cutoff: float | None = None,
    tune: Tune | None = None,
    progress: StageProgress = silent,
) -> Compressed:
    """Quantize `model`, calibrated on the training subjects, scored on subjects of `split`.

    With `hop`, windows overlap and a decision is due every so many samples; None: as the model has
    it.

    `cutoff` adds an early exit that may cost this many percentage points of accuracy on validation
    subjects (:func:`edgeflow.compression.anytime.with_cutoff`).

    `tune` may change the float model and the widths before they become integers, such as
    `edgeflow.compression.tuning.Tuning`; scores compare with the model as it came.

    `progress` is told of each stage but those of `tune`.

    Raises
    ------
    CompressError, ProgramError, DataError, TrainError
        If the model or the data cannot be used.
    """
    progress("loading the model", 0, 0)
    chain, calibration = load_chain(model, dataset, model_options)
    set_hop(chain, hop)
    progress("loading the model", 1, 1)
    widths, tuned = widths or Widths(), chain
    if tune is not None:
        tuned, widths = tune(chain, calibration, widths)
    program = quantize(tuned, calibration, widths, progress=progress)
    if cutoff is not None:
        progress("choosing an early exit", 0, 0)
        program = with_cutoff(program, dataset, cutoff)
    progress("counting updates and spikes", 0, 0)
    found = scored(chain, with_fired(program, calibration), dataset, split, progress=progress)
    return with_notes(found, record_notes(model, chain, dataset, found.scores))


def set_hop(chain: FloatChain, hop: int | None) -> None:
    """Let the windows of a model overlap; None: as it says itself.

    Raises
    ------
    CompressError
        If it has no windows, or the hop is longer.
    """
    if hop is None:
        return
    if not chain.window:
        raise CompressError(
            f"a hop of {hop} samples is one of windows, and the model has none: it decides at "
            "every sample"
        )
    try:
        chain.hop = hop_of(chain.window, hop)
    except ValueError as error:
        raise CompressError(str(error)) from None


def with_notes(found: Compressed, notes: list[str]) -> Compressed:
    """Return a program with more notes."""
    if not notes:
        return found
    stored = found.program.metadata
    metadata = {**stored, "notes": [*stored.get("notes", ()), *notes]}
    return replace(found, program=replace(found.program, metadata=metadata))


def with_fired(program: Program, x: NDArray[np.float32]) -> Program:
    """Return a program whose metadata holds the shares of delta updates and of spikes.

    On raw samples x [n, time, channels], each if there are any: "fired", the share of columns of
    delta matrices that are updated per step, by layer and field, by which `edgeflow compile`
    chooses kernels; "spikes", the share of neurons that spike per step, by layer and state.
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
    """Return a program with its scores on subjects of `split` in the place of any others."""
    scores = score(chain, program, dataset, split, progress=progress)
    of_all = {name: value for name, value in scores.items() if name != "people"}
    metadata = {**program.metadata, **of_all, "data": dataset.name}
    return Compressed(replace(program, metadata=metadata), scores)


def load_chain(
    model: "nn.Module | str | Path", dataset: "Dataset", model_options: ModelOptions = NONE_GIVEN
) -> tuple[FloatChain, NDArray[np.float32]]:
    """Return a trained model that fits the data, and samples of training subjects to calibrate on.

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
        channels=tuple(dataset.channels),
        classes=tuple(dataset.classes),
        window=dataset.window,
        rate_hz=dataset.rate_hz,
        **vars(model_options),
    )
    if list(chain.classes) != list(dataset.classes):
        raise CompressError(
            f"{model_text(model)}: the model tells {len(chain.classes)} classes "
            f"({', '.join(chain.classes)}) apart, the data has {len(dataset.classes)} "
            f"({', '.join(dataset.classes)}): {classes_remedy(dataset.classes, chain.classes)}"
        )
    if chain.task is not None and chain.task != dataset.task:
        raise CompressError(
            f"{model_text(model)}: the model was trained for another task than {dataset.task}"
        )
    chain.task = dataset.target
    outputs = chain.run(calibration[:1]).shape[-1]
    if dataset.task.size not in (0, outputs):
        raise CompressError(
            f"{model_text(model)}: the model has {outputs} outputs, the data "
            f"{dataset.task.size_text}"
        )
    notes = check_match(dataset, window=chain.window, rate_hz=chain.rate_hz, units=chain.units)
    # what `edgeflow train` made has its own classes, which are those of the data
    notes += [] if chain.data else class_notes(chain, dataset)
    chain.notes = (*chain.notes, *notes)
    # the integers that the input becomes are of these data
    chain.units = chain.units or tuple(dataset.units)
    chain.counts = tuple(dataset.counts)
    if chain.window != dataset.window:
        calibration = calibration_sample(training_stretches(dataset, chain.window))
    return chain, calibration


def score(
    chain: FloatChain,
    program: Program,
    dataset: "Dataset",
    split: str,
    *,
    progress: StageProgress = silent,
) -> dict[str, Any]:
    """Compare the float model with its program on a split: on its windows, or whole recordings."""
    found = sequences_of(
        dataset, split, window=program.window, hop=program.hop,
        warmup=program.metadata.get("warmup_samples"),
    )  # fmt: skip
    whole_program = program.without_cutoff()
    reals = found.run(
        chain.run, FLOAT_BATCH, partial(progress, f"scoring the float model on the {split} split")
    )
    integers = found.run(
        lambda x: whole_program.run(program.quantize_input(x)), INTEGER_BATCH,
        partial(progress, f"scoring the integers on the {split} split"),
    )  # fmt: skip
    real, integer = found.counted(reals), found.counted(integers)
    truth, person = found.truth, found.of_decisions(found.person)
    last, read = decide(program, integer)
    task, scale = dataset.task, program.scaling
    name, of_real = task.headline.name, scale_by(chain.output, 1.0)
    decided = {"float": task.decisions(real, of_real), "int": task.decisions(integer, scale)}
    whole = {}
    if program.cutoff is not None:
        all_read = task.score(truth, decided["int"])[name]
        whole = {"samples_read": float(read.mean()), f"{name}_int_whole": all_read}
        decided["int"] = task.decide(last, scale)
    error = np.abs(integer * program.output_scale - real).max() / (real.std() or 1.0)
    scores = {kind: task.scores(truth, one, person) for kind, one in decided.items()}
    overall = side_by_side({kind: one["overall"] for kind, one in scores.items()})
    subjects = side_by_side({kind: one["subjects"] for kind, one in scores.items()})
    described = {} if dataset.target is None else {"task": task.to_json()}
    streams = {"recordings": found.recordings, "warmup_samples": found.warmup}
    streams |= {"hop": program.hop} if program.hop else {}
    return {
        **described,
        "split": split,
        "windows": len(truth),
        **(streams if found.stream else {}),
        **{f"{name}_{kind}": value for kind, value in overall.pop(name).items()},
        "agreement": task.agreement(decided["float"], decided["int"]),
        "output_error": float(error),
        **overall,
        "people": {
            subject: {**one.pop(name), **one, "windows": one["windows"]["int"]}
            for subject in sort_people(list(subjects))
            for one in [subjects[subject]]
        },
        "warmup": {
            "float": task.warmup(*found.starts(reals), of_real),
            "int": task.warmup(*found.starts(integers), scale),
        },
        **whole,
    }


def calibration_sample(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return at most `CALIBRATION_WINDOWS` windows, evenly spread."""
    if len(x) <= CALIBRATION_WINDOWS:
        return x
    return x[np.linspace(0, len(x) - 1, CALIBRATION_WINDOWS).astype(int)]
