"""Sketch of a model: the program that a description would become, before any training.

Its matrices have the shapes, widths, zeros, ranks and thresholds of the trained ones, so that its
costs are theirs (`edgeflow.codegen.expected`); what it decides is of no use.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgeflow.cells import SequenceClassifier
from edgeflow.compression.delta import reads_samples
from edgeflow.importers import load_float_model
from edgeflow.program import Program
from edgeflow.program.nodes import Decimate, LogMel, Taps
from edgeflow.program.nodes.front import FrontEnd
from edgeflow.recipes.recipe import Recipe
from edgeflow.recipes.surrogate import surrogate

#: Windows and samples that scales and thresholds of a sketch are chosen on.
WINDOWS, SAMPLES = 2, 12

#: Nodes whose values are samples still.
_OF_SAMPLES = (FrontEnd, LogMel, Taps, Decimate)


def sketch(
    cell: str,
    inputs: int,
    outputs: int,
    recipe: Recipe | None = None,
    *,
    board: str = "qemu-m4",
    seed: int = 0,
    **model: Any,
) -> Program:
    """Return the program of a model that is not trained.

    Parameters
    ----------
    cell : str
        Name in ``edgeflow.cells.CELLS``.
    inputs, outputs : int
        Channels, and classes.
    recipe : Recipe, optional
        Its compression: widths, zeros, ranks, thresholds; default: int8 weights.
    board : str
        Whose blocks of zeros are taken, where the recipe leaves that to the board.
    seed : int
        Of the weights.
    **model
        Of `SequenceClassifier`: ``hidden``, ``layers``, ``window``, ``readout``, ``options``,
        ``front`` and the like.

    Raises
    ------
    TrainError
        If there is no such cell or option, or a size is out of range.
    CompressError, ProgramError
        If the recipe is not for this model.
    """
    recipe = Recipe() if recipe is None else recipe
    names = [f"class{i}" for i in range(outputs)], [f"x{i}" for i in range(inputs)]
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        module = SequenceClassifier(cell, *names, **model).eval()
        # as training leaves them: evenly spread ones have larger sums, which some kernels exclude
        for weight in module.parameters():
            if weight.dim() > 1 and float(weight.min()) < 0 < float(weight.max()):
                nn.init.normal_(weight, 0, float(weight.std()))
    x = _samples(inputs, seed)
    program = surrogate(load_float_model(module, x), x, recipe, board)
    fired = _fired(program, recipe)
    return replace(program, metadata={**program.metadata, "fired": fired}) if fired else program


def _samples(inputs: int, seed: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, (WINDOWS, SAMPLES, inputs)).astype(np.float32)


def _fired(program: Program, recipe: Recipe) -> Mapping[str, float]:
    """Return the share of columns that delta matrices update, as the recipe wants it."""
    found = {}
    for number, node in enumerate(program.nodes):
        for field in node.delta_matrices():
            first = node.source_of(field) == "x" and reads_samples(
                program.reads, number, lambda k: isinstance(program.nodes[k], _OF_SAMPLES)
            )
            assert recipe.delta is not None
            found[f"{node.name}.{field}"] = 1 - (
                recipe.delta.input if first else recipe.delta.state
            )
    return found
