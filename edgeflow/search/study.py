"""The study: trials that Optuna is asked for and told of, in a SQLite file of one writer.

An ask is a function of the seed, the trial's number and the trials before: the sampler is made anew
for each. So a search that was killed goes on as if it had not been. The sampler reads a copy in
memory; the file gets a trial once it has all its parameters, and its values in the end.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from edgeflow.errors import OutputError
from edgeflow.search.space import Space

#: Kinds of samplers.
SAMPLERS = ("tpe", "gp", "random")
_NAME = "edgeflow"
#: Trials that are drawn by chance before a sampler learns of them.
_STARTUP = 10


@dataclass(frozen=True)
class Told:
    """A trial that ended, or is on its way.

    Parameters
    ----------
    number : int
    point : mapping
        Values of its parameters.
    state : str
        "running", "complete", "rejected" (by formula) or "failed".
    values : tuple of float
        Objectives; () of one that is not complete.
    constraints : mapping
        Excess by limit, <= 0 within it.
    attributes : mapping
        What else is known of it, JSON values.
    """

    number: int
    point: Mapping[str, Any]
    state: str = "running"
    values: tuple[float, ...] = ()
    constraints: Mapping[str, float] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def feasible(self) -> bool:
        """True of a complete one within all limits."""
        return self.state == "complete" and all(v <= 0 for v in self.constraints.values())


_STATES = {
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "rejected",
    TrialState.FAIL: "failed",
}
_BACK = {name: state for state, name in _STATES.items()}


class Study:
    """Trials of a search.

    Parameters
    ----------
    path : Path or None
        ``study.db``, new or of the same search; None: in memory alone.
    space : Space
    directions : mapping
        "minimize" or "maximize" by objective.
    sampler : str
        Of `SAMPLERS`.
    seed : int
    """

    def __init__(
        self,
        path: Path | None,
        space: Space,
        directions: Mapping[str, str],
        sampler: str,
        seed: int,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.space, self.sampler, self.seed = space, sampler, seed
        ways = [optuna.study.StudyDirection[way.upper()] for way in directions.values()]
        self._memory = optuna.create_study(directions=ways)
        self._file: optuna.Study | None = None
        if path is not None:
            with _mine(path):
                self._file = optuna.create_study(
                    directions=ways, storage=f"sqlite:///{path}", study_name=_NAME,
                    load_if_exists=True,
                )  # fmt: skip
                self._file.set_metric_names(list(directions))
                self._memory.add_trials(self._file.get_trials(deepcopy=False))
        self._path = path

    def trials(self) -> list[Told]:
        """Return all trials, in their order."""
        return [_told(trial) for trial in self._memory.get_trials(deepcopy=False)]

    def ask(self) -> Told:
        """Return a new trial, which is in no file yet."""
        number = len(self._memory.get_trials(deepcopy=False))
        with _mine(None):
            self._memory.sampler = _sampler(self.sampler, self.seed, number)
            if number < len(self.space.start):
                self._memory.enqueue_trial(dict(self.space.start[number]))
            trial = self._memory.ask()
            return Told(trial.number, self.space.suggest(trial))

    def begin(self, asked: Told) -> None:
        """Write a trial that goes on."""
        if self._file is not None:
            with _mine(self._path):
                self._file.add_trial(self._frozen(asked))

    def tell(self, ended: Told, *, begun: bool = True) -> None:
        """Write what a trial gave.

        Parameters
        ----------
        ended : Told
        begun : bool
            Whether `begin` wrote it.
        """
        if self._file is not None:
            with _mine(self._path):
                if begun:
                    _tell(self._file, ended)
                else:
                    self._file.add_trial(self._frozen(ended))
        _tell(self._memory, ended)

    def importances(self) -> dict[str, float]:
        """Return the importance of each parameter for the first objective, the largest first.

        By PED-ANOVA (S. Watanabe et al., arXiv 2304.10255), of parameters that all trials have;
        empty of a few trials.
        """
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        done = [t for t in self.trials() if t.state == "complete"]
        if len({t.values[0] for t in done}) < 4:
            return {}
        with _mine(None):
            try:
                return get_param_importances(
                    self._memory, evaluator=PedAnovaImportanceEvaluator(),
                    target=lambda trial: trial.values[0],
                )  # fmt: skip
            except (ValueError, RuntimeError):  # nothing differs
                return {}

    def _frozen(self, told: Told) -> FrozenTrial:
        own = self._memory.get_trials(deepcopy=False)[told.number]
        return create_trial(
            state=_BACK[told.state], values=list(told.values) or None, params=dict(told.point),
            distributions=own.distributions, user_attrs=dict(told.attributes),
            constraints=dict(told.constraints) or None,
        )  # fmt: skip


def _tell(study: optuna.Study, ended: Told) -> None:
    """Tell a study of a trial's end, its state at last."""
    number = study.get_trials(deepcopy=False)[ended.number]._trial_id
    trial = Trial(study, number)
    with _mine(None):
        for name, excess in ended.constraints.items():
            trial.set_constraint(name, excess)
        for name, value in ended.attributes.items():
            trial.set_user_attr(name, value)
        study.tell(ended.number, list(ended.values) or None, state=_BACK[ended.state])


def _told(trial: FrozenTrial) -> Told:
    return Told(
        trial.number, dict(trial.params), _STATES[trial.state], tuple(trial.values or ()),
        dict(trial.constraints), dict(trial.user_attrs),
    )  # fmt: skip


def _sampler(kind: str, seed: int, number: int) -> Any:
    """Return the sampler of a trial."""
    own = (seed * 1_000_003 + number) % 2**32
    if kind == "random" or number < _STARTUP:
        return optuna.samplers.RandomSampler(seed=own)
    if kind == "gp":
        return optuna.samplers.GPSampler(seed=own, deterministic_objective=False)
    return optuna.samplers.TPESampler(seed=own, multivariate=True, group=True)


def points(space: Space, number: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield points of a space by chance."""
    study = Study(None, space, {"score": "minimize"}, "random", seed)
    for _ in range(number):
        yield dict(study.ask().point)


@contextmanager
def _mine(path: Path | None) -> Iterator[None]:
    """Raise errors of the file as ours; be silent of experiments, and of what a kill left."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise OutputError(
                f"{path}: {reason}: when that is mended, the same command goes on"
            ) from None
