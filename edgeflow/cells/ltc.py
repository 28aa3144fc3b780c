r"""Liquid time-constant cell (LTC), in the form of the ``ncps`` package.

Units with potential :math:`v_j`, capacity :math:`c_j`, leak :math:`g_j` towards
:math:`v^{leak}_j`, and synapses that open with a sigmoid of their source and pull towards a
reversal potential :math:`E_{ij}`. With u the mapped input, s sigmoids and M masks of the wiring:

.. math::
    u_i &= w^{in}_i x_i + b^{in}_i, \qquad
    s_{ij}(v) = \sigma\big(\sigma_{ij} (v_i - \mu_{ij})\big) \\
    v_j &\leftarrow \frac{c_j L / \tau \; v_j + g_j v^{leak}_j
      + \sum_i M_{ij} w_{ij} s_{ij}(v) E_{ij}
      + \sum_i M^s_{ij} w^s_{ij} s^s_{ij}(u) E^s_{ij}}
      {c_j L / \tau + g_j + \sum_i M_{ij} w_{ij} s_{ij}(v) + \sum_i M^s_{ij} w^s_{ij} s^s_{ij}(u)}

L = `unfolds` times per sample (the fused solver), where :math:`\tau` is the time span between two
samples. The output is :math:`w^{out} v + b^{out}` of the first `outputs` units. w, g and c are
softplus of their parameters.

R. Hasani, M. Lechner et al., Liquid time-constant networks, AAAI 2021, arXiv 2006.04439.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from edgeflow.cells.cell import Cell
from edgeflow.cells.stack import stacked
from edgeflow.cells.synapses import Solver, Synapses, fan_in
from edgeflow.errors import CompressError, TrainError
from edgeflow.program import nodes
from edgeflow.program.fixedpoint import INT16_MAX, PREACTIVATION_FRACTION
from edgeflow.program.nodes.ltc import MAX_UNFOLDS, OFFSET_SHIFT
from edgeflow.quantization import Calibration, Converted, Floats, Signal, clipped_fraction

#: Solver steps per sample, and units that a unit reads, in a new cell.
UNFOLDS, FAN, MOST_UNFOLDS = 1, 8, 64
#: Added to the denominator, as ncps does.
_EPSILON = 1e-8


class LTC(nn.Module):
    """One LTC layer.

    Parameters
    ----------
    inputs, hidden : int
    outputs : int, optional
        Units that are the output; None: all.
    unfolds : int
        Solver steps per sample.
    time_span : float
        Between two samples; > 0.
    positive : bool
        Apply softplus to conductances and capacities; False: they are taken as they are.
    fan : int, optional
        Units that each unit reads, drawn at random; None: all.

    Raises
    ------
    TrainError
        If an argument is out of range.
    """

    w: Tensor
    sparsity_mask: Tensor
    sensory_w: Tensor
    sensory_sparsity_mask: Tensor

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        outputs: int | None = None,
        unfolds: int = 6,
        time_span: float = 1.0,
        positive: bool = True,
        fan: int | None = None,
    ) -> None:
        super().__init__()
        outputs = hidden if outputs is None else outputs
        if not 1 <= outputs <= hidden:
            raise TrainError(f"{outputs} outputs: an LTC of {hidden} units has 1..{hidden}")
        if not 1 <= unfolds <= MOST_UNFOLDS or not time_span > 0:
            raise TrainError(f"unfolds must be from 1 to {MOST_UNFOLDS} and time_span positive")
        if fan is not None and not 1 <= fan <= hidden:
            raise TrainError(f"fan is {fan}: a unit reads 1..{hidden} of {hidden} units")
        self.inputs, self.hidden, self.outputs = inputs, hidden, outputs
        self.unfolds, self.time_span, self.positive = unfolds, float(time_span), positive

        def uniform(low: float, high: float, *shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape).uniform_(low, high))

        self.gleak = uniform(0.001, 1.0, hidden)
        self.vleak = uniform(-0.2, 0.2, hidden)
        self.cm = uniform(0.4, 0.6, hidden)
        for prefix, sources in (("", hidden), ("sensory_", inputs)):
            setattr(self, f"{prefix}sigma", uniform(3.0, 8.0, sources, hidden))
            setattr(self, f"{prefix}mu", uniform(0.3, 0.8, sources, hidden))
            setattr(self, f"{prefix}w", uniform(0.001, 1.0, sources, hidden))
            sign = torch.where(torch.rand(sources, hidden) < 1 / 3, -1.0, 1.0)
            setattr(self, f"{prefix}erev", nn.Parameter(sign))
            self.register_buffer(f"{prefix}sparsity_mask", torch.ones(sources, hidden))
        if fan is not None:
            chosen = torch.rand(hidden, hidden).argsort(dim=0)[:fan]
            self.sparsity_mask.zero_().scatter_(0, chosen, 1.0)
        self.input_w = nn.Parameter(torch.ones(inputs))
        self.input_b = nn.Parameter(torch.zeros(inputs))
        self.output_w = nn.Parameter(torch.ones(outputs))
        self.output_b = nn.Parameter(torch.zeros(outputs))

    def conductances(self) -> dict[str, Tensor]:
        """Return w, sensory_w (masked), g and c L / time_span."""

        def positive(value: Tensor) -> Tensor:
            return functional.softplus(value) if self.positive else value

        return {
            "w": positive(self.w) * self.sparsity_mask,
            "sensory_w": positive(self.sensory_w) * self.sensory_sparsity_mask,
            "g": positive(self.gleak),
            "c": positive(self.cm) * self.unfolds / self.time_span,
        }

    def forward(self, x: Tensor, v: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return (y [n, time, outputs], v [n, hidden]) for x [n, time, inputs]."""
        n, time, _ = x.shape
        start = x.new_zeros(self.hidden, n) if v is None else v.T
        conductance = self.conductances()
        g, c = conductance["g"][:, None], conductance["c"][:, None]
        u = (x * self.input_w + self.input_b).permute(2, 1, 0).reshape(self.inputs, -1)
        below, above = (
            Synapses.apply(u, *self._synapses("sensory_", conductance))
            .view(self.hidden, 2, time, n)
            .permute(1, 2, 0, 3)
        )
        base, rest = above + g * self.vleak[:, None], below + (c + g + _EPSILON)
        values = Solver.apply(start, base, rest, c, *self._synapses("", conductance), self.unfolds)
        y = values.permute(2, 0, 1)[..., : self.outputs]
        return y * self.output_w + self.output_b, values[-1].T

    def _synapses(
        self, prefix: str, conductance: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return slope, offset, both weights and sources of the synapses that exist, by unit."""
        source = fan_in(getattr(self, f"{prefix}sparsity_mask"))

        def compact(value: Tensor) -> Tensor:
            return value.T.gather(1, source)

        slope, mu, erev = (
            compact(getattr(self, f"{prefix}{name}")) for name in ("sigma", "mu", "erev")
        )
        weight = compact(conductance[f"{prefix}w"])
        return slope, -slope * mu, torch.stack([weight, weight * erev], dim=1), source


@stacked
def build(inputs: int, hidden: int, *, unfolds: int = UNFOLDS, fan: int = FAN) -> LTC:
    """Return an LTC layer; `fan` 0: each unit reads all others, as where there are fewer.

    The paper solves with 6 steps per sample and lets each unit read all others. Fewer of both train
    faster in proportion; the defaults were chosen on validation subjects.
    """
    return LTC(inputs, hidden, unfolds=unfolds, fan=fan if 0 < fan < hidden else None)


def unsupported_reason(layer: Any) -> str | None:
    """Refuse a solver that is too long for a function body."""
    reason = f"{layer.unfolds} solver steps: at most {MAX_UNFOLDS} can be compressed"
    return reason if layer.unfolds > MAX_UNFOLDS else None


def convert(layer: Any, given: Calibration) -> Converted:
    """Quantize; reversal and leak potentials bound the state, so it needs no calibration."""
    source = given.source
    p = {key: value.detach().double().numpy() for key, value in layer.state_dict().items()}
    conductance = {key: v.detach().double().numpy() for key, v in layer.conductances().items()}
    if min(value.min() for value in conductance.values()) < 0:
        raise CompressError("a conductance or capacity is negative: keep w, gleak and cm positive")
    w, sensory_w = conductance["w"], conductance["sensory_w"]
    reversals = [np.abs(p["erev"])[w > 0], np.abs(p["sensory_erev"])[sensory_w > 0]]
    reach = max(float(np.abs(values).max()) for values in (*reversals, p["vleak"]) if values.size)
    reach = max(reach, 1e-6)
    g, c = conductance["g"], conductance["c"]
    # a unit's largest denominator becomes just below 1 in Q0.15, with room for rounding
    synapses = layer.inputs + layer.hidden
    unit = (INT16_MAX - 4 - synapses) / (w.sum(axis=0) + sensory_w.sum(axis=0) + g + c)

    def conduct(weight: Floats, reversal: Floats, prefix: str) -> dict[str, NDArray[np.int16]]:
        return {
            f"{prefix}weight": _int16((weight * unit).T),
            f"{prefix}reversal": _int16((weight * reversal / reach * unit).T),
        }

    fraction = 2.0**PREACTIVATION_FRACTION
    gain = p["input_w"] * source.scale
    start = p["input_w"] * source.offset + p["input_b"]
    sensory_slope, sensory_shift = _slopes(fraction * p["sensory_sigma"] * gain[:, None])
    slope, shift = _slopes(fraction * p["sigma"] * reach / 2.0**15)
    sensory_offset = p["sensory_sigma"] * (start[:, None] - p["sensory_mu"])
    offset = -p["sigma"] * p["mu"]
    capacity = _int16(c * unit)
    node = nodes.LTC(
        unfolds=layer.unfolds,
        name=given.name,
        sensory_slope=sensory_slope,
        sensory_offset=_int16(fraction / 2**OFFSET_SHIFT * sensory_offset.T),
        slope=slope,
        offset=_int16(fraction / 2**OFFSET_SHIFT * offset.T),
        capacity=capacity,
        leak=np.round(2.0**15 * g * p["vleak"] / reach * unit).astype(np.int32),
        rest=(2**15 * capacity.astype(np.int64) + np.round(2.0**15 * g * unit)).astype(np.int32),
        source_bits=source.bits,
        motors=layer.outputs,
        sensory_shift=sensory_shift,
        shift=shift,
        **conduct(w, p["erev"], ""),
        **conduct(sensory_w, p["sensory_erev"], "sensory_"),
    )
    output = Signal(p["output_b"], p["output_w"] * reach / 2.0**15, 16, given.real)
    beyond = [np.abs(offset)[w > 0], np.abs(sensory_offset)[sensory_w > 0]]
    return Converted(node, output, {"synapses": clipped_fraction(np.concatenate(beyond), 32.0)})


def _int16(real: Floats) -> NDArray[np.int16]:
    return np.clip(np.round(real), -INT16_MAX, INT16_MAX).astype(np.int16).reshape(-1)


def _slopes(real: Floats) -> tuple[NDArray[np.int16], int]:
    """Return slopes [sources, hidden] by target, and the largest shift that they fit."""
    largest = max(float(np.abs(real).max()), 1e-12)
    shift = min(int(np.floor(np.log2(INT16_MAX / largest))), 15)
    if shift < 1:
        raise CompressError(f"a synapse's slope of {largest:.3g} is out of reach")
    return _int16(real.T * 2.0**shift), shift


CELL = Cell(
    LTC,
    convert,
    unsupported_reason=unsupported_reason,
    build=build,
    readout="mean",
    name="ltc",
    about="liquid time-constant cell",
)
