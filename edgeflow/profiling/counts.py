"""Instructions of each step of an emulated board, as its counting plugin wrote them."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeflow.errors import EdgeFlowError

#: Of the plugin (``tcg/ef_count.c``): the head of a mix, and how a word of one holds its class.
_MIX = 1 << 63
_CLASS_SHIFT = 56
#: Numbers that the plugin tells of a layer: mix, taken, split, fetched.
_OF_A_LAYER = 4
_MOST_LAYERS = 1 << 20


@dataclass(frozen=True)
class Counts:
    """Instructions of each step, by layer and class.

    The last layer is what comes after the last layer mark; in a step that returned without a mark
    it is all. Where windows overlap, layers that ran for two of them count together. `numbers` are
    the classes that occur (see :mod:`edgeflow.profiling.classes`). Most layers run the same
    instructions in each step, so the `mixes` that occur are held once, and of each layer its
    number of one.
    """

    numbers: np.ndarray  # int64 [classes]
    mixes: np.ndarray  # int64 [mixes, classes] instructions by class
    mix: np.ndarray  # int64 [steps, layers] number of a mix
    taken: np.ndarray  # int64 [steps, layers] taken branches
    split: np.ndarray  # int64 [steps, layers] those to an instruction that crosses a word
    fetched: np.ndarray  # int64 [steps, layers] lines fetched from flash; 0 without a data cache

    @property
    def total(self) -> np.ndarray:
        """Instructions of all steps by class, int64 [classes]."""
        return np.bincount(self.mix.reshape(-1), minlength=len(self.mixes)) @ self.mixes

    @property
    def instructions(self) -> np.ndarray:
        """Instructions of each step, int64 [steps]."""
        return self.layers.sum(axis=1)

    @property
    def layers(self) -> np.ndarray:
        """Instructions of each layer, int64 [steps, layers]."""
        return self.mixes.sum(axis=1)[self.mix]

    @property
    def skipped(self) -> np.ndarray:
        """Tells of each step, bool [steps], whether it ran none of several layers."""
        return ~self.layers[:, :-1].any(axis=1) & (self.mix.shape[1] > 1)

    def weighed(self, costs: np.ndarray) -> np.ndarray:
        """Return the sum over the classes, float64 [steps, layers], of counts times `costs`."""
        return (self.mixes @ np.asarray(costs, np.float64))[self.mix]

    def first(self, steps: int) -> "Counts":
        """Return the counts of the first steps."""
        parts = (self.mix, self.taken, self.split, self.fetched)
        return Counts(self.numbers, self.mixes, *(part[:steps] for part in parts))

    def same(self, other: "Counts") -> bool:
        """Tell whether each step of another run was the same, but for what a cache held."""
        mine, others = ((one.layers, one.taken, one.split) for one in (self, other))
        return all(np.array_equal(*pair) for pair in zip(mine, others, strict=True))

    def __len__(self) -> int:
        return len(self.mix)


class CountsReader:
    """Reads what the plugin writes, while it does or afterwards.

    Parameters
    ----------
    path : path
        Its file, for messages.
    overlap : bool
        Whether windows overlap: a step may then run its layers twice.
    """

    def __init__(self, path: str | Path, *, overlap: bool = False) -> None:
        self._path, self._overlap = path, overlap
        self._mixes: list[dict[int, int]] = [{}]  # 0: no instruction
        self._steps: list[np.ndarray] = []
        self._read = 0

    def __len__(self) -> int:
        """Steps since the last `take`."""
        return len(self._steps)

    def feed(self, data: bytes) -> int:
        """Read the whole steps and mixes at the beginning of `data`; return their bytes.

        Raises
        ------
        EdgeFlowError
            If they are damaged.
        """
        words = np.frombuffer(data[: len(data) // 8 * 8], np.uint64)
        heads, at, done = words.tolist(), 0, 0
        while at < len(heads):
            head = heads[at]
            size = (head - _MIX) if head >= _MIX else _OF_A_LAYER * head
            if head == 0 or size > _OF_A_LAYER * _MOST_LAYERS:
                raise self._damaged(at)
            end = at + 1 + size
            if end > len(heads):
                break
            if head >= _MIX:
                parts = (divmod(word, 1 << _CLASS_SHIFT) for word in heads[at + 1 : end])
                self._mixes.append(dict(parts))
            else:
                step = words[at + 1 : end].reshape(-1, _OF_A_LAYER).astype(np.int64)
                if max(heads[at + 1 : end : _OF_A_LAYER]) >= len(self._mixes):
                    raise self._damaged(at)
                self._steps.append(step)
            at = done = end
        self._read += 8 * done
        return 8 * done

    def take(self) -> Counts:
        """Return the counts of the steps that were read since the last call.

        Raises
        ------
        EdgeFlowError
            If steps differ in their number of layers.
        """
        steps, self._steps = self._steps, []
        mixes = list(self._mixes)
        sizes = np.array([len(step) for step in steps], np.int64)
        layers = int(sizes.max(initial=1))
        if self._overlap:
            layers = int(sizes[sizes > 1].min(initial=layers))
            steps = _once(steps, layers, mixes)
            sizes = np.array([len(step) for step in steps], np.int64)
        if not np.isin(sizes, (1, layers)).all():
            raise EdgeFlowError(f"{self._path}: steps differ in their number of layer marks")
        rows = np.zeros((len(steps), layers, _OF_A_LAYER), np.int64)
        if steps:
            # one that returned at once has a last part only
            rows[np.arange(layers) >= layers - sizes[:, None]] = np.concatenate(steps)
        numbers = sorted({number for mix in mixes for number in mix})
        dense = np.array([[mix.get(number, 0) for number in numbers] for mix in mixes], np.int64)
        parts = (rows[..., part] for part in range(_OF_A_LAYER))
        return Counts(np.array(numbers, np.int64), dense, *parts)

    def _damaged(self, at: int) -> EdgeFlowError:
        return EdgeFlowError(
            f"{self._path}, byte {self._read + 8 * at}: damaged instruction counts: profile again"
        )


def _once(steps: list[np.ndarray], layers: int, mixes: list[dict[int, int]]) -> list[np.ndarray]:
    """Return the steps with one part a layer where they ran their layers twice.

    The sums of two mixes are added to `mixes`.
    """
    if layers < 2:
        return steps
    sums: dict[tuple[int, int], int] = {}
    result = []
    for step in steps:
        if len(step) == 2 * layers - 1:
            first, second = step[: layers - 1], step[layers - 1 : -1]
            both = first + second
            for row, one, other in zip(
                both, first[:, 0].tolist(), second[:, 0].tolist(), strict=True
            ):
                if (one, other) not in sums:
                    sums[one, other] = len(mixes)
                    mixes.append(dict(Counter(mixes[one]) + Counter(mixes[other])))
                row[0] = sums[one, other]
            step = np.concatenate([both, step[-1:]])
        result.append(step)
    return result


def read_counts(path: str | Path, *, overlap: bool = False) -> Counts:
    """Read what the plugin wrote; a last step that is not complete is left out.

    Where windows `overlap`, a step may run its layers twice.

    Raises
    ------
    EdgeFlowError
        If the file is missing or damaged, or steps differ in their number of layers.
    """
    path = Path(path)
    if not path.is_file():
        raise EdgeFlowError(f"{path}: no instruction counts: the emulator did not start counting")
    reader = CountsReader(path, overlap=overlap)
    reader.feed(path.read_bytes())
    return reader.take()
