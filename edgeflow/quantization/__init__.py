"""Real numbers as integers: signals, bit widths, weight matrices."""

from edgeflow.quantization.matrix import Quantized, parameters, quantize_matrix
from edgeflow.quantization.signal import (
    PREACTIVATION_SCALE,
    Converted,
    Floats,
    Signal,
    delayed,
    share_beyond,
    state_signal,
)
from edgeflow.quantization.widths import Widths

__all__ = [
    "PREACTIVATION_SCALE",
    "Converted",
    "Floats",
    "Quantized",
    "Signal",
    "Widths",
    "delayed",
    "parameters",
    "quantize_matrix",
    "share_beyond",
    "state_signal",
]
