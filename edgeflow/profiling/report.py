"""The report: one HTML file that needs nothing else to be read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from edgeflow.files import write_atomic
from edgeflow.profiling import figures
from edgeflow.profiling.figures import size_text
from edgeflow.profiling.result import ESTIMATED, ProfileResult

EXACT = "exact"


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
        tiles=_tiles(runs[0]) if len(runs) == 1 else [],
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


def _tiles(run: dict[str, Any]) -> list[dict[str, str | None]]:
    """Return the numbers that stand out at the top."""
    tiles: list[dict[str, str | None]] = [
        {"name": "accuracy on the board", "value": _percent(run["accuracy_device"]), "kind": ""},
        {"name": "mismatches with the oracle", "value": f"{run['mismatches']:,}",
         "kind": f"of {run['steps']:,} steps"},
    ]  # fmt: skip
    if run["instructions_per_step"]:
        value = number(run["instructions_per_step"]["mean"])
        tiles.append({"name": "instructions a step", "value": value, "kind": EXACT})
    if run["cutoff"]:
        value = f"{number(run['cutoff']['samples_read']['mean'], 3)} of {run['window']}"
        tiles.append({"name": "samples read", "value": value, "kind": "mean of a window"})
    for key, name, unit in (("latency_us", "latency", "µs"), ("energy_uj", "energy a step", "µJ")):
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
    add("data", [f"{run['dataset']}, {run['split']} people" for run in runs])
    add("windows", [f"{run['windows']:,} of {run['window']} samples" for run in runs])
    add("steps", [f"{run['steps']:,}" for run in runs])
    add("accuracy before compression", [_float_accuracy(run) for run in runs])
    for key, name in (
        ("accuracy_oracle", "accuracy of the oracle"),
        ("accuracy_device", "accuracy on the board"),
    ):
        add(name, [_percent(run[key]) for run in runs])
    add("mismatches with the oracle", [f"{run['mismatches']:,}" for run in runs])
    for key, name in (
        ("instructions_per_step", "instructions a step"),
        ("cycles_per_step", "cycles a step"),
        ("latency_us", "latency, µs"),
        ("energy_uj", "energy a step, µJ"),
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
    add("instructions a skipped step", [v and number(v) for v in values], EXACT)
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
        {"title": "Accuracy", "svg": figures.accuracy(runs, labels)},
        {"title": "Flash", "svg": figures.memory(runs, labels, "flash", "flash")},
        {"title": "RAM", "svg": figures.memory(runs, labels, "ram", "RAM")},
    ]
    if all(run["warmup"] for run in runs):
        result.append({"title": "Warm-up", "svg": figures.warmup(runs, labels)})
    for i, (run, label) in enumerate(zip(runs, labels, strict=True)):
        suffix = f", {label}" if len(runs) > 1 else ""
        for key, title, axis in (
            ("instructions_per_step", "Instructions", "instructions a step"),
            ("latency_us", "Latency", "µs a step"),
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
        if run["classes"]:
            svg = figures.confusion(run, f"confusion-{i}")
            result.append({"title": "Decisions" + suffix, "svg": svg})
    return result
