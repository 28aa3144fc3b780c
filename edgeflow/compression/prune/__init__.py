"""Pruning: weights, blocks of weights, whole units or ranks that the device never sees."""

import numpy as np
from numpy.typing import NDArray

from edgeflow.compression.prune.magnitude import MagnitudePruning
from edgeflow.compression.prune.options import PruneOptions
from edgeflow.compression.prune.rank import RankReduction
from edgeflow.compression.prune.units import UnitPruning
from edgeflow.training.method import Method


def pruning(calibration: NDArray[np.float32], options: PruneOptions, epochs: int) -> list[Method]:
    """Return the methods that prune as the options say; units go before weights.

    Parameters
    ----------
    calibration : float32 array [n, time, channels]
        Raw samples of training subjects.
    epochs : int
        Of the training.
    """
    methods: list[Method] = []
    if options.units:
        methods.append(UnitPruning(calibration, options.units))
    if options.low_rank:
        methods.append(RankReduction(calibration, options.low_rank, epochs))
    if options.any_weights:
        methods.append(MagnitudePruning(calibration, options, epochs))
    return methods
