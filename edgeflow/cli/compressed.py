"""Output of ``edgeflow compress``: a program, its scores before and after, and its cost."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeflow.cli import console
from edgeflow.metrics import one_side
from edgeflow.tasks import from_json

if TYPE_CHECKING:
    from edgeflow.program import Program

#: Entries of the metadata that stand beside the scores.
_TOLD = ("cutoff", "detect", "residual", "count", "adapt", "fired", "spikes")
#: Splits as they are told of, where that is another name.
_NAMES = {"val": "validation"}
#: Rows of the shares in the metadata of a program.
_SHARES = {"fired": "columns of {} updated", "spikes": "neurons of {} that spike"}


def show(out: Path, result: Any, record: dict[str, Any], json_: bool) -> None:
    """Print the program at `out`, a `Compressed`, and its record, as JSON or as a table."""
    scores, metadata, task = result.scores, result.program.metadata, result.program.task
    if "task" in scores:  # a layer behind the model may decide for another
        task = from_json(scores["task"])
    if json_:
        console.print_json(
            {
                "model": str(out),
                "hash": record["hash"],
                "drop_points": task.drop(scores),
                **scores,
                **{key: metadata[key] for key in _TOLD if key in metadata},
                "cost": record["cost"],
                "notes": metadata.get("notes", []),
            }
        )
        return
    console.table(
        f"{out}: program {record['hash']}",
        ["", "float", "integer"],
        [
            *_score_rows(task, scores),
            *_decided_rows(result.program, scores["split"]),
            *_learned_rows(metadata.get("adapt"), task),
            *(
                [f"{what.format(name)} per step", "", f"{share:.1%}"]
                for key, what in _SHARES.items()
                for name, share in metadata.get(key, {}).items()
            ),
            [
                "weights",
                f"{4 * sum(_parameters(n) for n in result.program.nodes)} B",
                f"{record['size']['weight_bytes']} B",
            ],
            *_cost_rows(record["cost"]),
        ],
    )


def _decided_rows(program: "Program", split: str) -> list[list[str]]:
    """Return the scores of the layer behind the model that decides."""
    return [
        [f"{metric.label}, {name}", "", metric.text(program.metadata[key][split].get(metric.name))]
        for key, name in (("detect", "detector"), ("residual", "flags"), ("count", "counter"))
        if split in program.metadata.get(key, {})
        for metric in program.task.metrics
    ]


def _learned_rows(adapt: dict[str, Any] | None, task: Any) -> list[list[str]]:
    """Return what learning on the device gains: by labels, or of forecasts by what came."""
    if adapt is None:
        return []
    if "before" in adapt["val"]:
        metric = task.headline
        return [
            [f"{metric.label} before and with what came, {_NAMES.get(split, split)} subjects",
             metric.text(found["before"]), metric.text(found["after"])]
            for split, found in adapt.items()
            if isinstance(found, dict)
        ]  # fmt: skip
    return [
        [f"gain by labels, {k} a class, validation subjects", "", f"{points:+.1f} points"]
        for k, points in adapt["val"].items()
    ]


def _score_rows(task: Any, scores: dict[str, Any]) -> list[list[str]]:
    metric, same, kinds = task.headline, scores["agreement"], ("float", "int")
    sides = [one_side(scores, kind) for kind in kinds]
    people = scores["people"].values()
    worst = [metric.worst({str(i): one[kind] for i, one in enumerate(people)}) for kind in kinds]
    extremes = zip(*(task.extremes(side) for side in sides), strict=True)
    enough = [str(scores["warmup"][kind]["samples"]) for kind in kinds]
    what = f"{scores['windows']} windows"
    if "recordings" in scores:
        decisions = "decisions" if scores.get("hop") else "steps"
        what = f"{scores['windows']} {decisions} of {scores['recordings']} recordings"
    rows = [
        [
            f"{metric.label} on {what} of {scores['split']} subjects",
            *(metric.text(scores[key]) for key in task.pair),
        ],
        [f"{metric.extreme} of a subject", *(metric.text(one and one[1]) for one in worst)],
        *([m.label, *(m.text(side[m.name]) for side in sides)] for m in task.metrics[1:]),
        *([one.label, one.text, other.text] for one, other in extremes),
        *([["same decision as float", "", f"{same:.2%}"]] if same is not None else []),
        [f"samples to 95 % of the {metric.label} of all", *enough],
    ]
    if "samples_read" in scores:
        window = len(scores["warmup"]["int"][metric.name])
        read, whole = f"{scores['samples_read']:.1f}", scores[f"{task.pair[1]}_whole"]
        rows += [
            [f"samples read of {window}, on average", str(window), read],
            [f"{metric.label} if all were read", "", metric.text(whole)],
        ]
    return rows


def _cost_rows(cost: dict[str, Any] | None) -> list[list[str]]:
    if cost is None:
        return []
    counts = cost["instructions"]
    return [
        [f"instructions per step on {cost['board']}, on average", "", f"{counts['mean']:,.0f}"],
        ["p99 / max", "", f"{counts['p99']:,.0f} / {counts['max']:,.0f}"],
        ["flash / RAM", "", f"{cost['flash_bytes']:,} B / {cost['ram_bytes']:,} B"],
    ]


def _parameters(node: Any) -> int:
    return sum(matrix.weight.size + matrix.rows for matrix in node.products().values())
