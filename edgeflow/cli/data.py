"""``edgeflow data``: the data sets, with their sources and places on this machine."""

from pathlib import Path
from typing import Any

import typer

from edgeflow.cli import console
from edgeflow.cli import dataset as loading
from edgeflow.cli.options import DATA_FILES, JSON, ROOT
from edgeflow.cli.schema import with_options
from edgeflow.data.reading import DataOptions
from edgeflow.errors import DataError

app = typer.Typer(
    name="data", help="List, describe, check, download and find data sets.", no_args_is_help=True
)


@app.command("list")
def list_(json_: bool = JSON) -> None:
    """List the data sets known by name.

    Examples:
      edgeflow data list
    """
    from edgeflow.data import sources

    rows = []
    for source in sources().values():
        where = source.locate()
        about = {key: getattr(source, key) for key in ("name", "summary", "licence")}
        rows.append({**about, "path": str(where) if where else None})
    if json_:
        console.print_json(rows)
        return
    console.table(
        "Data sets",
        ["name", "what", "licence", "here"],
        [[r["name"], r["summary"], r["licence"], "yes" if r["path"] else "no"] for r in rows],
        text=("what", "licence"),
    )


@app.command()
@with_options(reading=DataOptions)
def info(
    name: str = typer.Argument(help=f"{DATA_FILES}."),
    window: int | None = typer.Option(None, "--window", help="Samples per window."),
    json_: bool = JSON,
    *,
    reading: dict[str, Any],
) -> None:
    """Describe a data set: subjects, recordings, classes and samples of each split.

    Examples:
      edgeflow data info seglearn-watch
      edgeflow data info mine.csv --rate 50 --people split.json
      edgeflow data info mine.csv --columns person=subject,label=activity,time=ts
      edgeflow data info folder --pattern '{person}/{label}_{recording}.csv'
    """
    from edgeflow.data import sources

    source = sources().get(name)
    about: dict[str, Any] = {"name": name}
    if source:
        keys = ("summary", "licence", "citation", "homepage")
        about |= {key: getattr(source, key) for key in keys}
        # a set that is not here can still be described
        root = reading["root"]
        if root is None and source.locate() is None:
            about |= {"classes": list(source.classes), "channels": list(source.channels)}
            about |= {"rate_hz": source.rate_hz, "window": source.window, "path": None}
            _show(about, json_)
            return
    dataset = loading.load(name, reading, window)
    shown = ("classes", "channels", "units", "rate_hz", "window")
    about |= {key: getattr(dataset, key) for key in shown}
    about |= {
        "path": str(source.locate(reading["root"])) if source else name,
        "notes": list(dataset.notes),
    }
    about["splits"] = {}
    for split, names in dataset.people.items():
        chosen = [r for r in dataset.recordings if r.person in set(names)]
        samples = dict.fromkeys(dataset.classes, 0)
        for recording in chosen if dataset.target is None else []:
            samples[dataset.classes[recording.label]] += len(recording.x)
        about["splits"][split] = {
            "people": names,
            "recordings": len(chosen),
            "samples": sum(len(recording.x) for recording in chosen),
            "samples_per_class": samples,
        }
    _show(about, json_)


def _show(about: dict[str, Any], json_: bool) -> None:
    if json_:
        console.print_json(about)
        return
    for key in ("name", "summary", "licence", "citation", "homepage", "path"):
        if key in about:
            value = about[key] or f"not here: edgeflow data get {about['name']}"
            console.out.print(f"{key + ':':10} {value}")
    names = about["channels"]
    units = about.get("units") or [""] * len(names)
    channels = ", ".join(f"{n} ({u})" if u else n for n, u in zip(names, units, strict=True))
    text = f"{channels}; {about['rate_hz']:g} Hz; windows of {about['window']} samples"
    console.out.print(f"{'channels:':10} {text}")
    if "splits" not in about:
        console.out.print(f"{'classes:':10} {', '.join(about['classes'])}")
        return
    splits = about["splits"]
    rows: list[list[Any]] = [["subjects", *(len(s["people"]) for s in splits.values())]]
    rows += [[key, *(s[key] for s in splits.values())] for key in ("recordings", "samples")]
    rows += [
        [f"  {name}", *(s["samples_per_class"][name] for s in splits.values())]
        for name in about["classes"]
    ]
    console.table("", ["", *splits], rows)
    for split, part in splits.items():
        console.out.print(f"{split + ':':10} {', '.join(part['people'])}")


@app.command()
@with_options(reading=DataOptions)
def check(
    name: str = typer.Argument(help=f"{DATA_FILES}."),
    out: Path | None = typer.Option(None, "--out", "-o", help="A report with pictures: .html."),
    json_: bool = JSON,
    *,
    reading: dict[str, Any],
) -> None:
    """Look for what spoils a training: clipping, stalls, gravity, turned sensors, balance.

    A file that is still being recorded will do: of one subject, of one label.

    Examples:
      edgeflow data check mine.csv
      edgeflow data check seglearn-watch -o quality.html
      edgeflow data check mine.csv --rate 50 --columns person=subject --json
    """
    from edgeflow.data.quality import check as look
    from edgeflow.files import check_outputs
    from edgeflow.profiling.quality_report import COLUMNS, facts, rows, write_quality_report

    if out is not None:
        check_outputs([out], {"DATA": name, **loading.inputs(name, reading)})
    dataset = loading.load(name, reading, partial=True)
    quality = look(dataset)
    if out is not None:
        write_quality_report(quality, dataset, out)
    if json_:
        console.print_json(quality.to_json())
        return
    for key, text in facts(quality):
        console.out.print(f"{key + ':':12} {text}")
    console.table("", list(COLUMNS), rows(quality))
    for line in quality.findings:
        console.out.print(f"- {line}")
    if not quality.findings:
        console.out.print("nothing was found that spoils a training")
    if out is not None:
        console.note(f"report: {out}")


@app.command()
def get(
    name: str = typer.Argument(help="A name of 'edgeflow data list'."), json_: bool = JSON
) -> None:
    """Download a data set into the user's cache, with checksums, unless it is here already.

    Examples:
      edgeflow data get seglearn-watch
    """
    from edgeflow.data import find_source

    source = find_source(name)
    console.note(f"{name}: licence {source.licence}; cite {source.citation}")
    _print_path(name, source.get(), json_)


@app.command()
def path(
    name: str = typer.Argument(help="A name of 'edgeflow data list'."),
    root: Path | None = ROOT,
    json_: bool = JSON,
) -> None:
    """Print where a data set is on this machine.

    Examples:
      edgeflow data path seglearn-watch
      edgeflow data path wisdm-watch --root ~/data
    """
    from edgeflow.data import find_source

    where = find_source(name).locate(root)
    if where is None:
        raise DataError(f"'{name}' is not on this machine: run 'edgeflow data get {name}'")
    _print_path(name, where, json_)


def _print_path(name: str, where: Path, json_: bool) -> None:
    if json_:
        console.print_json({"name": name, "path": str(where)})
    else:
        console.out.print(str(where), soft_wrap=True)
