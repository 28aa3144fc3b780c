"""The report of a program on analog chips: one HTML file that needs nothing else to be read."""

from pathlib import Path
from typing import Any

from edgeflow.files import write_atomic
from edgeflow.imc.options import ArrayOptions, time_text
from edgeflow.imc.result import ImcResult
from edgeflow.profiling.figures import chips_over_time
from edgeflow.profiling.report import template


def write_imc_report(result: ImcResult, path: str | Path) -> None:
    """Write the report of a simulation as an HTML file."""
    write_atomic(path, render(result))


def render(result: ImcResult) -> str:
    """Return the HTML of a report."""
    metric, ideal = result.metric, result.ideal
    value = ideal["overall"][metric.name]
    subjects = {name: one[metric.name] for name, one in ideal["subjects"].items()}
    return template("imc.html.j2").render(
        title=f"On analog chips: {result.device}",
        run=result.to_json(),
        metric=metric,
        facts=_facts(result),
        tiles=_tiles(result),
        rows=rows(result),
        worse="below" if metric.higher_is_better else "above",
        decisions="windows" if result.recordings is None else "steps",
        ideal=metric.text(value),
        ideal_worst=metric.worst_subject(subjects).text,
        figure=chips_over_time(
            [row["seconds"] for row in result.times], [row["values"] for row in result.times],
            value, metric, [time_text(row["seconds"]) for row in result.times],
        ),
        options=_options(result),
        costs=_costs(result),
        beside=_beside(result),
    )  # fmt: skip


def rows(result: ImcResult) -> list[list[str]]:
    """Return a row of texts for each time: time, mean, sd, low, worst subject."""
    text = result.metric.text
    return [
        [
            time_text(row["seconds"]), text(row["mean"]), text(row["sd"]), text(row["low"]),
            _subject(row["worst_subject"], text),
        ]
        for row in result.times
    ]  # fmt: skip


def _subject(worst: dict[str, Any] | None, text: Any) -> str:
    return "" if worst is None else f"{text(worst['value'])} ({worst['name']})"


def _facts(result: ImcResult) -> list[tuple[str, str]]:
    options = result.options
    return [
        ("device", f"{result.device}: {result.about}"),
        ("model", f"program {result.model}, {result.arrays} arrays of {options['tile']}"),
        ("data", f"{result.dataset}, {result.windows:,} decisions of {result.split} subjects"),
        ("chips", f"{result.chips}, seed {options['seed']}"),
    ]


def _tiles(result: ImcResult) -> list[dict[str, str]]:
    metric = result.metric
    ideal = result.ideal["overall"][metric.name]
    found = [
        {
            "value": metric.text(ideal, 1),
            "name": f"{metric.label}, the program itself",
            "kind": "exact",
        }
    ]
    for row in (result.times[0], result.times[-1]):
        name = f"{metric.label} after {time_text(row['seconds'])}, mean of {result.chips} chips"
        found.append({"value": metric.text(row["mean"], 1), "name": name, "kind": "simulated"})
    return found if len(result.times) > 1 else found[:2]


def _beside(result: ImcResult) -> list[tuple[str, str]]:
    """Return the figures of the program on a microcontroller: name and text."""
    found = result.beside
    if found is None:
        return []
    estimated = f", estimated for {found['part']}" if found["part"] else ""
    rows = [("board", found["board"] + estimated)]
    if found["headline"] is not None:
        text = f"{result.metric.text(found['headline'])} of {found['windows']:,} windows"
        rows.append((result.metric.label, text))
    for name, key, unit in (("energy", "energy_uj", "µJ"), ("latency", "latency_us", "µs")):
        if found[key] is not None:
            rows.append((name, f"{found[key]['mean']:,.4g} {unit} a step ({found[key]['kind']})"))
    return rows


#: Titles of the tables of costs.
_COSTS = {"energy": "Energy", "latency": "Latency", "area": "Area of the chip"}


def _costs(result: ImcResult) -> dict[str, Any]:
    costs = result.costs
    rate, standby = costs["rate_hz"], costs["standby_w"]
    lead = [f"Models of several nodes at {costs['node_nm']:g} nm."]
    lead += [f"Assumed: {line}." for line in costs["assumed"]]
    lead.append(_power(costs) if rate else "The program does not say its rate: no power.")
    if standby is None:
        lead.append("What the chip takes while it waits is not known: --standby.")
    return {
        "lead": " ".join(lead),
        "tables": [
            {"title": title, "columns": costs["tables"][key][0], "rows": costs["tables"][key][1:]}
            for key, title in _COSTS.items()
        ],
        "sources": [
            f"{name}: {'; '.join(texts)}" for name, texts in costs["sources"].items() if texts
        ],
        "limits": [f"{one['model']}: {one['limits']}" for one in costs["models"] if one["limits"]],
    }


def _power(costs: dict[str, Any]) -> str:
    """Return the mean power in words: of the steps, and with standby where that is known."""
    key = "active_w" if costs["standby_w"] is None else "power_w"
    known = [one[key] for one in costs["models"] if one[key] is not None]
    whole = [one for one in known if one["complete"]]
    if not whole:
        return "No model has all parts: no power."
    low = 1e6 * min(one["low"] for one in whole)
    high = 1e6 * max(one["high"] for one in known)
    what = "steps alone" if key == "active_w" else "steps and standby"
    rate = f"{costs['rate_hz']:g} Hz"
    return f"At {rate} the {what} take {low:.3g} to {high:.3g} µW by these models."


def _options(result: ImcResult) -> str:
    """Return the options in words: those that are not as they are by default."""
    default = ArrayOptions().settings()
    changed = [
        f"{name.replace('_', ' ')} {value}"
        for name, value in result.options.items()
        if value != default[name]
    ]
    same = "tiles of 256x256, a cell for a whole weight, exact converters, global compensation"
    return "; ".join(changed) if changed else f"As by default: {same}."
