"""Recurrent cells with random weights: instructions per step, flash and RAM, wrong outputs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgeflow.api import compress
from edgeflow.bench.measure import run_program
from edgeflow.cells import CELLS as ALL
from edgeflow.cells import SequenceClassifier
from edgeflow.files import scratch_folder
from edgeflow.profiling.models import estimate_cycles, load_cycle_model
from edgeflow.program import Program
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.part import estimated_part
from edgeflow.targets.size import measure_size

#: One of each family: the first of each module.
CELLS = tuple({cell.origin: name for name, cell in reversed(ALL.items())}.values())[::-1]
HIDDEN = (32, 64)
OUTPUTS = 6
#: Windows and samples of the random walks that scales are calibrated on.
WALKS, WALK_STEPS = 16, 60


@dataclass(frozen=True)
class CellRow:
    """Costs on a board of a cell with a linear layer behind it.

    Parameters
    ----------
    cell, core : str
    inputs, hidden : int
    instructions : float
        Mean per step; what the firmware does around the model is not in it.
    layers : mapping
        Instructions of each layer, by name: ``rnn`` is the cell.
    flash_bytes, ram_bytes : int
        Of the whole image, without the stack.
    mismatches : int
        Steps of which any output differs from the reference's.
    cycles : float, optional
        Mean per step, estimated for `part`; None: the core or the board has no model.
    part, clock_hz
        The real part of the estimate.
    backend : str
        Who made the code.
    """

    cell: str
    core: str
    inputs: int
    hidden: int
    instructions: float
    layers: Mapping[str, float]
    flash_bytes: int
    ram_bytes: int
    mismatches: int
    cycles: float | None = None
    part: str | None = None
    clock_hz: int | None = None
    backend: str = "auto"


def random_walks(inputs: int, windows: int, steps: int, seed: int = 0) -> NDArray[np.float32]:
    """Return walks that come back to zero, float32 [windows, steps, inputs]."""
    rng = np.random.default_rng(seed)
    walk = np.zeros((windows, steps, inputs))
    for t in range(1, steps):
        walk[:, t] = 0.95 * walk[:, t - 1] + 0.3 * rng.normal(size=(windows, inputs))
    return walk.astype(np.float32)


def random_cell(
    cell: str,
    inputs: int,
    hidden: int,
    outputs: int = OUTPUTS,
    readout: str = "last",
    widths: Mapping[str, str] | None = None,
) -> Program:
    """Return the program of a cell with random weights and a linear layer behind it.

    Parameters
    ----------
    cell : str
        Name in ``edgeflow.cells.CELLS``.
    inputs, hidden, outputs : int
    readout : str
        As of `SequenceClassifier`.
    widths : mapping, optional
        As in a recipe: "weights", "activations".

    Raises
    ------
    TrainError
        If there is no such cell or a size is out of range.
    EdgeFlowError
        If there is no such width.
    """
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        model = SequenceClassifier(
            cell,
            [f"class{i}" for i in range(outputs)],
            [f"x{i}" for i in range(inputs)],
            hidden=hidden,
            readout=readout,
        )
        # as training leaves them: evenly spread ones have larger sums, which some kernels exclude
        for weight in model.parameters():
            if weight.dim() > 1 and float(weight.min()) < 0 < float(weight.max()):
                nn.init.normal_(weight, 0, float(weight.std()))
    recipe = None if widths is None else {"widths": dict(widths)}
    return compress(model.eval(), random_walks(inputs, WALKS, WALK_STEPS), recipe=recipe)


def bench_cells(
    board: BoardSpec,
    *,
    cells: Sequence[str] = CELLS,
    hidden: Sequence[int] = HIDDEN,
    inputs: int = 6,
    outputs: int = OUTPUTS,
    optimize: str = "balanced",
    backends: Sequence[str] = ("auto",),
    widths: Mapping[str, str] | None = None,
    steps: int = 100,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[CellRow]:
    """Count the instructions per step of each cell.

    Parameters
    ----------
    board : BoardSpec
        An emulated one; its placement says where the weights are.
    cells : sequence of str
        Names in ``edgeflow.cells.CELLS``.
    hidden : sequence of int
    inputs, outputs : int
    optimize : str
        As in :func:`edgeflow.codegen.build.compile_program`.
    backends : sequence of str
        As in :func:`edgeflow.codegen.build.compile_program`; one row for each.
    widths : mapping, optional
        As of `random_cell`.
    steps : int
        Samples of one random walk, from a reset.
    progress : callable, optional
        Called with what is done, all there is to do, and the cell at work.

    Returns
    -------
    list of CellRow

    Raises
    ------
    TrainError
        If there is no such cell or a size is out of range.
    TargetError
        If the board is not emulated, or the program does not fit it.
    """
    part, model = estimated_part(board), load_cycle_model(board.core.name)
    cache = part.data_cache if part is not None else None
    result = []
    jobs = list(product(cells, hidden, backends))
    for done, (cell, size, backend) in enumerate(jobs):
        if progress is not None:
            progress(done, len(jobs), f"{cell}-{size}")
        program = random_cell(cell, inputs, size, outputs, widths=widths)
        x = program.quantize_input(random_walks(inputs, 1, steps, seed=1)[0])
        with scratch_folder("bench") as folder:
            build, counts, y = run_program(
                program, board, folder, x,
                data_cache=cache, optimize=optimize, backend=backend,
            )  # fmt: skip
            image = measure_size(build.elf, build.objects)
        # where the outputs are a state, a copy of them follows the last mark
        layers = counts.layers.mean(axis=0)
        cycles = None
        if part is not None and model is not None:
            cycles = estimate_cycles(counts, model, part)
        result.append(
            CellRow(
                cell=cell,
                core=board.core.name,
                inputs=inputs,
                hidden=size,
                instructions=float(counts.instructions.mean()),
                layers={
                    node.name: float(count)
                    for node, count in zip(program.nodes, layers, strict=False)
                },
                flash_bytes=image.flash_bytes,
                ram_bytes=image.ram_bytes,
                mismatches=int((y != program.run(x[None])[0]).any(axis=1).sum()),
                cycles=None if cycles is None else float(cycles.sum(axis=1).mean()),
                part=part.name if part is not None else None,
                clock_hz=part.clock_hz if part is not None else None,
                backend=backend,
            )
        )
    return result
