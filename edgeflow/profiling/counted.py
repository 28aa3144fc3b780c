"""A run on an emulated board that is over in one call, with the counts of its steps."""

from pathlib import Path

import numpy as np

from edgeflow.device import Expected, open_board
from edgeflow.profiling.counts import Counts, read_counts
from edgeflow.profiling.trace import prepare_trace
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.part import estimated_part


def counted_steps(
    board: BoardSpec, elf: Path, expected: bytes | Expected, x: np.ndarray, folder: Path
) -> tuple[np.ndarray, Counts]:
    """Run an image over samples, and count its instructions.

    Parameters
    ----------
    board : BoardSpec
        An emulated one.
    elf : Path
    expected : bytes or Expected
        What the image must be.
    x : int16 array [steps, inputs]
    folder : Path
        For the counter's files.

    Returns
    -------
    array
        Outputs, int16 [steps, outputs].
    Counts
        Of each step, with the lines that the data cache of the board's part would fetch.

    Raises
    ------
    TargetError, ToolMissingError, DeviceError
        If the emulator or a tool is missing, or the image does not answer.
    """
    assert board.emulator is not None
    part = estimated_part(board)
    cache = part.data_cache if part is not None else None
    trace = prepare_trace(elf, folder, qemu=board.emulator, data_cache=cache)
    with open_board(board, image=elf, plugin=trace.plugin) as opened:
        opened.flash()
        with opened.connect(expected) as client:
            y = client.steps(x, reset=True).y
    return y, read_counts(trace.out)
