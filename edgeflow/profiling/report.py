"""The report: one HTML file that needs nothing else to be read."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from edgeflow.errors import printable
from edgeflow.files import write_atomic
from edgeflow.profiling import figures
from edgeflow.profiling.figures import size_text
from edgeflow.profiling.result import ESTIMATED, ProfileResult, headline_of_run, misfit, task_of_run
from edgeflow.tasks.task import Metric, Table

EXACT = "exact"

#: Number of subjects that fit a table; of more there is a figure, and the table is folded.
FEW_SUBJECTS = 12

#: Counts of what went wrong on the line, which are shown where there are any.
_LINE = {
    "retries": "messages sent again",
    "damaged": "damaged frames from the board",
    "board_errors": "damaged frames to the board",
    "resets": "resets of the board",
}

_NAMES = {"edgeflow": "EdgeFlow", "compiler": "", "qemu": "QEMU", "python": "Python"}


def write_report(results: ProfileResult | Sequence[ProfileResult], path: str | Path) -> None:
    """Write a report of one run, or of several to compare, a column per run, as an HTML file."""
    write_atomic(path, render(results))


def render(results: ProfileResult | Sequence[ProfileResult]) -> str:
    """Return the HTML of a report; see :func:`write_report`."""
    chosen = [results] if isinstance(results, ProfileResult) else list(results)
    runs = [result.to_json() for result in chosen]
    labels = run_labels(runs)
    return template("report.html.j2").render(
        title="Profile of " + ", ".join(dict.fromkeys(run["board"] for run in runs)),
        runs=runs,
        labels=labels,
        facts=_fact_rows(runs),
        tiles=_tiles(runs[0]) if len(runs) == 1 else [],
        scores=score_rows(runs),
        decisions=[_decisions(run, i) for i, run in enumerate(runs)],
        layers=[_layer_rows(run) for run in runs],
        table=table_rows(runs),
        figures=_figures(runs, labels),
        measured=_titles(runs),
    )


def template(name: str) -> jinja2.Template:
    """Return a template of this folder."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).resolve().parent),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.filters["misfit"] = misfit
    return environment.get_template(name)


def _shown(value: Any) -> Any:
    """Return what a template shows: texts without control characters; markup is ours."""
    plain = isinstance(value, str) and not isinstance(value, Markup)
    return printable(value, keep="\n") if plain else value


def run_labels(runs: Sequence[dict[str, Any]]) -> list[str]:
    """Return the shortest names that distinguish the runs."""
    boards = [run["board"] for run in runs]
    if len(set(boards)) == len(boards):
        return boards
    return [f"{run['board']} {run['model'][:8]} ({i})" for i, run in enumerate(runs, 1)]


def number(value: float | None, digits: int = 4) -> str:
    """Return a number as text: 12,522, 153.4, 0.0812; a dash for None."""
    if value is None:
        return "–"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:,.{digits}g}"


def kind_text(quantity: dict[str, Any]) -> str:
    """Return the kind of a quantity, of an estimate with the model's known error."""
    kind: str = quantity.get("kind", EXACT)
    if kind != ESTIMATED:
        return f"{kind} (RTL)" if quantity.get("rtl") else kind
    error = quantity.get("error_percent")
    return f"{kind}, ±{error_text(error)}" if error is not None else f"{kind}, error not known"


def error_text(percent: float) -> str:
    """Return an error as text: 8 %, 0.2 %."""
    return f"{percent:.{0 if percent >= 1 else 1}f} %"


def _percent(value: float | None) -> str | None:
    return None if value is None else f"{100 * value:.2f} %"


def _fact_rows(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return date, program, board and tools of the runs: name, and a text per run."""
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
    return run["date"] and f"{datetime.fromisoformat(run['date']):%Y-%m-%d %H:%M} UTC"


def _model(run: dict[str, Any]) -> str:
    kinds = [layer["type"] for layer in run["layers"] if layer.get("type")]
    chain = f": {' → '.join(kinds)}" if kinds else ""
    return f"program {run['model']}{chain}"


def _data(run: dict[str, Any]) -> str:
    subjects = f" of {_count(len(run['metrics']['subjects']), 'subject')}" if run["metrics"] else ""
    rate = f" at {run['rate_hz']:g} Hz" if run["rate_hz"] else ""
    ran = f"{_count(run['windows'], 'window')} of {run['window']} samples"
    if run["recordings"] is not None:
        ran = f"{_count(run['recordings'], 'whole recording')}, {run['steps']:,} samples"
    if run["hop"]:
        ran += f", decided every {run['hop']} on windows of {run['window']} that overlap"
    return f"{run['dataset']}, {run['split']} split{subjects}: {ran}{rate}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _versions(run: dict[str, Any]) -> str | None:
    found = run["versions"] or {"edgeflow": run["edgeflow"]}
    named = [f"{label} {found[key]}".strip() for key, label in _NAMES.items() if key in found]
    return ", ".join(named)


def score_rows(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of the table of scores, as `table_rows`."""
    found = [_scores(run) for run in runs]
    return [
        {"name": name, "cells": [one.get(name) for one in found], "kind": ""}
        for name in dict.fromkeys(name for one in found for name in one)
    ]


def _scores(run: dict[str, Any]) -> dict[str, str]:
    """Return the scores of a run by the name of their row."""
    task = task_of_run(run)
    if not task.metrics:
        return {}
    metric, values = task.headline, headline_of_run(run)
    before, windows = metric.text(values["float"]), run["accuracy_float_windows"]
    # of other windows than those that ran: not to be compared to the decimal
    if before and windows not in (None, run["windows"]):
        made = "windows" if run["recordings"] is None else "decisions" if run["hop"] else "steps"
        before += f" of {windows:,} {made}"
    rows = {
        f"{metric.label} before compression": before,
        f"{metric.label} of the integer reference": metric.text(values["oracle"]),
        f"{metric.label} on the board": metric.text(values["device"]),
    }
    if run["metrics"]:
        overall, subjects = run["metrics"]["overall"], run["metrics"]["subjects"]
        for other in (*task.metrics[1:], *task.more_metrics):
            rows[other.label] = other.text(overall[other.name])
        rows |= {one.label: one.text for one in task.extremes(overall)}
        worst = metric.worst_subject({name: one[metric.name] for name, one in subjects.items()})
        if len(subjects) > 1:
            rows[worst.label] = worst.text
    return {name: text.replace("%", " %", 1) for name, text in rows.items() if text}


def _decisions(run: dict[str, Any], number: int) -> dict[str, Any]:
    """Return the tables and figures of a run's decisions and subjects."""
    task = task_of_run(run)
    drawn = task.heatmap(run)
    shown: dict[str, Any] = {
        "title": "" if drawn is None else drawn.title,
        "heatmap": "" if drawn is None else figures.heatmap(drawn, f"confusion-{number}"),
        "curves": figures.curves(run, f"curves-{number}") if run["curves"] else "",
        "tables": [],
        "subjects": None,
        "figure": "",
    }
    if run["metrics"] is None:
        return shown
    shown["tables"] = task.tables(run)
    subjects = run["metrics"]["subjects"]
    if len(subjects) > 1:
        shown["subjects"] = _subjects(subjects, task.metrics)
    if len(subjects) > FEW_SUBJECTS:
        shown["figure"] = figures.subjects(run, f"subjects-{number}", task.headline)
    return shown


def _subjects(subjects: dict[str, dict[str, Any]], metrics: Sequence[Metric]) -> Table:
    """Return a row per subject, the worst first; the headline stands last."""
    headline, *others = metrics
    found = sorted(subjects.items(), key=lambda one: -headline.cost(one[1][headline.name]))
    rows = [
        [name, f"{one['windows']:,}", *(other.text(one[other.name]) for other in others)]
        for name, one in found
    ]
    columns = ["subject", "windows", *(other.label for other in others), headline.label]
    values = [one[headline.name] for _, one in found]
    if headline.share:
        return Table("Subjects", columns, rows, [100 * value for value in values])
    for row, value in zip(rows, values, strict=True):
        row.append(headline.text(value))
    return Table("Subjects", columns, rows)


def _titles(runs: Sequence[dict[str, Any]]) -> str:
    """Return the figures that comparing outputs measures: headlines, and mismatches."""
    titles = dict.fromkeys(
        task.headline.title for run in runs if (task := task_of_run(run)).metrics
    )
    text = " and ".join((*titles, "mismatches"))
    return text[:1].upper() + text[1:] if text[1:2].islower() else text


def _layer_rows(run: dict[str, Any]) -> dict[str, Any]:
    """Return the layers that the page shows, with their shares, and the totals."""
    rows = [
        layer
        for layer in run["layers"]
        if layer["name"] != "(rest)" or layer["instructions_mean"] or layer.get("bytes")
    ]
    totals = {
        key: sum(layer[key] for layer in rows)
        for key in ("bytes", "instructions_mean", "cycles_mean", "energy_uj")
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
    task, scores = task_of_run(run), _scores(run)
    named = [f"{metric.label} on the board" for metric in task.metrics[:1]]
    named += [metric.label for metric in task.metrics[1:]]
    tiles: list[dict[str, str | None]] = [
        {"name": name, "value": scores[name], "kind": ""} for name in named if name in scores
    ]
    tiles += [
        {"name": "mismatches with the reference", "value": f"{run['mismatches']:,}",
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
        if run[key] is not None:
            tiles.append({"name": name, "value": size_text(run[key]), "kind": ""})
    return tiles


def table_rows(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of the table of all numbers: name, kind, a cell per run (None: unknown)."""
    rows: list[dict[str, Any]] = []

    def add(name: str, cells: list[str | None], kind: str = "") -> None:
        if any(cell is not None for cell in cells):
            rows.append({"name": name, "cells": cells, "kind": kind})

    add("core", [run["core"] for run in runs])
    add("program", [run["model"] for run in runs])
    add("data", [f"{run['dataset']}, {run['split']} split" for run in runs])
    streams = [run["recordings"] for run in runs]
    windows = [f"{run['windows']:,} of {run['window']} samples" for run in runs]
    add("windows", [w if n is None else None for w, n in zip(windows, streams, strict=True)])
    add("whole recordings", [None if n is None else f"{n:,}" for n in streams])
    add("steps", [f"{run['steps']:,}" for run in runs])
    rows += score_rows(runs)
    add("mismatches with the reference", [f"{run['mismatches']:,}" for run in runs])
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
    rows += _power_rows(runs)
    cutoffs = [run["cutoff"] for run in runs]
    for statistic in ("mean", "p99"):
        cells = [number(c["samples_read"][statistic], 3) if c else None for c in cutoffs]
        add(f"samples read of a window, {statistic}", cells)
    add("steps skipped", [_percent(c["steps_skipped"]) if c else None for c in cutoffs])
    values = [c["instructions_per_skipped_step"] if c else None for c in cutoffs]
    add("instructions per skipped step", [v and number(v) for v in values], EXACT)
    for key, name, kind in (
        ("instructions_mean", "instructions", EXACT),
        ("cycles_mean", "cycles", ESTIMATED),
    ):
        floats = [run["quantizer"] for run in runs]
        counts = [q and q.get("counts") for q in floats]
        for what, found in (("floats", floats), ("the sensor's counts", counts)):
            cells = [q and q[key] and number(q[key], 5) for q in found]
            add(f"quantizing a sample of {what}, {name}, in addition", cells, kind)
    for key, name in (("input_sparsity", "inputs"), ("state_sparsity", "states")):
        add(f"columns of {name} not updated", [_percent(run["delta"][key]) for run in runs])
    warmups = [run["warmup"] for run in runs]
    for label in dict.fromkeys(task_of_run(run).headline.label for run in runs if run["warmup"]):
        cells = [str(w["samples"]) if w else None for w in warmups]
        add(f"samples to 95 % of the {label}", cells)
    timed = sorted({kind_text(run["latency_us"]) for run in runs if run["latency_us"]})
    add("share of the time between samples", [_load(run) for run in runs], " or ".join(timed))
    for of in dict.fromkeys(row["of"] for run in runs for row in run["fit"]):
        add(f"fits {of}", [_fits(run, of) for run in runs])
    for key, name in (("flash_bytes", "flash, bytes"), ("ram_bytes", "RAM, bytes")):
        add(name, [None if run[key] is None else f"{run[key]:,}" for run in runs])
    add("stack, most used, bytes", [number(run["stack_bytes"], 7) for run in runs])
    lines = [run.get("line") or {} for run in runs]
    for key, name in _LINE.items():
        if any(line.get(key) for line in lines):
            add(f"line: {name}", [number(line.get(key), 9) if line else None for line in lines])
    return rows


def _power_rows(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what recordings of the power tell beyond the energy of steps, as `table_rows`."""
    found = [run["power"] for run in runs]
    texts = {
        "idle power, µW": [p and number(p["idle_uw"], 4) for p in found],
        "energy between two steps, µJ": [p and number(p["sleep"]["energy_uj"], 4) for p in found],
        "wake-up, µJ": [p and number(p["wakeup"]["energy_uj"], 4) for p in found],
        "energy per step as estimated before, µJ": [
            p and p["estimated_uj"] and number(p["estimated_uj"]["mean"], 4) for p in found
        ],
        "steps in the recording": [
            p
            and f"{p['steps']:,} of {p['steps_profiled']:,} by {p['by']}, confidence "
            f"{100 * p['confidence']:.0f} %"
            for p in found
        ],
    }
    return [
        {"name": name, "cells": cells, "kind": "estimated" if "estimated" in name else "measured"}
        for name, cells in texts.items()
        if any(cell is not None for cell in cells)
    ]


def _fits(run: dict[str, Any], of: str) -> str | None:
    """Return whether a run fits a board or part, and what does not."""
    rows = [row for row in run["fit"] if row["of"] == of]
    over = [
        f"{row['what']} {100 * row['used'] / row['room']:,.0f} %" for row in rows if not row["fits"]
    ]
    return (f"no: {', '.join(over)}" if over else "yes") if rows else None


def _load(run: dict[str, Any]) -> str | None:
    if not run["latency_us"] or not run["rate_hz"]:
        return None
    share = run["latency_us"]["mean"] * run["rate_hz"] / 1e6
    late = " (too slow)" if share > 1 else ""
    return f"{100 * share:.3g} % at {run['rate_hz']:g} Hz{late}"


def _figures(runs: Sequence[dict[str, Any]], labels: Sequence[str]) -> list[dict[str, str]]:
    result = []
    if all(run["flash_bytes"] is not None for run in runs):
        result += [
            {"title": "Flash", "svg": figures.memory(runs, labels, "flash", "flash")},
            {"title": "RAM", "svg": figures.memory(runs, labels, "ram", "RAM")},
        ]
    if all(run["warmup"] for run in runs) and len({task_of_run(run).name for run in runs}) == 1:
        metric = task_of_run(runs[0]).headline
        result.append({"title": "Warm-up", "svg": figures.warmup(runs, labels, metric)})
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
    for i, (run, label) in enumerate(zip(runs, labels, strict=True)):
        if run["power"]:
            suffix = f", {label}" if len(runs) > 1 else ""
            svg = figures.power(run, f"power-{i}")
            result.append({"title": f"Power, recorded{suffix}", "svg": svg})
    return result
