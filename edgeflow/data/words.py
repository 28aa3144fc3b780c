"""Some of the events of a data set, where a model tells more of them apart."""

from collections.abc import Sequence
from dataclasses import replace

from edgeflow.data.dataset import Dataset
from edgeflow.errors import DataError
from edgeflow.tasks.events import Events


def of_words(dataset: Dataset, words: Sequence[str]) -> Dataset:
    """Return a data set in which only some classes are events, the others background.

    Parameters
    ----------
    dataset : Dataset
        With events.
    words : sequence of str
        Names of the classes.

    Raises
    ------
    DataError
        If it has no events, or no such classes.
    """
    if not isinstance(dataset.task, Events):
        raise DataError(
            f"--words: data set '{dataset.name}' is for {dataset.task.name}, not events"
        )
    try:
        task = dataset.task.of_words([word.strip() for word in words])
    except DataError as error:
        raise DataError(f"--words: {error}") from None
    recordings = [replace(one, target=task.heard(one.by_step())) for one in dataset.recordings]
    return replace(dataset, target=task, recordings=recordings)
