"""Arguments of the Python API, as the other packages take them, or an error of one line.

Imports are inside the functions, as in `edgeflow.api`.
"""

from __future__ import annotations

import contextlib
import operator
import sys
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeAlias

from edgeflow.errors import (
    CompressError,
    DataError,
    EdgeFlowError,
    EdgeFlowWarning,
    ExportError,
    ProgramError,
    TargetError,
    TrainError,
)
from edgeflow.names import same_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray
    from torch import nn

    from edgeflow.data import Dataset, Windows
    from edgeflow.model_options import ModelOptions
    from edgeflow.program import Program
    from edgeflow.targets.board import BoardSpec
    from edgeflow.training.loop import TrainResult
    from edgeflow.training.method import Method

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
    if isinstance(model, nn.Module):
        return model
    if isinstance(model, str | Path):
        as_path("model", model, CompressError)
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

    check_texts(CompressError, nir_reset=nir_reset)
    check_flags(CompressError, untrained=untrained)
    return ModelOptions(
        None if checkpoint is None else as_path("checkpoint", checkpoint, CompressError),
        untrained,
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


def shown(value: object) -> str:
    """Return a value as a short text in one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:50]}... ({type(value).__name__})"


@contextlib.contextmanager
def files_named(error: type[EdgeFlowError]) -> Iterator[None]:
    """Turn what the operating system refuses into an error that names the file."""
    try:
        yield
    except OSError as cause:
        where = f"{cause.filename}: " if cause.filename is not None else ""
        raise error(f"{where}{cause.strerror or cause}") from cause


@contextlib.contextmanager
def random_kept() -> Iterator[None]:
    """Put back the caller's generators of random numbers: new layers draw from them."""
    from edgeflow.training.repeat import rng_states, set_rng_states

    states = rng_states()
    try:
        yield
    finally:
        set_rng_states(states)


def check_texts(error: type[EdgeFlowError], **values: object) -> None:
    """Refuse what is given and is no text."""
    for what, value in values.items():
        if value is not None and not isinstance(value, str):
            raise error(f"{what} is {shown(value)}: give a text")


def check_flags(error: type[EdgeFlowError], **values: object) -> None:
    """Refuse what is given and is neither True nor False."""
    for what, value in values.items():
        if value is not None and not isinstance(value, bool):
            raise error(f"{what} is {shown(value)}: give True or False")


def check_calls(error: type[EdgeFlowError], **values: object) -> None:
    """Refuse what is given and cannot be called."""
    for what, value in values.items():
        if value is not None and not callable(value):
            raise error(f"{what} is {shown(value)}: give a function")


def check_lists(error: type[EdgeFlowError], **values: object) -> None:
    """Refuse what is given and is no list of texts, or of texts by texts."""
    for what, value in values.items():
        if value is None:
            continue
        parts = [*value, *value.values()] if isinstance(value, Mapping) else _parts(value)
        if parts is None or not all(isinstance(part, str) for part in parts):
            raise error(f"{what} is {shown(value)}: give a list of texts")


def _parts(value: object) -> list[Any] | None:
    """Return what a list holds; None if it is none."""
    if isinstance(value, str | bytes) or not isinstance(value, Collection):
        return None
    try:
        return list(value)
    except TypeError:  # an array without axes
        return None


def check_methods(methods: Sequence[Method]) -> None:
    """Refuse what are no methods of training."""
    from edgeflow.training.method import Method

    parts = _parts(methods)
    if parts is None or not all(isinstance(part, Method) for part in parts):
        raise TrainError(f"methods are {shown(methods)}: give a list of edgeflow.training.Method")


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
    if (twice := same_name(found)) is not None:
        raise CompressError(f"{what}: {shown(twice)} is there more than once")
    return found


def as_whole(what: str, value: int) -> int:
    """Return a whole number."""
    try:
        return operator.index(value)
    except (TypeError, ValueError, RuntimeError):  # of tensors, too
        raise CompressError(f"{what} is {shown(value)}: give a whole number") from None


def as_number(what: str, value: float, error: type[EdgeFlowError] = CompressError) -> float:
    """Return a finite number."""
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise error(f"{what} is {shown(value)}: give a number") from None
    if not abs(number) < float("inf"):
        raise error(f"{what} is {number}: give a finite number")
    return number


def as_counts(counts: Mapping[str, float] | None) -> dict[str, float] | None:
    """Return counts of one unit by unit."""
    if counts is None:
        return None
    if not isinstance(counts, Mapping):
        raise TargetError(f"counts is {shown(counts)}: give a mapping of units, like {{'g': 8192}}")
    return {str(u): as_number(f"counts of {u}", n, TargetError) for u, n in counts.items()}


def as_path(what: str, value: str | Path, error: type[EdgeFlowError]) -> Path:
    """Return a path."""
    try:
        path = Path(value)
    except TypeError:
        raise error(f"{what} is {shown(value)}: give a path") from None
    if "\0" in str(path) or value == "":
        raise error(f"{what} is {shown(value)}: give a path")
    return path


def as_board(board: BoardSpec | str | Path, *, trusted: bool = False) -> BoardSpec:
    """Return a board, given it, its name or its file, which may be trusted."""
    from edgeflow.targets.board import BoardSpec, load_board

    if isinstance(board, BoardSpec):
        return board
    if isinstance(board, str | Path):
        as_path("board", board, TargetError)
        return load_board(board, trusted=trusted)
    raise TargetError(
        f"a board is one of edgeflow.boards(), its name or a .toml file, not {shown(board)}"
    )


def as_dataset(data: Data) -> Dataset:
    """Return a data set, given it, its name or its path; warn of what its reader notes."""
    from edgeflow.data import Dataset, load_dataset

    if isinstance(data, str | Path):
        as_path("data", data, DataError)
        loaded = load_dataset(data)
        warn_of(f"{data}: {note}" for note in loaded.notes)
        return loaded
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
    warn_of(program.metadata.get("notes", ()))
    return program


def warn_of(notes: Iterable[str]) -> None:
    """Warn the caller of a function of `edgeflow.api`, whatever is decorated on the way."""
    ours = (str(Path(__file__).parent), contextlib.__file__)
    level = 1
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_filename.startswith(ours):
        level += 1
        frame = frame.f_back
    for note in notes:
        warnings.warn(note, EdgeFlowWarning, stacklevel=level)


def as_programs(
    program: Program | str | Path | Mapping[str, Program | str | Path] | Sequence[str | Path],
) -> Program | Mapping[str, Program]:
    """Return a program, or several by name, given them or their files."""
    from edgeflow.codegen.names import name_files

    if isinstance(program, Mapping | list | tuple) and not program:
        raise ExportError("there is no program to export: give one or more")
    if isinstance(program, Mapping):
        return {name: as_program(each) for name, each in program.items()}
    if isinstance(program, str | Path) or not isinstance(program, Sequence):
        return as_program(program)
    if not all(isinstance(each, str | Path) for each in program):
        raise ExportError("several programs need names: give a mapping, {'walk': program, ...}")
    return {n: as_program(each) for n, each in zip(name_files(program), program, strict=True)}


def as_program(program: Program | str | Path) -> Program:
    """Return a program, given it or its file."""
    from edgeflow.program import Program

    if isinstance(program, str | Path):
        as_path("program", program, ProgramError)
        return Program.load(program)
    if isinstance(program, Program):
        return program
    raise ProgramError(
        f"a program is what edgeflow.compress returns, or its file, not {type(program).__name__}"
    )
