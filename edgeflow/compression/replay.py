"""Learning of unseen people replayed: "k labels a class, then the rest", on their own windows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.data.dataset import sort_people
from edgeflow.errors import CompressError
from edgeflow.program import Program
from edgeflow.program.nodes.adaptive_linear import AdaptiveLinear
from edgeflow.program.nodes.base import State, zeros

if TYPE_CHECKING:
    from edgeflow.data import Dataset

#: Where the labelled windows of a person are: drawn from all of them, or the first ones.
MODES = ("spread", "first")
#: Draws of labelled windows, for a mean.
DRAWS = 8
#: Windows between the first ones and the rest, which are next to them; fewest of the rest.
GAP, REST = 1, 3
#: Windows that the body of a program runs at a time.
_BATCH = 512


@dataclass(frozen=True)
class Features:
    """What a read-out reads at the end of each window of some people, in time.

    Parameters
    ----------
    x : int16 array [windows, inputs]
    label : int array [windows]
    person : str array [windows]
    """

    x: NDArray[np.int16]
    label: NDArray[np.int64]
    person: NDArray[Any]

    @classmethod
    def of(cls, program: Program, dataset: "Dataset", split: str) -> "Features":
        """Return those of the people of a split; the program's last layer is the read-out."""
        windows = dataset.windows(split, length=program.window)
        body = body_of(program)
        parts = [
            body.run(body.quantize_input(windows.x[start : start + _BATCH]))[:, -1]
            for start in range(0, len(windows.x), _BATCH)
        ]
        return cls(np.concatenate(parts), windows.y.astype(np.int64), windows.person)

    def means(self, classes: int) -> NDArray[np.float64]:
        """Return the mean of each class, [classes, inputs]; that of all for one without windows."""
        overall = self.x.mean(axis=0)
        known = [self.x[self.label == c] for c in range(classes)]
        return np.stack([x.mean(axis=0) if len(x) else overall for x in known])

    @property
    def people(self) -> list[str]:
        """Everybody, in order."""
        return sort_people([str(one) for one in np.unique(self.person)])


def body_of(program: Program) -> Program:
    """Return the program without its last layer, which gives what that reads."""
    if len(program.nodes) < 2:
        raise CompressError("the model is a read-out alone: there is nothing to learn behind")
    return replace(
        program, nodes=program.nodes[:-1], sources=program.reads[:-1], classes=(), output=None,
        metadata={}, hop=0,
    )  # fmt: skip


@dataclass(frozen=True)
class Replay:
    """A person's labelled windows, in the order of their labels, and the rest: indices."""

    labelled: NDArray[np.int64]
    rest: NDArray[np.int64]


@dataclass(frozen=True)
class Gain:
    """Shares of right decisions of a person on the rest, before and after k labels a class."""

    person: str
    before: float
    after: float
    windows: int


def replays(features: Features, person: str, k: int, mode: str) -> Iterator[Replay]:
    """Yield draws of labelled windows of a person: k of each class that has enough.

    Labels come in the order of time. Classes of a person with fewer than k, a gap and some to test
    on are in neither part.
    """
    mine = features.person == person
    of_class = [np.flatnonzero(mine & (features.label == c)) for c in np.unique(features.label)]
    enough = [windows for windows in of_class if len(windows) >= k + GAP + REST]
    for seed in range(DRAWS if mode == "spread" else 1):
        rng = np.random.default_rng(seed)
        first, rest = [], []
        for windows in enough:
            if mode == "spread":
                chosen = rng.permutation(len(windows))
                first.append(windows[np.sort(chosen[:k])])
                rest.append(windows[np.sort(chosen[k:])])
            else:
                first.append(windows[:k])
                rest.append(windows[k + GAP :])
        if enough:
            yield Replay(np.sort(np.concatenate(first)), np.sort(np.concatenate(rest)))


def gains(
    node: AdaptiveLinear, features: Features, k: int, mode: str, *, guarded: bool = True
) -> list[Gain]:
    """Replay everybody; return each person's gain, the mean over draws.

    Parameters
    ----------
    node : AdaptiveLinear
        The read-out.
    features : Features
        Of people that the model does not know.
    k : int
        Labelled windows of a class.
    mode : str
        One of `MODES`.
    guarded : bool
        False: without the guard, many times as fast with gradient descent, to choose parameters.
    """
    runs = [(who, r) for who in features.people for r in replays(features, who, k, mode)]
    if not runs:
        raise CompressError(f"nobody has classes of {k + GAP + REST} windows or more")
    state = learned(node, features, [r for _, r in runs], guarded=guarded)
    found: dict[str, list[tuple[float, float, int]]] = {}
    for number, (who, run) in enumerate(runs):
        x, truth = features.x[run.rest].astype(np.int64), features.label[run.rest]
        mine = {name: value[number : number + 1] for name, value in state.items()}
        right = [
            float((node.step(x, one)[0].argmax(axis=1) == truth).mean())
            for one in ({**mine, "active": 0 * mine["active"]}, mine)
        ]
        found.setdefault(who, []).append((right[0], right[1], len(truth)))
    means = {who: np.mean([draw[:2] for draw in draws], axis=0) for who, draws in found.items()}
    return [
        Gain(who, float(before), float(after), found[who][0][2])
        for who, (before, after) in means.items()
    ]


def learned(
    node: AdaptiveLinear, features: Features, runs: Sequence[Replay], *, guarded: bool = True
) -> State:
    """Return the state of a stream for each run, after its labels."""
    guarded = guarded and not node.anew
    state: State = {name: zeros(len(runs), v.size) for name, v in node.vectors.items()}
    for step in range(max(len(run.labelled) for run in runs)):
        due = np.array([step < len(run.labelled) for run in runs])
        index = np.array([run.labelled[min(step, len(run.labelled) - 1)] for run in runs])
        state = {**state, "seen": features.x[index].astype(np.int64)}
        label = np.where(due, features.label[index], -1)
        state = node.learn(state, label) if guarded else {**state, **node.taken(state, label)}
    return state if guarded else node.restored(state)
