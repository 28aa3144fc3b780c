"""Real numbers as integers: signals, bit widths, weight matrices."""

from edgeflow.quantization.affine import Affine, Calibration, Converted, gain_of, parameters
from edgeflow.quantization.signal import (
    PREACTIVATION_SCALE,
    Floats,
    Signal,
    centred,
    clipped_fraction,
    delayed,
)
from edgeflow.quantization.widths import Widths

__all__ = [
    "PREACTIVATION_SCALE",
    "Affine",
    "Calibration",
    "Converted",
    "Floats",
    "Signal",
    "Widths",
    "centred",
    "clipped_fraction",
    "delayed",
    "gain_of",
    "parameters",
]
