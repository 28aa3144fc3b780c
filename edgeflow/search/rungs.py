"""Rungs: more epochs, seeds and subjects for candidates that do well with fewer.

The rule is successive halving without waiting (L. Li et al., A system for massively parallel
hyperparameter tuning, arXiv 1810.05934): a candidate climbs if it is among the best share of all
that came to its rung so far. Candidates are compared by the lower bounds of their scores, as the
standard error over subjects is larger than most differences.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeflow.errors import CompressError

#: One of so many climbs, of those that came last: a study may have tens of thousands.
ETA, RECENT = 3, 500


@dataclass(frozen=True)
class Rung:
    """How much of a training a candidate gets.

    Parameters
    ----------
    epochs : int
        Of the training.
    tuning : int
        Epochs of the fine-tuning with integer outputs.
    seeds : int
        Trainings with seeds of their own.
    subjects : float
        Share of the training subjects.
    """

    epochs: int
    tuning: int = 1
    seeds: int = 1
    subjects: float = 1.0

    def check(self, where: str) -> None:
        """Raise a CompressError if a value is out of range."""
        for name in ("epochs", "tuning", "seeds"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise CompressError(f"{where}: rungs: {name} is {value!r}: give 1 or more")
        if not isinstance(self.subjects, int | float) or not 0 < self.subjects <= 1:
            raise CompressError(f"{where}: rungs: subjects is {self.subjects!r}: give 0 to 1")


@dataclass(frozen=True)
class Place:
    """What a candidate reached on a rung; all of it is the smaller, the better.

    Parameters
    ----------
    score : float
        Of the task, from the best to the worst.
    error : float
        Standard error over validation subjects.
    others : tuple of float
        The other objectives.
    """

    score: float
    error: float
    others: tuple[float, ...] = ()

    @property
    def bounds(self) -> tuple[float, ...]:
        """The objectives, with the pessimistic bound of the score."""
        return (self.score + self.error, *self.others)


def beats(one: Sequence[float], other: Sequence[float]) -> bool:
    """Tell whether objectives, each the smaller the better, dominate others."""
    pairs = list(zip(one, other, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def front(objectives: Sequence[Sequence[float]]) -> list[int]:
    """Return the numbers of those that no other one dominates."""
    return [i for i, own in enumerate(objectives) if not any(beats(o, own) for o in objectives)]


def climbs(place: Place, others: Sequence[Place], eta: int = ETA) -> bool:
    """Tell whether a candidate goes on to the next rung.

    Parameters
    ----------
    place : Place
    others : sequence of Place
        Of all candidates that came to the rung before.

    Returns
    -------
    bool
        Whether it is among the best ``1 / eta`` of all: by how many dominate it, among equals by
        the bound of the score.
    """
    every = np.array([p.bounds for p in (*others[-RECENT:], place)])
    no_worse = (every[:, None] <= every[None]).all(axis=2)
    ranks = (no_worse & (every[:, None] < every[None]).any(axis=2)).sum(axis=0)
    ahead = (ranks < ranks[-1]) | ((ranks == ranks[-1]) & (every[:, 0] < every[-1, 0]))
    return bool(ahead.sum() < math.ceil(len(every) / eta))
