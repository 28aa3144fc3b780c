"""Surrogate of a recipe's program, whose cost is known before any training.

A surrogate is the model after all steps of a recipe at once, without training: its decisions are of
no use, but its matrices have the shapes, zeros and thresholds of the trained ones.
"""

import numpy as np
from numpy.typing import NDArray

from edgeflow.compression.delta import DeltaSparsity
from edgeflow.compression.model import ChainModel
from edgeflow.compression.prune import pruning
from edgeflow.compression.quantize import quantize
from edgeflow.importers import FloatChain
from edgeflow.program import Program
from edgeflow.recipes.apply import prune_options, widths_of
from edgeflow.recipes.recipe import Recipe


def surrogate(
    chain: FloatChain, calibration: NDArray[np.float32], recipe: Recipe, board: str
) -> Program:
    """Return the program of a recipe without its training, early exit and mixed widths.

    Raises
    ------
    CompressError, ProgramError
        If the recipe is not for this model.
    """
    widths = widths_of(recipe)
    model = ChainModel(chain)
    prune = prune_options(recipe, board)
    # a schedule of one epoch is over at its start
    for method in pruning(calibration, prune, epochs=1) if prune is not None else []:
        method.prepare(model)
        method.before_epoch(model, 0.0)
    if recipe.delta:
        thresholds = DeltaSparsity(calibration, recipe.delta, widths)
        thresholds.prepare(model)
        thresholds.set_thresholds(model, recipe.delta.state, recipe.delta.input)
    return quantize(model.chain(), calibration, widths)
