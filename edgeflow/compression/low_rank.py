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
from edgeflow.program.matrix import Matrix
from edgeflow.quantization import Affine, Converted, Floats, Signal, Widths, gain_of

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
    """Tell whether two matrices take fewer multiplications than one's non-zero weights."""
    products: int = rank * sum(weight.shape)
    return 0 < products <= WORTH * int(np.count_nonzero(weight))


def with_factors(done: Converted, widths: Widths) -> Converted:
    """Return a converted layer with its matrices of low rank as products of two."""
    node = done.node
    found: dict[str, Any] = {}
    for field, affine in done.provenance.items():
        # what small values are multiplied by is large
        weight = affine.weight * affine.source.scale
        rank = rank_of(weight) if field in node.delta_sources else 0
        if is_worth(rank, affine.weight):
            matrix, bits = node.matrices()[field], widths.of(node.name, field)
            found[field] = factored(affine, matrix, rank, bits)
    return replace(done, node=replace(node, **found)) if found else done


def factored(affine: Affine, matrix: Matrix, rank: int, bits: int = 8) -> Matrix:
    """Return a matrix as a product of two.

    Parameters
    ----------
    affine : Affine
        What the matrix was made of.
    matrix : Matrix
        [rows, inputs]; its bias, threshold and group are kept.
    rank : int
        Rank of the nearest matrix that is taken for it, at least 1.
    bits : int
        Width of the weights of both, 2..8.
    """
    source = affine.source
    # of integers, as they are what is rounded
    left, values, right = np.linalg.svd(affine.weight * source.scale, full_matrices=False)
    first, nothing = values[:rank, None] * right[:rank] / source.scale, np.zeros(rank)
    # one unit for all: the columns of U, each of length 1, then share the rows' scales
    inner = Affine(first, nothing, replace(source, offset=np.zeros(matrix.cols)), 1.0)
    for _ in range(2):  # the bound is that of rounded weights
        reach = (np.abs(inner.dequantize(inner.quantize(bits))) * source.scale).sum(axis=1).max()
        unit = reach * largest_magnitude(source.bits) * _ROOM / symmetric_max(BITS)
        inner = replace(inner, unit=unit)
    factor = replace(inner.quantize(bits), threshold=matrix.threshold, group=matrix.group)
    between = Signal(nothing, np.full(rank, unit), BITS, np.zeros((0, 0, 0), np.float32))
    bias = gain_of(matrix) * matrix.bias * affine.unit
    outer = Affine(left[:, :rank], bias, between, affine.unit)
    return replace(outer.quantize(bits), factor=factor)
