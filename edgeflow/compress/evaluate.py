"""Compress a model on a data set and measure what it cost."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.compress.convert import Widths
from edgeflow.compress.quantize import quantize
from edgeflow.data.dataset import sort_people
from edgeflow.errors import CompressError
from edgeflow.importers import FloatChain, load_float_model
from edgeflow.program import Program

if TYPE_CHECKING:
    from edgeflow.data import Dataset

#: Calibration windows: more change scales in the fourth digit only.
CALIBRATION_WINDOWS = 512


@dataclass(frozen=True)
class Compressed:
    """An integer program and what it scores.

    Parameters
    ----------
    program : Program
        Its metadata holds `scores` but for the people's.
    scores : dict
        "split", "windows", "accuracy_float", "accuracy_int" (shares of windows),
        "agreement" (share of windows with the same decision), "output_error" (largest difference
        of an output, in units of the float outputs' standard deviation), "people" (for each
        person the two accuracies "float" and "int").
    """

    program: Program
    scores: dict[str, Any]


def compress_model(
    model: str | Path,
    dataset: "Dataset",
    *,
    checkpoint: str | Path | None = None,
    widths: Widths | None = None,
    split: str = "test",
) -> Compressed:
    """Quantize `model`, calibrated on the training people, scored on people of `split`.

    Raises
    ------
    CompressError, ProgramError, DataError, TrainError
        If the model or the data cannot be used.
    """
    train = dataset.windows("train")
    calibration = _sample(train.x, CALIBRATION_WINDOWS)
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
            f"{model}: the model tells {len(chain.classes)} classes ({', '.join(chain.classes)}) "
            f"apart, the data has {len(dataset.classes)} ({', '.join(dataset.classes)})"
        )
    outputs = chain.run(calibration[:1]).shape[-1]
    if outputs != len(dataset.classes):
        raise CompressError(
            f"{model}: the model has {outputs} outputs, the data {len(dataset.classes)} classes"
        )
    if chain.window not in (0, dataset.window):
        calibration = _sample(dataset.windows("train", length=chain.window).x, CALIBRATION_WINDOWS)
    program = quantize(chain, calibration, widths or Widths())
    scores = score(chain, program, dataset, split)
    of_all = {name: value for name, value in scores.items() if name != "people"}
    metadata = {**program.metadata, **of_all, "data": dataset.name}
    return Compressed(replace(program, metadata=metadata), scores)


def score(chain: FloatChain, program: Program, dataset: "Dataset", split: str) -> dict[str, Any]:
    """Compare the float model with its program on the windows of a split."""
    windows = dataset.windows(split, length=program.window or None)
    real = chain.run(windows.x)
    integer = program.run(program.quantize_input(windows.x))
    float_class, int_class = real[:, -1].argmax(axis=1), integer[:, -1].argmax(axis=1)
    error = np.abs(integer * program.output_scale - real).max() / (real.std() or 1.0)
    people = {
        str(person): {
            name: float((found == windows.y)[windows.person == person].mean())
            for name, found in (("float", float_class), ("int", int_class))
        }
        for person in sort_people(set(windows.person.tolist()))
    }
    return {
        "split": split,
        "windows": len(windows.y),
        "accuracy_float": float((float_class == windows.y).mean()),
        "accuracy_int": float((int_class == windows.y).mean()),
        "agreement": float((float_class == int_class).mean()),
        "output_error": float(error),
        "people": people,
    }


def _sample(x: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Return at most `count` windows, evenly spread."""
    if len(x) <= count:
        return x
    return x[np.linspace(0, len(x) - 1, count).astype(int)]
