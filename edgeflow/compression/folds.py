"""Trainings that leave out other subjects each: cross-validation of what is chosen behind a model.

One validation subject tells little about the next one. With trainings of the same kind that each
leave out somebody else, all of these choose: of each the training that has not seen them. The model
itself may then be trained on them all.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.compression.candidates import Streams
from edgeflow.compression.evaluate import load_chain
from edgeflow.compression.quantize import quantize
from edgeflow.data.dataset import everybody, sort_people
from edgeflow.data.people import check_people
from edgeflow.digest import read_json
from edgeflow.errors import CompressError
from edgeflow.program import Program
from edgeflow.program.fixedpoint import INT16_MAX
from edgeflow.quantization import Widths

if TYPE_CHECKING:
    from edgeflow.data import Dataset


def left_out(
    program: Program, folders: Sequence[str], dataset: "Dataset", widths: Widths
) -> Streams:
    """Return what other trainings give on the subjects that they left out, in a program's units.

    Parameters
    ----------
    folders : sequence of str
        Of ``edgeflow train`` on the same data, with other splits (``--people``).
    dataset : Dataset
        Its test subjects choose nothing, whoever left them out.
    widths : Widths
        Of the trainings' integers, which are not fine-tuned.

    Raises
    ------
    CompressError
        If a folder has no training on such data, saw test subjects, or left out nobody else.
    """
    outputs: list[NDArray[np.int16]] = []
    truth, subjects = [], []
    for folder in folders:
        left = _as_trained(folder, dataset)
        # which tells more words apart than `dataset` may have
        chain, calibration = load_chain(folder, replace(left, target=program.task))
        other = quantize(chain, calibration, widths)
        if other.window or other.outputs != program.outputs:
            raise CompressError(f"{folder}: it is no training of the same kind of model")
        found = Streams.of(other, left, "val")
        ratio = other.output_scale / program.output_scale
        outputs += [
            np.clip(np.round(ratio * y), -INT16_MAX, INT16_MAX).astype(np.int16)
            for y in found.outputs
        ]
        truth.append(found.truth)
        subjects.append(found.subjects)
    return Streams(outputs, np.concatenate(truth), np.concatenate(subjects))


def _as_trained(folder: str, dataset: "Dataset") -> "Dataset":
    """Return the data as a training had them, with those who validate that it did not see."""
    path = Path(folder) / "metrics.json"
    try:
        content: Any = read_json(path)
        people = check_people(content["people"], str(path))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CompressError(
            f"--folds {folder}: no folder of a whole 'edgeflow train' ({error})"
        ) from None
    test = set(dataset.people["test"])
    if seen := test & set(people["train"]):
        raise CompressError(
            f"--folds {folder}: it was trained on {', '.join(sort_people(seen))}, of the test "
            "subjects here: train it without them"
        )
    there = set(everybody(dataset.recordings))
    if missing := set(people["train"]) - there:
        raise CompressError(
            f"--folds {folder}: it was trained on {', '.join(sort_people(missing))}, of whom there "
            f"is nothing in '{dataset.name}': give trainings on the same data"
        )
    val = sort_people(((set(people["val"]) | set(people["test"])) & there) - test)
    if not val:
        raise CompressError(f"--folds {folder}: it left out nobody but test subjects")
    return replace(dataset, people={"train": people["train"], "val": val, "test": []})
