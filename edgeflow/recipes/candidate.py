"""Candidate of a search: a recipe in a folder of its own, with the figures known so far."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.codegen.expected import expected
from edgeflow.compression.evaluate import with_fired
from edgeflow.compression.record import read_record, record_path, save_record
from edgeflow.compression.stored import Known, check
from edgeflow.digest import ChangedError, read_json, sealed_json
from edgeflow.errors import CompressError, ProgramError
from edgeflow.files import scratch_folder, write_atomic
from edgeflow.importers import FloatChain
from edgeflow.model_options import NONE_GIVEN, ModelOptions
from edgeflow.program import Program
from edgeflow.recipes.apply import compress_by_recipe
from edgeflow.recipes.decide import decided_data, decided_score, step_of
from edgeflow.recipes.limits import Limits
from edgeflow.recipes.measure import measure
from edgeflow.recipes.recipe import Recipe, as_options
from edgeflow.recipes.surrogate import surrogate
from edgeflow.targets.board import BoardSpec
from edgeflow.tasks import Metric
from edgeflow.training.fit import OnEpoch
from edgeflow.training.resume import check_arguments

if TYPE_CHECKING:
    from edgeflow.data import Dataset

#: Steps of validation subjects that a candidate, and its surrogate, run on the board.
STEPS, SURROGATE_STEPS = 5000, 500
#: Share of the samples that early exit reads after a fine-tuning, where it reads few.
EARLY_EXIT_READS = 0.35
#: Excess of a surrogate over a constraint that is tolerated, as a share of the constraint: training
#: changes the columns that are updated and the samples that are read.
SLACK = 0.1
#: Error of bytes by formula, in percent.
BYTES_ERROR = 3.0


@dataclass(frozen=True)
class Job:
    """Model, data and constraints that all candidates of a search share.

    `chain` is the model, `calibration` [n, time, channels] its windows, `whole` the data set as it
    was loaded and `dataset` as the model has it, and `arguments` what the figures depend on besides
    the recipe, JSON values.
    """

    model: str | Path
    chain: FloatChain
    calibration: NDArray[np.float32]
    whole: "Dataset"
    dataset: "Dataset"
    board: BoardSpec
    limits: Limits
    arguments: Mapping[str, Any]
    model_options: ModelOptions = NONE_GIVEN
    restart: bool = False


class Candidate:
    """Recipe of a search.

    Parameters
    ----------
    folder : Path
        Holds ``candidate.json``; once it was tried, ``model.onnx``, its record, and ``model.run``.

    Attributes
    ----------
    state : str
        "unsuited": the recipe is not for this model; "skipped": its surrogate costs too much;
        "missed" and "met": it was tried and misses, or meets, the constraints. "" before `go`.
    why : str
        The constraints that are exceeded, or why the recipe is unsuited.
    figures : dict
        "accuracy_float", "accuracy_int" (or another headline of the task, of validation subjects),
        "decided" (headline of a layer that decides; None without one), "drop" (`Metric.drop`),
        "drop_error" (its standard error over subjects; None of one), "cost" (as of `measure`), and
        for `Limits` "flash", "ram", "instructions"; of a skipped one those of its surrogate,
        without accuracies.

    Raises
    ------
    TrainError
        If the folder holds a candidate with other arguments.
    """

    def __init__(self, name: str, recipe: Recipe, folder: Path, job: Job) -> None:
        self.name, self.recipe, self.folder, self.job = name, recipe, folder, job
        self.state = self.why = ""
        self.figures: dict[str, Any] = {}
        usual = as_options(Recipe())
        chosen = {name: v for name, v in as_options(recipe).items() if v != usual[name]}
        chosen.pop("optimize", None)  # what is known is known by goal
        arguments = {**job.arguments, **chosen}
        self._known: dict[str, Any] = {
            "arguments": json.loads(json.dumps(arguments)),
            "expected": {},
            "scores": None,
            "costs": {},
        }
        if not job.restart and (folder / "candidate.json").exists():
            found = _read(folder / "candidate.json")
            check_arguments(folder, found["arguments"], self._known["arguments"])
            self._known = found
            if not self.program_file.exists():
                self._known |= {"scores": None, "costs": {}}

    @property
    def program_file(self) -> Path:
        return self.folder / "model.onnx"

    @property
    def metric(self) -> Metric:
        """By which candidates are ranked: the headline of what decides."""
        job = self.job
        return decided_data(self.recipe.decide, job.whole, job.dataset).task.headline

    @property
    def score(self) -> float | None:
        """Its value on validation subjects; None: not known."""
        own: float | None = self.figures.get(f"{self.job.dataset.task.headline.name}_int")
        decided: float | None = self.figures.get("decided")
        return own if step_of(self.recipe.decide) is None else decided

    @property
    def excess(self) -> dict[str, float]:
        """Excess of the figures over the constraints."""
        return self.job.limits.excess(self.figures)

    def go(self, on_epoch: OnEpoch | None = None) -> None:
        """Measure costs and accuracy of the candidate."""
        try:
            if self.recipe.trains and self._known["scores"] is None and not self._may_fit():
                self.state = "skipped"
            else:
                self._try(on_epoch)
                self.state = "missed" if self.excess else "met"
            self.why = ", ".join(self.excess)
        except (CompressError, ProgramError) as error:
            self.state, self.why = "unsuited", str(error)

    def _may_fit(self) -> bool:
        """Return whether the surrogate is within the constraints, or nearly."""
        program = surrogate(self.job.chain, self.job.calibration, self.recipe, self.job.board.name)
        program = with_fired(program, self.job.calibration)
        reads = 1.0 if self.recipe.cutoff.max_drop is None else EARLY_EXIT_READS
        if (told := self._told(program, reads)) is not None:
            self.figures = told
            return False
        self.figures = self._cheapest(program, "expected", SURROGATE_STEPS, reads)
        return all(excess <= SLACK for excess in self.excess.values())

    def _told(self, program: Program, reads: float) -> dict[str, Any] | None:
        """Return the figures by formula if it is sure that no goal of the compiler will do."""
        board, limits, found = self.job.board, self.job.limits, []
        for goal in {self.recipe.compile.optimize, "size", "speed"}:
            costs = expected(program, board, optimize=goal, backend="auto", reads=reads)
            figures = {
                "flash": costs.flash_bytes, "ram": costs.ram_bytes,
                "instructions": costs.instructions,
            }  # fmt: skip
            margins = {
                "instructions": costs.error_percent,
                "flash": BYTES_ERROR,
                "ram": BYTES_ERROR,
            }
            sure = any(
                excess > SLACK + (margins[name] or 0.0) / 100
                for name, excess in limits.excess(figures).items()
            )
            if not sure:
                return None
            found.append(figures)
        return min(found, key=lambda figures: sum(limits.excess(figures).values()))

    def _try(self, on_epoch: OnEpoch | None) -> None:
        task = self.job.dataset.task
        if self._known["scores"] is None:
            made = compress_by_recipe(
                self.job.model, self.job.whole, self.recipe, self.program_file,
                name=self.name, board=self.job.board.name, model_options=self.job.model_options,
                split="val", restart=self.job.restart, on_epoch=on_epoch,
            )  # fmt: skip
            scores = made.compressed.scores
            found = {k: scores[k] for k in task.pair}
            error = _drop_error(task.headline, scores["people"])
            decided = decided_score(made.compressed.program, self.recipe.decide, "val")
            self._keep(scores={**found, "drop_error": error, "decided": decided})
        scores = self._known["scores"]
        drop = task.drop(scores)
        program = Program.load(self.program_file)
        found = self._cheapest(program, "costs", STEPS, 1.0)
        self.figures = {**scores, "drop": drop, **found}
        record = read_record(record_path(self.program_file))
        save_record(self.program_file, {**record, "cost": found["cost"]})

    def _cheapest(self, program: Program, key: str, steps: int, reads: float) -> dict[str, Any]:
        """Return the figures of the first goal of the compiler that meets the constraints.

        The recipe's own goal comes first, then those that may help. If none meets the constraints,
        it is the goal with the least excess.
        """
        tried: list[dict[str, Any]] = []
        own = self.recipe.compile.optimize
        for goal, helps in ((own, None), ("size", "flash"), ("speed", "instructions")):
            if helps is not None and helps not in self.job.limits.excess(tried[0]):
                continue
            costs = self._known[key]
            if goal not in costs:
                with scratch_folder("build") as folder:
                    cost = measure(
                        program, self.job.board, self.job.whole, folder,
                        split="val", steps=steps, optimize=goal,
                    )  # fmt: skip
                self._keep(**{key: {**costs, goal: cost}})
            tried.append(figures_of(self._known[key][goal], reads))
            if not self.job.limits.excess(tried[-1]):
                return tried[-1]
        return min(tried, key=lambda figures: sum(self.job.limits.excess(figures).values()))

    def _keep(self, **what: Any) -> None:
        self._known |= what
        write_atomic(self.folder / "candidate.json", sealed_json(self._known, 1))


def nearest(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return candidates in order: those that meet all constraints first, then by excess.

    Of those that meet all, the best validation score comes first, among equals the fewest
    instructions; of the others those that miss the fewest constraints, then by the largest excess.
    """

    def order(candidate: Candidate) -> tuple[Any, ...]:
        rank = ("met", "missed", "skipped", "unsuited").index(candidate.state)
        excess, figures = candidate.excess, candidate.figures
        return (
            rank,
            len(excess),
            max(excess.values(), default=0.0),
            candidate.metric.cost(candidate.score or 0.0),
            figures.get("instructions", 0.0),
        )

    return sorted(candidates, key=order)


def _drop_error(metric: Metric, subjects: Mapping[str, Mapping[str, float]]) -> float | None:
    """Return the standard error of the drop, from the headline of each subject."""
    drops = [metric.drop(one["float"], one["int"]) for one in subjects.values()]
    if len(drops) < 2:
        return None
    return float(np.std(drops, ddof=1) / np.sqrt(len(drops)))


def figures_of(cost: dict[str, Any], reads: float = 1.0) -> dict[str, Any]:
    """Return the figures of a cost that `Limits` constrain, if a share of the samples is read."""
    return {
        "cost": cost,
        "flash": cost["flash_bytes"],
        "ram": cost["ram_bytes"],
        "instructions": reads * cost["instructions"]["mean"],
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = read_json(path)
        check(Known, found)
    except OSError as error:
        raise CompressError(f"{path}: cannot be read ({error.strerror})") from None
    except ChangedError as error:
        raise CompressError(f"{path}: {error}: start again with --restart") from None
    except (ValueError, KeyError, TypeError):
        raise CompressError(f"{path}: damaged: start again with --restart") from None
    return found
