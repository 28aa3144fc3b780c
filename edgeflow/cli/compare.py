"""``edgeflow compare``: runs side by side, accuracy against what they cost."""

from pathlib import Path

import typer

from edgeflow.cli import console
from edgeflow.cli.options import JSON


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(compare)


def compare(
    runs: list[Path] = typer.Argument(
        ...,
        help="Records (.json) or programs of 'edgeflow compress', profiles, or folders of them.",
    ),
    out: Path = typer.Option(Path("compare.html"), "--out", "-o", help="The page to write."),
    json_: bool = JSON,
) -> None:
    """Compare compressed models: a table, and a page with the Pareto fronts.

    Costs come from the records of runs that were measured on a board, and from
    profiles of the same programs. An asterisk: no run of the same subjects and
    board is as accurate and cheaper, or as cheap and more accurate.

    Examples:
      edgeflow compare int8.onnx int4.onnx blocks.onnx
      edgeflow compare model.target -o fronts.html
      edgeflow compare model.onnx build --json
    """
    from edgeflow.profiling.compare import NARROW_TABLE, read_runs, table_rows, write_comparison

    found = read_runs(runs)
    write_comparison(found, out)
    if json_:
        console.print_json([run.to_json() for run in found])
        return
    console.table(
        "accuracy in % of windows, drop in points; instructions and µJ per step; bytes",
        NARROW_TABLE,
        table_rows(found, NARROW_TABLE),
        text=("of",),
    )
    console.note(f"page: {out}")
