"""Costs of a delta matrix by the columns that are updated, and where its kernels pay."""

from collections.abc import Mapping

import numpy as np

from edgeflow.codegen.costs import Cost, Formula
from edgeflow.codegen.kernels import MATVEC_KERNELS, MatvecKernel
from edgeflow.codegen.sparse import DENSITY, REFERENCE, reference_matrix
from edgeflow.program.matrix import Matrix
from edgeflow.program.program import Program

#: Share of columns that are updated per step, where compression has not measured it.
DELTA_DENSITY = 0.2
#: Makes x_hat for a dense kernel.
HOLD = "ef_hold_matvec"


def expected_share(program: Program, name: str) -> float:
    """Return the share of columns that are updated per step, of the matrix ``layer.field``.

    As compression measured it, ``program.metadata["fired"]``, or `DELTA_DENSITY`.
    """
    measured = program.metadata.get("fired")
    share = measured.get(name) if isinstance(measured, Mapping) else None
    return min(1.0, max(0.0, float(share))) if isinstance(share, int | float) else DELTA_DENSITY


def delta_count(
    kernel: MatvecKernel,
    matrix: Matrix,
    share: float,
    known: Mapping[str, Cost | Formula],
    items: float | None = None,
) -> float | None:
    """Return what is expected of a call, `HOLD` included with a kernel that needs it.

    Parameters
    ----------
    kernel : MatvecKernel
    matrix : Matrix
        A delta one.
    share : float
        Of columns that are updated, 0..1.
    known : mapping
        Costs by name: of instructions, or of cycles.
    items : float, optional
        Stored, with a block-sparse kernel.

    Returns
    -------
    float or None
        None if they were not measured.
    """
    cost, hold = known.get(kernel.name), known.get(HOLD)
    updated = share * matrix.cols
    if cost is None:
        return None
    if kernel.delta:
        return cost.count(matrix.rows, matrix.cols, items, updated)
    if hold is None:
        return None
    dense = cost.count(matrix.rows, matrix.cols, items)
    return dense + hold.count(0, matrix.cols, updated=updated)


def break_even(
    delta: MatvecKernel, other: MatvecKernel, matrix: Matrix, known: Mapping[str, Cost]
) -> float | None:
    """Return the share of columns up to which a delta kernel costs less than another one.

    Returns
    -------
    float or None
        0..1, 1 also where it always does; None if costs were not measured.
    """
    costs = []
    for kernel in (delta, other):
        items = kernel.sparse.items(matrix) if kernel.sparse else None
        costs += [delta_count(kernel, matrix, share, known, items) for share in (0.0, 1.0)]
    empty, full, held, always = costs
    if empty is None or full is None or held is None or always is None:
        return None
    gain, growth = held - empty, (full - empty) - (always - held)
    if growth <= 0:
        return 1.0 if gain > 0 else 0.0
    return min(1.0, max(0.0, gain / growth))


def break_evens(known: Mapping[str, Cost]) -> dict[str, float]:
    """Return the share of columns up to which each delta kernel costs less than others.

    At `REFERENCE`, against kernels that store weights in no more bits, with `HOLD`: dense ones;
    where the delta kernel is block-sparse, those too, with a share of `DENSITY` of its blocks.

    Parameters
    ----------
    known : mapping
        Costs by name, of all kernels of a core.

    Returns
    -------
    dict
        Shares 0..1 by name.
    """
    kernels = [kernel for kernel in MATVEC_KERNELS if kernel.name in known]
    result = {}
    for delta in (kernel for kernel in kernels if kernel.delta):
        matrix = next(
            m for m in (_reference(group, delta) for group in (1, 2)) if delta.is_exact_for(m)
        )
        shares = [
            break_even(delta, other, matrix, known)
            for other in kernels
            if not other.delta
            and (delta.sparse or not other.sparse)
            and other.weight_bits <= delta.weight_bits
            and other.is_exact_for(matrix)
        ]
        result[delta.name] = round(min(share for share in shares if share is not None), 3)
    return result


def _reference(group: int, kernel: MatvecKernel) -> Matrix:
    weight = np.full(REFERENCE, 50)
    if kernel.sparse is not None:
        # every fourth block of a row, and another one in the next row
        row, column = np.indices(REFERENCE)
        diagonal = row // kernel.sparse.rows + column // kernel.sparse.cols
        weight *= diagonal % round(1 / DENSITY) == 0
    return reference_matrix(weight, threshold=1, group=group)
