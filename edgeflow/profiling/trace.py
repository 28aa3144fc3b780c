"""Counting the instructions of each step on an emulated board.

`prepare_trace` makes what QEMU is started with, `read_counts` reads what it leaves behind.
"""

import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgeflow.errors import EdgeFlowError, TargetError
from edgeflow.files import atomic_path
from edgeflow.profiling.classes import classify
from edgeflow.profiling.plugin import build_plugin, check_qemu
from edgeflow.targets.elf import Image
from edgeflow.targets.part import DataCache

MARKERS = ("begin", "layer", "end")

#: Taken branches, split ones and fetched lines of a layer, and its instructions by class.
_Part = tuple[tuple[int, int, int], dict[int, int]]


class Trace(NamedTuple):
    """The plugin that counts, as `edgeflow.device.open_board` takes it, and where its counts go."""

    plugin: list[str]
    out: Path


def write_map(image: Image, path: Path) -> None:
    """Write the classes of all instructions of an image for the plugin."""
    stretches = image.code()
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(b"EFMAP 1\n" + struct.pack("<I", len(stretches)))
        for address, data in stretches:
            classes = classify(image.isa, data, address)
            file.write(struct.pack("<QQ", address, len(data)) + classes)


def prepare_trace(
    elf: str | Path, folder: str | Path, *, qemu: str, data_cache: DataCache | None = None
) -> Trace:
    """Prepare counting for an image that was built with ``-DEF_PROFILE``.

    Parameters
    ----------
    elf
        The linked firmware.
    folder
        Folder of ``classes.map`` and ``counts.txt``.
    qemu
        Name of the emulator, such as ``qemu-system-arm``.
    data_cache
        Counts also the lines that this cache would fetch from read-only memory, which is where
        no section is copied to at start.

    Raises
    ------
    TargetError
        If the image has no marker functions or no fixed address.
    ToolMissingError
        If QEMU is missing or too old, or the plugin cannot be built.
    """
    image = Image(elf)
    check_qemu(qemu)
    if not image.fixed_address:
        raise TargetError(
            f"{elf}: cannot be profiled since it is relocatable: link it with -no-pie"
        )
    options = {}
    for name in MARKERS:
        symbol = image.by_name.get(f"ef_profile_{name}")
        if symbol is not None:
            options[name] = f"{symbol.address:#x}:{max(symbol.size, 1)}"
        elif name != "layer":
            raise TargetError(
                f"{elf}: cannot be profiled, there is no ef_profile_{name} in it: "
                "compile it with -DEF_PROFILE"
            )
    if data_cache is not None:
        start, size = _read_only(image)
        options |= {
            "rom": f"{start:#x}:{size}",
            "line": str(data_cache.line_bytes),
            "lines": str(data_cache.lines),
        }
    folder = Path(folder).resolve()
    options["map"] = str(folder / "classes.map")
    write_map(image, folder / "classes.map")
    out = folder / "counts.txt"
    options["out"] = str(out)
    out.unlink(missing_ok=True)
    try:
        library = build_plugin()
    except OSError:  # no cache to keep it in
        library = build_plugin(folder)
    return Trace([str(library), *(f"{key}={value}" for key, value in options.items())], out)


def _read_only(image: Image) -> tuple[int, int]:
    sections = [s for s in image.sections if not s.writable and not s.copied]
    start = min(section.address for section in sections)
    return start, max(section.end for section in sections) - start


@dataclass(frozen=True)
class Counts:
    """Instructions of each step, by layer and class.

    The last layer is what comes after the last layer mark; in a step that returned without a mark
    it is all. Where windows overlap, layers that ran for two of them count together. `numbers` are
    the classes that occur (see :mod:`edgeflow.profiling.classes`).
    """

    numbers: np.ndarray  # int64 [classes]
    executed: np.ndarray  # int64 [steps, layers, classes]
    taken: np.ndarray  # int64 [steps, layers] taken branches
    split: np.ndarray  # int64 [steps, layers] those to an instruction that crosses a word
    fetched: np.ndarray  # int64 [steps, layers] lines fetched from flash; 0 without a data cache

    @property
    def instructions(self) -> np.ndarray:
        """Instructions of each step, int64 [steps]."""
        return self.executed.sum(axis=(1, 2))

    @property
    def layers(self) -> np.ndarray:
        """Instructions of each layer, int64 [steps, layers]."""
        return self.executed.sum(axis=2)

    @property
    def skipped(self) -> np.ndarray:
        """Tells of each step, bool [steps], whether it ran none of several layers."""
        return ~self.layers[:, :-1].any(axis=1) & (self.executed.shape[1] > 1)

    def first(self, steps: int) -> "Counts":
        """Return the counts of the first steps."""
        parts = (self.executed, self.taken, self.split, self.fetched)
        return Counts(self.numbers, *(part[:steps] for part in parts))

    def __len__(self) -> int:
        return len(self.executed)


def read_counts(path: str | Path, *, overlap: bool = False) -> Counts:
    """Read what the plugin wrote; a last line that is not complete is left out.

    Where windows `overlap`, a step may run its layers twice.

    Raises
    ------
    EdgeFlowError
        If the file is missing or damaged, or steps differ in their number of layers.
    """
    path = Path(path)
    if not path.is_file():
        raise EdgeFlowError(f"{path}: no instruction counts: the emulator did not start counting")
    lines = path.read_text(encoding="ascii", errors="replace").split("\n")[:-1]
    return parse_counts(lines, path, overlap=overlap)


def parse_counts(lines: Sequence[str], path: str | Path, *, overlap: bool = False) -> Counts:
    """Return the counts in whole lines of what the plugin writes to `path`, as `read_counts`.

    Raises
    ------
    EdgeFlowError
        If a line is damaged, or steps differ in their number of layers.
    """
    steps = []
    for number, line in enumerate(lines, 1):
        try:
            if line[:2] != "S ":
                raise ValueError
            steps.append([_read_layer(text) for text in line[2:].split(";")])
        except ValueError:
            raise EdgeFlowError(
                f"{path}, line {number}: damaged instruction counts: profile again"
            ) from None
    layers = max(map(len, steps), default=1)
    if overlap:
        layers = min((len(step) for step in steps if len(step) > 1), default=1)
        steps = [_once(step, layers) for step in steps]
    if any(len(step) not in (1, layers) for step in steps):
        raise EdgeFlowError(f"{path}: steps differ in their number of layer marks")
    numbers = sorted({number for step in steps for _, counts in step for number in counts})
    column = {number: i for i, number in enumerate(numbers)}
    executed = np.zeros((len(steps), layers, len(numbers)), np.int64)
    jumps = np.zeros((3, len(steps), layers), np.int64)
    for i, step in enumerate(steps):
        # a step that returned at once has a last part only
        for j, (head, counts) in enumerate(step, layers - len(step)):
            jumps[:, i, j] = head
            for number, count in counts.items():
                executed[i, j, column[number]] = count
    return Counts(np.array(numbers, np.int64), executed, *jumps)


def _once(step: list[_Part], layers: int) -> list[_Part]:
    """Return a step that ran its layers twice, as windows overlap, with one part a layer."""
    if layers < 2 or len(step) != 2 * layers - 1:
        return step
    first, second = step[: layers - 1], step[layers - 1 :]
    both = [
        (tuple(map(sum, zip(one, other, strict=True))), dict(Counter(counts) + Counter(others)))
        for (one, counts), (other, others) in zip(first, second, strict=False)
    ]
    return [*both, second[-1]]  # type: ignore[list-item]


def _read_layer(text: str) -> _Part:
    head, *pairs = text.split()
    taken, split, fetched = map(int, head.split(","))
    counts = (pair.split(":") for pair in pairs)
    return (taken, split, fetched), {int(number): int(count) for number, count in counts}
