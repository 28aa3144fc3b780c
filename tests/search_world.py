"""A search without trainings: candidates are scored, and cost, by a formula of their parameters.

``python -m tests.search_world FOLDER TRIALS WORKERS SECONDS`` runs one as a process that can be
killed; each evaluation takes that long, and leaves a line in ``FOLDER/log``.
"""

import hashlib
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeflow.recipes.limits import Limits
from edgeflow.search.candidate import Candidate, Costs
from edgeflow.search.driver import Driver
from edgeflow.search.evaluate import Result
from edgeflow.search.objectives import Objectives
from edgeflow.search.rungs import Rung
from edgeflow.search.space import make_space
from edgeflow.search.store import Store
from edgeflow.search.study import Study, Told
from edgeflow.search.workers import Workers, open_workers
from edgeflow.tasks.classification import ACCURACY

SPACE = make_space(
    {
        "model": {
            "cell": ["gru", "lmu"],
            "hidden": {"low": 4, "high": 64},
            "lr": {"low": 1e-3, "high": 1e-1, "log": True},
            "cell_options": {"order": {"low": 2, "high": 9, "when": {"model.cell": "lmu"}}},
        },
        "rungs": [{"epochs": 1}, {"epochs": 3}, {"epochs": 9, "seeds": 3}],
        "start": [{"model.cell": "gru", "model.hidden": 16, "model.lr": 0.01}],
    }
)
LIMITS = Limits(instructions=2000)
OBJECTIVES = Objectives(ACCURACY, LIMITS)


@dataclass(frozen=True)
class World:
    """What evaluations need: the folder of the study, and how long one takes."""

    folder: Path | None = None
    seconds: float = 0.0
    deaths: float = 0.0


def chance(*parts: Any) -> float:
    """Return a number in [0, 1) that depends on the parts alone."""
    return int(hashlib.sha256(repr(parts).encode()).hexdigest()[:12], 16) / 16**12


def check(candidate: Candidate, rung: Rung) -> Costs:
    """Return costs: those of a dense layer."""
    hidden = candidate.options["hidden"]
    figures = {"instructions": float(hidden**2), "flash": 4000 + 3 * hidden**2, "ram": 900, "energy_uj": None}  # fmt: skip
    return Costs(figures, "balanced", {"instructions": 0.05})


def evaluate(
    world: World, name: str, candidate: Candidate, rung: Rung, seed: int, last: bool
) -> Result:
    """Return a score that rises with the size and the epochs, and best near a learning rate."""
    if world.folder is not None:
        done = (world.folder / "results" / name / "result.json").exists()
        with (world.folder / "log").open("a") as log:
            log.write(f"{'twice' if done else 'begun'} {name} {os.getpid()}\n")
    time.sleep(world.seconds)
    if world.deaths and chance(name, time.time()) < world.deaths:
        os._exit(9)
    hidden, lr = candidate.options["hidden"], candidate.options["lr"]
    score = 0.9 - 2 / hidden - 0.1 * abs(lr - 0.01) - 0.2 / rung.epochs
    subjects = {f"p{i}": score + 0.04 * (chance(name, seed, i) - 0.5) for i in range(5)}
    mean = sum(subjects.values()) / len(subjects)
    return Result(mean, subjects, check(candidate, rung).figures, seconds=1.0)


class Inline:
    """Workers in this process: each task is done when it is submitted."""

    lost: tuple[type[BaseException], ...] = (ConnectionError,)

    def __init__(self, context: Any = World(), size: int = 1) -> None:
        self.context, self.size = context, size
        self.submitted = 0

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        self.submitted += 1
        future: Future[Any] = Future()
        try:
            future.set_result(function(self.context, *arguments))
        except Exception as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        pass


def search(
    folder: Path,
    trials: int,
    workers: Workers,
    *,
    seed: int = 0,
    sampler: str = "tpe",
    evaluate: Callable[..., Result] = evaluate,
    on_told: Callable[[Told], None] | None = None,
    in_memory: bool = False,
) -> list[Told]:
    """Search in a folder; return all trials."""
    folder.mkdir(parents=True, exist_ok=True)
    path = None if in_memory else folder / "study.db"
    study = Study(path, SPACE, OBJECTIVES.directions, sampler, seed)
    Driver(
        study, Store(folder / "results", folder / "work"), workers, evaluate, check, OBJECTIVES,
        key="", trials=trials, on_told=on_told,
    ).run()  # fmt: skip
    return study.trials()


def told(folder: Path) -> list[Told]:
    """Return the trials that are in the file of a folder."""
    return Study(folder / "study.db", SPACE, OBJECTIVES.directions, "tpe", 0).trials()


if __name__ == "__main__":
    where, number, kind, seconds = sys.argv[1:5]
    context = World(Path(where), float(seconds))
    search(Path(where), int(number), open_workers(kind, context))
    print("done", flush=True)
