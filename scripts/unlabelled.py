"""What people gain without a label: inputs moved to theirs, turns of the watch, priors.

python scripts/unlabelled.py --root DATA --models runs/s0,runs/s1,runs/s2

Each window is decided before it is learned of, by an int8 program of its own seed:

centre   channels' slow running means take the place of the training people's, within a bound
gain     the same, of the deviations from that mean
turn     after some windows, the turn or mirror image that the model is surest of, once
prior    logits move by the logarithm of how often each class was decided, slowly

`activities`: windows as they were recorded, one activity after another, which is the hard case for
running values; `mixed`: the same in random order. Settings are chosen on validation people: the
best mean gain over both orders and all seeds, of those where nobody loses more than half a point;
none if none gains. Test people are looked at with what was chosen, once.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from edgeflow.cells import load_model  # noqa: E402
from edgeflow.compression.evaluate import compress_model  # noqa: E402
from edgeflow.data import Dataset, load_dataset  # noqa: E402
from edgeflow.data.channels import axis_triples  # noqa: E402
from edgeflow.data.dataset import sort_people  # noqa: E402
from edgeflow.program import Program  # noqa: E402
from edgeflow.recipes.apply import for_model  # noqa: E402
from edgeflow.training.augment import mirror_signs  # noqa: E402

#: Settings that are compared: windows of a time constant, bounds in deviations or as a factor.
CENTRES = tuple(product((30, 100, 300), (0.25, 0.5, 1.0)))
GAINS = tuple(product((30, 100, 300), (1.1, 1.25, 1.5)))
#: Windows before the choice, and by how much more the mean logarithm of the surest class must be.
TURNS = tuple(product((20, 50, 100), (0.0, 0.05, 0.1)))
#: Windows that the training people count for, and the share of the logarithm.
PRIORS = tuple(product((20, 50, 200), (0.25, 0.5, 1.0)))
ORDERS = ("activities", "mixed")
#: Nobody may lose more.
LEAST = -0.5

Floats = NDArray[np.float64]


class Model:
    """A program, and the mean and deviation of the training people's channels."""

    def __init__(self, folder: str, data: Dataset) -> None:
        found = load_model(folder)
        self.mean, self.std = found.mean.numpy(), found.std.numpy()
        self.program: Program = compress_model(folder, for_model(data, folder)).program

    def logits(self, x: NDArray[np.float32]) -> Floats:
        """Return the last logits of windows, [n, classes]."""
        y = self.program.run(self.program.quantize_input(x.astype(np.float32)))[:, -1]
        return np.asarray(y * self.program.output_scale, np.float64)


def running(first: Floats, seen: Floats, time: float) -> Floats:
    """Return what is known before each window: a mean that begins at `first`, [n, size]."""
    now, found = first.astype(np.float64), []
    for one in seen:
        found.append(now)
        now = now + (one - now) / time
    return np.stack(found)


def centred(model: Model, x: Floats, how: tuple[float, float]) -> Floats:
    time, bound = how
    means = running(model.mean, x.mean(axis=1), time)
    away = np.clip(means - model.mean, -bound * model.std, bound * model.std)
    return model.logits(x - away[:, None])


def scaled(model: Model, x: Floats, how: tuple[float, float]) -> Floats:
    time, bound = how
    squares = running(model.std**2, np.square(x - model.mean).mean(axis=1), time)
    factor = np.clip(model.std / np.sqrt(squares), 1 / bound, bound)
    return model.logits(model.mean + (x - model.mean) * factor[:, None])


def turned(model: Model, x: Floats, how: tuple[float, float], signs: Floats) -> Floats:
    count, margin = how
    logits = np.stack([model.logits(x * one) for one in signs])
    sure = (logits.max(axis=2) - np.logaddexp.reduce(logits, axis=2))[:, : int(count)].mean(axis=1)
    best = int(sure.argmax())
    if sure[best] <= sure[0] + margin:
        return np.asarray(logits[0])
    return np.concatenate([logits[0, : int(count)], logits[best, int(count) :]])


def with_priors(model: Model, x: Floats, how: tuple[float, float]) -> Floats:
    time, share = how
    logits = model.logits(x)
    even = np.full(logits.shape[1], 1 / logits.shape[1])
    decided = np.exp(logits - np.logaddexp.reduce(logits, axis=1)[:, None])
    return np.asarray(logits + share * np.log(running(even, decided, time) / even))


def turns(data: Dataset) -> Floats:
    """Return factors of the channels: as it is, half turns about each axis, the mirror of each."""
    mirror = mirror_signs(data.channels, data.units).numpy().astype(np.float64)
    found = []
    for axes in ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)):
        signs = np.ones(len(data.channels))
        for i in axis_triples(data.channels):
            signs[i : i + 3] = axes
        found += [signs, signs * mirror]
    return np.stack(found)


def in_order(
    data: Dataset, split: str, order: str
) -> Iterator[tuple[str, Floats, NDArray[np.int64]]]:
    """Yield the windows and labels of each person."""
    windows = data.windows(split)
    for person in sort_people([str(one) for one in np.unique(windows.person)]):
        mine = np.flatnonzero(windows.person == person)
        if order == "mixed":
            mine = np.random.default_rng(0).permutation(mine)
        yield person, windows.x[mine].astype(np.float64), windows.y[mine]


def gains(
    models: list[Model],
    data: Dataset,
    split: str,
    order: str,
    change: Callable[[Model, Floats], Floats],
) -> tuple[Floats, Floats]:
    """Return accuracy in % before and after, [people], the mean over the models."""
    rows = []
    for _, x, y in in_order(data, split, order):
        pairs = [(m.logits(x), change(m, x)) for m in models]
        rows.append(
            [
                100 * np.mean([(pair[i].argmax(axis=1) == y).mean() for pair in pairs])
                for i in (0, 1)
            ]
        )
    before, after = np.array(rows).T
    return before, after


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", required=True, help="folder of the data")
    parser.add_argument("--data", default="wisdm-watch-hand")
    parser.add_argument("--models", required=True, help="folders of trained models, by commas")
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = load_dataset(given.data, root=given.root)
    models = [Model(folder, data) for folder in given.models.split(",")]
    signs = turns(data)
    ways: dict[str, tuple[Callable[..., Floats], tuple[tuple[float, float], ...]]] = {
        "centre": (centred, CENTRES),
        "gain": (scaled, GAINS),
        "turn": (lambda m, x, how: turned(m, x, how, signs), TURNS),
        "prior": (with_priors, PRIORS),
    }
    for name, (way, settings) in ways.items():
        best, chosen = 0.0, None
        for how in settings:
            found = [
                gains(models, data, "val", order, lambda m, x, h=how, w=way: w(m, x, h))
                for order in ORDERS
            ]
            change = np.stack([after - before for before, after in found])
            print("val", name, how, f"{change.mean():+.2f} least {change.min():+.2f}", flush=True)
            if change.min() >= LEAST and change.mean() > best:
                best, chosen = float(change.mean()), how
        for order in ORDERS if chosen else ():
            before, after = gains(
                models, data, "test", order, lambda m, x, h=chosen, w=way: w(m, x, h)
            )
            worst = int(before.argmin())
            print(
                f"test {name} {chosen} {order}: {before.mean():.2f} {after.mean():.2f} "
                f"{(after - before).mean():+.2f}, worst person {before[worst]:.1f} "
                f"{after[worst]:.1f}, least gain {(after - before).min():+.2f}",
                flush=True,
            )
        if chosen is None:
            print(
                f"{name}: nothing gains without a loss of more than {-LEAST} on validation people"
            )


if __name__ == "__main__":
    main()
