"""Forecasts of ``breathing.py`` that go on learning as samples come (`Nlms`)."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from lagged_gru import Deployed
from numpy.typing import NDArray

from edgeflow.compression.nlms import nlms
from edgeflow.program import GRU, Linear, Program
from edgeflow.program.sources import Sources


@dataclass(frozen=True)
class Learner:
    """How a forecast learns: lags, samples between them, step size, share of the largest norm."""

    lags: int
    every: int
    step: float
    ridge: float


def learning(
    program: Program, model: Deployed, x: NDArray[np.float32], steps: tuple[int, ...], how: Learner
) -> Program:
    """Return the program with a learner before its last layer.

    It corrects the inner forecasts of the GRU and the linear path, as they were trained, by the
    last inner samples. Their units are those of the integers that `program` makes of x [1, time,
    channels].

    Parameters
    ----------
    steps : tuple of int
        Horizons in samples, multiples of the first.
    """
    reads = program.reads
    head = reads[-2][0]
    front = next(
        one for node, (one, *_) in zip(program.nodes, reads, strict=False) if isinstance(node, GRU)
    )
    assert isinstance(program.nodes[head - 1], Linear) and len(reads[-2]) == 1
    with torch.no_grad():
        z = model.front(torch.from_numpy(x))
        inner = model.head(torch.cat([model.gru(z)[0], model.lags(z)[0]], -1))
    of_z, of_forecast = (
        _unit(program, number, x, values.numpy()) for number, values in ((front, z), (head, inner))
    )
    series, horizons = z.shape[-1], len(steps)
    apart = z[0, how.every * how.lags :] - z[0, : -how.every * how.lags]
    reach = 4 * float(apart.std()) / of_z
    node = nlms(
        "nlms", np.full((horizons, series), of_z / of_forecast), np.zeros((horizons, series)),
        stride=steps[0], lags=how.lags, every=how.every, read=0, down=0,
        lag_shift=max(0, int(np.ceil(np.log2(reach / 2047)))),
        wait=-(-max(how.every * how.lags, 60) // steps[0]), step=how.step, ridge=how.ridge,
    )  # fmt: skip
    *before, back = program.nodes
    sources: tuple[Sources, ...] = (
        *reads[:-2], (head, front), (len(program.nodes),), (len(program.nodes) + 1,),
    )  # fmt: skip
    return replace(program, nodes=(*before, node, back), sources=sources)


def _unit(
    program: Program, number: int, x: NDArray[np.float32], values: NDArray[np.float32]
) -> float:
    """Return what a unit of a layer's integers is worth, given its values."""
    part = replace(
        program, nodes=program.nodes[:number], sources=(*program.reads[:number], (number,)),
        output=None, metadata={},
    )  # fmt: skip
    whole = part.run(part.quantize_input(x)).astype(np.float64)
    return float((whole * values).sum() / (whole * whole).sum())
