"""Loading of the data set that a command was given."""

from collections.abc import Mapping
from typing import Any

from edgeflow.cli import console
from edgeflow.data.reading import DataOptions
from edgeflow.schema import by_field


def load(
    data: str, reading: Mapping[str, Any], window: int | None = None, *, partial: bool = False
) -> Any:
    """Return the `Dataset` of --data and the options beside it; show what its reader notes.

    Parameters
    ----------
    reading : mapping
        Options of `DataOptions`, as `with_options` gives them.
    partial : bool
        As of `load_dataset`.
    """
    from edgeflow.data import load_dataset

    options = by_field(DataOptions, reading)
    dataset = load_dataset(data, window=window, partial=partial, **options)
    console.notes(dataset.notes)
    return dataset


def inputs(data: str, reading: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is read for --data, as `edgeflow.files.check_outputs` takes it."""
    names = ("more", "people", "root")
    return {"--data": data, **{f"--{name}": reading[name] for name in names}}
