"""Shares of zeros at which block-sparse kernels pay, and the best blocks to prune, by core."""

from collections.abc import Mapping, Sequence

import numpy as np

from edgeflow.codegen.costs import KernelCost, load_costs
from edgeflow.codegen.kernels import MATVEC_KERNELS, MatvecKernel, kernels_of
from edgeflow.codegen.kernels.exact import reads_spikes
from edgeflow.codegen.layouts.block_format import BlockFormat
from edgeflow.program.matrix import Matrix
from edgeflow.targets.board import CoreSpec

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
    result = {}
    for kernel, blocks, matrix in _sparse(list(kernels)):
        dense = min(
            kernels[k.name].instructions(*REFERENCE)
            for k in _named(kernels)
            if k.sparse is None and k.weight_bits <= kernel.weight_bits and _is_general(k, matrix)
        )
        cost = kernels[kernel.name]
        empty = cost.instructions(*REFERENCE, items=0)
        share = (dense - empty) / (cost.instructions(*REFERENCE, items=_items(blocks, 1)) - empty)
        result[kernel.name] = round(min(1.0, max(0.0, share)), 3)
    return result


def preferred_block(core: CoreSpec, input_bits: int = 12) -> BlockFormat:
    """Return the blocks that are cheapest on a core: what pruning for it should make zero.

    Those of the block-sparse kernel of 8-bit weights with the fewest instructions where `DENSITY`
    of the blocks are left; where costs were not measured, those of the first kernel.

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
    names = [kernel.name for kernel in kernels_of(core.kernels)]
    costs = load_costs(core.name)
    candidates = [
        (kernel, blocks)
        for kernel, blocks, _ in _sparse(names, (input_bits,))
        if kernel.weight_bits == 8
    ]
    known = costs.kernels if costs else {}
    if not all(kernel.name in known for kernel, _ in candidates):
        return candidates[0][1]
    return min(
        candidates,
        key=lambda pair: known[pair[0].name].instructions(
            *REFERENCE, items=_items(pair[1], DENSITY)
        ),
    )[1]


def _sparse(
    names: Sequence[str], widths: Sequence[int] = WIDTHS
) -> list[tuple[MatvecKernel, BlockFormat, Matrix]]:
    """Return the block-sparse kernels among `names`, in that order, and a matrix each takes."""
    result = []
    for kernel in _named(names):
        if kernel.sparse is not None:
            matrices = (m for m in map(_reference, widths) if kernel.is_exact_for(m))
            result += [(kernel, kernel.sparse, m) for m in list(matrices)[:1]]
    return result


def _named(names: Sequence[str] | Mapping[str, KernelCost]) -> list[MatvecKernel]:
    by_name = {kernel.name: kernel for kernel in MATVEC_KERNELS}
    return [by_name[name] for name in names if name in by_name]


def _is_general(kernel: MatvecKernel, matrix: Matrix) -> bool:
    """Tell whether a dense kernel takes the matrix, whatever x is."""
    return kernel.is_exact_for(matrix) and not kernel.delta and not reads_spikes(matrix)


def _items(blocks: BlockFormat, share: float) -> float:
    rows, cols = REFERENCE
    return share * -(-rows // blocks.rows) * -(-cols // blocks.cols) / blocks.step


def _reference(input_bits: int) -> Matrix:
    rows, cols = REFERENCE
    return Matrix(
        np.ones((rows, cols), np.int8),
        np.zeros(rows, np.int32),
        np.full(rows, 1 << 20, np.int32),
        1,
        input_bits,
    )
