"""Runs side by side: accuracy against what they cost, from records and profiles."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edgeflow import __version__
from edgeflow.compression.record import read_record
from edgeflow.errors import EdgeFlowError
from edgeflow.files import write_atomic
from edgeflow.metrics import lowest_recall
from edgeflow.profiling import figures
from edgeflow.profiling.report import template
from edgeflow.profiling.result import ProfileResult

#: What accuracy is plotted against: field, and label.
COSTS = {
    "instructions": "instructions per step, on average",
    "bytes": "bytes of weights and constants",
    "flash": "bytes of flash",
    "energy_uj": "µJ per step, estimated",
}


@dataclass(frozen=True)
class Run:
    """A program and what is known of it.

    Attributes
    ----------
    name : str
        Its path, as short as tells it from the others.
    hash : str
        16 hex digits.
    data, split : str
        Whose windows `accuracy` is of.
    accuracy_float, accuracy : float or None
        Of the model as it came and of the program, 0..1.
    macro_f1 : float or None
        Of the program, 0..1 (`edgeflow.metrics.macro_f1`); None in a file of an older version.
    lowest_class : tuple of (str, float) or None
        The class that is recognized least, and its recall, 0..1.
    lowest_subject : tuple of (str, float) or None
        The subject that the program decides worst for, and its accuracy, 0..1.
    recipe : str or None
    bytes : int
        Weights and other constants: those in the image where it was compiled, else packed in
        their bits.
    board, optimize : str or None
        None: not measured, as all that follow.
    instructions, p99, max : float or None
        Of a step.
    energy_uj : float or None
        Of a step.
    flash, ram : int or None
        Bytes of the image.
    front : tuple of str
        Costs (`COSTS`) by which no run of the same data, split and board is as cheap and more
        accurate, or as accurate and cheaper.
    """

    name: str
    hash: str
    data: str
    split: str
    accuracy_float: float | None
    accuracy: float
    macro_f1: float | None = None
    lowest_class: tuple[str, float] | None = None
    lowest_subject: tuple[str, float] | None = None
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

    @property
    def group(self) -> str:
        """What can be compared: data, split and, where it was measured, board."""
        return ", ".join(filter(None, (self.data, f"{self.split} subjects", self.board)))

    @property
    def drop(self) -> float | None:
        """Points of accuracy lost; None if it is not known."""
        return None if self.accuracy_float is None else 100 * (self.accuracy_float - self.accuracy)

    def to_json(self) -> dict[str, Any]:
        """Return the fields and `drop` as JSON values; the lowest as ``{"name", "value"}``."""
        lowest = {
            key: None if one is None else {"name": one[0], "value": one[1]}
            for key, one in (("class", self.lowest_class), ("subject", self.lowest_subject))
        }
        return {
            **asdict(self),
            **{f"lowest_{key}": one for key, one in lowest.items()},
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
    files = list(dict.fromkeys(file.resolve() for path in paths for file in _files(Path(path))))
    profiles = [file for file in files if file.name == "profile.json"]
    found = [(file, _of_record(read_record(file))) for file in files if file not in profiles]
    for file in profiles:
        result = ProfileResult.load(file)
        same = [i for i, (_, run) in enumerate(found) if run.hash == result.model]
        empty = [i for i in same if found[i][1].board is None]
        for i in empty:
            found[i] = (found[i][0], _with_profile(found[i][1], result))
        if not any(found[i][1].board == result.board for i in same):
            run = found[same[0]][1] if same else _of_profile(result)
            found.append((file, _with_profile(run, result)))
    names = _names([file for file, _ in found])
    return _with_fronts([replace(run, name=n) for n, (_, run) in zip(names, found, strict=True)])


def write_comparison(runs: Sequence[Run], path: str | Path) -> None:
    """Write a page with the fronts and a table of all runs."""
    drawn = [
        {"title": f"Accuracy against {label}", "svg": figures.pareto(points, label, f"front-{key}")}
        for key, label in COSTS.items()
        if (
            points := [
                (float(cost), run.accuracy, run.name, run.group, key in run.front)
                for run in runs
                if (cost := getattr(run, key)) is not None
            ]
        )
    ]
    page = template("compare.html.j2").render(
        runs=runs, figures=drawn, columns=TABLE, rows=table_rows(runs), version=__version__
    )
    write_atomic(path, page)


def table_rows(runs: Sequence[Run], columns: Sequence[str] | None = None) -> list[list[str]]:
    """Return the cells of a table; an asterisk is after costs on a front.

    Parameters
    ----------
    runs : sequence of Run
    columns : sequence of str, optional
        Some of `TABLE`, which is the default.
    """
    shown = [TABLE.index(name) for name in (TABLE if columns is None else columns)]
    rows = []
    for run in runs:
        cells = [run.name, run.group]
        cells += [_percent(run.accuracy_float), _percent(run.accuracy)]
        cells.append("" if run.drop is None else f"{run.drop:.2f}")
        cells.append("" if run.macro_f1 is None else f"{run.macro_f1:.3f}")
        cells += [_lowest(run.lowest_class), _lowest(run.lowest_subject)]
        for key in ("instructions", "p99", "max", "energy_uj", "bytes", "flash", "ram"):
            value = getattr(run, key)
            text = (
                "" if value is None else f"{value:.3g}" if key == "energy_uj" else f"{value:,.0f}"
            )
            cells.append(f"{text}*" if key in run.front else text)
        rows.append([cells[i] for i in shown])
    return rows


#: Columns of `table_rows`.
TABLE = (
    "run", "of", "float", "integer", "drop", "macro-F1", "lowest class", "lowest subject",
    "instructions", "p99", "max", "µJ", "weights", "flash", "RAM",
)  # fmt: skip
#: Those that a terminal has room for.
NARROW_TABLE = tuple(name for name in TABLE if name not in ("lowest class", "lowest subject"))


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
    run = Run(
        name="",
        hash=record["hash"],
        data=record["data"],
        split=scores["split"],
        accuracy_float=scores["accuracy_float"],
        accuracy=scores["accuracy_int"],
        macro_f1=scores.get("macro_f1", {}).get("int"),
        lowest_class=lowest_recall(
            {name: one["int"] for name, one in scores.get("recall", {}).items()}
        ),
        lowest_subject=_least({name: one["int"] for name, one in scores["people"].items()}),
        recipe=record["command"].get("recipe"),
        bytes=record["size"]["weight_bytes"],
    )
    if cost is None:
        return run
    counts, energy = cost["instructions"], cost["energy_uj"]
    return replace(
        run,
        bytes=cost["weight_bytes"],
        board=cost["board"],
        optimize=cost["optimize"],
        instructions=counts["mean"],
        p99=counts["p99"],
        max=counts["max"],
        energy_uj=energy["mean"] if energy else None,
        flash=cost["flash_bytes"],
        ram=cost["ram_bytes"],
    )


def _of_profile(result: ProfileResult) -> Run:
    # of other windows than those that ran, it says nothing about the loss
    same = result.accuracy_float_windows in (None, result.windows)
    metrics = result.metrics or {"overall": {"recall": {}}, "subjects": {}}
    return Run(
        name="",
        hash=result.model,
        data=result.dataset,
        split=result.split,
        accuracy_float=result.accuracy_float if same else None,
        accuracy=result.accuracy_oracle,
        macro_f1=metrics["overall"].get("macro_f1"),
        lowest_class=lowest_recall(metrics["overall"]["recall"]),
        lowest_subject=_least({k: one["accuracy"] for k, one in metrics["subjects"].items()}),
    )


def _with_profile(run: Run, result: ProfileResult) -> Run:
    counts: Mapping[str, Any] = result.instructions_per_step or {}
    return replace(
        run,
        bytes=result.flash["weights"],
        board=result.board,
        optimize=None,
        instructions=counts.get("mean"),
        p99=counts.get("p99"),
        max=counts.get("max"),
        energy_uj=result.energy_uj["mean"] if result.energy_uj else None,
        flash=result.flash_bytes,
        ram=result.ram_bytes,
    )


def _with_fronts(runs: Sequence[Run]) -> list[Run]:
    fronts = {key: front(runs, key) for key in COSTS}
    return [
        replace(run, front=tuple(key for key in COSTS if i in fronts[key]))
        for i, run in enumerate(runs)
    ]


def front(runs: Sequence[Run], key: str) -> set[int]:
    """Return which runs no other of their group beats in accuracy and a cost."""

    def beats(other: Run, run: Run) -> bool:
        costs = getattr(other, key), getattr(run, key)
        if other.group != run.group or costs[0] is None:
            return False
        as_good = other.accuracy >= run.accuracy and costs[0] <= costs[1]
        return as_good and (other.accuracy > run.accuracy or costs[0] < costs[1])

    known = [i for i, run in enumerate(runs) if getattr(run, key) is not None]
    return {i for i in known if not any(beats(other, runs[i]) for other in runs)}


def _names(files: Sequence[Path]) -> list[str]:
    """Name files by what their paths do not share."""
    paths = [(file.parent if _only_its_kind(file) else file.with_suffix("")) for file in files]
    shared = Path(os.path.commonpath([path.parent for path in paths])) if paths else Path()
    return [path.relative_to(shared).as_posix() for path in paths]


def _only_its_kind(file: Path) -> bool:
    """Tell whether a file's folder says what it is, as that of ``gru/model.json`` does."""
    return file.stem in ("model", "profile")


def _least(shares: Mapping[str, float]) -> tuple[str, float] | None:
    return min(shares.items(), key=lambda one: one[1], default=None)


def _lowest(one: tuple[str, float] | None) -> str:
    return "" if one is None else f"{one[1]:.2%} ({one[0]})"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"
