"""Forecasts of ``breathing.py`` that go on learning as samples come (`Nlms`)."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from lagged_gru import Deployed
from numpy.typing import NDArray

from edgeflow.compression.nlms import nlms
from edgeflow.program import GRU, Linear, Matrix, Program
from edgeflow.program.sources import Sources
from edgeflow.quantization import Affine, centred

#: Samples at the beginning that say nothing of how forecasts go together.
SETTLED = 60
#: Of a feature of deviation 1, in the integers that a learner reads.
DEVIATION = 1024


@dataclass(frozen=True)
class Learner:
    """How a forecast learns: step size, share of the largest norm, and least spread of a feature.

    The last is a share of the largest variance that a direction of the forecasts has.
    """

    step: float
    ridge: float
    least: float


def learning(
    program: Program, model: Deployed, x: NDArray[np.float32], steps: tuple[int, ...], how: Learner
) -> Program:
    """Return the program with a learner before its last layer.

    It corrects the inner forecasts of the GRU and the linear path by themselves, all of them,
    made uncorrelated and of one size by a linear layer: what of a gradient step goes which way
    then does not depend on which way breathing mostly goes, as in S. Narayan, A. Peterson, M.
    Narasimha, "Transform domain LMS algorithm", IEEE Trans. ASSP 31(3), 1983. That layer and all
    units are of the integers that `program` makes of x [1, time, channels].

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
        _unit(values.numpy(), _integers(program, number, x))
        for number, values in ((front, z), (head, inner))
    )
    series, horizons = z.shape[-1], len(steps)
    even = Linear("even", _even(_integers(program, head, x)[0, SETTLED:], how.least))
    # of the one lag that it must have, nothing is left
    node = nlms(
        "nlms", np.full((horizons, series), of_z / of_forecast), np.zeros((horizons, series)),
        stride=steps[0], lags=1, every=1, read=even.outputs, down=0, lag_shift=15,
        wait=-(-SETTLED // steps[0]), step=how.step, ridge=how.ridge,
    )  # fmt: skip
    *before, back = program.nodes
    count = len(program.nodes)
    sources: tuple[Sources, ...] = (
        *reads[:-2], (head,), (head, count, front), (count + 1,), (count + 2,),
    )  # fmt: skip
    return replace(program, nodes=(*before, even, node, back), sources=sources)


def _even(forecast: NDArray[np.float64], least: float) -> Matrix:
    """Return the matrix that makes forecasts [time, size] uncorrelated and of `DEVIATION`."""
    spread, ways = np.linalg.eigh(forecast.T @ forecast / len(forecast))
    weight = DEVIATION * (ways / np.sqrt(spread + least * spread.max())) @ ways.T
    source = centred(1.0, 16, forecast.astype(np.float32))
    return Affine(weight, np.zeros(len(weight)), source, 1.0).quantize()


def _integers(program: Program, number: int, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return what a layer gives."""
    part = replace(
        program, nodes=program.nodes[:number], sources=(*program.reads[:number], (number,)),
        output=None, metadata={},
    )  # fmt: skip
    return part.run(part.quantize_input(x)).astype(np.float64)


def _unit(values: NDArray[np.float32], whole: NDArray[np.float64]) -> float:
    """Return what a unit of a layer's integers is worth, given its values."""
    return float((whole * values).sum() / (whole * whole).sum())
