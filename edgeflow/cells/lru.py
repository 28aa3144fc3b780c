r"""Linear Recurrent Unit: a diagonal complex recurrence, and a tanh behind it.

With input :math:`u_t` [inputs], complex state :math:`x_t` [size], output :math:`y_t` [hidden]:

.. math::
    x_t &= \lambda \odot x_{t-1} + \gamma \odot (B u_t), \quad
    \lambda = \exp(-e^{\nu} + i e^{\theta}) \\
    y_t &= \tanh(\Re(C x_t) + D u_t + b)

:math:`|\lambda| < 1` for every :math:`\nu`. At the start, :math:`\lambda` is drawn evenly from a
ring of the unit disk, and :math:`\gamma = \sqrt{1 - |\lambda|^2}` gives each state the variance of
white input. As nothing but the tanh is not linear, time runs in parallel.

A. Orvieto et al., Resurrecting recurrent neural networks for long sequences, ICML 2023, arXiv
2303.06349. Its blocks have a gated MLP in place of the tanh, around which they add what they read.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgeflow.cells.cell import Cell, Weights, copy_params
from edgeflow.cells.linear import prune_units as prune_linear
from edgeflow.cells.scan import scan
from edgeflow.cells.stack import stacked
from edgeflow.errors import TrainError
from edgeflow.program import nodes
from edgeflow.program.fixedpoint import Ints
from edgeflow.program.nodes.lru import ROTATION, STATE_BITS
from edgeflow.quantization import (
    PREACTIVATION_SCALE,
    Affine,
    Calibration,
    Converted,
    Floats,
    centred,
    clipped_fraction,
    parameters,
)

#: Head room of states and of what drives them over the largest value seen in calibration.
MARGIN = 1.5


class LRU(nn.Module):
    """Layer: u [n, time, inputs] -> (y [n, time, hidden], last x, complex [n, size]).

    Parameters
    ----------
    inputs, hidden, size : int
        `size` is the number of complex states.
    r_min, r_max : float
        Magnitudes of the poles at the start, 0 <= r_min < r_max < 1.
    max_phase : float
        Largest phase at the start, in (0, 2 pi].

    Attributes
    ----------
    input : nn.Linear [2 * size + hidden, inputs]
        Rows of B, real parts and imaginary ones, then D; the bias is that of the output.
    output : nn.Linear [hidden, 2 * size]
        Columns of C for the real parts of x, then for the imaginary ones.
    nu, theta, gamma : Parameter [size]
        Gamma is a logarithm, as the others are.
    """

    def __init__(
        self, inputs: int, hidden: int, size: int, r_min: float, r_max: float, max_phase: float
    ) -> None:
        super().__init__()
        self.size, self.hidden = size, hidden
        squares = torch.rand(size) * (r_max**2 - r_min**2) + r_min**2
        self.nu = nn.Parameter(torch.log(-0.5 * torch.log(squares.clamp_min(1e-12))))
        self.theta = nn.Parameter(torch.log(max_phase * torch.rand(size).clamp_min(1e-4)))
        self.gamma = nn.Parameter(0.5 * torch.log1p(-squares))
        self.input = nn.Linear(inputs, 2 * size + hidden)
        self.output = nn.Linear(2 * size, hidden, bias=False)
        with torch.no_grad():
            self.input.bias[: 2 * size] = 0
            nn.init.normal_(self.input.weight[: 2 * size], 0, (2 * inputs) ** -0.5)
            nn.init.normal_(self.output.weight, 0, size**-0.5)

    def poles(self) -> Tensor:
        """Return lambda, complex [size]."""
        return torch.polar(torch.exp(-torch.exp(self.nu)), torch.exp(self.theta))

    def states(self, driven: Tensor, x: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the states' drive, and the states, complex [n, time, size].

        Parameters
        ----------
        driven : Tensor [n, time, at least 2 * size]
            What `input` gives.
        x : Tensor, complex [n, size], optional
            The state before; zeros by default.
        """
        real, imaginary = driven[..., : self.size], driven[..., self.size : 2 * self.size]
        drive = torch.exp(self.gamma) * torch.complex(real, imaginary)
        return drive, scan(self.poles().expand_as(drive), drive, x)

    def forward(self, u: Tensor, x: Tensor | None = None) -> tuple[Tensor, Tensor]:
        driven = self.input(u)
        _, states = self.states(driven, x)
        read = self.output(torch.cat([states.real, states.imag], dim=-1))
        return torch.tanh(read + driven[..., 2 * self.size :]), states[:, -1]


@stacked
def build(
    inputs: int,
    hidden: int,
    *,
    size: int = 0,
    r_min: float = 0.5,
    r_max: float = 0.99,
    max_phase: float = 3.14,
) -> LRU:
    """Return an LRU layer; `size` is its complex states, 0: as many as units."""
    if size < 0:
        raise TrainError(f"size is {size}: it must be at least 1, or 0 for the number of units")
    if not 0 <= r_min < r_max < 1:
        raise TrainError(f"r_min {r_min} and r_max {r_max}: give 0 <= r_min < r_max < 1")
    if not 0 < max_phase <= 2 * np.pi:
        raise TrainError(f"max_phase is {max_phase}: it must be in (0, 2 pi]")
    return LRU(inputs, hidden, size or hidden, r_min, r_max, max_phase)


def convert(layer: Any, given: Calibration) -> Converted:
    """Quantize; units of each state, and of what drives it, come from calibration."""
    source, size, bits = given.source, layer.size, given.state_bits
    weight, bias = parameters(layer.input.weight, layer.input.bias)
    gamma = np.exp(layer.gamma.detach().double().numpy())
    for rows in (slice(size), slice(size, 2 * size)):
        weight[rows] *= gamma[:, None]
        bias[rows] *= gamma
    with torch.no_grad():
        drive, states = layer.states(layer.input(torch.from_numpy(source.real)))
    unit = _reach(states) / 2.0 ** (STATE_BITS - 1)
    shift = np.ceil(np.log2(_reach(drive) / (unit * 2.0**15)))
    shift = np.clip(shift, *nodes.LRU.array_fields["shift"]).astype(np.int16)
    drive_unit = np.tile(unit * 2.0**shift, 2)
    units = np.concatenate([drive_unit, np.full(layer.hidden, PREACTIVATION_SCALE)])
    seen = torch.cat([states.real, states.imag], -1).numpy()
    scale = np.tile(unit * 2.0 ** (STATE_BITS - bits), 2)
    reading = centred(scale, bits, seen)
    poles = layer.poles().detach().to(torch.complex128).numpy() * 2.0**ROTATION
    most = nodes.LRU.array_fields["real"][1]
    products = {
        "input": Affine(weight, bias, source, units),
        "output": Affine(*parameters(layer.output.weight), reading),
    }
    node = nodes.LRU(
        given.name,
        **given.matrices(products),
        real=np.clip(np.round(poles.real), -most, most).astype(np.int32),
        imaginary=np.clip(np.round(poles.imag), -most, most).astype(np.int32),
        shift=shift,
        state_bits=bits,
    )
    v = source.real @ weight[2 * size :].T + bias[2 * size :]
    v = v + seen @ layer.output.weight.detach().numpy().T
    return Converted(node, given.state(), {"output": clipped_fraction(v)}, products)


def _reach(values: Tensor) -> Floats:
    """Return the largest magnitude of each real or imaginary part, with head room."""
    parts = torch.view_as_real(values).abs().amax((0, 1, 3))
    return np.maximum(MARGIN * parts.double().numpy(), 1e-6)


def load_dequantized(layer: Any, real: Weights) -> None:
    """Give the layer these weights; the poles stay, as their integers are as good as exact."""
    gamma = np.exp(layer.gamma.detach().double().numpy())
    share = np.concatenate([gamma, gamma, np.ones(layer.hidden)])
    copy_params([layer.input.weight], real["input"] / share[:, None])
    copy_params([layer.output.weight], real["output"])


@torch.no_grad()
def prune_units(layer: Any, inputs: Ints, units: Ints) -> LRU:
    """Return a layer of these inputs and outputs, with all of its states."""
    size = layer.size
    smaller = LRU(len(inputs), len(units), size, 0.5, 0.9, 1.0)
    for name in ("nu", "theta", "gamma"):
        getattr(smaller, name).copy_(getattr(layer, name))
    rows = np.concatenate([np.arange(2 * size), 2 * size + units])
    smaller.input = prune_linear(layer.input, inputs, rows)
    smaller.output = prune_linear(layer.output, np.arange(2 * size), units)
    return smaller


CELL = Cell(
    LRU,
    convert,
    build=build,
    readout="mean",
    load_dequantized=load_dequantized,
    prune_units=prune_units,
    name="lru",
    about="linear recurrent unit",
)
