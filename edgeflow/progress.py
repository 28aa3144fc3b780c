"""Telling a caller how far a long call is."""

from typing import Protocol


class StageProgress(Protocol):
    """A callback at the beginning of a stage and as it goes on.

    Parameters
    ----------
    stage : str
        For people: ``quantizing``. Stages follow one another; none comes twice.
    done, total : int
        0 of 0: nothing is known but that it has begun.
    """

    def __call__(self, stage: str, done: int, total: int, /) -> None: ...


def silent(stage: str, done: int, total: int, /) -> None:
    """Tell nobody."""
