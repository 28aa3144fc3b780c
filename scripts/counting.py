"""Counting of shoulder exercises on a watch: a GRU that follows the phase, and `Count` behind it.

python scripts/counting.py --root DATA [--test] [--board qemu-m4,host]

Of a set only its twenty repetitions are known: their phases come from the movement itself
(`edgeflow.data.phases`). The GRU reads means of five samples and learns the phase of 0.3 s ago from
random parts of the training subjects' sets, turned, scaled and at other paces. Validation subjects
choose the band of the counter. Prints the sets within one repetition; those that are not, of
validation subjects.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from on_boards import profiled
from torch import nn

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import edgeflow as ef  # noqa: E402
from edgeflow.compression.count import with_count  # noqa: E402
from edgeflow.data import Dataset, load_dataset  # noqa: E402
from edgeflow.data.phases import phases  # noqa: E402
from edgeflow.program import Program  # noqa: E402
from edgeflow.training.augment import augment  # noqa: E402

#: Samples that are one step of the GRU, and seconds of a part of a set in training, of which the
#: first do not count.
POOL, PART_S, WARMUP_S = 5, 12.0, 1.0


class Follower(nn.Module):
    """Cosine and sine of the phase at the end of samples [n, time, channels]."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool1d(POOL)
        self.gru = nn.GRU(channels, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs of the last step [n, 2]: what a step gives holds until the next."""
        return self.follow(self.pool(x.transpose(1, 2)).transpose(1, 2))[:, -1]

    def follow(self, means: torch.Tensor) -> torch.Tensor:
        """Return the outputs of all steps [n, steps, 2], of means of `POOL` samples."""
        found: torch.Tensor = self.head(self.gru(means)[0])
        return found


class Parts:
    """Random parts of the training subjects' sets, in steps of the GRU."""

    def __init__(self, data: Dataset, given: argparse.Namespace) -> None:
        self.given, self.rng = given, np.random.default_rng(given.seed)
        self.rate = data.rate_hz / POOL
        sets = phases(replace(data, recordings=data.split("train"))).recordings
        self.length = np.array([len(one.x) // POOL for one in sets])
        longest = self.length.max()
        self.x = np.zeros((len(sets), longest, len(data.channels)))
        self.target = np.zeros((len(sets), longest, 2))
        for k, one in enumerate(sets):
            n = self.length[k]
            self.x[k, :n] = one.x[: n * POOL].reshape(n, POOL, -1).mean(axis=1)
            self.target[k, :n] = one.by_step()[POOL - 1 : n * POOL : POOL]
        whole = np.concatenate([x[:n] for x, n in zip(self.x, self.length, strict=True)])
        self.mean = whole.mean(axis=0)
        # axes of a sensor keep their proportions
        self.std = whole.std(axis=0).reshape(-1, 3).mean(axis=1).repeat(3)

    def batch(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return normal samples [n, time, 6], targets [n, time, 2] and which count."""
        given, rng = self.given, self.rng
        time = np.arange(round(PART_S * self.rate))
        chosen = rng.integers(0, len(self.x), given.batch)
        last = self.length[chosen] - 1
        pace = np.exp(given.pace * rng.uniform(-1, 1, given.batch))
        begin = rng.uniform(0, 1, given.batch) * np.maximum(0, last - len(time) * pace)
        begin[rng.random(given.batch) < 0.2] = 0
        at = begin[:, None] + pace[:, None] * time
        x = _between(self.x, chosen, at, last)
        x[..., 3:] *= pace[:, None, None]  # who moves faster turns faster
        raw = augment(
            torch.tensor(x).float(), [0, 3], torch.tensor(self.std).float(),
            rotate=given.rotate, scale=given.scale, noise=given.noise,
        )  # fmt: skip
        normal = (raw - torch.tensor(self.mean)) / torch.tensor(self.std)
        late = at - given.late * self.rate * pace[:, None]
        target = _between(self.target, chosen, np.maximum(late, 0), last)
        counts = (at <= last[:, None]) & (time >= WARMUP_S * self.rate)
        return normal.float(), torch.tensor(target).float(), torch.tensor(counts)


def _between(
    values: np.ndarray, chosen: np.ndarray, at: np.ndarray, last: np.ndarray
) -> np.ndarray:
    """Return values [sets, time, ...] of the chosen sets at times [n, time] between steps."""
    at = np.minimum(at, last[:, None])
    below = np.minimum(at.astype(int), last[:, None] - 1)
    share, whose = (at - below)[..., None], chosen[:, None]
    found: np.ndarray = values[whose, below] * (1 - share) + values[whose, below + 1] * share
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", required=True, help="folder of the data")
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--updates", type=int, default=700)
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--late", type=float, default=0.3, help="seconds that phases are late")
    parser.add_argument("--rotate", type=float, default=15.0, help="degrees, deviation")
    parser.add_argument("--pace", type=float, default=0.2)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--noise", type=float, default=0.1, help="in deviations of a sensor")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--test", action="store_true", help="score test subjects, too")
    parser.add_argument("--board", default="", help="profile on these, with the test subjects")
    parser.add_argument("--steps", type=int, help="of a profile; all")
    parser.add_argument("-o", "--out", default="build-counting")
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = load_dataset("seglearn-watch-sets", root=given.root)
    follower = _trained(Parts(data, given), given)
    windows = data.windows("train", length=round(PART_S * data.rate_hz)).x
    program = ef.compress(follower, windows, channels=data.channels, rate_hz=data.rate_hz)
    program = with_count(program, data)
    Path(given.out).mkdir(exist_ok=True)
    program.save(Path(given.out) / "counting.onnx")
    print(program, program.metadata["count"])
    for split in ("val", *(("test",) if given.test else ())):
        _print_scores(program, data, split)
    for line in profiled(program, given.board, given.out, data, given.steps):
        print(line, flush=True)


def _trained(parts: Parts, given: argparse.Namespace) -> Follower:
    torch.manual_seed(given.seed)
    model = Follower(parts.x.shape[2], given.hidden)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=given.updates)
    for update in range(1, given.updates + 1):
        x, target, counts = parts.batch()
        loss = (model.follow(x) - target).square().mean(dim=2)[counts].mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if update % 100 == 0:
            print(f"update {update}: loss {loss.item():.3f}", flush=True)
    with torch.no_grad():  # read samples in the units of the data
        weight = model.gru.weight_ih_l0
        assert isinstance(weight, nn.Parameter)
        weight.div_(torch.tensor(parts.std, dtype=torch.float32))
        bias = model.gru.bias_ih_l0
        assert isinstance(bias, nn.Parameter)
        bias.sub_(weight @ torch.tensor(parts.mean, dtype=torch.float32))
    return model.eval()


def _print_scores(program: Program, data: Dataset, split: str) -> None:
    sets = data.split(split)
    counts = [int(program.run(program.quantize_input(one.x[None]))[0, -1, 0]) for one in sets]
    off = np.array(counts) - np.array([one.label for one in sets])
    right = int((np.abs(off) <= 1).sum())
    print(
        f"{split}: {right} of {len(sets)} sets within one repetition ({right / len(sets):.1%}), "
        f"mean error {np.abs(off).mean():.2f}"
    )
    for person in sorted({one.person for one in sets}):
        own = [n for n, one in zip(counts, sets, strict=True) if one.person == person]
        print(f"  subject {person}: {' '.join(map(str, own))}")


if __name__ == "__main__":
    main()
