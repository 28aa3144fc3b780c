"""The page of ``edgeflow live`` as static files beside a model in WebAssembly.

``index.html`` stands beside ``model.js``, all else of the page in ``page/``. It shows recordings of
``recordings.json``, the motion sensors of a phone, or a board that the browser reaches itself;
``record.html`` records the sensors, with labels.
"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.data import Dataset, choose_windows
from edgeflow.data.dataset import sort_people
from edgeflow.program import Program

#: Files of the page, which ``edgeflow live`` serves.
PAGE = Path(__file__).resolve().parent.parent / "apps" / "page"
INDEX, RECORDINGS = "index.html", "recordings.json"
#: What stands beside the model, and where all else is.
_PAGES, _FOLDER = (INDEX, "record.html"), "page"
#: Subjects of ``recordings.json``; seconds of each of their classes, but one window at least.
_SUBJECTS, _SECONDS = 2, 12.0
#: Digits of a sample: finer than the quantizer's 12 bits.
_DIGITS = 6


def page_files(program: Program, data: Dataset | None) -> dict[str, str]:
    """Return the files of the page, by path in the package.

    Parameters
    ----------
    data : Dataset, optional
        Some recordings of its test subjects are shown; without it the page begins with the phone's
        motion sensors.

    Raises
    ------
    DataError
        If the data are not what the model was made for.
    """
    found = {}
    for path in sorted(file for file in PAGE.rglob("*") if file.is_file()):
        found[f"{_FOLDER}/{path.relative_to(PAGE).as_posix()}"] = path.read_text(encoding="utf-8")
    source = "motion" if data is None else "wasm"
    for name in _PAGES:
        page = found.pop(f"{_FOLDER}/{name}")
        page = re.sub(r'(href|src)="([\w-]+\.(?:svg|css|js))"', rf'\1="{_FOLDER}/\2"', page)
        found[name] = page.replace('content="websocket"', f'content="{source}"').replace(
            "Served by this computer for this computer: no", "The model runs in this page: no"
        )
    if data is not None:
        found[RECORDINGS] = json.dumps(recordings(program, data), separators=(",", ":"))
    return found


def recordings(program: Program, data: Dataset) -> dict[str, Any]:
    """Return some windows of test subjects as the page replays them; JSON values.

    Raises
    ------
    DataError
        If the data are not what the model was made for.
    """
    windows = choose_windows(program, data, "test")
    few = max(round(_SECONDS * data.rate_hz) // windows.x.shape[1], 1)
    shown = []
    for person in sort_people(set(windows.person.tolist()))[:_SUBJECTS]:
        mine = np.flatnonzero(windows.person == person)
        for y in {str(windows.y[i]): windows.y[i] for i in mine}.values():
            same = [i for i in mine if np.array_equal(windows.y[i], y)][:few]
            x = np.concatenate([windows.x[i] for i in same])
            shown.append({"person": person, "label": _label(program, y), "x": short(x)})
    train = np.concatenate([one.x for one in data.split("train")])
    return {
        "data": data.name,
        "channels": list(program.input.channels),
        "training": training_statistics(train),
        "recordings": shown,
    }


def _label(program: Program, y: NDArray[Any]) -> Any:
    """Return a class's name, or values."""
    return program.classes[int(y)] if program.classes else np.asarray(y).tolist()


def short(values: NDArray[Any]) -> list[Any]:
    """Return numbers as the page draws them, with six digits; None for those that are not finite.

    Parameters
    ----------
    values : array [n] or [n, ...]
    """
    found = np.atleast_1d(np.asarray(values, np.float64))
    if found.ndim > 1:
        return [short(one) for one in found]
    return [float(f"{v:.{_DIGITS}g}") if np.isfinite(v) else None for v in found.tolist()]


def training_statistics(samples: NDArray[Any]) -> dict[str, Any]:
    """Return mean and standard deviation of each channel of samples [n, channels]; JSON values."""
    found = samples.astype(np.float64)
    return {"mean": short(found.mean(axis=0)), "std": short(found.std(axis=0))}
