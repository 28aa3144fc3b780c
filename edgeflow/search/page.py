"""The front of a search as files: its programs with their records, and a page of figures."""

from pathlib import Path
from typing import Any

from edgeflow.files import write_atomic
from edgeflow.profiling.compare import read_runs, write_comparison
from edgeflow.search.objectives import Objectives, best_seed
from edgeflow.search.search import Search

#: Folder and page, in that of the study.
FRONT, PAGE = "front", "front.html"


def write_front(found: Search, objectives: Objectives, out: Path) -> Path | None:
    """Write the programs of the front into ``front``, and ``front.html``.

    The program of a candidate is that of the seed that is best on validation subjects; its scores
    are those on validation subjects.

    Returns
    -------
    Path or None
        The page; None without a front.
    """
    names = [write_program(trial.number, trial.attributes["rungs"][-1], objectives, out)
             for trial in found.front]  # fmt: skip
    for old in (out / FRONT).glob("trial-*"):
        if old.stem not in names:
            old.unlink()
    if not names:
        return None
    page = out / PAGE
    write_comparison(read_runs([out / FRONT / f"{name}.json" for name in names]), page)
    return page


def write_program(number: int, rung: dict[str, Any], objectives: Objectives, out: Path) -> str:
    """Copy the best program of a candidate and its record; return their name."""
    digest = rung["digests"][best_seed(rung, objectives.metric)]
    name = f"trial-{number}"
    for suffix in (".onnx", ".json"):
        source = out / "results" / digest / f"model{suffix}"
        write_atomic(out / FRONT / f"{name}{suffix}", source.read_bytes())
    return name
