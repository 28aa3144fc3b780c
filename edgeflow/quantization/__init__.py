"""Real numbers as integers: signals, bit widths, weight matrices."""

from edgeflow.quantization.affine import Affine, Converted, gain_of, parameters, quantized
from edgeflow.quantization.signal import (
    PREACTIVATION_SCALE,
    Floats,
    Signal,
    clipped_fraction,
    delayed,
    state_signal,
)
from edgeflow.quantization.widths import Widths

__all__ = [
    "PREACTIVATION_SCALE",
    "Affine",
    "Converted",
    "Floats",
    "Signal",
    "Widths",
    "clipped_fraction",
    "delayed",
    "gain_of",
    "parameters",
    "quantized",
    "state_signal",
]
