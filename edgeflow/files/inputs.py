"""Inputs are never outputs, whatever names they go by."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from edgeflow.errors import OutputError

#: Ends of the names of files that are read when their folder is given.
_READ = (".csv", ".tsv", ".txt", ".gz", ".parquet", ".pq", ".npz", ".npy", ".pt")


def model_files(models: object) -> list[Path]:
    """Return what is read of models that are given by their places, as `check_outputs` takes it."""
    return [file for path in _paths(models) for file in (path, path / "model.pt")]


def check_outputs(outputs: Iterable[str | Path | None], inputs: Mapping[str, object]) -> None:
    """Refuse outputs that are inputs: by the same path, a link, or a second name of the file.

    Parameters
    ----------
    outputs : iterable of path
        Files that are written or replaced, or folders that are replaced; None: none.
    inputs : mapping
        What is read, by the name that a user knows it by: a path, several, or something else, such
        as a data set in memory or the name of one, which is no file. Of a folder, the recordings
        and weights in it count.

    Raises
    ------
    OutputError
        If an output is an input.
    """
    for output in outputs:
        if output is None:
            continue
        for what, value in inputs.items():
            for read in _paths(value):
                if _clash(Path(output), read):
                    raise OutputError(
                        f"{output}: is read ({what} {read}) and would be replaced: choose another "
                        "output"
                    )


def _paths(value: object) -> Iterable[Path]:
    if isinstance(value, str | os.PathLike):
        text = os.fspath(value)
        if isinstance(text, str) and text and "\0" not in text:
            yield Path(text)
            if ".py:" in text:  # mymodel.py:Net
                yield Path(text.rpartition(":")[0])
    elif isinstance(value, Iterable) and isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from _paths(one)


def _clash(output: Path, read: Path) -> bool:
    try:
        there = read.stat()
    except (OSError, ValueError):
        return False
    try:
        if os.path.samestat(output.stat(), there):
            return True
    except FileNotFoundError:
        return False
    if not read.is_dir() or output.is_dir() or not output.name.lower().endswith(_READ):
        return False
    return Path(os.path.realpath(output)).is_relative_to(os.path.realpath(read))
