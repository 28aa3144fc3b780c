"""The report: one HTML file that needs nothing else to be read."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2

from edgeflow.files import write_atomic
from edgeflow.metrics import lowest_recall
from edgeflow.profiling import figures
from edgeflow.profiling.figures import size_text
from edgeflow.profiling.result import ESTIMATED, ProfileResult

EXACT = "exact"

#: So many subjects fit a table; of more there is a figure, and the table is folded.
FEW_SUBJECTS = 12

_NAMES = {"edgeflow": "EdgeFlow", "compiler": "", "qemu": "QEMU", "python": "Python"}


def write_report(
    results: ProfileResult | Sequence[ProfileResult], path: str | Path, title: str | None = None
) -> None:
    """Write a report of one run, or of several to compare.

    Parameters
    ----------
    results
        One column a run.
    path
        The HTML file.
    title
        Heading; default: the boards.
    """
    write_atomic(path, render(results, title))


def render(results: ProfileResult | Sequence[ProfileResult], title: str | None = None) -> str:
    """Return the HTML of a report; see :func:`write_report`."""
    chosen = [results] if isinstance(results, ProfileResult) else list(results)
    runs = [result.to_json() for result in chosen]
    labels = run_labels(runs)
    return template("report.html.j2").render(
        title=title or "Profile of " + ", ".join(dict.fromkeys(run["board"] for run in runs)),
        runs=runs,
        labels=labels,
        facts=_fact_rows(runs),
        tiles=_tiles(runs[0]) if len(runs) == 1 else [],
        scores=score_rows(runs),
        decisions=[_decisions(run, i) for i, run in enumerate(runs)],
        layers=[_layer_rows(run) for run in runs],
        table=table_rows(runs),
        figures=_figures(runs, labels),
    )


def template(name: str) -> jinja2.Template:
    """Return a template of this folder."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).resolve().parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    return environment.get_template(name)


def run_labels(runs: Sequence[dict[str, Any]]) -> list[str]:
    """Name the runs as shortly as tells them apart."""
    boards = [run["board"] for run in runs]
    if len(set(boards)) == len(boards):
        return boards
    return [f"{run['board']} {run['model'][:8]} ({i})" for i, run in enumerate(runs, 1)]


def number(value: float | None, digits: int = 4) -> str:
    """Write a number for people: 12,522, 153.4, 0.0812; a dash for None."""
    if value is None:
        return "–"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:,.{digits}g}"


def kind_text(quantity: dict[str, Any]) -> str:
    """Return how a quantity was found, of an estimate with the model's known error."""
    kind: str = quantity.get("kind", EXACT)
    if kind != ESTIMATED:
        return kind
    error = quantity.get("error_percent")
    return f"{kind}, ±{error:.0f} %" if error is not None else f"{kind}, error not known"


def _percent(value: float | None) -> str | None:
    return None if value is None else f"{100 * value:.2f} %"


def _fact_rows(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what was run, when and with what: name, and a text a run."""
    facts: dict[str, Sequence[str | None]] = {
        "date": [_date(run) for run in runs],
        "board": [f"{run['board']}: {run['board_description']} ({run['core']})" for run in runs],
        "model": [_model(run) for run in runs],
        "data": [_data(run) for run in runs],
        "versions": [_versions(run) for run in runs],
    }
    return [
        {"name": name, "cells": cells}
        for name, cells in facts.items()
        if any(cell is not None for cell in cells)
    ]


def _date(run: dict[str, Any]) -> str | None:
    if run["date"] is None:
        return None
    return f"{datetime.fromisoformat(run['date']):%Y-%m-%d %H:%M} UTC"


def _model(run: dict[str, Any]) -> str:
    kinds = [layer["type"] for layer in run["layers"] if layer.get("type")]
    chain = f": {' → '.join(kinds)}" if kinds else ""
    return f"program {run['model']}{chain}"


def _data(run: dict[str, Any]) -> str:
    subjects = f" of {_count(len(run['metrics']['subjects']), 'subject')}" if run["metrics"] else ""
    rate = f" at {run['rate_hz']:g} Hz" if run["rate_hz"] else ""
    return (
        f"{run['dataset']}, {run['split']} split{subjects}: "
        f"{_count(run['windows'], 'window')} of {run['window']} samples{rate}"
    )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _versions(run: dict[str, Any]) -> str | None:
    found = run["versions"] or {"edgeflow": run["edgeflow"]}
    named = [f"{label} {found[key]}".strip() for key, label in _NAMES.items() if key in found]
    return ", ".join(named)


def score_rows(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of the table of scores, as `table_rows`."""
    metrics = [run["metrics"] for run in runs]
    overall = [None if one is None else one["overall"] for one in metrics]
    rows = [
        ("accuracy before compression", [_float_accuracy(run) for run in runs]),
        ("accuracy of the integer oracle", [_percent(run["accuracy_oracle"]) for run in runs]),
        ("accuracy on the board", [_percent(run["accuracy_device"]) for run in runs]),
        ("macro-F1", [None if one is None else f"{one['macro_f1']:.3f}" for one in overall]),
        ("MCC", [None if one is None else f"{one['mcc']:.3f}" for one in overall]),
        ("lowest recall of a class", [_lowest_class(one) for one in overall]),
        ("lowest accuracy of a subject", [_lowest_subject(one) for one in metrics]),
    ]
    return [
        {"name": name, "cells": cells, "kind": ""}
        for name, cells in rows
        if any(cell is not None for cell in cells)
    ]


def _lowest_class(overall: dict[str, Any] | None) -> str | None:
    found = None if overall is None else lowest_recall(overall["recall"])
    return None if found is None else f"{100 * found[1]:.2f} % ({found[0]})"


def _lowest_subject(metrics: dict[str, Any] | None) -> str | None:
    if metrics is None or len(metrics["subjects"]) < 2:
        return None
    name, scores = min(metrics["subjects"].items(), key=lambda one: one[1]["accuracy"])
    return f"{_percent(scores['accuracy'])} ({name})"


def _decisions(run: dict[str, Any], number: int) -> dict[str, Any]:
    """Return what the page shows of a run's classes and subjects."""
    shown: dict[str, Any] = {"confusion": "", "classes": [], "subjects": [], "figure": ""}
    if run["classes"]:
        shown["confusion"] = figures.confusion(run, f"confusion-{number}")
    if run["metrics"] is None:
        return shown
    windows = [sum(row) for row in run["confusion"]]
    recalls = run["metrics"]["overall"]["recall"].items()
    shown["classes"] = [
        {"name": name, "windows": count, "recall": share}
        for (name, share), count in zip(recalls, windows, strict=True)
    ]
    subjects = run["metrics"]["subjects"]
    if len(subjects) > 1:
        by_accuracy = sorted(subjects.items(), key=lambda one: one[1]["accuracy"])
        shown["subjects"] = [{"name": name, **scores} for name, scores in by_accuracy]
    if len(subjects) > FEW_SUBJECTS:
        shown["figure"] = figures.subjects(run, f"subjects-{number}")
    return shown


def _layer_rows(run: dict[str, Any]) -> dict[str, Any]:
    """Return the layers that the page shows, with their shares, and the totals."""
    rows = [
        layer
        for layer in run["layers"]
        if layer["name"] != "(rest)" or layer["instructions_mean"] or layer.get("bytes")
    ]
    totals = {
        key: sum(layer[key] for layer in rows)
        for key in ("bytes", "instructions_mean", "cycles_mean")
        if rows and all(layer.get(key) is not None for layer in rows)
    }
    total = totals.get("instructions_mean")
    return {
        "rows": [
            {**layer, "share": 100 * layer["instructions_mean"] / total if total else None}
            for layer in rows
        ],
        "totals": totals,
        "typed": any(layer.get("type") for layer in rows),
    }


def _tiles(run: dict[str, Any]) -> list[dict[str, str | None]]:
    """Return the numbers that stand out at the top."""
    tiles: list[dict[str, str | None]] = [
        {"name": "accuracy on the board", "value": _percent(run["accuracy_device"]), "kind": ""}
    ]
    if run["metrics"]:
        value = f"{run['metrics']['overall']['macro_f1']:.3f}"
        tiles.append({"name": "macro-F1", "value": value, "kind": ""})
    tiles += [
        {"name": "mismatches with the oracle", "value": f"{run['mismatches']:,}",
         "kind": f"of {run['steps']:,} steps"},
    ]  # fmt: skip
    if run["instructions_per_step"]:
        value = number(run["instructions_per_step"]["mean"])
        tiles.append({"name": "instructions per step", "value": value, "kind": EXACT})
    if run["cutoff"]:
        value = f"{number(run['cutoff']['samples_read']['mean'], 3)} of {run['window']}"
        tiles.append({"name": "samples read", "value": value, "kind": "of a window, on average"})
    for key, name, unit in (
        ("latency_us", "latency", "µs"),
        ("energy_uj", "energy per step", "µJ"),
    ):
        if run[key]:
            text = f"{number(run[key]['mean'])} {unit}"
            tiles.append({"name": name, "value": text, "kind": kind_text(run[key])})
    for key, name in (("flash_bytes", "flash"), ("ram_bytes", "RAM")):
        tiles.append({"name": name, "value": size_text(run[key]), "kind": ""})
    return tiles


def table_rows(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of the table of all numbers: name, kind, and a cell a run (None: unknown)."""
    rows: list[dict[str, Any]] = []

    def add(name: str, cells: list[str | None], kind: str = "") -> None:
        if any(cell is not None for cell in cells):
            rows.append({"name": name, "cells": cells, "kind": kind})

    add("core", [run["core"] for run in runs])
    add("program", [run["model"] for run in runs])
    add("data", [f"{run['dataset']}, {run['split']} split" for run in runs])
    add("windows", [f"{run['windows']:,} of {run['window']} samples" for run in runs])
    add("steps", [f"{run['steps']:,}" for run in runs])
    rows += score_rows(runs)
    add("mismatches with the oracle", [f"{run['mismatches']:,}" for run in runs])
    for key, name in (
        ("instructions_per_step", "instructions per step"),
        ("cycles_per_step", "cycles per step"),
        ("latency_us", "latency, µs"),
        ("energy_uj", "energy per step, µJ"),
    ):
        kinds = sorted({kind_text(run[key]) for run in runs if run[key]})
        for statistic in ("mean", "p50", "p99", "max"):
            values = [run[key].get(statistic) if run[key] else None for run in runs]
            cells = [None if value is None else number(value, 5) for value in values]
            add(f"{name}, {statistic}", cells, " or ".join(kinds))
    cutoffs = [run["cutoff"] for run in runs]
    for statistic in ("mean", "p99"):
        cells = [number(c["samples_read"][statistic], 3) if c else None for c in cutoffs]
        add(f"samples read of a window, {statistic}", cells)
    add("steps skipped", [_percent(c["steps_skipped"]) if c else None for c in cutoffs])
    values = [c["instructions_per_skipped_step"] if c else None for c in cutoffs]
    add("instructions per skipped step", [v and number(v) for v in values], EXACT)
    for key, name in (("input_sparsity", "inputs"), ("state_sparsity", "states")):
        add(f"columns of {name} that did not fire", [_percent(run["delta"][key]) for run in runs])
    warmups = [run["warmup"] for run in runs]
    add("samples to 95 % of the accuracy", [str(w["samples"]) if w else None for w in warmups])
    timed = sorted({kind_text(run["latency_us"]) for run in runs if run["latency_us"]})
    add("share of the time between samples", [_load(run) for run in runs], " or ".join(timed))
    add("flash, bytes", [f"{run['flash_bytes']:,}" for run in runs])
    add("RAM, bytes", [f"{run['ram_bytes']:,}" for run in runs])
    add("stack, most used, bytes", [number(run["stack_bytes"], 7) for run in runs])
    return rows


def _float_accuracy(run: dict[str, Any]) -> str | None:
    text, windows = _percent(run["accuracy_float"]), run["accuracy_float_windows"]
    # of other windows than those that ran: not to be compared to the decimal
    other = text is not None and windows is not None and windows != run["windows"]
    return f"{text} of {windows:,} windows" if other else text


def _load(run: dict[str, Any]) -> str | None:
    if not run["latency_us"] or not run["rate_hz"]:
        return None
    share = run["latency_us"]["mean"] * run["rate_hz"] / 1e6
    return f"{100 * share:.3g} % at {run['rate_hz']:g} Hz"


def _figures(runs: Sequence[dict[str, Any]], labels: Sequence[str]) -> list[dict[str, str]]:
    result = [
        {"title": "Flash", "svg": figures.memory(runs, labels, "flash", "flash")},
        {"title": "RAM", "svg": figures.memory(runs, labels, "ram", "RAM")},
    ]
    if all(run["warmup"] for run in runs):
        result.append({"title": "Warm-up", "svg": figures.warmup(runs, labels)})
    for i, (run, label) in enumerate(zip(runs, labels, strict=True)):
        suffix = f", {label}" if len(runs) > 1 else ""
        for key, title, axis in (
            ("instructions_per_step", "Instructions", "instructions per step"),
            ("latency_us", "Latency", "µs per step"),
        ):
            if key not in run["distributions"]:
                continue
            kind = kind_text(run[key])
            summary = run[key]
            if summary["p50"] == summary["max"] == summary["mean"]:
                text = f"{number(summary['max'], 6)} {axis} ({kind}), the same in every step."
                result.append({"title": title + suffix, "svg": "", "text": text})
            else:
                svg = figures.distribution(run, key, f"{axis} ({kind})", f"{key}-{i}")
                result.append({"title": title + suffix, "svg": svg})
    return result
