"""Arguments of the Python API, as the other packages take them, or an error of one line.

Imports are inside the functions, as in `edgeflow.api`.
"""

from __future__ import annotations

import operator
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from edgeflow.errors import (
    CompressError,
    DataError,
    EdgeFlowError,
    EdgeFlowWarning,
    ProgramError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import ArrayLike, NDArray
    from torch import nn

    from edgeflow.data import Dataset, Windows
    from edgeflow.model_options import ModelOptions
    from edgeflow.program import Program
    from edgeflow.training.loop import TrainResult

    #: A data set, or its name or path.
    Data: TypeAlias = Dataset | str | Path
    #: A trained module, or where the commands find one.
    Model: TypeAlias = nn.Module | TrainResult | str | Path


def as_model(model: Model) -> nn.Module | str | Path:
    """Return a model as the importers take it."""
    from torch import nn

    from edgeflow.training.loop import TrainResult

    if isinstance(model, TrainResult):
        return model.folder
    if isinstance(model, nn.Module | str | Path):
        return model
    what = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
    raise CompressError(
        f"a model is a torch.nn.Module (Net(), not Net), the result of train, mymodel.py:Net, or a "
        f"folder or file, not {what}"
    )


def as_model_options(
    checkpoint: str | Path | None, untrained: bool, nir_reset: str | None, nir_dt: float | None
) -> ModelOptions:
    """Return how a model is read."""
    from edgeflow.model_options import ModelOptions

    if nir_reset is not None and not isinstance(nir_reset, str):
        raise CompressError(f"nir_reset is {nir_reset!r}: give a name")
    return ModelOptions(
        None if checkpoint is None else as_path("checkpoint", checkpoint, CompressError),
        bool(untrained),
        nir_reset,
        None if nir_dt is None else as_number("nir_dt", nir_dt),
    )


def as_windows(x: ArrayLike) -> NDArray[np.float32]:
    """Return calibration windows, checked."""
    import numpy as np

    from edgeflow.samples import as_float32

    expected = "[n, time, channels]"
    samples = as_float32(x, f"calibration: samples {expected}", CompressError)
    if samples.ndim != 3 or samples.size == 0:
        raise CompressError(
            f"calibration must be samples {expected}, at least one, not {list(samples.shape)}"
        )
    if not np.isfinite(samples).all():
        count = int((~np.isfinite(samples)).any(axis=(1, 2)).sum())
        raise CompressError(
            f"calibration holds NaN or infinite values, in {count} of {len(samples)} windows: "
            "leave these out, or fill the gaps"
        )
    return samples


def as_names(what: str, names: Sequence[object] | None) -> tuple[str, ...]:
    """Return names as text; numbers of classes will do. None: no names."""
    if names is None:
        return ()
    if isinstance(names, str):
        raise CompressError(f"{what} must be a list of names, not the text '{names}'")
    try:
        found = tuple(str(name) for name in names)
    except TypeError:
        raise CompressError(f"{what} must be a list of names, not {type(names).__name__}") from None
    if len(set(found)) < len(found):
        twice = next(name for name in found if found.count(name) > 1)
        raise CompressError(f"{what}: '{twice}' is there more than once")
    return found


def as_whole(what: str, value: int) -> int:
    """Return a whole number."""
    try:
        return operator.index(value)
    except TypeError:
        raise CompressError(f"{what} is {value!r}: give a whole number") from None


def as_number(what: str, value: float) -> float:
    """Return a number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise CompressError(f"{what} is {value!r}: give a number") from None


def as_path(what: str, value: str | Path, error: type[EdgeFlowError]) -> Path:
    """Return a path."""
    try:
        return Path(value)
    except TypeError:
        raise error(f"{what} is {value!r}: give a path") from None


def as_dataset(data: Data) -> Dataset:
    """Return a data set, given it, its name or its path."""
    from edgeflow.data import Dataset, load_dataset

    if isinstance(data, str | Path):
        return load_dataset(data)
    if isinstance(data, Dataset):
        return data
    raise DataError(
        f"data are a Dataset (edgeflow.load_dataset), or a name or path, not {type(data).__name__}"
    )


def as_labelled(
    data: Windows | tuple[ArrayLike, ...] | list[ArrayLike], program: Program, split: str
) -> Dataset:
    """Return a data set of windows and labels, (x, y), whose classes are the program's."""
    from edgeflow.data import Windows, from_arrays

    parts: tuple[Any, ...]
    parts = (data.x, data.y, data.person) if isinstance(data, Windows) else (*data, None)
    if len(parts) != 3:
        raise DataError(f"windows and their labels are (x, y), not {len(parts) - 1} things")
    x, y, person = parts
    return from_arrays(
        x,
        y,
        person=person,
        classes=program.classes,
        channels=program.input.channels,
        target=program.task if "task" in program.metadata else None,
        split=split,
        window=program.window,
        rate_hz=program.rate_hz,
    )


def check_described(
    dataset: Dataset,
    channels: Sequence[str] | None,
    classes: Sequence[object] | None,
    window: int,
    rate_hz: float,
) -> None:
    """Refuse what a data set says otherwise."""
    told: dict[str, tuple[object, object]] = {
        "channels": (list(as_names("channels", channels)), dataset.channels),
        "classes": (list(as_names("classes", classes)), dataset.classes),
        "window": (window, dataset.window),
        "rate_hz": (rate_hz, dataset.rate_hz),
    }
    for argument, (value, own) in told.items():
        if value and value != own:
            raise CompressError(f"{argument} {value}: data set '{dataset.name}' has {own}")


def warned(program: Program) -> Program:
    """Return a new program; warn of what is in its notes."""
    for note in program.metadata.get("notes", ()):
        warnings.warn(note, EdgeFlowWarning, stacklevel=3)
    return program


def as_program(program: Program | str | Path) -> Program:
    """Return a program, given it or its file."""
    from edgeflow.program import Program

    if isinstance(program, str | Path):
        return Program.load(program)
    if isinstance(program, Program):
        return program
    raise ProgramError(
        f"a program is what edgeflow.compress returns, or its file, not {type(program).__name__}"
    )
