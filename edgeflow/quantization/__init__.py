"""Real numbers as integers: signals, bit widths, weight matrices."""

from edgeflow.quantization.affine import (
    Affine,
    Calibration,
    Converted,
    WeightOf,
    gain_of,
    parameters,
)
from edgeflow.quantization.signal import (
    MARGIN,
    PREACTIVATION_SCALE,
    Floats,
    Signal,
    centred,
    clipped_fraction,
    delayed,
    own_reach,
    reach,
    side_by_side,
)
from edgeflow.quantization.widths import Widths

__all__ = [
    "MARGIN",
    "PREACTIVATION_SCALE",
    "Affine",
    "Calibration",
    "Converted",
    "Floats",
    "Signal",
    "WeightOf",
    "Widths",
    "centred",
    "clipped_fraction",
    "delayed",
    "gain_of",
    "own_reach",
    "parameters",
    "reach",
    "side_by_side",
]
