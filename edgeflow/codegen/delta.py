"""What a delta matrix costs by the columns that fire, and where its kernels pay."""

from collections.abc import Mapping

import numpy as np

from edgeflow.codegen.costs import Cost
from edgeflow.codegen.kernels import MATVEC_KERNELS, MatvecKernel
from edgeflow.program.matrix import Matrix
from edgeflow.program.program import Program

#: Share of columns that fire a step, where compression has not measured it.
FIRED = 0.2
#: Makes x_hat for a dense kernel.
HOLD = "ef_hold_matvec"
#: Rows and columns that kernels are compared at: the recurrent matrix of a GRU of 64 units.
REFERENCE = (192, 64)


def expected_share(program: Program, name: str) -> float:
    """Return the share of columns that fire a step, of the matrix ``layer.field``.

    What compression measured, ``program.metadata["fired"]``, or `FIRED`.
    """
    measured = program.metadata.get("fired")
    share = measured.get(name) if isinstance(measured, Mapping) else None
    return min(1.0, max(0.0, float(share))) if isinstance(share, int | float) else FIRED


def delta_instructions(
    kernel: MatvecKernel,
    matrix: Matrix,
    share: float,
    known: Mapping[str, Cost],
    items: float | None = None,
) -> float | None:
    """Return the expected instructions of a call, `HOLD` included with a kernel that needs it.

    Parameters
    ----------
    kernel : MatvecKernel
    matrix : Matrix
        A delta one.
    share : float
        Of columns that fire, 0..1.
    known : mapping
        Costs by name.
    items : float, optional
        Stored, with a block-sparse kernel.

    Returns
    -------
    float or None
        None if they were not measured.
    """
    cost, hold = known.get(kernel.name), known.get(HOLD)
    fired = share * matrix.cols
    if cost is None:
        return None
    if kernel.delta:
        return cost.instructions(matrix.rows, matrix.cols, fired=fired)
    if hold is None:
        return None
    dense = cost.instructions(matrix.rows, matrix.cols, items)
    return dense + hold.instructions(0, matrix.cols, fired=fired)


def break_even(
    delta: MatvecKernel, dense: MatvecKernel, matrix: Matrix, known: Mapping[str, Cost]
) -> float | None:
    """Return the share of columns up to which a delta kernel costs less than a dense one.

    Returns
    -------
    float or None
        0..1, 1 also where it always does; None if costs were not measured.
    """
    costs = [
        [delta_instructions(kernel, matrix, share, known) for share in (0.0, 1.0)]
        for kernel in (delta, dense)
    ]
    (empty, full), (held, always) = costs
    if empty is None or full is None or held is None or always is None:
        return None
    gain, growth = held - empty, (full - empty) - (always - held)
    if growth <= 0:
        return 1.0 if gain > 0 else 0.0
    return min(1.0, max(0.0, gain / growth))


def break_evens(known: Mapping[str, Cost]) -> dict[str, float]:
    """Return the share of columns up to which each delta kernel costs less than dense ones.

    At `REFERENCE`, against dense kernels that store weights in no more bits, with `HOLD`.

    Parameters
    ----------
    known : mapping
        Costs by name, of all kernels of a core.

    Returns
    -------
    dict
        Shares 0..1 by name.
    """
    kernels = list({k.name: k for k in MATVEC_KERNELS if k.name in known}.values())
    result = {}
    for delta in (kernel for kernel in kernels if kernel.delta):
        matrix = next(m for m in map(_reference, (1, 2)) if delta.fits(m))
        shares = [
            break_even(delta, dense, matrix, known)
            for dense in kernels
            if not dense.delta
            and dense.sparse is None
            and dense.weight_bits <= delta.weight_bits
            and dense.fits(matrix)
        ]
        result[delta.name] = round(min(share for share in shares if share is not None), 3)
    return result


def _reference(group: int) -> Matrix:
    rows, cols = REFERENCE
    ones = np.ones((rows, cols), np.int8)
    multiplier = np.full(rows, 1 << 20, np.int32)
    return Matrix(50 * ones, np.zeros(rows, np.int32), multiplier, 1, 12, 1, group)
