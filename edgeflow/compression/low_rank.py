r"""Matrices of low rank, as two on the device.

A matrix [rows, inputs] of rank r is the product of two, which take ``r (rows + inputs)``
multiplications instead of ``rows * inputs``:

.. math:: W = U S V^T, \qquad y = U (S V^T x)

Like zeros, a low rank is a property of the weights that conversion finds: fine-tuning brings it
about (`edgeflow.compression.prune.rank`), and a layer may have it from the start.

M. Denil et al., Predicting parameters in deep learning, arXiv 1306.0543, 2013; A. Kusupati et al.,
FastGRNN, arXiv 1901.02358, 2018.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from edgeflow.program.fixedpoint import largest_magnitude, symmetric_max
from edgeflow.program.nodes import Node
from edgeflow.quantization import Floats, Quantized, Signal, Widths, quantize_matrix

#: Width of what lies between the two: proven, so that nothing is clipped.
BITS = 13
#: Singular values of less than this share of the largest one are left out.
NEGLIGIBLE = 1e-4
#: Share that two matrices may take of the multiplications by the weights of one that are not zero.
WORTH = 0.9
#: For the rounding of multipliers.
_ROOM = 1 + 2.0**-10


def rank_of(weight: Floats) -> int:
    """Return the numerical rank of a matrix [rows, cols]: the singular values that count."""
    values = np.linalg.svd(weight, compute_uv=False)
    return int((values > NEGLIGIBLE * values[0]).sum())


def is_worth(rank: int, weight: Floats) -> bool:
    """Tell whether two matrices take fewer multiplications than what is not zero of one."""
    products: int = rank * sum(weight.shape)
    return 0 < products <= WORTH * int(np.count_nonzero(weight))


def with_factors(node: Node, widths: Widths) -> Node:
    """Return a layer fresh from quantization with its matrices of low rank as products of two."""
    found: dict[str, Any] = {}
    for field, matrix in node.matrices().items():
        if field in node.delta_sources and isinstance(matrix, Quantized):
            rank = rank_of(matrix.exact)
            if is_worth(rank, matrix.exact):
                found[field] = factored(matrix, rank, widths.of(node.name, field))
    return replace(node, **found) if found else node


def factored(matrix: Quantized, rank: int, bits: int = 8) -> Quantized:
    """Return a matrix as a product of two.

    Parameters
    ----------
    matrix : Quantized
        [rows, inputs].
    rank : int
        Of the nearest matrix that is taken for it, at least 1.
    bits : int
        Of the weights of both, 2..8.
    """
    source = matrix.source
    assert source is not None
    # of integers, as they are what is rounded
    left, values, right = np.linalg.svd(matrix.exact * source.scale, full_matrices=False)
    first, nothing = values[:rank, None] * right[:rank] / source.scale, np.zeros(rank)
    x = replace(source, offset=np.zeros(matrix.cols))
    # one unit for all: the columns of U, each of length 1, then share the rows' scales
    unit = 1.0
    for _ in range(2):  # the bound is that of rounded weights
        factor = quantize_matrix(first, nothing, x, unit, bits)
        reach = (np.abs(factor.real) * source.scale).sum(axis=1).max()
        unit = reach * largest_magnitude(source.bits) * _ROOM / symmetric_max(BITS)
    factor = quantize_matrix(first, nothing, x, unit, bits)
    between = Signal(nothing, np.full(rank, unit), BITS, np.zeros((0, 0, 0), np.float32))
    bias = 2.0 ** (matrix.shift - 32) * matrix.multiplier * matrix.bias * matrix.unit
    second = quantize_matrix(left[:, :rank], bias, between, matrix.unit, bits)
    return replace(
        second,
        factor=replace(factor, threshold=matrix.threshold, group=matrix.group),
        real=second.real @ factor.real,
        exact=matrix.exact,
        source=source,
    )
