"""The winner of a search: the one program that is scored on test subjects, once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeflow.compression.evaluate import load_chain, scored
from edgeflow.compression.record import read_record, record_path, save_both
from edgeflow.errors import CompressError
from edgeflow.files import scratch_folder
from edgeflow.program import Program
from edgeflow.recipes.apply import for_model
from edgeflow.recipes.measure import FINAL_STEPS, measure
from edgeflow.search.objectives import best_seed
from edgeflow.search.store import Store
from edgeflow.search.study import Told
from edgeflow.targets.board import BoardSpec

if TYPE_CHECKING:
    from edgeflow.data import Dataset

#: The program that is taken, in the folder of a study.
PROGRAM = "model.onnx"


@dataclass(frozen=True)
class Taken:
    """The program that a search took.

    Parameters
    ----------
    trial : int
        Its candidate.
    seed : int
        Of the training that is best on validation subjects.
    record : dict
        As it was written.
    """

    trial: int
    seed: int
    record: Mapping[str, Any]


def take(
    best: Told,
    store: Store,
    dataset: "Dataset",
    board: BoardSpec | None,
    out: Path,
    told: Mapping[str, Any],
) -> Taken:
    """Score a candidate's best program on test subjects, and write it and its record.

    A program that was scored before is not scored again. The record's "search" says which trials,
    rungs and seeds it was chosen from, and which programs were scored on test subjects: another one
    if the search went on and found a better one.

    Parameters
    ----------
    best : Told
        A trial of the last rung.
    board : BoardSpec or None
        Where the program is measured on test subjects' samples; None: nowhere.
    out : Path
        Folder of the study.
    told : mapping
        Of the search, for the record.

    Raises
    ------
    CompressError
        If a file of the candidate is gone or damaged.
    """
    rung = best.attributes["rungs"][-1]
    metric = dataset.task.headline
    seed = best_seed(rung, metric)
    folder, file = store.folder / rung["digests"][seed], out / PROGRAM
    looks = _looks(file)
    own = {"trial": best.number, "seed": seed, "digest": rung["digests"][seed]}
    mine = {**told, "trial": best.number, "seed": seed, "point": dict(best.point)}
    if looks and {name: looks[-1][name] for name in own} == own:
        record = read_record(record_path(file))
        mine["test_looks"] = looks
        record |= {"search": mine}
        save_both(Program.load(file), file, record)
        return Taken(best.number, seed, record)
    if not (folder / PROGRAM).is_file():
        raise CompressError(f"{folder}: the program of trial {best.number} is gone")
    program, data = Program.load(folder / PROGRAM), for_model(dataset, folder)
    chain, _ = load_chain(folder, data)
    found = scored(chain, program, data, "test")
    record = read_record(record_path(folder / PROGRAM))
    if board is not None:
        goal = store.get(rung["digests"][seed])
        with scratch_folder("build") as build:
            record["cost"] = measure(
                found.program, board, dataset, build, split="test", steps=FINAL_STEPS,
                optimize="balanced" if goal is None else goal.optimize,
            )  # fmt: skip
    name = metric.name
    look = {**own, name: found.scores[f"{name}_int"], "trials": told["trials"]}
    record |= {
        "program": PROGRAM,
        "scores": found.scores,
        "search": {**mine, "test_looks": [*looks, look]},
    }
    save_both(found.program, file, record)
    return Taken(best.number, seed, record)


def _looks(file: Path) -> list[dict[str, Any]]:
    """Return the programs that were scored on test subjects so far."""
    if not record_path(file).exists():
        return []
    return list(read_record(record_path(file)).get("search", {}).get("test_looks", []))
