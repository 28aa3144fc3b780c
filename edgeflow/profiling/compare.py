"""Runs side by side: scores against costs, from records and profiles."""

import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from edgeflow import __version__
from edgeflow.compression.record import read_record
from edgeflow.data.matching import rates_differ
from edgeflow.errors import EdgeFlowError
from edgeflow.files import write_atomic
from edgeflow.metrics import one_side
from edgeflow.profiling import figures
from edgeflow.profiling.report import template
from edgeflow.profiling.result import ProfileResult, headline_of_run, task_of_run
from edgeflow.tasks import Task, task_of
from edgeflow.tasks.task import Extreme, Metric

#: Costs that scores are plotted against: field, and label.
COSTS = {
    "instructions": "instructions per step, on average",
    "bytes": "bytes of weights and constants",
    "flash": "bytes of flash",
    "energy_uj": "µJ per step, estimated",
}


@dataclass(frozen=True)
class Run:
    """A program, its scores and its costs.

    Attributes
    ----------
    name : str
        The part of its path that is not shared with the other runs.
    hash : str
        16 hex digits.
    data, split : str
        The windows that `score` is of. Where runs differ in it, `data` names the sampling rate, and
        whether each sample is decided.
    rate_hz : float or None
    window : int or None
        0: each sample of whole recordings is decided. None in a file of an older version, as above.
    score_float, score : float or None
        Headline of the task, such as the accuracy (0..1), of the model as it came and of the
        program.
    metric : Metric
        The headline.
    others : dict
        Other metrics of the program, and their values; None in a file of an older version.
    extremes : list of Extreme
        The worst class or value, and the worst subject.
    subjects : mapping
        The headline of each subject.
    bytes : int
        Weights and other constants: those in the image where it was compiled, else packed in
        their bits.
    board, optimize : str or None
        None: not measured, as all that follow.
    instructions, p99, max, energy_uj : float or None
        Per step.
    flash, ram : int or None
        Bytes of the image.
    front : tuple of str
        Costs (`COSTS`) by which no run of the same data, split and board is as cheap and better,
        or as good and cheaper.
    """

    name: str
    hash: str
    data: str
    split: str
    score_float: float | None
    score: float
    metric: Metric
    others: Mapping[Metric, float | None] = field(default_factory=dict)
    extremes: Sequence[Extreme] = ()
    subjects: Mapping[str, float] = field(default_factory=dict)
    recipe: str | None = None
    bytes: int | None = None
    board: str | None = None
    optimize: str | None = None
    instructions: float | None = None
    p99: float | None = None
    max: float | None = None
    energy_uj: float | None = None
    flash: int | None = None
    ram: int | None = None
    front: tuple[str, ...] = ()
    rate_hz: float | None = None
    window: int | None = None

    @property
    def group(self) -> str:
        """The group of comparable runs: data, split and, where it was measured, board."""
        return ", ".join(filter(None, (self.data, f"{self.split} subjects", self.board)))

    @property
    def drop(self) -> float | None:
        """Loss by compression (`Metric.drop`); None if it is not known."""
        before = self.score_float
        return None if before is None else self.metric.drop(before, self.score)

    def to_json(self) -> dict[str, Any]:
        """Return the fields and `drop` as JSON values; extremes as ``{"name", "value"}``."""
        plain = {item.name: getattr(self, item.name) for item in fields(self)}
        for name in ("score_float", "score", "metric", "others", "extremes", "subjects"):
            del plain[name]
        return {
            **{name: plain.pop(name) for name in ("name", "hash", "data", "split")},
            f"{self.metric.name}_float": self.score_float,
            self.metric.name: self.score,
            **{metric.name: value for metric, value in self.others.items()},
            **{one.key: one.to_json() for one in self.extremes},
            **plain,
            "drop": self.drop,
        }


def read_runs(paths: Sequence[str | Path]) -> list[Run]:
    """Read runs from records, programs, profiles, and folders of them.

    A profile adds what a program costs to its record, wherever it stands; without one it is a run
    of its own.

    Parameters
    ----------
    paths : sequence of path
        A ``.json`` of 'edgeflow compress' or its ``.onnx``, a ``profile.json``, or folders in
        which these are looked for.

    Returns
    -------
    list of Run
        In the order of the paths, with their `front`.

    Raises
    ------
    EdgeFlowError
        If there is nothing at a path, or a file named is of another kind.
    """
    files = files_read(paths)
    profiles = [file for file in files if file.name == "profile.json"]
    found = [(file, _of_record(read_record(file))) for file in files if file not in profiles]
    for file in profiles:
        result = ProfileResult.load(file)
        same = [i for i, (_, run) in enumerate(found) if run.hash == result.model]
        empty = [i for i in same if found[i][1].board is None]
        for i in empty:
            found[i] = (found[i][0], _with_cost(found[i][1], result.cost()))
        if not any(found[i][1].board == result.board for i in same):
            run = found[same[0]][1] if same else _of_profile(result)
            found.append((file, _with_cost(run, result.cost())))
    names = _names([file for file, _ in found])
    runs = _told_apart([run for _, run in found])
    fronts = {key: front(runs, key) for key in COSTS}
    return [
        replace(run, name=name, front=tuple(key for key in COSTS if i in fronts[key]))
        for i, (run, name) in enumerate(zip(runs, names, strict=True))
    ]


def files_read(paths: Sequence[str | Path]) -> list[Path]:
    """Return the files that `read_runs` reads, once each."""
    return list(dict.fromkeys(file.resolve() for path in paths for file in _files(Path(path))))


def _told_apart(runs: Sequence[Run]) -> list[Run]:
    """Return runs whose data say what keeps them from being compared with others of that name."""
    told = []
    for run in runs:
        alike = [other for other in runs if (other.data, other.split) == (run.data, run.split)]
        rates = [other.rate_hz for other in alike if other.rate_hz]
        windows = [other.window for other in alike if other.window is not None]
        data = run.data
        if run.rate_hz and rates_differ(min(rates), max(rates)):
            data += f" at {run.rate_hz:g} Hz"
        if run.window is not None and any(windows) and not all(windows):
            data += " in windows" if run.window else " as a stream"
        told.append(replace(run, data=data))
    return told


def write_comparison(runs: Sequence[Run], path: str | Path) -> None:
    """Write a page with the fronts and a table of all runs."""
    metrics = list(dict.fromkeys(run.metric for run in runs))
    drawn = []
    for metric, (key, label) in itertools.product(metrics, COSTS.items()):
        points = [
            (float(cost), run.score, run.name, run.group, key in run.front)
            for run in runs
            if run.metric == metric and (cost := getattr(run, key)) is not None
        ]
        if points:
            name = "-".join(["front", key] + ([metric.name] if metric != metrics[0] else []))
            svg = figures.pareto(points, label, name, metric)
            drawn.append({"title": f"{metric.title} against {label}", "svg": svg})
    for metric in metrics:
        spread = {run.name: run.subjects for run in runs if run.metric == metric and run.subjects}
        if spread:
            svg = figures.spread(spread, f"spread-{metric.name}", metric)
            drawn.append({"title": f"{metric.title} of the subjects of each run", "svg": svg})
    page = template("compare.html.j2").render(
        runs=runs, figures=drawn, table=tables(runs), version=__version__,
        title=" or ".join(metric.title for metric in metrics), legend=_legend(runs),
    )  # fmt: skip
    write_atomic(path, page)


def _legend(runs: Sequence[Run]) -> str:
    """Return the scores besides the headline, for the caption of the table."""
    names = [metric.label for run in runs for metric in run.others]
    *most, last = dict.fromkeys(names + [one.label for run in runs for one in run.extremes])
    text = f"{', '.join(most)} and {last}" if most else last
    return text[:1].upper() + text[1:]


def tables(runs: Sequence[Run], *, narrow: bool = False) -> list[dict[str, str]]:
    """Return a row per run, its cells by column; an asterisk is after costs on a front.

    Parameters
    ----------
    narrow : bool
        Without the extremes and all but the first of the other scores, for which a terminal has no
        room.
    """
    shown = 1 if narrow else None
    others = list(dict.fromkeys(m.label for run in runs for m in [*run.others][:shown]))
    extremes = list(dict.fromkeys(one.column for run in runs for one in run.extremes))
    rows = []
    for run in runs:
        row = {
            "run": run.name,
            "of": run.group,
            "float": run.metric.text(run.score_float),
            "integer": run.metric.text(run.score),
            "drop": "" if run.drop is None else f"{run.drop:.2f}",
            **dict.fromkeys(others, ""),
            **({} if narrow else dict.fromkeys(extremes, "")),
        }
        row |= {m.label: m.text(value) for m, value in run.others.items() if m.label in others}
        row |= {} if narrow else {one.column: one.text for one in run.extremes}
        for key, column in _COLUMNS.items():
            value = getattr(run, key)
            text = (
                "" if value is None else f"{value:.3g}" if key == "energy_uj" else f"{value:,.0f}"
            )
            row[column] = f"{text}*" if key in run.front else text
        rows.append(row)
    return rows


#: Columns of costs, by field.
_COLUMNS = {
    "instructions": "instructions", "p99": "p99", "max": "max", "energy_uj": "µJ",
    "bytes": "weights", "flash": "flash", "ram": "RAM",
}  # fmt: skip


def _files(path: Path) -> list[Path]:
    """Return the records and profiles that a path stands for."""
    if path.is_dir():
        inside = sorted(path.rglob("*.json"))
        # what else is there, such as build.json, has no program of its name
        records = [file for file in inside if file.with_suffix(".onnx").exists()]
        found = records + [file for file in inside if file.name == "profile.json"]
        if not found:
            raise EdgeFlowError(f"{path}: no record of 'edgeflow compress' and no profile in it")
        return found
    file = path.with_suffix(".json") if path.suffix == ".onnx" else path
    if not file.is_file():
        raise EdgeFlowError(f"{file}: no such file: 'edgeflow compress' writes it")
    return [file]


def _of_record(record: Mapping[str, Any]) -> Run:
    scores, cost = record["scores"], record.get("cost")
    # classes are of no matter here
    task = task_of(("",), scores.get("task"))
    name = task.headline.name
    subjects = {subject: one["int"] for subject, one in scores["people"].items()}
    run = Run(
        name="",
        hash=record["hash"],
        data=record["data"],
        split=scores["split"],
        score_float=scores[f"{name}_float"],
        score=scores[f"{name}_int"],
        **_details(task, one_side(scores, "int"), subjects),
        recipe=record["command"].get("recipe"),
        bytes=record["size"]["weight_bytes"],
        rate_hz=record.get("rate_hz"),
        window=record.get("window"),
    )
    return run if cost is None else _with_cost(run, cost)


def _of_profile(result: ProfileResult) -> Run:
    # of other windows than those that ran, it says nothing about the loss
    same = result.accuracy_float_windows in (None, result.windows)
    metrics = result.metrics or {"overall": {}, "subjects": {}}
    task = task_of_run(vars(result))
    values, name = headline_of_run(vars(result)), task.headline.name
    assert values["oracle"] is not None
    return Run(
        name="",
        hash=result.model,
        data=result.dataset,
        split=result.split,
        rate_hz=result.rate_hz or None,
        window=result.window,
        score_float=values["float"] if same else None,
        score=values["oracle"],
        **_details(
            task, metrics["overall"], {who: one[name] for who, one in metrics["subjects"].items()}
        ),
    )


def _details(
    task: Task, overall: Mapping[str, Any], subjects: Mapping[str, float]
) -> dict[str, Any]:
    """Return the fields of a run that its task decides about, from scores of the program."""
    return {
        "metric": task.headline,
        "others": {other: overall.get(other.name) for other in task.metrics[1:]},
        "extremes": [*task.extremes(overall), task.headline.worst_subject(subjects)],
        "subjects": dict(subjects),
    }


def _with_cost(run: Run, cost: Mapping[str, Any]) -> Run:
    counts: Mapping[str, Any] = cost["instructions"] or {}
    return replace(
        run,
        bytes=cost["weight_bytes"],
        board=cost["board"],
        optimize=cost["optimize"],
        instructions=counts.get("mean"),
        p99=counts.get("p99"),
        max=counts.get("max"),
        energy_uj=cost["energy_uj"]["mean"] if cost["energy_uj"] else None,
        flash=cost["flash_bytes"],
        ram=cost["ram_bytes"],
    )


def front(runs: Sequence[Run], key: str) -> set[int]:
    """Return the runs that no other of their group beats in score and a cost."""

    def beats(other: Run, run: Run) -> bool:
        costs = getattr(other, key), getattr(run, key)
        if other.group != run.group or costs[0] is None:
            return False
        better = run.metric.better(other.score, run.score)
        as_good = (better or other.score == run.score) and costs[0] <= costs[1]
        return as_good and (better or costs[0] < costs[1])

    known = [i for i, run in enumerate(runs) if getattr(run, key) is not None]
    return {i for i in known if not any(beats(other, runs[i]) for other in runs)}


def _names(files: Sequence[Path]) -> list[str]:
    """Name files by the parts of their paths that they do not share."""
    # of ``gru/model.json`` it is the folder that has a name
    paths = [
        file.parent if file.stem in ("model", "profile") else file.with_suffix("") for file in files
    ]
    shared = Path(os.path.commonpath([path.parent for path in paths])) if paths else Path()
    return [path.relative_to(shared).as_posix() for path in paths]
