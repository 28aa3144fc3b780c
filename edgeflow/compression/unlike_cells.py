"""Width of cell states of unlike size.

The cells of a layer have one unit, which the largest of them sets: where one neuron of an LSTM
counts to 100, 16 bits leave a cell that stays within 0.01 five values, and one that counts to 200
is clipped. Layers with such cells are tried with 32 bits, and get them if the program's outputs are
nearer to the float ones.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgeflow.cells.chain import FloatChain
from edgeflow.compression.convert import output_error
from edgeflow.program import InputFormat
from edgeflow.quantization import Widths
from edgeflow.quantization.widths import EXACT_STATE

#: What wider cells must take off the outputs' error, as a share of the outputs' spread. The rest of
#: the error is the weights'.
WORTH = 0.005
HINT_GIVEN = "a width that is not given (--activations int16) becomes as wide as it needs"


def told_apart(
    chain: FloatChain,
    x: NDArray[np.float32],
    widths: Widths,
    form: InputFormat,
    unfit: Mapping[str, int],
) -> tuple[Widths, list[str]]:
    """Return widths with more bits for cells of unlike size, unless `state` is given, and notes.

    Parameters
    ----------
    x : float32 array [n, time, channels]
        Raw samples that programs are compared on.
    form : InputFormat
        Of the program's input.
    unfit : mapping
        By layer, how many of its cells do not fit their common unit: `Converted.unfit`.
    """
    suspects = [name for name, count in unfit.items() if count]
    if not suspects:
        return widths, []
    real, notes = chain.run(x), []
    error = output_error(real, chain, x, widths, form)
    for name in suspects:
        wide = replace(widths, states={**widths.states, name: EXACT_STATE})
        found = output_error(real, chain, x, wide, form)
        if error - found < WORTH:
            continue
        note = f"layer {name}: {unfit[name]} cells are too small or too large for their common unit"
        if widths.state is None:
            widths, error = wide, found
            notes.append(f"{note}: they get more bits")
        else:
            cost = f"{error - found:.1%} of the outputs' range"
            notes.append(f"{note}, which costs {cost}; {HINT_GIVEN}")
    return widths, notes
