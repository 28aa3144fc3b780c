r"""Spiking layers: leaky integrate-and-fire neurons, with or without a synaptic current.

With input :math:`x_t` [inputs], membrane :math:`u_t`, spikes :math:`s_t` in {0, 1} and threshold
:math:`\theta` (all [hidden]), ``LIF`` is

.. math::
    i_t &= W x_t + b + V s_{t-1} \\
    u_t &= \beta \odot u_{t-1} + i_t - \theta \odot s_{t-1} \\
    s_t &= 1 \text{ where } u_t > \theta, \text{ else } 0

and ``CubaLIF`` ("current-based") low-pass filters the current first:

.. math::
    j_t = \alpha \odot j_{t-1} + i_t, \qquad
    u_t = \beta \odot u_{t-1} + j_t - \theta \odot s_{t-1}

That is reset by subtraction, one step after the spike. The other resets: "zero",
:math:`u_t = (1 - s_{t-1}) \beta u_{t-1} + i_t`, and "refractory",
:math:`u_t = (1 - s_{t-1}) (\beta u_{t-1} + i_t)`. A feed-forward layer has no :math:`V`.

``LIF`` equals ``snn.Leaky`` ("subtract", "zero") and ``CubaLIF`` equals ``snn.Synaptic``
("subtract"; its "zero" is "refractory" here) of snntorch with its default ``reset_delay=True``;
no gradient passes the reset. In training the step of :math:`s_t` has a surrogate gradient:
:math:`1 / (1 + k |v|)^2` (fast sigmoid, k = 25), or :math:`1 / (1 + (\pi v)^2)` (arctan), with
:math:`v = u_t - \theta`.

J. Eshraghian et al., Training spiking neural networks using lessons from deep learning, Proc. IEEE
2023. E. Neftci et al., Surrogate gradient learning in spiking neural networks, IEEE SPM 2019.
"""

import math
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from edgeflow.cells.cell import Cell, Weights, copy_params
from edgeflow.cells.spikes import Spiking
from edgeflow.cells.stack import stacked
from edgeflow.errors import CompressError, TrainError
from edgeflow.program import nodes
from edgeflow.program.fixedpoint import INT16_MAX
from edgeflow.program.nodes.lif import RESETS
from edgeflow.quantization import (
    MARGIN,
    Affine,
    Calibration,
    Converted,
    Floats,
    clipped_fraction,
    parameters,
)

#: Share of a threshold that may stay in a membrane without a word.
STUCK = 0.5
#: Slope of the fast sigmoid that current-based layers train best with.
CUBA_SLOPE = 5.0
#: Time constants of new neurons, in steps: log-uniform.
TIME_CONSTANTS = (2.0, 30.0)
#: Smallest threshold.
THRESHOLD_MIN = 1e-2
#: Most that the membrane's range may be, in thresholds: it keeps the threshold at 127 or more.
MEMBRANE_REACH = 256.0

State = tuple[Tensor, ...]


class _Spike(torch.autograd.Function):
    """The step function with a surrogate gradient: fast sigmoid, or arctan for slope 0."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, slope: float) -> Tensor:
        ctx.save_for_backward(v)
        ctx.slope = slope
        return (v > 0).to(v.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (v,) = ctx.saved_tensors
        if ctx.slope:
            return gradients[0] / (1 + ctx.slope * v.abs()).square(), None
        return gradients[0] / (1 + (math.pi * v).square()), None


SURROGATES = ("fast_sigmoid", "arctan")


class Neurons(Spiking, nn.Module):
    """Neurons with decays and thresholds of their own: what spiking layers are made of.

    Attributes
    ----------
    beta_logit, threshold : Parameter [neurons]
    alpha_logit : Parameter [neurons]
        Of those with a synaptic current (`synapse`) only.
    """

    synapse: ClassVar[bool] = False

    def add_neurons(self, count: int, reset: str, slope: float) -> None:
        """Make `count` neurons, a part of ``__init__``."""
        if reset not in RESETS:
            raise TrainError(f"reset is '{reset}': use one of {', '.join(RESETS)}")
        self.reset, self.slope = reset, slope
        self.beta_logit = nn.Parameter(_decay_logits(count))
        self.alpha_logit = nn.Parameter(_decay_logits(count)) if self.synapse else None
        self.threshold = nn.Parameter(torch.ones(count))

    @property
    def beta(self) -> Tensor:
        """Decay of the membrane per step, in (0, 1)."""
        return torch.sigmoid(self.beta_logit)

    @property
    def alpha(self) -> Tensor:
        """Decay of the synaptic current per step, in (0, 1)."""
        assert self.alpha_logit is not None
        return torch.sigmoid(self.alpha_logit)

    @property
    def limits(self) -> Tensor:
        """Thresholds, none of them too small."""
        return self.threshold.clamp(min=THRESHOLD_MIN)

    def integrate(
        self, i: Tensor, u: Tensor, s: Tensor, beta: Tensor, limits: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the next membrane and spikes, given the current and those of the last step."""
        fired = s.detach()
        if self.reset == "subtract":
            u = beta * u + i - fired * limits
        elif self.reset == "zero":
            u = beta * (u * (1 - fired)) + i
        else:
            u = (beta * u + i) * (1 - fired)
        return u, _Spike.apply(u - limits, self.slope)

    def integers(self, unit: Floats) -> dict[str, Any]:
        """Return the fields of the node, given each neuron's unit."""
        decays = {"beta": self.beta, **({"alpha": self.alpha} if self.synapse else {})}
        return {
            **{name: _decay_factor(decay) for name, decay in decays.items()},
            "threshold": np.round(self.limits.double().numpy() / unit).astype(np.int16),
            "reset": RESETS.index(self.reset),
        }

    def notes(self, unit: Floats) -> tuple[str, ...]:
        """Return what integers lose of slow neurons, given each neuron's unit, a line each.

        A value that is to leak by less than half of its unit does not leak.
        """
        decay = torch.maximum(self.beta, self.alpha) if self.synapse else self.beta
        left = unit / (2 * (1 - _decay_factor(decay) / 32768.0))
        share = left / self.limits.double().numpy()
        slow = share > STUCK
        if not slow.any():
            return ()
        return (
            f"{slow.sum()} of {len(slow)} neurons leak so slowly, over such a range, that up to "
            f"{share.max():.2g} thresholds stay in them: use shorter time constants",
        )


class LIF(Neurons):
    """Layer of leaky integrate-and-fire neurons.

    Parameters
    ----------
    inputs, hidden : int
    recurrent : bool
        Feed the layer's spikes back, one step later.
    reset : str
        "subtract", "zero" or "refractory".
    surrogate : str
        "fast_sigmoid" or "arctan".
    slope : float
        k of the fast sigmoid.

    Attributes
    ----------
    input : nn.Linear [hidden, inputs]
    recurrent : nn.Linear [hidden, hidden] without bias, or None
    beta_logit, threshold : Parameter [hidden]
    alpha_logit : Parameter [hidden]
        Of ``CubaLIF`` only.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        recurrent: bool = True,
        reset: str = "subtract",
        surrogate: str = "fast_sigmoid",
        slope: float = 25.0,
    ) -> None:
        super().__init__()
        if surrogate not in SURROGATES:
            raise TrainError(f"surrogate is '{surrogate}': use one of {', '.join(SURROGATES)}")
        self.hidden_size = hidden
        self.input = nn.Linear(inputs, hidden)
        self.recurrent = nn.Linear(hidden, hidden, bias=False) if recurrent else None
        self.add_neurons(hidden, reset, slope if surrogate == "fast_sigmoid" else 0.0)
        if self.synapse:
            # as large a current as without the synapse, or new neurons would never stop firing
            with torch.no_grad():
                self.input.weight.mul_(1 - self.alpha[:, None])
                self.input.bias.mul_(1 - self.alpha)
                if self.recurrent is not None:
                    self.recurrent.weight.mul_(1 - self.alpha[:, None])

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Return spikes [n, time, hidden] and the state (u, s, and j if there is a synapse)."""
        spikes, traces, state = self.trace(x, state)
        self.show(spikes, traces[0], self.limits)
        return spikes, state

    def trace(self, x: Tensor, state: State | None = None) -> tuple[Tensor, list[Tensor], State]:
        """Return spikes, the membrane (and the current) [n, time, hidden], and the state."""
        current = self.input(x)
        if state is None:
            state = (torch.zeros_like(current[:, 0]),) * (3 if self.synapse else 2)
        u, s, *rest = state
        j = rest[0] if rest else None
        beta, limits = self.beta, self.limits
        alpha = self.alpha if self.synapse else None
        spikes, values = [], []
        for i in current.unbind(dim=1):
            if self.recurrent is not None:
                i = i + self.recurrent(s)
            if j is not None and alpha is not None:
                i = j = alpha * j + i
            u, s = self.integrate(i, u, s, beta, limits)
            spikes.append(s)
            values.append((u,) if j is None else (u, j))
        traces = [torch.stack(v, dim=1) for v in zip(*values, strict=True)]
        return torch.stack(spikes, dim=1), traces, (u, s) if j is None else (u, s, j)


class CubaLIF(LIF):
    """Layer of current-based leaky integrate-and-fire neurons."""

    synapse = True


def _decay_logits(size: int) -> Tensor:
    """Return logits of new neurons' decays."""
    low, high = map(math.log, TIME_CONSTANTS)
    tau = torch.exp(torch.empty(size).uniform_(low, high))
    return torch.logit(torch.exp(-1 / tau))


@stacked
def build_lif(inputs: int, hidden: int) -> LIF:
    """Return a recurrent LIF layer."""
    return LIF(inputs, hidden)


@stacked
def build_cuba_lif(inputs: int, hidden: int) -> LIF:
    """Return a recurrent CuBa-LIF layer."""
    return CubaLIF(inputs, hidden, slope=CUBA_SLOPE)


def from_nir(
    weight: ArrayLike,
    bias: ArrayLike,
    *,
    tau_mem: ArrayLike,
    r: ArrayLike,
    v_leak: ArrayLike,
    v_threshold: ArrayLike,
    dt: float,
    tau_syn: ArrayLike | None = None,
    w_in: ArrayLike = 1.0,
    recurrent: ArrayLike | None = None,
    reset: str = "zero",
) -> LIF:
    r"""Return the layer of NIR's ``Affine -> LIF`` or, given `tau_syn`, ``Affine -> CubaLIF``.

    NIR's equations :math:`\tau_{syn} \dot I = -I + w_{in} S` and
    :math:`\tau_{mem} \dot v = (v_{leak} - v) + R I`, in forward Euler steps of dt, are ours with

    .. math::
        \beta = 1 - dt / \tau_{mem}, \quad \alpha = 1 - dt / \tau_{syn}, \quad
        \theta = v_{threshold}

    and weights, bias and recurrent weights times :math:`R\, dt / \tau_{mem}` (and times
    :math:`w_{in}\, dt / \tau_{syn}`). The `reset` "zero" is that of NIR's equations. Where
    ``v_leak`` is not zero, :math:`v_{leak}\, dt / \tau_{mem}` is added to the bias (``LIF`` only).

    Raises
    ------
    CompressError
        If dt exceeds a time constant, or a CubaLIF leaks to another voltage than 0.
    """
    weight = np.asarray(weight, dtype=np.float64)
    hidden, inputs = weight.shape
    tau_mem, r, v_leak, v_threshold, bias, w_in = (
        np.broadcast_to(np.asarray(v, dtype=np.float64), hidden)
        for v in (tau_mem, r, v_leak, v_threshold, bias, w_in)
    )
    gain, beta, alpha = r * dt / tau_mem, 1 - dt / tau_mem, np.zeros(hidden)
    if tau_syn is not None:
        ratio = dt / np.broadcast_to(np.asarray(tau_syn, dtype=np.float64), hidden)
        gain, alpha = gain * w_in * ratio, 1 - ratio
        if np.any(v_leak != 0):
            raise CompressError("a CubaLIF with v_leak other than 0 is not supported")
    if min(beta.min(), alpha.min()) < 0:
        raise CompressError(f"dt {dt:g} s is longer than a time constant: use a smaller dt")
    kind = LIF if tau_syn is None else CubaLIF
    layer = kind(inputs, hidden, recurrent=recurrent is not None, reset=reset)
    with torch.no_grad():
        layer.input.weight.copy_(torch.from_numpy(gain[:, None] * weight))
        layer.input.bias.copy_(torch.from_numpy(gain * bias + v_leak * dt / tau_mem))
        layer.beta_logit.copy_(torch.logit(torch.from_numpy(beta), eps=1e-7))
        layer.threshold.copy_(torch.from_numpy(v_threshold.copy()))
        if layer.alpha_logit is not None:
            layer.alpha_logit.copy_(torch.logit(torch.from_numpy(alpha), eps=1e-7))
        if layer.recurrent is not None and recurrent is not None:
            fed_back = gain[:, None] * np.asarray(recurrent, dtype=np.float64)
            layer.recurrent.weight.copy_(torch.from_numpy(fed_back))
    return layer.eval()


@torch.no_grad()
def convert(layer: Any, given: Calibration) -> Converted:
    """Quantize; each neuron's unit comes from its membrane's range on the calibration data."""
    source = given.source
    x = torch.from_numpy(np.ascontiguousarray(source.real))
    _, traces, _ = layer.trace(x)
    seen = [layer.input(x), *traces]
    if layer.recurrent is not None:
        seen.append(layer.recurrent(torch.from_numpy(given.before)))
    top = np.max([v.abs().amax(dim=(0, 1)).double().numpy() for v in seen], axis=0)
    reach = membrane_reach(top, layer.limits.double().numpy())
    unit = reach / INT16_MAX
    output = given.output(1.0, 2)
    current = parameters(layer.input.weight, layer.input.bias)
    products = {"input": Affine(*current, source, unit, compensate=True)}
    if layer.recurrent is not None:
        weight, none = parameters(layer.recurrent.weight)
        products["recurrent"] = Affine(weight, none, output, unit, compensate=True)
    node = nodes.LIF(given.name, **given.matrices(products), **layer.integers(unit))
    clipped = clipped_fraction(np.max([np.abs(t.numpy() / reach) for t in traces], axis=0), 1.0)
    return Converted(node, output, {"membrane": clipped}, products, layer.notes(unit))


@torch.no_grad()
def load_dequantized(layer: Any, real: Weights) -> None:
    """Give the layer these weights; those of normalised currents without the normalisation."""
    if isinstance(layer.input, nn.Linear):
        copy_params([layer.input.weight], real["input"])
    else:
        layer.input.load_dequantized(real["input"])
    if layer.recurrent is not None:
        copy_params([layer.recurrent.weight], real["recurrent"])


def membrane_reach(top: Floats, threshold: Floats) -> Floats:
    """Return the range that int16 must cover, given the largest value that each neuron saw.

    The membrane and the currents that are added to it share one unit per neuron.
    """
    return np.clip(MARGIN * top, 2 * threshold, MEMBRANE_REACH * threshold)


def _decay_factor(decay: Tensor) -> NDArray[np.int16]:
    """Return a decay in Q0.15."""
    return np.clip(np.round(decay.double().numpy() * 32768), 0, INT16_MAX).astype(np.int16)


_cell = partial(
    Cell,
    convert=convert,
    readout="mean",
    training={"batch": 256},
    load_dequantized=load_dequantized,
)
LIF_CELL = _cell(LIF, build=build_lif, name="lif", about="leaky integrate-and-fire neurons")
CUBA_LIF_CELL = _cell(
    CubaLIF, build=build_cuba_lif, name="cuba-lif", about="LIF with a synaptic current"
)
