"""Compression within constraints: the best candidate recipe that meets all of them.

The candidate list (``ladder.toml``) is in order, from recipes that cost hardly any accuracy to
those that cost more. Of a recipe that trains, a surrogate runs first: what would cost too much on
the board is not trained. All others are trained, compiled and run on the board. Validation subjects
decide; the chosen program alone is scored on test subjects.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeflow import __version__
from edgeflow.calibration import read_toml
from edgeflow.compression.evaluate import Compressed, load_chain, scored
from edgeflow.compression.finetune import chain_hash
from edgeflow.compression.record import check_place, read_record, record_path, save_both
from edgeflow.errors import CheckFailed, CompressError
from edgeflow.files import FolderKind, held_file, output_folder
from edgeflow.model_options import NONE_GIVEN, ModelOptions
from edgeflow.program import Program
from edgeflow.recipes.apply import compress_by_recipe, for_model
from edgeflow.recipes.candidate import Candidate, Job, figures_of, nearest
from edgeflow.recipes.decide import step_of
from edgeflow.recipes.limits import Limits
from edgeflow.recipes.measure import FINAL_STEPS, emulated_board, measure
from edgeflow.recipes.recipe import make_recipe, read_recipe
from edgeflow.resources import resource
from edgeflow.targets.board import BoardSpec
from edgeflow.tasks import from_json
from edgeflow.training.resume import fingerprint

if TYPE_CHECKING:
    from edgeflow.data import Dataset

#: Options that a search gives to its recipes: to those that train, and to all.
OF_TRAINING = ("epochs", "lr", "batch", "seed", "tail", "teacher")
OF_ALL = (
    "weights", "activations", "optimize", "detect", "words", "folds", "anomaly", "learn", "count",
)  # fmt: skip


def _earlier(folder: Path) -> dict[str, list[str]]:
    """Return the files of a search without a mark, by command."""
    lock = [name for name in (".lock",) if (folder / name).is_file()]
    return {"compress": lock} if any(folder.glob("*/candidate.json")) else {}


#: Of the candidates of a search.
FOLDER = FolderKind("compress", earlier=_earlier)


@dataclass(frozen=True)
class Found:
    """Result of a search.

    Attributes
    ----------
    rows : list of dict
        One per candidate, the nearest first: "recipe", "state", "why", "accuracy" (or another
        headline of the task, or of what a layer behind the model decides), "drop", "drop_error"
        (standard error over subjects), "flash", "ram", "instructions", "p99", "max", "energy_uj",
        "optimize"; None: not known.
    compressed : Compressed or None
        The program taken, scored on test subjects.
    record : dict or None
        As it was written.
    """

    rows: list[dict[str, Any]]
    compressed: Compressed | None = None
    record: dict[str, Any] | None = None


def target_folder(out: str | Path) -> Path:
    """Return the folder of a search's candidates: ``model.target`` beside ``model.onnx``."""
    return Path(out).with_suffix(".target")


def read_ladder(path: str | Path | None = None) -> list[str]:
    """Return the recipes of a candidate list, names or paths.

    Parameters
    ----------
    path : str or path, optional
        A .toml file; None: ``calibration/ladder.toml``.

    Raises
    ------
    CompressError
        If the file cannot be read or has no list "recipes" of different names.
    """
    path = resource("calibration") / "ladder.toml" if path is None else Path(path)
    names = read_toml(path, CompressError).get("recipes")
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise CompressError(f'{path}: needs a list of recipes, like recipes = ["int8", "my.toml"]')
    stems = [Path(name).stem for name in names]
    twice = next((stem for stem in stems if stems.count(stem) > 1), None)
    if twice is not None:
        raise CompressError(f"{path}: the recipe '{twice}' is there twice")
    return [str(path.parent / name) if name.endswith(".toml") else name for name in names]


def search(
    model: str | Path,
    dataset: "Dataset",
    limits: Limits,
    board: str | BoardSpec,
    out: str | Path,
    *,
    ladder: Sequence[str],
    options: Mapping[str, Any] | None = None,
    model_options: ModelOptions = NONE_GIVEN,
    restart: bool = False,
    on_candidate: Callable[[int, int, str], None] | None = None,
    on_done: Callable[[dict[str, Any]], None] | None = None,
    on_epoch: Callable[[int, int, dict[str, float]], None] | None = None,
) -> Found:
    """Try recipes on a model; go on where an interrupted search with equal arguments stopped.

    Constraints are no such arguments: what was tried is not tried again under others.

    Parameters
    ----------
    board : str or BoardSpec
        An emulated one.
    out : path
        For the program that is taken; candidates are in `target_folder`.
    ladder : sequence of str
        Names or files of the candidate recipes.
    options : mapping, optional
        Values by option in the place of the recipes' own: `OF_TRAINING` where a recipe trains,
        `OF_ALL` everywhere.
    restart : bool
        Start anew.
    on_candidate, on_done, on_epoch : callable, optional
        Called with number from 1, total and name before a candidate, with its row after it, and
        after each epoch of its training.

    Returns
    -------
    Found
        `compressed` is None if no candidate meets the constraints on validation subjects.

    Raises
    ------
    CompressError, ProgramError, DataError, TrainError, TargetError, DeviceError
        If something cannot be used.
    """
    for name, value in (options or {}).items():
        if value not in (None, []) and name not in (*OF_TRAINING, *OF_ALL):
            raise CompressError(
                f"--{name}: a search takes it from its recipes: write them, and a --ladder of them"
            )
    check_place(out)
    spec = emulated_board(board)
    folder, chosen = target_folder(out), options or {}
    # a layer that detects or counts reads every sample: no early exit
    every_sample = chosen.get("detect") is not None or bool(chosen.get("count"))
    recipes = [
        (Path(name).stem, make_recipe(content, _of(content, chosen), where=name))
        for name in ladder
        for content in [read_recipe(name)]
        if not (every_sample and "cutoff" in content)
    ]
    if len({step_of(recipe.decide) for _, recipe in recipes}) > 1:
        raise CompressError(
            "a search compares decisions of one kind: detect, flag and count in all of its recipes "
            "or in none"
        )
    whole, dataset = dataset, for_model(dataset, model)
    chain, calibration = load_chain(model, dataset, model_options)
    arguments = {
        "edgeflow": __version__,
        "model": chain_hash(chain),
        "recordings": fingerprint(dataset),
        "window": chain.window or dataset.window,
        "board": spec.name,
    }
    job = Job(
        model, chain, calibration, whole, dataset, spec, limits, arguments,
        model_options=model_options, restart=restart,
    )  # fmt: skip
    with held_file(out), output_folder(folder, FOLDER) as held:
        held.begin([])  # each candidate has a folder in it
        candidates = [Candidate(name, recipe, folder / name, job) for name, recipe in recipes]
        for number, candidate in enumerate(candidates, 1):
            if on_candidate:
                on_candidate(number, len(candidates), candidate.name)
            candidate.go(on_epoch)
            if on_done:
                on_done(_row(candidate))
        ranked = nearest(candidates)
        rows = [_row(candidate) for candidate in ranked]
        if ranked[0].state != "met":
            return Found(rows)
        return _take(ranked[0], job, folder, out, rows)


def _take(
    best: Candidate, job: Job, folder: Path, out: str | Path, rows: list[dict[str, Any]]
) -> Found:
    """Score the best candidate on test subjects, and write it and its record."""
    program = Program.load(best.program_file)
    taken = _scored(best, job, program)
    goal = best.figures["cost"]["optimize"]
    cost = measure(
        taken.program, job.board, job.whole, folder / "build",
        split="test", steps=FINAL_STEPS, optimize=goal,
    )  # fmt: skip
    record = {
        **read_record(record_path(best.program_file)),
        "program": Path(out).name,
        "scores": taken.scores,
        "cost": cost,
        "candidates": rows,
    }
    save_both(taken.program, out, record)
    return Found(rows, taken, record)


def _scored(best: Candidate, job: Job, program: Program) -> Compressed:
    """Return a candidate's program with its scores on test subjects."""
    if step_of(best.recipe.decide) is None:
        return scored(job.chain, program, job.dataset, "test")
    # its scores are those before the layer that decides: the recipe, whose training is done, again
    made = compress_by_recipe(
        job.model, job.whole, best.recipe, best.program_file,
        name=best.name, board=job.board.name, model_options=job.model_options, split="test",
    ).compressed  # fmt: skip
    if made.program != program:
        raise CompressError(f"{best.program_file}: made anew, it is another: use --restart")
    return made


def check(found: Found, limits: Limits) -> None:
    """Check the constraints on test subjects.

    Raises
    ------
    CheckFailed
        If no candidate met them on validation subjects, or the one taken does not on test subjects.
    """
    if found.compressed is None or found.record is None:
        first = found.rows[0]
        raise CheckFailed(
            f"none of {len(found.rows)} recipes meets all constraints; the nearest is "
            f"'{first['recipe']}' ({first['state']}: {first['why']})"
        )
    scores, task = found.compressed.scores, found.compressed.program.task
    if "task" in scores:  # a layer behind the model decides for another
        task = from_json(scores["task"])
    drop = task.drop(scores)
    excess = limits.excess({"drop": drop, **figures_of(found.record["cost"])})
    if excess:
        beyond = ", ".join(
            f"{name} by {value:.2f} points" if name == "drop" else f"{name} by {value:.1%}"
            for name, value in excess.items()
        )
        raise CheckFailed(
            f"'{found.rows[0]['recipe']}' meets all constraints on validation subjects, and "
            f"exceeds on test subjects: {beyond}"
        )


def _of(content: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that apply to a recipe."""
    train = content.get("train")
    trains = isinstance(train, Mapping) and train.get("epochs", 0) != 0
    return {name: value for name, value in options.items() if trains or name not in OF_TRAINING}


def _row(candidate: Candidate) -> dict[str, Any]:
    figures, metric = candidate.figures, candidate.metric
    cost = figures.get("cost") or {}
    tried = candidate.state in ("met", "missed")
    counts = cost.get("instructions") or {} if tried else {}
    energy = cost.get("energy_uj") if tried else None
    return {
        "recipe": candidate.name,
        "state": candidate.state,
        "why": candidate.why,
        metric.name: candidate.score,
        **{key: figures.get(key) for key in ("drop", "drop_error", "flash", "ram", "instructions")},
        "p99": counts.get("p99"),
        "max": counts.get("max"),
        "energy_uj": energy["mean"] if energy else None,
        "optimize": cost.get("optimize"),
    }
