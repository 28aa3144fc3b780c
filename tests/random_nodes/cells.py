"""Random layers of any cell of the registry, without a draw of their own."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from edgeflow.cells import build_cell
from edgeflow.cells.cells import is_known, layer_of
from edgeflow.cells.chain import output_of
from edgeflow.errors import ProgramError
from edgeflow.program import Node
from edgeflow.program.fixedpoint import largest_magnitude
from edgeflow.quantization import Calibration, Signal, Widths
from tests.random_nodes.matrices import random_matrix


def random_cell_of(cell: str) -> Callable[..., Node]:
    """Return what draws a cell of the registry: quantized as usual, then other parameters."""

    def draw(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
             state_bits: int, extreme: bool) -> Node:  # fmt: skip
        with torch.random.fork_rng():
            torch.manual_seed(int(rng.integers(1 << 31)))
            module = build_cell(cell, width, size, 1, 0.0)
        module = next(m for m in module.modules() if is_known(m))
        (layer,) = layer_of(module).unstack(module)
        unit = 1.0 / largest_magnitude(bits)
        x = rng.uniform(-1, 1, (4, 20, width)).astype(np.float32)
        source = Signal(np.zeros(width), np.full(width, unit), bits, x)
        real = output_of(layer, torch.from_numpy(x)).detach().numpy()
        given = Calibration(name, source, real, Widths(state=state_bits))
        return randomised(rng, layer_of(layer).convert(layer, given).node, extreme)

    return draw


def randomised(rng: np.random.Generator, node: Node, extreme: bool) -> Node:
    """Return the layer with any values that its class promises to compute with.

    Matrices are drawn anew, half of the arrays and ints within their ranges, at their ends if
    `extreme`; what the layer refuses, as other fields or sizes depend on it, stays.
    """
    changes: dict[str, Any] = {
        field: random_matrix(rng, matrix.rows, matrix.cols, matrix.input_bits, extreme)
        for field, matrix in node.matrices().items()
    }
    for field, (low, high) in node.array_fields.items():
        if (array := getattr(node, field)) is not None:
            ends = [low, high, min(max(low, 0), high)]
            drawn = (
                rng.choice(ends, array.size) if extreme else rng.integers(low, high + 1, array.size)
            )
            changes[field] = drawn.astype(array.dtype)
    for field, (low, high) in node.int_fields.items():
        changes[field] = int(rng.choice([low, high]) if extreme else rng.integers(low, high + 1))
    for field, value in changes.items():
        with suppress(ProgramError):
            if field in node.matrix_fields or rng.integers(2):
                node = replace(node, **{field: value})
    return node
