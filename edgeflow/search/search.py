"""A search from its settings to the program that is taken."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeflow import __version__
from edgeflow.digest import read_json, sealed_json
from edgeflow.errors import CompressError, OutputError
from edgeflow.files import FolderKind, output_folder, write_atomic
from edgeflow.recipes.limits import Limits
from edgeflow.search.candidate import Candidate, Costs, costs_before
from edgeflow.search.driver import Driver
from edgeflow.search.evaluate import Context, evaluate, without_test
from edgeflow.search.objectives import Objectives
from edgeflow.search.rungs import Rung, front
from edgeflow.search.space import Space
from edgeflow.search.store import Store
from edgeflow.search.study import SAMPLERS, Study, Told
from edgeflow.search.winner import Taken, take
from edgeflow.search.workers import open_workers, parse_workers
from edgeflow.targets.board import BoardSpec
from edgeflow.training.resume import fingerprint

if TYPE_CHECKING:
    from edgeflow.data import Dataset

#: Of the studies.
FOLDER = FolderKind("search")
#: What a study was made with.
SETTINGS = "study.json"
#: Optuna's file.
FILE = "study.db"


@dataclass(frozen=True)
class Settings:
    """What a search is for; trials and workers may change from run to run.

    Parameters
    ----------
    space : Space
    board : BoardSpec
        An emulated one.
    limits : Limits
    objectives : tuple of str
        Costs that are made small, beside the score.
    sampler : str
        "tpe", "gp" or "random".
    seed : int
        Of the sampler.
    measured : bool
        Whether programs of the last rung run on the board; else costs are those of the formula.

    Raises
    ------
    CompressError
        If there is no such sampler.
    """

    space: Space
    board: BoardSpec
    limits: Limits
    objectives: tuple[str, ...] = ("instructions",)
    sampler: str = "tpe"
    seed: int = 0
    measured: bool = True

    def __post_init__(self) -> None:
        if self.sampler not in SAMPLERS:
            raise CompressError(f"--sampler {self.sampler}: use one of {', '.join(SAMPLERS)}")

    def of(self, dataset: "Dataset") -> Objectives:
        """Return the objectives for a data set's task.

        Raises
        ------
        CompressError
            If there is nothing to score.
        """
        if not dataset.task.metrics:
            raise CompressError(
                f"data set '{dataset.name}' has neither classes nor targets: let models forecast "
                "it, with --task forecast --horizon 0.5,1.0"
            )
        return Objectives(dataset.task.headline, self.limits, self.objectives)

    def to_json(self, dataset: "Dataset") -> dict[str, Any]:
        """Return what the trials depend on, JSON values."""
        found = {
            "edgeflow": __version__,
            "data": dataset.name,
            "recordings": fingerprint(dataset),
            "window": dataset.window,
            "board": self.board.name,
            "limits": asdict(self.limits),
            "objectives": list(self.objectives),
            "sampler": self.sampler,
            "seed": self.seed,
            "measured": self.measured,
            "space": self.space.content,
        }
        return dict(json.loads(json.dumps(found)))


@dataclass(frozen=True)
class Search:
    """What a search found.

    Parameters
    ----------
    trials : list of Told
        All, in their order.
    front : list of Told
        Those of the last rung within all limits that no other one beats, the best score first.
    importances : mapping
        Of the parameters, for the score.
    taken : Taken or None
        The program; None: no candidate came to the last rung within the limits.
    """

    trials: list[Told]
    front: list[Told]
    importances: Mapping[str, float]
    taken: Taken | None


def search(
    dataset: "Dataset",
    settings: Settings,
    out: str | Path,
    *,
    trials: int = 60,
    workers: str = "local:1",
    command: Mapping[str, Any] | None = None,
    on_told: Callable[[Told], None] | None = None,
    on_start: Callable[[list[Told]], None] | None = None,
) -> Search:
    """Search; go on where an earlier run in the same folder stopped.

    Parameters
    ----------
    out : path
        Folder of the study.
    trials : int
        Candidates to train in all, those of earlier runs included.
    workers : str
        As of `open_workers`.
    command : mapping, optional
        What makes the same call again, JSON values; it is kept in the folder.
    on_told, on_start : callable, optional
        Called with each trial that ended, and with those of earlier runs.

    Raises
    ------
    CompressError, DataError, TargetError, OutputError
        If something cannot be used, or the folder holds another search.
    """
    out, objectives = Path(out), settings.of(dataset)
    kind, _ = parse_workers(workers)
    own, seen = settings.to_json(dataset), without_test(dataset)
    key = json.dumps(own, sort_keys=True)
    with output_folder(out, FOLDER) as held:
        _check_same(out, own)
        held.begin([])  # results have a folder each
        write_atomic(out / SETTINGS, sealed_json({"settings": own, "command": command or {}}, 1))
        study = Study(
            out / FILE, settings.space, objectives.directions, settings.sampler, settings.seed
        )
        if on_start:
            on_start(study.trials())
        store = Store(out / "results", out / "work")
        # a training that was interrupted goes on where workers see the folder
        work = (out / "work").absolute() if kind == "local" else None
        context = Context(seen, settings.board, settings.limits, settings.measured, work)
        driver = Driver(
            study, store, open_workers(workers, context), evaluate,
            checking(seen, settings), objectives, key=key, trials=trials, on_told=on_told,
        )  # fmt: skip
        driver.run()
        found = study.trials()
        best = front_of(found, objectives, len(settings.space.rungs))
        taken = None
        if best:
            board = settings.board if settings.measured else None
            taken = take(best[0], store, dataset, board, out, _told_of(settings, found, best))
        return Search(found, best, study.importances(), taken)


def checking(dataset: "Dataset", settings: Settings) -> Callable[[Candidate, Rung], Costs]:
    """Return the function that tells the costs of a candidate before its training."""

    def check(candidate: Candidate, rung: Rung) -> Costs:
        return costs_before(candidate, rung, dataset, settings.board, settings.limits)

    return check


def front_of(trials: list[Told], objectives: Objectives, rungs: int) -> list[Told]:
    """Return the trials of the last rung, within the limits, that no other one beats."""
    done = [t for t in trials if t.feasible and len(t.attributes["rungs"]) == rungs]
    places = [objectives.place(t.attributes["rungs"][-1]) for t in done]
    chosen = [done[i] for i in front([(p.score, *p.others) for p in places])]
    return sorted(chosen, key=lambda t: (objectives.metric.cost(t.values[0]), t.number))


def _told_of(settings: Settings, trials: list[Told], best: list[Told]) -> dict[str, Any]:
    """Return what a record says of the search that its program comes from."""
    states = [trial.state for trial in trials]
    return {
        "trials": len(trials),
        "trained": sum("rungs" in trial.attributes for trial in trials),
        "rejected": states.count("rejected"),
        "rungs": [asdict(rung) for rung in settings.space.rungs],
        "sampler": settings.sampler,
        "seed": settings.seed,
        "front": [trial.number for trial in best],
    }


def command_of(out: str | Path) -> dict[str, Any]:
    """Return what made the study of a folder.

    Raises
    ------
    OutputError
        If there is none.
    """
    try:
        found = read_json(Path(out) / SETTINGS)["command"]
    except (OSError, ValueError, KeyError, TypeError):
        found = None
    if not isinstance(found, dict) or not found:
        raise OutputError(f"{out}: holds no search that could go on: start one, with --data")
    return found


def _check_same(out: Path, own: Mapping[str, Any]) -> None:
    """Raise an OutputError if a folder holds another search."""
    try:
        then = read_json(out / SETTINGS)["settings"]
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError):
        raise OutputError(f"{out / SETTINGS}: damaged: choose another folder") from None
    for name, value in own.items():
        if then.get(name) != value:
            what = "" if name == "space" else f" {then.get(name)}, not {value}"
            raise OutputError(
                f"{out}: holds a search with another {name}{what}: use another folder, or the same "
                "arguments"
            )
