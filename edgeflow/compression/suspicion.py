"""Signs that a float model is not used as it was trained: permuted classes, chance, other data."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeflow import metrics
from edgeflow.digest import ChangedError, read_json

if TYPE_CHECKING:
    from edgeflow.data import Dataset
    from edgeflow.importers import FloatChain

#: Training windows that are looked at, at most and at least.
MOST_WINDOWS, LEAST_WINDOWS = 512, 20
#: Accuracy that another order of the classes must gain, and reach.
GAIN, REACHED = 0.25, 0.7
#: A record of the training is doubted from this loss of accuracy on.
LOST = 0.1


def class_notes(chain: "FloatChain", dataset: "Dataset") -> list[str]:
    """Return a note if the classes seem permuted, or the model seems to know nothing.

    Training subjects decide, never test subjects. The best order of the classes is that of a linear
    assignment on the confusion matrix (`scipy.optimize.linear_sum_assignment`).
    """
    classes = list(dataset.classes)
    if dataset.target is not None or len(classes) < 2:
        return []
    windows = dataset.windows("train", length=chain.window or None)
    if len(windows.y) < LEAST_WINDOWS:
        return []
    count = min(len(windows.y), MOST_WINDOWS)
    chosen = np.linspace(0, len(windows.y) - 1, count).astype(int)
    decided = chain.run(windows.x[chosen])[:, -1].argmax(axis=-1)
    matrix = metrics.confusion(windows.y[chosen], decided, len(classes))
    accuracy = metrics.accuracy(matrix)
    if accuracy > 1 - GAIN:
        return []
    from scipy.optimize import linear_sum_assignment  # a fifth of a second

    # row: the class that is recorded for the output of that number
    outputs, recorded = linear_sum_assignment(matrix.T, maximize=True)
    best = float(matrix[recorded, outputs].sum() / matrix.sum())
    if best - accuracy >= GAIN and best >= REACHED:
        order = ", ".join(classes[i] for i in recorded)
        return [
            f"the classes look permuted: as '{order}' accuracy on training subjects would be "
            f"{best:.0%} instead of {accuracy:.0%}, as '{', '.join(classes)}': give them in the "
            "order of the model's outputs ('# classes: ...' in a .csv file, 'classes' of .npz)"
        ]
    if accuracy <= 1 / len(classes):
        return [
            f"the model is right about {accuracy:.0%} of the training windows, no better than "
            f"chance with {len(classes)} classes: check its weights, and that channels, units and "
            "scaling of the data are those that it was trained on"
        ]
    return []


def record_notes(
    model: Any, chain: "FloatChain", dataset: "Dataset", scores: dict[str, Any]
) -> list[str]:
    """Return notes if a folder of ``edgeflow train`` tells of a better model on these subjects."""
    if not isinstance(model, str | Path) or not Path(model).is_dir():
        return []
    split = scores["split"]
    try:
        record = read_json(Path(model) / "metrics.json")
        before, people = record[split]["accuracy"], record["people"][split]
        name = record["data"]
    except ChangedError as error:
        return [f"{Path(model) / 'metrics.json'}: {error}: its scores are not compared with"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    now = scores.get("accuracy_float")
    if (name, people) != (dataset.name, dataset.people[split]) or now is None:
        return []
    if not isinstance(before, int | float) or before - now < LOST:
        return []
    return [
        f"the float model has an accuracy of {now:.0%} on {split} subjects, its training recorded "
        f"{before:.0%} on the same: the recordings, their labels or their preparation have changed",
        *class_notes(chain, dataset),
    ]
