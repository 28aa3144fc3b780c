"""The head of a reservoir on training subjects; its design and penalty on validation subjects."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeflow.data.dataset import SPLITS
from edgeflow.errors import ImcError
from edgeflow.imc.reservoir import GRIDS, Cells, Design, Floats, Read, Reservoir, exact
from edgeflow.imc.reservoir_options import ReservoirOptions
from edgeflow.imc.ridge import STRENGTHS, Head, Ridge
from edgeflow.progress import StageProgress, silent
from edgeflow.tasks import Classification, Task

if TYPE_CHECKING:
    from edgeflow.data import Dataset

#: Most windows that a design is chosen on.
MOST = {"train": 1500, "val": 750, "test": 0}


@dataclass(frozen=True, eq=False)
class Examples:
    """Windows of a data set, normalised, by split.

    Attributes
    ----------
    task : Task
    x : dict of float32 array [n, time, inputs]
    y : dict of array
        Targets as `edgeflow.data.Windows` has them.
    """

    task: Task
    x: dict[str, Floats]
    y: dict[str, NDArray[Any]]

    @staticmethod
    def of(dataset: "Dataset", window: int, mean: ArrayLike, std: ArrayLike) -> "Examples":
        """Return the windows of a data set, less `mean` [channels], over `std`."""
        found = {split: dataset.windows(split, length=window) for split in SPLITS}
        shift, size = np.asarray(mean, np.float32), np.asarray(std, np.float32)
        x = {split: (one.x - shift) / size for split, one in found.items()}
        return Examples(dataset.task, x, {split: one.y for split, one in found.items()})

    def at_most(self, most: Mapping[str, int]) -> "Examples":
        """Return as many windows of each split, evenly spread."""
        chosen = {split: _spread(len(x), most[split]) for split, x in self.x.items()}
        return replace(
            self,
            x={split: x[chosen[split]] for split, x in self.x.items()},
            y={split: y[chosen[split]] for split, y in self.y.items()},
        )

    def targets(self, split: str) -> NDArray[np.float64]:
        """Return what a head's outputs [n, size] shall be."""
        y = self.y[split]
        if isinstance(self.task, Classification):
            return np.eye(self.task.size)[y]
        return y.reshape(len(y), -1).astype(np.float64)

    def score(self, split: str, outputs: NDArray[np.float64]) -> dict[str, float]:
        """Return the scores of outputs [n, size]."""
        decided = self.task.decide(outputs)
        return self.task.score(self.y[split], decided)


def _spread(n: int, most: int) -> NDArray[np.int64]:
    return np.linspace(0, n - 1, min(n, most)).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A reservoir's head.

    Attributes
    ----------
    head : Head
    strength : float
        Of its penalty.
    scores : dict
        On validation subjects.
    """

    head: Head
    strength: float
    scores: dict[str, float]


def fit(reservoir: Reservoir, data: Examples, read: Read = exact) -> Fitted:
    """Fit a head to training subjects, with the penalty that is best on validation subjects.

    Of equals the stronger penalty is taken, whose smaller weights suffer less from rounding.
    """
    ridge = Ridge(reservoir.features(data.x["train"], read), data.targets("train"))
    seen = reservoir.features(data.x["val"], read)
    metric, best = data.task.selection or data.task.headline, None
    for strength in sorted(STRENGTHS, reverse=True):
        head = ridge.head(strength)
        scores = data.score("val", head.outputs(seen))
        if best is None or metric.better(scores[metric.name], best.scores[metric.name]):
            best = Fitted(head, strength, scores)
    assert best is not None
    return best


def designs(cell: str, options: ReservoirOptions) -> Iterator[Design]:
    """Yield the designs that validation chooses from; an option that is given is fixed.

    Raises
    ------
    ImcError
        If an option is not one of the cell's.
    """
    if cell != "lif" and options.decay is not None:
        raise ImcError(f"decay {options.decay:g}: cell '{cell}' has no membrane: leave it out")
    given = (options.gain, options.radius, options.decay)
    parts = [
        grid if value is None else (value,) for value, grid in zip(given, GRIDS[cell], strict=True)
    ]
    for gain, radius, decay in product(*parts):
        yield Design(cell, gain, radius, decay)


def choose(
    cell: str,
    cells: Cells,
    data: Examples,
    options: ReservoirOptions,
    progress: StageProgress = silent,
) -> Design:
    """Return the design that is best on validation subjects, in software.

    Parameters
    ----------
    cell : str
    cells : Cells
        Of the reservoir.
    data : Examples
    options : ReservoirOptions
    progress : callable
    """
    possible = list(designs(cell, options))
    if len(possible) == 1:
        return possible[0]
    metric, some = data.task.selection or data.task.headline, data.at_most(MOST)
    stage, scores = "choosing a reservoir", []
    for number, design in enumerate(possible):
        progress(stage, number, len(possible))
        found = fit(Reservoir(design, cells), some).scores[metric.name]
        scores.append(found)
    progress(stage, len(possible), len(possible))
    return possible[int(np.argmin([metric.cost(score) for score in scores]))]
