"""A search for the schedule of each TVM kernel with the fewest instructions, and their counts."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeflow.bench.fit import tool_versions
from edgeflow.bench.kernels import FORMATS, bench_inputs, bench_matrix, runnable
from edgeflow.bench.measure import measure_layers
from edgeflow.bench.steps import measure_steps
from edgeflow.calibration import write_data
from edgeflow.codegen.backends import owner
from edgeflow.codegen.backends.tvm import require_tvm
from edgeflow.codegen.schedules import SEVERAL, Schedules, TvmCost
from edgeflow.errors import TargetError
from edgeflow.program.nodes import Linear
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.core import Schedule

#: (columns, rows) that the instructions are counted for.
SHAPES = ((6, 96), (9, 128), (32, 96), (33, 50), (64, 192), (128, 64))
UNROLL = (1, 2, 4, 8, 16)
STEPS = 2
#: Columns that costs are measured for: all small numbers, and the sizes that layers have.
COLS = (*range(1, 11), 12, 13, 16, 18, 20, 24, 27, 32, 33, 40, 48, 64, 65, 96, 128, 192)


def measure_costs(board: BoardSpec, kernel: str) -> TvmCost:
    """Count the instructions of a TVM kernel for each of `COLS`."""
    from edgeflow.codegen.tvm.matvec import MATVECS

    size = MATVECS[kernel](Schedule()).rows
    heights = (size, SEVERAL * size, 3 * SEVERAL * size, size + 1, 2 * size - 1)
    layers = _layers(product(COLS, heights))
    counts = np.array(measure_layers(layers, board, [kernel] * len(layers)))
    single, several, many, first, last = counts.reshape(-1, len(heights)).T
    columns = {
        "single": single,
        "several": several,
        "group": (many - several) / (2 * SEVERAL),
        "first": first - single,
        "last": last - single,
    }
    values = {name: tuple(round(float(v), 2) for v in column) for name, column in columns.items()}
    return TvmCost(rows=size, cols=COLS, **values)


def candidates(kernel: str) -> list[Schedule]:
    """Return the schedules to try for a kernel: vectors only where they are of rows."""
    vectors = (False, True) if "x1_" in kernel else (False,)
    return [Schedule(unroll=u, vectorize=v) for u, v in product(UNROLL, vectors)]


def search_schedules(
    board: BoardSpec,
    *,
    shapes: Sequence[tuple[int, int]] = SHAPES,
    kernels: Sequence[str] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, dict[Schedule, list[float]]]:
    """Count the instructions of all schedules of TVM's kernels.

    Parameters
    ----------
    board : BoardSpec
        An emulated one.
    shapes : sequence of (columns, rows)
    kernels : sequence of str, optional
        Names; default: all that the core can run.
    progress : callable, optional
        Called with what is done, all there is to do, and the kernel at work.

    Returns
    -------
    dict
        The counts, by kernel and schedule, in the order of `shapes`.

    Raises
    ------
    TargetError
        If TVM does not know the core or has no such kernel, or the board is not emulated.
    ToolMissingError
        If TVM, compiler or emulator is not installed.
    """
    require_tvm()
    layers = _layers(shapes)
    found = [k for k in runnable(board, kernels) if owner(k).name == "tvm"]
    jobs = [(kernel.name, schedule) for kernel in found for schedule in candidates(kernel.name)]
    counts: dict[str, dict[Schedule, list[float]]] = {kernel.name: {} for kernel in found}
    for done, (name, schedule) in enumerate(jobs):
        if progress is not None:
            progress(done, len(jobs), name)
        tried = with_schedules(board, {name: schedule})
        counts[name][schedule] = measure_layers(layers, tried, [name] * len(layers))
    return counts


def best_schedules(counts: Mapping[str, Mapping[Schedule, list[float]]]) -> dict[str, Schedule]:
    """Return for each kernel the schedule with the lowest mean of the logarithms of its counts.

    Among equals it is the one that unrolls least.
    """
    return {
        name: min(found, key=lambda s: (round(float(np.log(found[s]).mean()), 4), s.unroll))
        for name, found in counts.items()
    }


def with_schedules(board: BoardSpec, schedules: Mapping[str, Schedule]) -> BoardSpec:
    """Return the board with these schedules instead of those of ``calibration/costs/schedules``.

    Raises
    ------
    TargetError
        If TVM does not know the core.
    """
    core = board.core
    if core.tvm is None:
        raise TargetError(f"{core.name}: TVM does not know this core")
    tvm = core.tvm.model_copy(update={"schedules": dict(schedules)})
    return board.model_copy(update={"core": core.model_copy(update={"tvm": tvm})})


def measure_schedules(board: BoardSpec, schedules: Mapping[str, Schedule]) -> Schedules:
    """Count what kernels with these schedules, and the steps of layers, cost."""
    tuned = with_schedules(board, schedules)
    return Schedules(
        core=board.core.name,
        board=board.name,
        tvm=version("apache-tvm"),
        emulator=tool_versions(board)["emulator"],
        kernels=dict(schedules),
        costs={name: measure_costs(tuned, name) for name in schedules},
        steps=measure_steps(tuned),
    )


def _layers(shapes: Iterable[tuple[int, int]]) -> list[tuple[Linear, NDArray[np.int16]]]:
    """Return layers of these numbers of columns and rows, and inputs, that every kernel takes."""
    matrices = [bench_matrix(rows, cols, FORMATS["w4a8"]) for cols, rows in shapes]
    return [(Linear("layer", matrix), bench_inputs(matrix, STEPS)) for matrix in matrices]


def write_schedules(schedules: Schedules, path: Path) -> None:
    """Write a file of ``calibration/costs/schedules``."""
    write_data(
        schedules,
        path,
        "Schedules of TVM's kernels: see edgeflow/codegen/schedules.py. Made by\n"
        f"  edgeflow bench schedules --board {schedules.board} -o {path.name}",
    )
