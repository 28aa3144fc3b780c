"""Loading of the data set that a command was given."""

from pathlib import Path
from typing import Any

from edgeflow.cli import console


def load(
    data: str,
    *,
    root: Path | None = None,
    people: Path | None = None,
    rate: float | None = None,
    window: int | None = None,
) -> Any:
    """Return the `Dataset` of --data and the options beside it; show what its reader notes."""
    from edgeflow.data import load_dataset

    dataset = load_dataset(data, root=root, people=people, rate_hz=rate, window=window)
    console.notes(dataset.notes)
    return dataset
