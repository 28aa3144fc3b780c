"""Results of a simulation: the content of ``imc.json``."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from edgeflow.digest import read_json, sealed_json
from edgeflow.errors import ImcError
from edgeflow.files import write_atomic
from edgeflow.tasks import Metric, Task, task_of

#: Share of the chips that are worse than `AtTime` "low".
LOW = 0.05


@dataclass(frozen=True)
class ImcResult:
    """A program on a population of chips; the fields are those of ``imc.json``.

    Attributes
    ----------
    edgeflow
        Version.
    model
        Hash of the program, 16 hex digits.
    device, about, sources, unverified
        The device's name, what it is, where its numbers are from, and those without a source.
    options
        Of arrays and converters (`edgeflow.imc.ArrayOptions`).
    dataset, split
        Whose windows were run.
    windows, steps, recordings
        Decisions that count, and samples, of each chip and time; whole recordings of a program
        without windows, else None.
    classes, task
        The program's classes, and what describes its task (None: what classes say).
    arrays
        Arrays that the program takes.
    ideal
        Scores of the program itself on the same: ``overall`` and ``subjects``.
    chips
        Number of chips.
    times
        A row for each time: ``seconds`` since programming; of the task's headline over the chips
        ``mean``, ``sd``, ``low`` (which 5 % of the chips are worse than), ``worst_subject`` with
        its mean (``name``, ``value``); ``values`` by chip; ``subjects``, means by subject; and
        ``overall``, means of all metrics.
    notes
        What stays digital, and what was left out.
    costs
        Energy, latency and area of a step by published models
        (`edgeflow.imc.counting.costs_of`).
    beside
        The same program on a microcontroller, of its profile: ``board``, ``part`` (that estimates
        are of, else None), ``headline`` of the device on so many ``windows``, and of a step on
        average ``energy_uj`` and ``latency_us``, each with its ``kind``; None: not given.
    """

    edgeflow: str
    model: str
    device: str
    about: str
    sources: list[str]
    unverified: list[str]
    options: dict[str, Any]
    dataset: str
    split: str
    windows: int
    steps: int
    recordings: int | None
    classes: list[str]
    task: dict[str, Any] | None
    arrays: int
    ideal: dict[str, Any]
    chips: int
    times: list[dict[str, Any]]
    notes: list[str] = field(default_factory=list)
    costs: dict[str, Any] = field(default_factory=dict)
    beside: dict[str, Any] | None = None

    @property
    def scores(self) -> Task:
        """The task that scores are of."""
        return task_of(self.classes, self.task)

    @property
    def metric(self) -> Metric:
        """The task's headline."""
        return self.scores.headline

    def at(self, seconds: float) -> dict[str, Any]:
        """Return the row of a time.

        Raises
        ------
        ImcError
            If it was not simulated.
        """
        for row in self.times:
            if row["seconds"] == seconds:
                return row
        known = ", ".join(f"{row['seconds']:g}" for row in self.times)
        raise ImcError(f"{seconds:g} s was not simulated: there are {known}")

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)

    def save(self, path: str | Path) -> None:
        """Write ``imc.json``."""
        write_atomic(path, sealed_json(self.to_json(), 2))

    @staticmethod
    def load(path: str | Path) -> "ImcResult":
        """Read ``imc.json``.

        Raises
        ------
        ImcError
            If it is missing, damaged or of another version.
        """
        try:
            content = read_json(path)
        except OSError as error:
            raise ImcError(f"{path}: cannot be read ({error.strerror})") from None
        except ValueError as error:
            raise ImcError(f"{path}: {error}: run 'edgeflow imc profile' again") from None
        known = {f.name for f in fields(ImcResult)}
        if not isinstance(content, dict) or set(content) != known:
            raise ImcError(f"{path}: no result of this version: run 'edgeflow imc profile' again")
        return ImcResult(**content)


def row_of(seconds: float, scores: Sequence[Mapping[str, Any]], metric: Metric) -> dict[str, Any]:
    """Return the row of a time from the scores of each chip (`Task.scores`)."""
    values = [float(one["overall"][metric.name]) for one in scores]
    subjects = {
        name: float(np.mean([one["subjects"][name][metric.name] for one in scores]))
        for name in scores[0]["subjects"]
    }
    numbers = [
        name for name, value in scores[0]["overall"].items() if isinstance(value, int | float)
    ]
    worst = metric.worst(subjects)
    share = LOW if metric.higher_is_better else 1 - LOW
    return {
        "seconds": seconds,
        "mean": float(np.mean(values)),
        "sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
        "low": float(np.quantile(values, share)),
        "worst_subject": None if worst is None else {"name": worst[0], "value": worst[1]},
        "values": values,
        "subjects": subjects,
        "overall": {n: float(np.mean([one["overall"][n] for one in scores])) for n in numbers},
    }
