"""Profiles of a program on boards, for the scripts beside it."""

from collections.abc import Iterator

import edgeflow as ef
from edgeflow.data import Dataset
from edgeflow.program import Program


def profiled(
    program: Program, boards: str, folder: str, data: Dataset, steps: int | None = None
) -> Iterator[str]:
    """Yield what a step costs on each board, and whether all outputs were the program's own.

    Parameters
    ----------
    boards : str
        Names with commas between them.
    folder : str
        Gets a build of each.
    data : Dataset
        Its test subjects are read.
    steps : int, optional
        All by default.
    """
    for board in filter(None, boards.split(",")):
        build = ef.compile(program, board, f"{folder}/{board}")
        found = ef.profile(build, data, split="test", steps=steps)
        counted = found.instructions_per_step
        cost = f"{counted['mean']:.0f} instructions a step, " if counted else ""
        yield (
            f"{program} on {board}: {cost}{found.mismatches} mismatches in {found.steps} steps, "
            f"{found.flash_bytes} B of flash, {found.ram_bytes} B of RAM"
        )
