"""Figures of the report, as SVG inside an HTML page."""

import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from edgeflow.errors import printable
from edgeflow.tasks import Metric
from edgeflow.tasks.task import Heatmap

# Okabe and Ito's colours, which people with colour-blindness can tell apart.
BLUE, ORANGE, GREEN, SKY, YELLOW, RED, PURPLE, GREY = (
    "#0072B2", "#E69F00", "#009E73", "#56B4E9", "#F0E442", "#D55E00", "#CC79A7", "#9AA0A6"
)  # fmt: skip
LINES = (BLUE, ORANGE, GREEN, PURPLE, RED, SKY)
_INK, _FAINT = "#202124", "#DADCE0"
#: Subjects that an axis has room to name.
_MOST_NAMES = 40
#: Characters of a name in a figure.
_LONGEST = 32
_STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.bottom": False,
    "ytick.left": False,
    # names are no formulas: $\\bad$ is one of a class
    "text.parse_math": False,
}
Run = Mapping[str, Any]


@contextmanager
def figure_of(width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.add_subplot()


def svg_of(figure: Figure, name: str, alt: str) -> str:
    buffer = io.StringIO()
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    # ids are those of the figure alone; several figures share the page
    text = re.sub(r'\bid="([^"]*)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(xlink:href="#|url\(#)', rf"\1{name}-", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(alt)}" ', 1)


def shown_names(labels: Iterable[str]) -> list[str]:
    """Return names as a figure shows them, cut where there is no room for more.

    An underscore first would hide them in a legend.
    """
    shown = [printable(name) for name in labels]
    cut = [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…" for name in shown]
    return [f" {name}" if name.startswith("_") else name for name in cut]


_PARTS = {
    "weights": ("weights", BLUE),
    "tables": ("tables", SKY),
    "kernels": ("kernels", GREEN),
    "model_code": ("model code", YELLOW),
    "model": ("model state and scratch", BLUE),
    "stack": ("stack, most used", ORANGE),
    "runtime": ("runtime", GREY),
}


def memory(runs: Sequence[Run], labels: Sequence[str], key: str, title: str) -> str:
    """Stacked bars of what the flash or the RAM is spent on, one bar per run."""
    with figure_of(6.2, 1.15 + 0.42 * len(runs)) as (figure, axes):
        places = np.arange(len(runs))[::-1]
        left = np.zeros(len(runs))
        longest = max(sum(run[key].values()) for run in runs) or 1
        for part in (name for name in _PARTS if any(run[key].get(name) for run in runs)):
            label, colour = _PARTS[part]
            sizes = np.array([run[key].get(part, 0) for run in runs])
            legend = f"{label}, {size_text(int(sizes[0]))}" if len(runs) == 1 else label
            axes.barh(
                places, sizes, left=left, height=0.62, color=colour, label=legend, edgecolor="white"
            )
            left += sizes
        for place, total in zip(places, left, strict=True):
            axes.text(total + 0.01 * longest, place, size_text(int(total)), va="center")
        axes.set_yticks(places, shown_names(labels) if len(runs) > 1 else [title])
        axes.set_xlim(0, 1.16 * longest)
        axes.xaxis.set_major_formatter(lambda value, _: size_text(int(value)))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        columns = 3 if len(runs) == 1 else 5
        axes.legend(
            ncols=columns, loc="lower left", bbox_to_anchor=(-0.02, 1.0), frameon=False,
            handlelength=0.9, columnspacing=1.4, fontsize=8.5,
        )  # fmt: skip
        return svg_of(figure, f"memory-{key}", f"{title} by what it is spent on")


def distribution(run: Run, key: str, label: str, name: str) -> str:
    """Histogram of a quantity over the steps of a run, with median and 99th percentile."""
    data, summary = run["distributions"][key], run[key]
    edges, counts = np.array(data["edges"]), np.array(data["counts"])
    with figure_of(6.2, 2.4) as (figure, axes):
        axes.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color=BLUE)
        for value, text, colour in (
            (summary["p50"], "p50", _INK),
            (summary["p99"], "p99", RED),
        ):
            axes.axvline(value, color=colour, linewidth=1, linestyle=(0, (3, 2)))
            axes.annotate(
                text, (value, 1), xycoords=("data", "axes fraction"), color=colour,
                xytext=(0, 2 if text == "p50" else 12), textcoords="offset points", ha="center",
                fontsize=8.5,
            )  # fmt: skip
        axes.ticklabel_format(style="plain", useOffset=False)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.6g}")
        axes.set_xlabel(label)
        axes.set_ylabel("steps")
        return svg_of(figure, name, f"Distribution of {label}")


def power(run: Run, name: str) -> str:
    """Power over the first steps of a recording; steps are shaded."""
    curve, energy = run["power"]["curve"], run["power"]["energy_uj"]
    values = np.array(curve["power_mw"])
    begin, step = curve["begin_s"], curve["step_s"]
    edges = 1e3 * step * np.arange(len(values) + 1)
    with figure_of(6.2, 2.6) as (figure, axes):
        for low, high in curve["steps"]:
            axes.axvspan(1e3 * (low - begin), 1e3 * (high - begin), color=YELLOW, alpha=0.5, lw=0)
        axes.stairs(values, edges, color=BLUE, linewidth=1)
        axes.axhline(
            run["power"]["idle_uw"] / 1e3, color=_INK, linewidth=0.7, linestyle=(0, (3, 2))
        )
        axes.set_ylim(bottom=min(0.0, float(values.min())))
        axes.set_xlabel("ms; steps are shaded, the dashed line is the idle power")
        axes.set_ylabel("mW")
        return svg_of(figure, name, f"power of the first steps, {energy['mean']:.4g} µJ each")


def _scaled(metric: Metric, values: Any) -> NDArray[np.float64]:
    """Return values of a metric as its axis has them."""
    return (100 if metric.share else 1) * np.array(values, dtype=np.float64)


def _axis(axes: Axes, metric: Metric) -> None:
    """Name the vertical axis of a metric; a share's goes from 0 to 100."""
    if metric.share:
        axes.set_ylim(0, 100)
    axes.set_ylabel(metric.axis)


def warmup(runs: Sequence[Run], labels: Sequence[str], metric: Metric) -> str:
    """Lines of the headline if a window ended after 1, 2, ... samples; float model and boards."""
    with figure_of(6.2, 2.6) as (figure, axes):
        for i, (run, label) in enumerate(zip(runs, shown_names(labels), strict=True)):
            data = run["warmup"]
            key = metric.name
            lines = [(key, label if len(runs) > 1 else "board", LINES[i % len(LINES)])]
            if len(runs) == 1:
                lines.insert(0, (f"{key}_float", "float", GREY))
            for key, name, colour in lines:
                if data[key]:
                    samples = np.arange(1, len(data[key]) + 1)
                    axes.plot(samples, _scaled(metric, data[key]), color=colour, label=name)
            place = data["samples"]
            value = _scaled(metric, data[metric.name][place - 1])
            axes.plot(place, value, "o", color=lines[-1][2], ms=5)
        _axis(axes, metric)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.set_xlabel(f"samples since the reset; dot: 95 % of the last {metric.label}")
        axes.legend(frameon=False, loc="best")
        title = f"{metric.title} against the samples since the reset"
        return svg_of(figure, "warmup", title)


def curves(run: Run, name: str) -> str:
    """The board's first outputs beside what was recorded: over time, or against each other."""
    shown, classes = run["curves"]["outputs"], run["classes"]
    steps = run["curves"]["of"] == "steps"
    with matplotlib.rc_context(_STYLE):
        size = (6.2, 0.7 + 1.3 * len(shown)) if steps else (min(2.6 * len(shown), 8.4), 2.6)
        figure = Figure(figsize=size, layout="constrained")
        rows, columns = (len(shown), 1) if steps else (1, len(shown))
        places = figure.subplots(rows, columns, squeeze=False, sharex=steps).flat
        for one, axes in zip(shown, places, strict=True):
            board, recorded = (np.array(one[key], np.float64) for key in ("board", "recorded"))
            (label,) = shown_names([f"{one['name']}, {one['unit']}".rstrip(", ")])
            if not steps:
                axes.plot(recorded, board, ".", color=BLUE, ms=3)
                axes.axline((0, 0), slope=1, color=_FAINT, zorder=0)
                axes.set_xlabel(f"recorded {label}")
                axes.set_ylabel("board")
                continue
            time = np.arange(len(board)) * run["hop" if run["hop"] else "samples_per_step"]
            shape: Any = {"drawstyle": "steps-post"} if classes else {}
            axes.plot(time / (run["rate_hz"] or 1), recorded, color=GREY, label="recorded", **shape)
            axes.plot(time / (run["rate_hz"] or 1), board, color=BLUE, label="board", **shape)
            axes.set_title(label, loc="left", fontsize=9)
            if classes:
                axes.set_yticks(range(len(classes)), shown_names(classes))
        if steps:
            axes.set_xlabel("s" if run["rate_hz"] else "samples")
            lines, names = axes.get_legend_handles_labels()
            figure.legend(
                handles=lines, labels=names, frameon=False, loc="outside upper right", ncols=2
            )
        return svg_of(figure, name, "outputs of the board beside what was recorded")


def heatmap(shown: Heatmap, name: str) -> str:
    """Counts of the board's decisions, shaded by their share of the row."""
    matrix = shown.counts
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    size = len(matrix)
    side = 1.6 + 0.46 * min(size, 20)
    with figure_of(side + 0.4, side) as (figure, axes):
        colours = LinearSegmentedColormap.from_list("", ["#FFFFFF", BLUE])
        axes.pcolormesh(share, cmap=colours, vmin=0, vmax=1, edgecolors="white", linewidth=1)
        axes.set_aspect("equal")
        axes.invert_yaxis()
        for (row, column), count in np.ndenumerate(matrix):
            if count:
                colour = "white" if share[row, column] > 0.55 else _INK
                axes.text(
                    column + 0.5, row + 0.5, f"{count}", ha="center", va="center", color=colour
                )
        places = np.arange(size) + 0.5
        axes.set_xticks(places, shown_names(shown.labels), rotation=45, ha="right")
        axes.set_yticks(places, shown_names(shown.labels))
        axes.set_xlabel(shown.x)
        axes.set_ylabel(shown.y)
        return svg_of(figure, name, f"{shown.title} of the board")


def subjects(run: Run, name: str, metric: Metric) -> str:
    """Bars of the headline on each subject's windows, the worst first; a line at that of all."""
    scores = sorted(
        ((one[metric.name], subject) for subject, one in run["metrics"]["subjects"].items()),
        reverse=not metric.higher_is_better,
    )
    with figure_of(6.2, 2.4) as (figure, axes):
        places = np.arange(len(scores))
        values = _scaled(metric, [value for value, _ in scores])
        whole = float(_scaled(metric, run["metrics"]["overall"][metric.name]))
        axes.bar(places, values, color=BLUE, width=0.8)
        axes.axhline(whole, color=_INK, lw=1, ls=":")
        names = [subject for _, subject in scores] if len(scores) <= _MOST_NAMES else []
        axes.set_xticks(
            places[: len(names)], shown_names(names), rotation=90 if len(names) > 12 else 0
        )
        axes.set_xlim(-0.7, len(scores) - 0.3)
        _axis(axes, metric)
        axes.set_xlabel(f"{len(scores)} subjects; dotted: all windows")
        return svg_of(figure, name, f"{metric.title} of each subject")


def pareto(
    points: Sequence[tuple[float, float, str, str, bool]], label: str, name: str, metric: Metric
) -> str:
    """Headline against a cost: a dot per run; what no other run beats is joined and named.

    Parameters
    ----------
    points
        Cost, value, name, group, and whether it is on the front of its group.
    label
        Of the cost.
    name
        Of the figure, for its ids.
    metric
        Of the values.
    """
    groups = list(dict.fromkeys(point[3] for point in points))
    with figure_of(6.2, 3.6) as (figure, axes):
        for number, group in enumerate(groups):
            colour = LINES[number % len(LINES)]
            mine = sorted(point for point in points if point[3] == group)
            front = [point for point in mine if point[4]]
            rest = [point for point in mine if not point[4]]
            for chosen, style, alpha in ((front, "-o", 1.0), (rest, "o", 0.35)):
                costs, values = [p[0] for p in chosen], _scaled(metric, [p[1] for p in chosen])
                axes.plot(
                    costs, values, style, color=colour, ms=5, lw=1.2, alpha=alpha,
                    label=shown_names([group])[0] if chosen is front else None,
                )  # fmt: skip
            # names of the others would cover these
            for cost, value, text, _, _ in front:
                place = (cost, float(_scaled(metric, value)))
                axes.annotate(
                    shown_names([text])[0], place, xytext=(4, 4), textcoords="offset points",
                    fontsize=7.5,
                )  # fmt: skip
        axes.margins(0.12)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.6g}")
        axes.set_xlabel(label)
        axes.set_ylabel(metric.axis)
        if len(groups) > 1:
            axes.legend(frameon=False, fontsize=8)
        return svg_of(figure, name, f"{metric.title} against {label}")


def spread(values: Mapping[str, Mapping[str, float]], name: str, metric: Metric) -> str:
    """Headline of each subject, a column of dots per run, and their mean.

    Parameters
    ----------
    values : mapping
        By run, the values by subject.
    """
    with figure_of(6.2, 3.6) as (figure, axes):
        for place, subjects in enumerate(values.values()):
            found = _scaled(metric, list(subjects.values()))
            axes.plot([place] * len(found), found, "o", color=BLUE, ms=4, alpha=0.35)
            axes.plot([place - 0.25, place + 0.25], [found.mean()] * 2, color=_INK, lw=1.2)
        axes.set_xlim(-0.7, len(values) - 0.3)
        names = shown_names(values) if len(values) <= _MOST_NAMES else []
        axes.set_xticks(range(len(names)), names, rotation=90 if len(names) > 6 else 0)
        axes.set_xlabel("runs; a dot: a subject, a line: their mean")
        axes.set_ylabel(metric.axis)
        return svg_of(figure, name, f"{metric.title} of the subjects of each run")


def size_text(size: int) -> str:
    """Return bytes as text: 812 B, 11.6 kB, 1.2 MB (decimal)."""
    if size < 1000:
        return f"{size} B"
    if size < 1_000_000:
        return f"{size / 1000:.1f} kB"
    return f"{size / 1e6:.2f} MB"


def chips_over_time(
    seconds: Sequence[float], values: Sequence[Sequence[float]], ideal: float, metric: Metric,
    names: Sequence[str],
) -> str:  # fmt: skip
    """Return a figure of each chip's metric at each time since programming, on a log axis.

    Parameters
    ----------
    seconds : sequence of float
        Not falling; 0 stands at the left.
    values : sequence of sequences of float
        By time and chip.
    ideal : float
        Of the program itself.
    names : sequence of str
        Of the times.
    """
    scale = 100 if metric.share else 1
    with figure_of(6.2, 3.2) as (figure, axes):
        times = np.maximum(np.array(seconds), min([t for t in seconds if t > 0], default=1.0) / 10)
        spread = np.random.default_rng(0)
        width = 0.035 * max(np.log10(times[-1] / times[0]), 1.0)
        for time, chips in zip(times, values, strict=True):
            places = time * 10 ** (width * spread.uniform(-1, 1, len(chips)))
            axes.plot(places, scale * np.array(chips), ".", color=SKY, markersize=4, zorder=1)
        means = [scale * float(np.mean(chips)) for chips in values]
        axes.plot(times, means, "o-", color=BLUE, markersize=5, zorder=2, label="mean of the chips")
        axes.axhline(
            scale * ideal, color=ORANGE, linewidth=1.4, linestyle="--", zorder=0,
            label="the program itself",
        )  # fmt: skip
        axes.set_xscale("log")
        axes.set_xticks(times, names)
        axes.minorticks_off()
        axes.set_xlim(times[0] / 10 ** (3 * width), times[-1] * 10 ** (3 * width))
        axes.set_xlabel("time since programming")
        axes.set_ylabel(metric.axis)
        axes.grid(axis="y", color=_FAINT, linewidth=0.6)
        axes.legend(frameon=False, loc="best", fontsize=8.5)
        alt = f"{metric.label} of each chip over the time since programming"
        return svg_of(figure, "chips", alt)
