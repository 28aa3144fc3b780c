"""All steps as a block, beside the first ones through the serial port, which must be the same."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgeflow.codegen.origin import is_ours
from edgeflow.device.protocol import Hello, Stats
from edgeflow.errors import DeviceError
from edgeflow.profiling.block import BlockRun, block_image
from edgeflow.profiling.counts import read_counts
from edgeflow.profiling.trace import Trace
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.runner import QemuRunner

#: Steps that go through the serial port of an emulator at least; more also as a block.
AT_PORT = 2000


class Beside:
    """A block that runs on, and what it counts.

    Attributes
    ----------
    block : BlockRun
    at_port : int
        Sequences to send through the port.
    """

    def __init__(self, block: BlockRun, at_port: int, name: str, trace: Trace) -> None:
        self.block, self.at_port = block, at_port
        self._name, self._trace = name, trace

    def taken(
        self, y: Sequence[np.ndarray], trace: Trace, *, overlap: bool
    ) -> tuple[list[np.ndarray], Trace, Stats | None] | None:
        """Return outputs of the block, its counts, and the board's counters if all ran.

        None if the port, whose outputs are `y` and whose counts are those of `trace`, came further.

        Raises
        ------
        DeviceError
            If the port's outputs are others, or their steps took other instructions.
        """
        mine, stats = self.block.results()
        if len(mine) < len(y) or not mine:
            return None
        if steps := sum(map(len, y)):
            counts = [read_counts(one.out, overlap=overlap) for one in (trace, self._trace)]
            here, there = (one.first(steps) for one in counts)
            same = all((one == other).all() for one, other in zip(y, mine, strict=False))
            if not same or not here.same(there):
                raise DeviceError(
                    f"{self._name}: steps through the serial port and as a block differ: report "
                    "it, with the build"
                )
        return mine, self._trace, stats


def begin(
    board: BoardSpec,
    elf: Path,
    hello: Hello,
    x: Sequence[np.ndarray],
    forget: Sequence[bool],
    trace: Trace,
    folder: Path,
) -> Beside | None:
    """Start all steps as a block; None if few, or the board runs none, or the image is others'.

    Parameters
    ----------
    board, elf, hello
        The board, its image, and what that says of itself.
    x, forget
        As of `BlockRun`.
    trace
        What counts at the port.
    folder
        For files.

    Raises
    ------
    EdgeFlowError
        As of `block_image` and `BlockRun.start`.
    """
    ends = np.cumsum([len(one) for one in x])
    at_port = int(np.searchsorted(ends, AT_PORT)) + 1
    if at_port >= len(ends) or not isinstance(board.runner, QemuRunner) or not is_ours(elf):
        return None
    image = block_image(board, elf, folder)
    if image is None:
        return None
    of_block = trace.to(folder / "block.bin")
    block = BlockRun(board, image, folder / "block", hello, x, forget, of_block.plugin)
    block.start()
    return Beside(block, at_port, board.name, of_block)
