"""Instructions that TVM's steps save against those in C, by kind of layer and size."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgeflow.bench.cells import random_cell
from edgeflow.bench.measure import measure_layers
from edgeflow.cells import CELLS
from edgeflow.codegen.schedules import StepSaving
from edgeflow.program.fixedpoint import symmetric_max
from edgeflow.program.nodes import Node
from edgeflow.targets.board import BoardSpec

INPUTS = 6
SIZES = (16, 64)
STEPS = 20


def measure_steps(board: BoardSpec) -> dict[str, StepSaving]:
    """Count what TVM's steps save, with the same matrix kernels.

    Every cell with random weights is taken apart into its layers, which read random values.

    Raises
    ------
    TargetError
        If the board is not emulated.
    ToolMissingError
        If TVM, compiler or emulator is not installed.
    """
    layers = [(replace(node, name="layer"), _inputs(node)) for node in _nodes()]
    ours = measure_layers(layers, board, backend="c", tvm_layers=())
    theirs = measure_layers(layers, board, backend="c", tvm_layers=range(len(layers)))
    saved: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (node, _), c, tvm in zip(layers, ours, theirs, strict=True):
        saved[node.op_type][node.outputs].append(c - tvm)
    return {
        kind: StepSaving(
            outputs=tuple(sorted(sizes)),
            saved=tuple(round(float(np.mean(sizes[n])), 1) for n in sorted(sizes)),
        )
        for kind, sizes in saved.items()
    }


def _nodes() -> list[Node]:
    found: dict[tuple[str, int, int], Node] = {}
    programs = [random_cell(cell, INPUTS, size) for cell in CELLS for size in SIZES]
    programs += [random_cell("gru", INPUTS, 8, size, readout="leaky") for size in SIZES]
    for node in (node for program in programs for node in program.nodes if node.c_function):
        found.setdefault((node.operator, node.inputs, node.outputs), node)
    return list(found.values())


def _inputs(node: Node) -> NDArray[np.int16]:
    limit = symmetric_max(node.input_bits)
    rng = np.random.default_rng([node.inputs, node.outputs])
    return rng.integers(-limit, limit + 1, (STEPS, node.inputs)).astype(np.int16)
