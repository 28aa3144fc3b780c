"""Shares of zeros at which block-sparse kernels pay, and the best blocks to prune, by core."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from edgeflow.codegen.costs import KernelCost, load_costs
from edgeflow.codegen.kernels import MATVEC_KERNELS, kernels_of
from edgeflow.codegen.layouts.block_format import BlockFormat
from edgeflow.program.matrix import Matrix
from edgeflow.targets.core import CoreSpec

#: Rows and columns that kernels are compared at: the recurrent matrix of a GRU of 64 units.
REFERENCE = (192, 64)
#: Widths of x that they are compared at: the first that a kernel takes.
WIDTHS = (12, 8)
#: Share of blocks that are not zero in what pruning aims at.
DENSITY = 0.25


def break_even(kernels: Mapping[str, KernelCost]) -> dict[str, float]:
    """Return the share of blocks up to which each block-sparse kernel costs less than dense ones.

    At `REFERENCE`, against dense kernels that store weights in no more bits; of the blocks stored,
    with those that fill items.

    Parameters
    ----------
    kernels : mapping
        Costs by name, of all kernels of a core.

    Returns
    -------
    dict
        Shares 0..1 by name.
    """
    known = [kernel for kernel in MATVEC_KERNELS if kernel.name in kernels]
    result = {}
    for kernel in known:
        matrices = (reference_matrix(1, width) for width in WIDTHS)
        matrix = next((m for m in matrices if kernel.is_exact_for(m)), None)
        if kernel.sparse is None or matrix is None:
            continue
        dense = min(
            kernels[k.name].count(*REFERENCE)
            for k in known
            if k.sparse is None and k.weight_bits <= kernel.weight_bits and k.is_exact_for(matrix)
        )
        empty, full = (_instructions(kernels[kernel.name], kernel.sparse, s) for s in (0, 1))
        result[kernel.name] = round(min(1.0, max(0.0, (dense - empty) / (full - empty))), 3)
    return result


def preferred_block(core: CoreSpec, input_bits: int = 12) -> BlockFormat:
    """Return the blocks that are cheapest on a core: what pruning for it should make zero.

    Those of the block-sparse kernel of 8-bit weights with the fewest instructions where `DENSITY`
    of the blocks are left; where costs were not measured, those of the first kernel; where the core
    has none, 1 x 1.

    Parameters
    ----------
    core : CoreSpec
    input_bits : int
        Width of x.

    Returns
    -------
    BlockFormat
        A block has `rows` x `cols` weights. Kernels take as long for any number of blocks up to a
        multiple of `step` in a row of blocks, so pruning does well to leave such numbers.
    """
    matrix = reference_matrix(1, input_bits)
    blocks = {
        kernel.name: kernel.sparse
        for kernel in kernels_of(core.kernels)
        if kernel.sparse and kernel.weight_bits == 8 and kernel.is_exact_for(matrix)
    }
    costs = load_costs(core.name)
    known = costs.kernels if costs else {}
    if not blocks.keys() <= known.keys():
        return next(iter(blocks.values()))
    best = min(
        blocks, key=lambda name: _instructions(known[name], blocks[name], DENSITY), default=None
    )
    return blocks[best] if best is not None else BlockFormat(1, 1)


def _instructions(cost: KernelCost, blocks: BlockFormat, share: float) -> float:
    """Return the instructions at `REFERENCE` with this share of blocks left."""
    rows, cols = REFERENCE
    number = -(-rows // blocks.rows) * -(-cols // blocks.cols)
    return cost.count(rows, cols, items=share * number / blocks.step)


def reference_matrix(
    weight: ArrayLike, input_bits: int = 12, threshold: int = 0, group: int = 1
) -> Matrix:
    """Return a matrix of the shape `REFERENCE`; ratios of its requantization are small."""
    rows, _ = REFERENCE
    multiplier = np.full(rows, 1 << 20, np.int32)
    weights = np.full(REFERENCE, weight, np.int8)
    return Matrix(weights, np.zeros_like(multiplier), multiplier, 1, input_bits, threshold, group)
