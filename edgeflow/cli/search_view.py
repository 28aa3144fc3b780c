"""A search while it goes on, and what it found, as ``edgeflow search`` shows them."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edgeflow.cli import console
from edgeflow.search.search import front_of

if TYPE_CHECKING:
    from edgeflow.search.estimate import Estimate
    from edgeflow.search.objectives import Objectives
    from edgeflow.search.search import Search, Settings
    from edgeflow.search.study import Told

#: Rows of the front that are shown while a search goes on.
_ROWS = 8
_COLUMNS = ("trial", "± error", "worst subject", "instructions", "flash", "RAM", "µJ", "point")


class View:
    """The table that is shown while a search goes on; lines where there is no terminal.

    Parameters
    ----------
    objectives : Objectives
    trials : int
        Candidates to train.
    rungs : int
    """

    def __init__(self, objectives: "Objectives", trials: int, rungs: int) -> None:
        self.objectives, self.wanted, self.rungs = objectives, trials, rungs
        self.trials: list[Told] = []
        self._before, self._begun = 0, time.monotonic()
        self._live = Live(console=console.err, transient=True, auto_refresh=False)

    def __enter__(self) -> "View":
        if console.err.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if console.err.is_terminal:
            self._live.stop()

    def start(self, trials: "list[Told]") -> None:
        """Take up the trials of an earlier run."""
        self.trials = [trial for trial in trials if trial.state != "running"]
        self._before = self.trained
        if self.trials:
            console.note(f"goes on after {self.trained} candidates")

    def told(self, trial: "Told") -> None:
        """Show a trial that ended."""
        self.trials.append(trial)
        if console.err.is_terminal:
            self._live.update(Group(Text(self._status()), self._table()), refresh=True)
        elif trial.state == "complete":
            metric, rungs = self.objectives.metric, trial.attributes["rungs"]
            console.note(
                f"{metric.text(trial.values[0])} after {len(rungs)} of {self.rungs} rungs; "
                f"{self._status()}", label=f"trial {trial.number} ",
            )  # fmt: skip

    @property
    def trained(self) -> int:
        """Candidates that were trained."""
        return sum("rungs" in trial.attributes for trial in self.trials)

    def _status(self) -> str:
        done, states = self.trained, [trial.state for trial in self.trials]
        text = f"{done} of {self.wanted} trained, {states.count('rejected')} rejected by formula"
        if failed := sum(t.state == "failed" for t in self.trials):
            text += f", {failed} failed"
        new = done - self._before
        if new and done < self.wanted:
            left = (time.monotonic() - self._begun) / new * (self.wanted - done)
            text += f", about {left / 60:.0f} min left"
        return text

    def _table(self) -> Table:
        front = front_of(self.trials, self.objectives, self.rungs)
        table = Table()
        metric = self.objectives.metric
        for name in (_COLUMNS[0], metric.label, *_COLUMNS[1:]):
            table.add_column(name)
        for trial in front[:_ROWS]:
            table.add_row(*cells(trial, self.objectives))
        return table


def cells(trial: "Told", objectives: "Objectives") -> list[str]:
    """Return the cells of a trial of the last rung."""
    metric, rung = objectives.metric, trial.attributes["rungs"][-1]
    figures = rung["figures"]
    counts = [
        "" if figures.get(name) is None else f"{figures[name]:,.0f}"
        for name in ("instructions", "flash", "ram")
    ]
    energy = figures.get("energy_uj")
    point = ", ".join(f"{n.partition('.')[2]}={_short(v)}" for n, v in trial.point.items())
    return [
        str(trial.number), metric.text(rung["score"]), metric.text(rung["error"]),
        metric.text(rung["worst"]), *counts, "" if energy is None else f"{energy:.3g}", point,
    ]  # fmt: skip


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def show(
    found: "Search", objectives: "Objectives", out: Path, page: Path | None, json_: bool
) -> None:
    """Print what a search found."""
    taken, metric = found.taken, objectives.metric
    if json_:
        console.print_json(
            {
                "folder": str(out),
                "model": str(out / "model.onnx") if taken else None,
                "trial": taken.trial if taken else None,
                "seed": taken.seed if taken else None,
                "trials": len(found.trials),
                "trained": sum("rungs" in trial.attributes for trial in found.trials),
                "rejected": sum(trial.state == "rejected" for trial in found.trials),
                "failed": sum(trial.state == "failed" for trial in found.trials),
                "front": [
                    {"trial": t.number, "point": dict(t.point), **t.attributes["rungs"][-1]}
                    for t in found.front
                ],
                "importances": dict(found.importances),
                "scores": taken.record["scores"] if taken else None,
                "cost": taken.record["cost"] if taken else None,
                "test_looks": taken.record["search"]["test_looks"] if taken else [],
            }
        )
        return
    console.table(
        f"{out}: the front, by {metric.label} on validation subjects (± its error), means "
        "over seeds",
        (_COLUMNS[0], metric.label, *_COLUMNS[1:]),
        [cells(trial, objectives) for trial in found.front],
        text=("point",),
    )
    if found.importances:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in found.importances.items())
        console.out.print(f"what {metric.label} depends on: {shares}", soft_wrap=True)
    if page is not None:
        console.note(f"page: {page}; 'optuna-dashboard sqlite:///{out}/study.db' shows all trials")
    if taken is None:
        console.out.print(
            "no candidate came to the last rung within the limits: give more --trials",
            soft_wrap=True,
        )
        return
    scores, cost = taken.record["scores"], taken.record["cost"]
    after = scores[f"{metric.name}_int"]
    counted = "" if cost is None else f", {cost['instructions']['mean']:,.0f} instructions per step"
    console.out.print(
        f"{out}/model.onnx: trial {taken.trial}, {metric.named(after)} of {scores['windows']} "
        f"windows of test subjects, which no other candidate saw{counted}",
        soft_wrap=True,
    )


def show_estimate(told: "Estimate", settings: "Settings", json_: bool) -> None:
    """Print what a search will take."""
    if json_:
        console.print_json(told.to_json())
        return
    beyond = ", ".join(f"{share:.0%} beyond --max-{name}" for name, share in told.beyond.items())
    rows = [
        ["points drawn", f"{told.points}"],
        ["within the limits, by formula", f"{told.feasible:.0%}"],
        ["beyond each", beyond or "no limits"],
        ["no model", f"{told.unsuited:.0%}"],
        ["candidates on each rung", " > ".join(f"{n:.0f}" for n in told.candidates)],
        ["trainings", f"{told.trainings:.0f}"],
        ["seconds of an epoch and of one of fine-tuning", f"{told.seconds:.1f}"],
        ["hours", f"{told.hours:.2g}"],
    ]
    console.table("what the search will take", ["", ""], rows)
