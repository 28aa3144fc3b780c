"""The report of ``edgeflow data check``: one HTML file that needs nothing else to be read."""

from pathlib import Path

from edgeflow import __version__
from edgeflow.data.dataset import Dataset
from edgeflow.data.quality import Quality
from edgeflow.files import write_atomic
from edgeflow.profiling import quality_figures as figures
from edgeflow.profiling.report import template


def write_quality_report(quality: Quality, dataset: Dataset, path: str | Path) -> None:
    """Write the report of recordings as an HTML file."""
    write_atomic(path, render(quality, dataset))


def render(quality: Quality, dataset: Dataset) -> str:
    """Return the HTML of a report."""
    shown = [("Channels, values on a logarithmic axis", figures.histograms(dataset))]
    shown += [("A recording of each class", figures.excerpts(dataset))]
    shown += [("Power by frequency", figures.spectra(quality))]
    if dataset.classes:
        shown.insert(0, ("Seconds of each subject and class", figures.seconds(quality.seconds)))
    return template("quality.html.j2").render(
        title=f"Recordings: {quality.dataset}", quality=quality, facts=facts(quality),
        columns=COLUMNS, rows=rows(quality), figures=shown, version=__version__,
    )  # fmt: skip


def facts(quality: Quality) -> list[tuple[str, str]]:
    """Return what there is: name and text."""
    samples = sum(sum(one.values()) for one in quality.seconds.values())
    length = f"{samples:,.0f} s in " if samples else ""
    people = len(quality.seconds)
    return [
        (
            "recordings",
            f"{length}{quality.recordings} recordings of {people} subjects",
        ),
        ("rate", f"{quality.rate_hz:g} Hz, windows of {quality.window} samples"),
    ]


#: Of `rows`.
COLUMNS = ("channel", "unit", "range", "sd", "clipped", "still", "95 % below")


def rows(quality: Quality) -> list[list[str]]:
    """Return a row of texts for each channel."""
    return [
        [
            one.name, one.unit, f"{one.low:.4g} to {one.high:.4g}", f"{one.sd:.3g}",
            *(f"{v:.2%}" if v else "0" for v in (one.clipped, one.flat)),
            f"{one.bandwidth_hz:.3g} Hz",
        ]
        for one in quality.channels
    ]  # fmt: skip
