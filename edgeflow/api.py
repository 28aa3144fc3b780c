"""The pipeline in Python."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from edgeflow.compression.convert import Widths
    from edgeflow.program import Program


def compress(
    module: "nn.Module",
    calibration: "NDArray[np.float32]",
    *,
    channels: Sequence[str] | None = None,
    classes: Sequence[str] = (),
    window: int = 0,
    rate_hz: float = 0.0,
    widths: "Widths | None" = None,
) -> "Program":
    """Turn a trained torch module into an integer program.

    Parameters
    ----------
    module : nn.Module
        Made of layers of ``edgeflow.cells`` (nn.GRU, nn.LSTM, nn.Linear, ...), called in sequence.
    calibration : float32 array [n, time, channels]
        Raw samples of training people.
    channels, classes : sequence of str
    window : int
        Samples a decision; 0 for streaming.
    rate_hz : float
    widths : Widths
        12-bit input and state by default.

    Raises
    ------
    CompressError, ProgramError
        If the module is not supported or cannot be proven free of overflow.
    """
    from edgeflow.compression.convert import Widths
    from edgeflow.compression.quantize import quantize
    from edgeflow.importers import from_module

    chain = from_module(
        module, calibration, channels=channels, classes=classes, window=window, rate_hz=rate_hz
    )
    return quantize(chain, calibration, widths or Widths())
