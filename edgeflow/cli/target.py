"""Search within constraints, as ``edgeflow compress`` runs and prints it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeflow.cli import console

if TYPE_CHECKING:
    from edgeflow.data import Dataset
    from edgeflow.model_options import ModelOptions
    from edgeflow.recipes.limits import Limits
    from edgeflow.recipes.search import Found
    from edgeflow.tasks import Metric

_COLUMNS = (
    "recipe", "validation", "drop", "instructions", "p99", "max", "flash", "RAM", "µJ", "optimize",
    "result",
)  # fmt: skip


def search_and_show(
    model: str,
    dataset: "Dataset",
    limits: "Limits",
    board: str,
    out: Path,
    ladder: Path | None,
    options: Mapping[str, Any],
    *,
    model_options: "ModelOptions",
    trust_board: bool,
    restart: bool,
    json_: bool,
) -> "Found":
    """Search, print all candidates, and check the constraints on test subjects."""
    from edgeflow.recipes.apply import for_model
    from edgeflow.recipes.decide import decided_data, decided_score
    from edgeflow.recipes.measure import emulated_board
    from edgeflow.recipes.recipe import make_recipe, read_recipe
    from edgeflow.recipes.search import OF_ALL, check, read_ladder, search

    names, whole = read_ladder(ladder), dataset
    dataset = for_model(whole, model)
    decide = {"decide": read_recipe(names[0]).get("decide", {})}  # all have the same kind
    first = make_recipe(decide, {key: options.get(key) for key in OF_ALL})
    metric = decided_data(first.decide, whole, dataset).task.headline
    with console.progress() as bar:
        task = bar.add_task("recipes", total=len(names), status="")
        training = bar.add_task("fine-tuning", total=None, status="", visible=False)

        def on_candidate(number: int, total: int, name: str) -> None:
            bar.update(task, completed=number - 1, total=total, status=name)
            bar.update(training, visible=False)

        def on_done(row: dict[str, Any]) -> None:
            figures = _cells(row, metric)
            console.note(f"{', '.join(c for c in figures[1:] if c)}", label=f"{row['recipe']:12s} ")

        found = search(
            model, whole, limits, emulated_board(board, trusted=trust_board), out,
            ladder=names, options=options, model_options=model_options, restart=restart,
            on_candidate=on_candidate, on_done=on_done,
            on_epoch=console.epochs(bar, training, dataset.task),
        )  # fmt: skip
    if json_:
        record = found.record or {}
        console.print_json(
            {
                "model": str(out) if record else None,
                "recipe": found.rows[0]["recipe"] if record else None,
                "board": board,
                **{key: record.get(key) for key in ("hash", "scores", "cost")},
                "candidates": found.rows,
            }
        )
    else:
        console.table(
            f"{board}: recipes, the nearest to the constraints first; {metric.label}, drop (± its "
            "error) on validation subjects",
            _COLUMNS,
            [_cells(row, metric) for row in found.rows],
            text=("optimize", "result"),
        )
        if found.record is not None:
            scores, cost = found.record["scores"], found.record["cost"]
            own = dataset.task.headline
            before, after = (scores[key] for key in dataset.task.pair)
            decides = ""
            if found.compressed is not None:
                decided = decided_score(found.compressed.program, first.decide, "test")
                decides = "" if decided is None else f"{metric.label} {metric.text(decided)}; "
            console.out.print(
                f"{out}: '{found.rows[0]['recipe']}', {decides}{own.named(after)} of "
                f"{scores['windows']} windows of test subjects (float "
                f"{own.text(before)}), {cost['instructions']['mean']:,.0f} "
                f"instructions per step; 'edgeflow compile {out} --board {board} --optimize "
                f"{cost['optimize']}' makes its image",
                soft_wrap=True,
            )
    if found.compressed is not None:
        console.notes(found.compressed.program.metadata.get("notes", ()))
    check(found, limits)
    return found


def _cells(row: Mapping[str, Any], metric: "Metric") -> list[str]:
    """Return the cells of a row; "~" marks figures of a surrogate."""
    error = "" if row["drop_error"] is None else f" ± {row['drop_error']:.2f}"
    about = "~" if row["state"] == "skipped" else ""

    def count(name: str) -> str:
        return "" if row[name] is None else f"{about}{row[name]:,.0f}"

    result = {
        "met": "within all constraints",
        "missed": f"too much: {row['why']}",
        "skipped": f"not trained, too much: {row['why']}",
        "unsuited": row["why"],
    }[row["state"]]
    return [
        row["recipe"],
        metric.text(row[metric.name]),
        "" if row["drop"] is None else f"{row['drop']:.2f}{error}",
        *(count(name) for name in ("instructions", "p99", "max", "flash", "ram")),
        "" if row["energy_uj"] is None else f"{row['energy_uj']:.3g}",
        row["optimize"] or "",
        result,
    ]
