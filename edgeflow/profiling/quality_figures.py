"""Figures of recordings: how much there is of each class and subject, what channels look like."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import NullFormatter, NullLocator

from edgeflow.data.dataset import Dataset
from edgeflow.data.quality import Quality
from edgeflow.profiling.figures import BLUE, GREEN, LINES, figure_of, shown_names, svg_of

#: Samples of an excerpt, and values of a histogram.
_EXCERPT, _BINS = 400, 80
#: Classes and channels that a figure has room for.
_MOST = 12


def seconds(found: Mapping[str, Mapping[str, float]]) -> str:
    """Seconds of each subject and class, shaded by them."""
    people, classes = list(found), list(next(iter(found.values())))
    values = np.array([[found[person][name] for name in classes] for person in people])
    width, height = 1.6 + 0.62 * len(classes), 1.2 + 0.26 * len(people)
    with figure_of(width, height) as (figure, axes):
        colours = LinearSegmentedColormap.from_list("", ["#FFFFFF", BLUE])
        axes.pcolormesh(values, cmap=colours, vmin=0, edgecolors="white", linewidth=1)
        axes.invert_yaxis()
        for (row, column), value in np.ndenumerate(values):
            colour = "white" if value > 0.55 * values.max() else None
            text = f"{value:.0f}" if value else "–"
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=colour)
        axes.set_xticks(
            np.arange(len(classes)) + 0.5, shown_names(classes), rotation=45, ha="right"
        )
        axes.set_yticks(np.arange(len(people)) + 0.5, shown_names(people))
        axes.set_ylabel("subject")
        return svg_of(figure, "seconds", "Seconds of each subject and class")


def histograms(dataset: Dataset) -> str:
    """Histogram of each channel, on a logarithmic axis: peaks at an end are clipped samples."""
    every = np.concatenate([one.x for one in dataset.recordings]).astype(np.float64)
    names = shown_names(dataset.channels[:_MOST])
    with figure_of(6.2, 0.6 + 0.55 * len(names)) as (figure, axes):
        axes.remove()
        rows = figure.subplots(len(names), 1, squeeze=False)[:, 0]
        for row, name, x in zip(rows, names, every.T, strict=False):
            counts, edges = np.histogram(x, _BINS)
            row.bar(edges[:-1], counts, np.diff(edges), align="edge", color=BLUE)
            row.set_yscale("log")
            row.yaxis.set_major_locator(NullLocator())
            row.yaxis.set_minor_locator(NullLocator())
            row.set_ylabel(name, rotation=0, ha="right", va="center")
            row.spines["left"].set_visible(False)
        return svg_of(figure, "histograms", "Histogram of each channel")


def spectra(quality: Quality) -> str:
    """Power of each channel by frequency, as a share of its largest."""
    with figure_of(6.2, 2.8) as (figure, axes):
        names = shown_names(one.name for one in quality.channels[:_MOST])
        for i, (name, (frequencies, power)) in enumerate(zip(names, quality.spectra, strict=False)):
            if (top := power.max()) > 0:
                axes.semilogy(
                    frequencies, power / top, color=LINES[i % len(LINES)], label=name,
                    linestyle=("-", "--")[i // len(LINES)], linewidth=1.2,
                )  # fmt: skip
        axes.set_xlim(0, quality.rate_hz / 2)
        axes.set_xlabel("frequency, Hz")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylabel("share of the largest power")
        axes.legend(frameon=False, fontsize=8, ncols=2)
        return svg_of(figure, "spectra", "Power of each channel by frequency")


def excerpts(dataset: Dataset) -> str:
    """The beginning of a recording of each class, the channels of one unit in one colour."""
    first: dict[object, int] = {}
    for number, one in enumerate(dataset.recordings):
        first.setdefault(one.label if dataset.classes else 0, number)
    chosen = sorted(first.items(), key=lambda one: str(one[0]))[:_MOST]
    with figure_of(6.2, 0.7 + 0.85 * len(chosen)) as (figure, axes):
        axes.remove()
        rows = figure.subplots(len(chosen), 1, squeeze=False, sharex=True)[:, 0]
        for row, (label, number) in zip(rows, chosen, strict=True):
            one = dataset.recordings[number]
            x = one.x[:_EXCERPT]
            time = np.arange(len(x)) / dataset.rate_hz
            for i, unit in enumerate(_units(dataset)):
                row.plot(time, x[:, i], linewidth=0.8, color=(BLUE, GREEN, *LINES)[unit % 6])
            name = dataset.classes[int(label)] if dataset.classes else "samples"  # type: ignore[call-overload]
            row.set_ylabel(shown_names([name])[0], rotation=0, ha="right", va="center")
        rows[-1].set_xlabel("s")
        return svg_of(figure, "excerpts", "The beginning of a recording of each class")


def _units(dataset: Dataset) -> Sequence[int]:
    """Return the number of each channel's unit."""
    order = list(dict.fromkeys(dataset.units))
    return [order.index(unit) for unit in dataset.units]
