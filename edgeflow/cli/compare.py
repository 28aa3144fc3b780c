"""``edgeflow compare``: runs side by side, scores against costs."""

from pathlib import Path

import typer

from edgeflow.cli import console
from edgeflow.cli.options import JSON
from edgeflow.files import check_outputs


def command(
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
    from edgeflow.profiling.compare import files_read, read_runs, tables, write_comparison

    found = read_runs(runs)
    check_outputs([out], {"RUN": [*runs, *files_read(runs)]})
    write_comparison(found, out)
    if json_:
        console.print_json([run.to_json() for run in found])
        return
    rows = tables(found, narrow=True)
    metrics = dict.fromkeys(run.metric for run in found)
    labels = ", ".join(" in ".join(filter(None, (m.label, m.measure))) for m in metrics)
    console.table(
        f"{labels}, drop in points; instructions and µJ per step; bytes",
        list(rows[0]),
        [list(row.values()) for row in rows],
        text=("of",),
    )
    console.note(f"page: {out}")
