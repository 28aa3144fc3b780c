"""Evaluation of a candidate on a rung: a pure function of its parameters, the rung and a seed.

It trains, compresses and scores on validation subjects. What it is given holds no recordings of
test subjects (`without_test`).
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeflow.compression.record import read_record, record_path, save_record
from edgeflow.data.dataset import sort_people
from edgeflow.files import scratch_folder
from edgeflow.files.lock import held
from edgeflow.program import Program
from edgeflow.recipes.apply import compress_by_recipe
from edgeflow.recipes.candidate import STEPS, figures_of
from edgeflow.recipes.limits import Limits
from edgeflow.recipes.measure import measure
from edgeflow.search.candidate import UNSUITED, Candidate, costs_of
from edgeflow.search.rungs import Rung
from edgeflow.targets.board import BoardSpec
from edgeflow.training import train

if TYPE_CHECKING:
    from edgeflow.data import Dataset

#: Seconds to wait for a worker whose driver was killed a moment ago.
_WAIT = 30.0
#: What is kept of a candidate that came to the last rung.
KEPT = ("model.pt", "metrics.json", "model.onnx", "model.json")


@dataclass(frozen=True)
class Context:
    """What all evaluations of a study share; it goes to each worker once.

    Parameters
    ----------
    dataset : Dataset
        Without test subjects.
    board : BoardSpec
    limits : Limits
    measured : bool
        Whether programs of the last rung are compiled and run on the board.
    folder : Path, optional
        Where trainings stay that were interrupted; None: a worker on another machine.
    """

    dataset: "Dataset"
    board: BoardSpec
    limits: Limits
    measured: bool = True
    folder: Path | None = None


@dataclass(frozen=True)
class Result:
    """What came of an evaluation.

    Parameters
    ----------
    score : float or None
        Headline of the task on validation subjects; None: the candidate is unsuited.
    subjects : mapping
        The headline of each validation subject.
    figures : mapping
        "flash", "ram", "instructions", "energy_uj": measured on the last rung, else by formula.
    optimize : str
        The compiler's goal.
    seconds : float
        Of the processor.
    why : str
        Why the candidate is unsuited.
    files : mapping
        Content by name (`KEPT`), of the last rung.
    """

    score: float | None
    subjects: Mapping[str, float] = field(default_factory=dict)
    figures: Mapping[str, float | None] = field(default_factory=dict)
    optimize: str = "balanced"
    seconds: float = 0.0
    why: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def error(self) -> float:
        """Standard error of the score over subjects; 0 of a single one."""
        values = list(self.subjects.values())
        return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def without_test(dataset: "Dataset") -> "Dataset":
    """Return a data set without the recordings of test subjects; validation stands for them.

    What trains a model scores it on the test split at its end: of this one it gets nothing that it
    has not seen.
    """
    people = {**dataset.people, "test": dataset.people["val"]}
    seen = {*people["train"], *people["val"]}
    recordings = [one for one in dataset.recordings if one.person in seen]
    return replace(dataset, people=people, recordings=recordings)


def with_share(dataset: "Dataset", share: float) -> "Dataset":
    """Return a data set with a share of its training subjects, evenly from all in their order."""
    people = sort_people(dataset.people["train"])
    number = max(1, round(share * len(people)))
    chosen = [people[int(i)] for i in np.linspace(0, len(people) - 1, number)]
    return replace(dataset, people={**dataset.people, "train": sort_people({*chosen})})


def evaluate(
    context: Context, name: str, candidate: Candidate, rung: Rung, seed: int, last: bool
) -> Result:
    """Return what comes of a candidate.

    Parameters
    ----------
    name : str
        Its digest, the name of its folder.
    last : bool
        Whether the rung is the last: the program is measured, and kept.
    """
    begun = time.process_time()
    with _folder(context, name) as folder:
        try:
            result = _evaluate(context, folder, candidate, rung, seed, last)
        except UNSUITED as error:
            result = Result(None, why=str(error))
    return replace(result, seconds=round(time.process_time() - begun, 3))


def _evaluate(
    context: Context, folder: Path, candidate: Candidate, rung: Rung, seed: int, last: bool
) -> Result:
    data, board = with_share(context.dataset, rung.subjects), context.board
    options = {**candidate.options, "epochs": rung.epochs, "seed": seed, "threads": 1}
    train(data, candidate.cell, out=folder / "model", **options)
    recipe = candidate.recipe(rung)
    recipe = recipe.model_copy(update={"train": recipe.train.model_copy(update={"seed": seed})})
    out = folder / "model.onnx"
    made = compress_by_recipe(
        folder / "model", data, recipe, out, board=board.name, split="val"
    ).compressed
    task, scores = data.task, made.scores
    subjects = {person: one["int"] for person, one in scores["people"].items()}
    score = scores[f"{task.headline.name}_int"]
    window = made.program.window
    reads = scores["samples_read"] / window if "samples_read" in scores else 1.0
    costs = costs_of(made.program, recipe, board, context.limits, reads)
    figures, files = dict(costs.figures), {}
    if last:
        # the folder that it was made in goes
        save_record(out, {**read_record(record_path(out)), "model": KEPT[0]})
        if context.measured:
            figures |= _measured(context, out, costs.optimize)
        places = (folder / "model" / KEPT[0], folder / "model" / KEPT[1], out, record_path(out))
        files = {place.name: place.read_bytes() for place in places}
    return Result(score, subjects, figures, costs.optimize, files=files)


def _measured(context: Context, out: Path, goal: str) -> dict[str, float | None]:
    """Return the figures of a program on its board, which its record gets, too."""
    with scratch_folder("build") as build:
        cost = measure(
            Program.load(out), context.board, context.dataset, build,
            split="val", steps=STEPS, optimize=goal,
        )  # fmt: skip
    save_record(out, {**read_record(record_path(out)), "cost": cost})
    found = figures_of(cost)
    energy = cost["energy_uj"]
    kept = {name: found[name] for name in ("flash", "ram", "instructions")}
    return {**kept, "energy_uj": None if energy is None else energy["mean"]}


@contextmanager
def _folder(context: Context, name: str) -> Iterator[Path]:
    """Yield where the candidate is worked on: one that stays if the worker is killed."""
    if context.folder is None:
        with scratch_folder("candidate") as folder:
            yield folder
        return
    folder = context.folder / name
    folder.mkdir(parents=True, exist_ok=True)
    with held(context.folder / f".{name}.lock", folder, wait=_WAIT):
        yield folder


def to_json(result: Result) -> dict[str, Any]:
    """Return the fields of a result but for its files."""
    return {name: value for name, value in asdict(result).items() if name != "files"}
