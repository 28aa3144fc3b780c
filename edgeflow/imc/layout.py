"""What arrays a program takes."""

from typing import Any

import numpy as np

from edgeflow.imc.options import ArrayOptions
from edgeflow.imc.placement import place
from edgeflow.program import Program


def arrays_of(program: Program, options: ArrayOptions) -> list[dict[str, Any]]:
    """Return a row for each array, JSON values.

    Returns
    -------
    list of dict
        ``matrix`` (its layer and field), ``rows`` and ``inputs`` of it; ``array``, its number in
        the matrix; of the array ``word_lines`` and ``columns`` (pairs of bit lines) that hold
        weights, ``slices`` of a weight, and ``used``, the share of its pairs of cells that hold a
        weight other than zero.

    Raises
    ------
    ImcError
        As `edgeflow.imc.placement.place`.
    """
    size = options.rows * options.columns
    return [
        {
            "matrix": one.name,
            "rows": one.matrix.rows,
            "inputs": one.matrix.cols,
            "array": number,
            "word_lines": tile.rows,
            "columns": tile.columns,
            "slices": int(tile.digits.shape[2]),
            "used": float(np.count_nonzero(tile.digits) / size),
        }
        for one in place(program, options)
        for number, tile in enumerate(one.tiles)
    ]
