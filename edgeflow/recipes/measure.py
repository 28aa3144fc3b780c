"""Costs of a program that is compiled for an emulated board and run there."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeflow.codegen.build import compile_program
from edgeflow.errors import TargetError
from edgeflow.profiling.run import profile
from edgeflow.program import Program
from edgeflow.targets.board import BoardSpec, load_board

if TYPE_CHECKING:
    from edgeflow.data import Dataset

#: Steps of test subjects by which the cost in a record is measured.
FINAL_STEPS = 10_000


def emulated_board(name: str | BoardSpec, *, trusted: bool = False) -> BoardSpec:
    """Return a board whose instructions an emulator counts.

    Parameters
    ----------
    name : str or BoardSpec
    trusted : bool
        Whether a board file may name any program, flag and file.

    Raises
    ------
    TargetError
        If there is no such board, or it is not emulated.
    """
    board = name if isinstance(name, BoardSpec) else load_board(name, trusted=trusted)
    if not board.emulated:
        raise TargetError(
            f"--board {board.name}: no emulator counts its instructions: use an emulated board "
            f"with a {board.core.name} ('edgeflow boards' lists them)"
        )
    return board


def measure(
    program: Program,
    board: BoardSpec,
    dataset: "Dataset",
    folder: str | Path,
    *,
    split: str = "test",
    steps: int | None = None,
    optimize: str = "balanced",
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Compile a program for an emulated board, and profile it on the subjects of a split.

    Parameters
    ----------
    folder : path
        For the build, ``profile.json`` included.
    steps : int, optional
        At most this many, evenly from the split's windows; None: all.
    optimize : str
        Goal of the choice of kernels.
    progress : callable, optional
        Called with the steps that are done and all.

    Returns
    -------
    dict
        As of `edgeflow.profiling.result.ProfileResult.cost`.

    Raises
    ------
    CheckFailed
        If the board's outputs differ from those of the bit-exact reference.
    TargetError, ToolMissingError, DeviceError
        If the program does not compile, fit or run.
    """
    # a search has its own limits; figures are of the emulated board
    build = compile_program(program, board, folder, optimize=optimize, any_part=True)
    result = profile(build, dataset, split=split, steps=steps, board=board, progress=progress)
    result.check()
    return result.cost(optimize)
