"""Figures of the report, as SVG that stands inside an HTML page."""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Okabe and Ito's colours, which people with colour-blindness can tell apart.
BLUE, ORANGE, GREEN, SKY, YELLOW, RED, PURPLE, GREY = (
    "#0072B2", "#E69F00", "#009E73", "#56B4E9", "#F0E442", "#D55E00", "#CC79A7", "#9AA0A6"
)  # fmt: skip
_INK, _FAINT = "#202124", "#DADCE0"
#: Subjects that an axis has room to name.
_MOST_NAMES = 40
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
}
Run = Mapping[str, Any]


@contextmanager
def _figure(width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.add_subplot()


def _svg(figure: Figure, name: str, alt: str) -> str:
    buffer = io.StringIO()
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    # ids are those of the figure alone; several figures share the page
    text = re.sub(r'\bid="([^"]*)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(xlink:href="#|url\(#)', rf"\1{name}-", text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{alt}" ', 1)


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
    """Stacked bars of what the flash or the RAM is spent on, one bar a run."""
    with _figure(6.2, 1.15 + 0.42 * len(runs)) as (figure, axes):
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
        axes.set_yticks(places, labels if len(runs) > 1 else [title])
        axes.set_xlim(0, 1.16 * longest)
        axes.xaxis.set_major_formatter(lambda value, _: size_text(int(value)))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        columns = 3 if len(runs) == 1 else 5
        axes.legend(
            ncols=columns, loc="lower left", bbox_to_anchor=(-0.02, 1.0), frameon=False,
            handlelength=0.9, columnspacing=1.4, fontsize=8.5,
        )  # fmt: skip
        return _svg(figure, f"memory-{key}", f"{title} by what it is spent on")


def distribution(run: Run, key: str, label: str, name: str) -> str:
    """Histogram of a quantity over the steps of a run, with median and 99th percentile."""
    data, summary = run["distributions"][key], run[key]
    edges, counts = np.array(data["edges"]), np.array(data["counts"])
    with _figure(6.2, 2.4) as (figure, axes):
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
        return _svg(figure, name, f"Distribution of {label}")


def warmup(runs: Sequence[Run], labels: Sequence[str]) -> str:
    """Lines of the accuracy if a window ended after so many samples; float model and boards."""
    colours = (BLUE, ORANGE, GREEN, PURPLE, RED, SKY)
    with _figure(6.2, 2.6) as (figure, axes):
        for i, (run, label) in enumerate(zip(runs, labels, strict=True)):
            data = run["warmup"]
            lines = [("accuracy", label if len(runs) > 1 else "board", colours[i % len(colours)])]
            if len(runs) == 1:
                lines.insert(0, ("accuracy_float", "float", GREY))
            for key, name, colour in lines:
                if data[key]:
                    samples = np.arange(1, len(data[key]) + 1)
                    axes.plot(samples, 100 * np.array(data[key]), color=colour, label=name)
            place = data["samples"]
            axes.plot(place, 100 * data["accuracy"][place - 1], "o", color=lines[-1][2], ms=5)
        axes.set_ylim(0, 100)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.set_xlabel("samples since the reset; dot: 95 % of the last accuracy")
        axes.set_ylabel("accuracy, % of windows")
        axes.legend(frameon=False, loc="lower right")
        return _svg(figure, "warmup", "Accuracy against the samples since the reset")


def confusion(run: Run, name: str) -> str:
    """Confusion matrix of the board's decisions, shaded by the share of the true class."""
    matrix = np.array(run["confusion"])
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    size = len(matrix)
    side = 1.6 + 0.46 * min(size, 20)
    with _figure(side + 0.4, side) as (figure, axes):
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
        axes.set_xticks(places, run["classes"], rotation=45, ha="right")
        axes.set_yticks(places, run["classes"])
        axes.set_xlabel("decision of the board")
        axes.set_ylabel("true class")
        return _svg(figure, name, "Confusion matrix of the board")


def subjects(run: Run, name: str) -> str:
    """Bars of the accuracy on each subject's windows, the lowest first; a line at that of all."""
    scores = sorted(
        (one["accuracy"], subject) for subject, one in run["metrics"]["subjects"].items()
    )
    with _figure(6.2, 2.4) as (figure, axes):
        places = np.arange(len(scores))
        axes.bar(places, [100 * share for share, _ in scores], color=BLUE, width=0.8)
        axes.axhline(100 * run["accuracy_device"], color=_INK, lw=1, ls=":")
        names = [subject for _, subject in scores] if len(scores) <= _MOST_NAMES else []
        axes.set_xticks(places[: len(names)], names, rotation=90 if len(names) > 12 else 0)
        axes.set_xlim(-0.7, len(scores) - 0.3)
        axes.set_ylim(0, 100)
        axes.set_xlabel(f"{len(scores)} subjects; dotted: all windows")
        axes.set_ylabel("accuracy, % of windows")
        return _svg(figure, name, "Accuracy of each subject")


def pareto(points: Sequence[tuple[float, float, str, str, bool]], label: str, name: str) -> str:
    """Accuracy against a cost: a dot a run; what no other run beats is joined and named.

    Parameters
    ----------
    points
        Cost, accuracy (0..1), name, group, and whether it is on the front of its group.
    label
        Of the cost.
    name
        Of the figure, for its ids.
    """
    colours = (BLUE, ORANGE, GREEN, PURPLE, RED, SKY)
    groups = list(dict.fromkeys(point[3] for point in points))
    with _figure(6.2, 3.6) as (figure, axes):
        for number, group in enumerate(groups):
            colour = colours[number % len(colours)]
            mine = sorted(point for point in points if point[3] == group)
            front = [point for point in mine if point[4]]
            rest = [point for point in mine if not point[4]]
            for chosen, style, alpha in ((front, "-o", 1.0), (rest, "o", 0.35)):
                costs, shares = [p[0] for p in chosen], [100 * p[1] for p in chosen]
                axes.plot(
                    costs, shares, style, color=colour, ms=5, lw=1.2, alpha=alpha,
                    label=group if chosen is front else None,
                )  # fmt: skip
            # names of the others would cover these
            for cost, share, text, _, _ in front:
                axes.annotate(
                    text, (cost, 100 * share), xytext=(4, 4), textcoords="offset points",
                    fontsize=7.5,
                )  # fmt: skip
        axes.margins(0.12)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.6g}")
        axes.set_xlabel(label)
        axes.set_ylabel("accuracy, % of windows")
        if len(groups) > 1:
            axes.legend(frameon=False, fontsize=8)
        return _svg(figure, name, f"Accuracy against {label}")


def size_text(size: int) -> str:
    """Write bytes for people: 812 B, 11.6 kB, 1.2 MB (decimal)."""
    if size < 1000:
        return f"{size} B"
    if size < 1_000_000:
        return f"{size / 1000:.1f} kB"
    return f"{size / 1e6:.2f} MB"
