"""Candidate of a search: a model and its compression, and what they cost before any training."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeflow.codegen.expected import expected
from edgeflow.errors import CompressError, ProgramError, TrainError
from edgeflow.recipes.candidate import BYTES_ERROR, EARLY_EXIT_READS, SLACK
from edgeflow.recipes.limits import Limits
from edgeflow.recipes.recipe import Recipe, make_recipe
from edgeflow.recipes.sketch import sketch
from edgeflow.search.rungs import Rung
from edgeflow.targets.board import BoardSpec

if TYPE_CHECKING:
    from edgeflow.data import Dataset
    from edgeflow.program import Program

#: What may be limited.
LIMITED = ("flash", "ram", "instructions")


@dataclass(frozen=True)
class Candidate:
    """A model to be trained, and the recipe of its compression.

    Parameters
    ----------
    cell : str
    options : mapping
        Of the training, fields of `TrainOptions`.
    tables : mapping
        Of the recipe, without its fine-tuning's epochs.
    """

    cell: str
    options: Mapping[str, Any]
    tables: Mapping[str, Any]

    @classmethod
    def of(cls, tables: Mapping[str, Any]) -> "Candidate":
        """Return the candidate of the tables of a point (`Space.tables`)."""
        model = dict(tables["model"])
        cell = model.pop("cell", "gru")
        return cls(cell, model, {k: v for k, v in tables.items() if k != "model"})

    def recipe(self, rung: Rung) -> Recipe:
        """Return the recipe with the fine-tuning of a rung.

        Raises
        ------
        CompressError
            If its steps do not go together.
        """
        train = {**self.tables.get("train", {}), "epochs": rung.tuning}
        return make_recipe({**self.tables, "train": train}, where="candidate")

    def digest(self, rung: Rung, seed: int, study: str) -> str:
        """Return a name for what comes of the candidate on a rung with a seed, in a study."""
        content = [self.cell, self.options, self.tables, vars(rung), seed, study]
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Costs:
    """Costs of a candidate.

    Parameters
    ----------
    figures : mapping
        "flash", "ram" (bytes), "instructions", "energy_uj" (per step); None: not known.
    optimize : str
        The compiler's goal.
    errors : mapping
        By how much `figures` may be wrong, as shares of them.
    """

    figures: Mapping[str, float | None]
    optimize: str
    errors: Mapping[str, float]

    def excluded(self, limits: Limits) -> bool:
        """Tell whether a limit is exceeded by more than the errors."""
        return any(
            excess > self.errors[name] for name, excess in limits.excess(self.figures).items()
        )


def costs_before(
    candidate: Candidate, rung: Rung, dataset: "Dataset", board: BoardSpec, limits: Limits
) -> Costs:
    """Return the costs of a candidate by formula, of the goal of the compiler that fits best.

    Raises
    ------
    CompressError, ProgramError, TrainError
        If there is no such model, or its steps do not go together.
    """
    recipe, model = candidate.recipe(rung), dict(candidate.options)
    kept = ("hidden", "layers", "readout", "front", "hop")
    shape = {name: model[name] for name in kept if name in model}
    program = sketch(
        candidate.cell, len(dataset.channels), dataset.task.size or len(dataset.classes), recipe,
        board=board.name, window=model.get("window") or dataset.window,
        rate_hz=dataset.rate_hz, options=model.get("cell_options", {}), **shape,
    )  # fmt: skip
    reads = 1.0 if recipe.cutoff.max_drop is None else EARLY_EXIT_READS
    # what data decide is known after the training only
    slack = SLACK if recipe.delta or reads < 1 else 0.0
    return costs_of(program, recipe, board, limits, reads, slack)


def costs_of(
    program: "Program",
    recipe: Recipe,
    board: BoardSpec,
    limits: Limits,
    reads: float = 1.0,
    slack: float = 0.0,
) -> Costs:
    """Return the costs of a program by formula, of the goal of the compiler that fits best.

    Parameters
    ----------
    reads : float
        Share of the samples that are read.
    slack : float
        What the data may change, as a share.
    """
    found: list[Costs] = []
    own = recipe.compile.optimize
    for goal, helps in ((own, None), ("size", "flash"), ("speed", "instructions")):
        if helps is not None and helps not in limits.excess(found[0].figures):
            continue
        known = expected(program, board, optimize=goal, reads=reads)
        figures = {
            "flash": known.flash_bytes,
            "ram": known.ram_bytes,
            "instructions": known.instructions,
            "energy_uj": known.energy_uj,
        }
        errors = {
            "flash": BYTES_ERROR / 100,
            "ram": BYTES_ERROR / 100,
            "instructions": (known.error_percent or 0.0) / 100 + slack,
        }
        found.append(Costs(figures, goal, errors))
    return min(found, key=lambda costs: sum(limits.excess(costs.figures).values()))


#: What says that a point is none: steps that do not go together, sizes that do not fit.
UNSUITED = (CompressError, ProgramError, TrainError)
