"""More training subjects for a data set: of synthetic recordings, or another collection."""

from dataclasses import replace

from edgeflow.data.dataset import Dataset, everybody
from edgeflow.errors import DataError


def with_more(dataset: Dataset, more: Dataset) -> Dataset:
    """Return a data set with all recordings of another one, whose subjects train.

    Classes are matched by name, in the order of `dataset`.

    Raises
    ------
    DataError
        If the two differ in channels, units, rate, task or classes, or share a subject, who might
        test, too.
    """
    for what, own, other in (
        ("channels", dataset.channels, more.channels),
        ("units", dataset.units, more.units),
        ("Hz", dataset.rate_hz, more.rate_hz),
        ("task", dataset.task.name, more.task.name),
    ):
        if own != other:
            raise DataError(
                f"--more '{more.name}' has other {what} than '{dataset.name}': {_text(other)}, not "
                f"{_text(own)}"
            )
    if dataset.task.per_step or not dataset.classes:
        raise DataError(
            f"--more: '{dataset.name}' is for {dataset.task.name}; subjects can be added where a "
            "recording has one class"
        )
    if unknown := sorted(set(more.classes) - set(dataset.classes)):
        raise DataError(
            f"--more '{more.name}' has the class '{unknown[0]}': '{dataset.name}' has "
            f"{', '.join(dataset.classes)}"
        )
    people = everybody(more.recordings)
    if both := sorted(set(people) & set(everybody(dataset.recordings))):
        raise DataError(
            f"'{both[0]}' is a subject of '{dataset.name}' and of --more '{more.name}': rename "
            "one, or leave it out"
        )
    label = [dataset.classes.index(name) for name in more.classes]
    added = [replace(one, label=label[one.label]) for one in more.recordings]
    return replace(
        dataset,
        recordings=[*dataset.recordings, *added],
        people={**dataset.people, "train": [*dataset.people["train"], *people]},
        notes=(*dataset.notes, f"{len(added)} recordings of '{more.name}' train, too"),
    )


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
