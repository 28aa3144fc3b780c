r"""L2MU: a Legendre Memory Unit whose every element is a population of spiking neurons.

With spikes :math:`x_t` [inputs] of the layer below, and :math:`N_k` the populations of
integrate-and-fire neurons of ``edgeflow.cells.lif``, each of which keeps its membrane:

.. math::
    u_t &= N_u(e_x x_t + e_h h_{t-1} + e_m m_{t-1}) \\
    m_t^{(k)} &= N_m(A m_{t-1}^{(k)} + B u_t^{(k)}) \\
    h_t &= N_h(W_x x_t + W_h h_{t-1} + W_m m_t + b)

u [memory_size], m [memory_size * order] and h [hidden] are spikes: A and B, the Legendre system of
``edgeflow.cells.legendre``, carry spikes between the neurons of a memory, whose membranes hold
what is remembered. ``CubaL2MU`` has neurons with a synaptic current.

An input module of three populations (``edgeflow.cells.spike_input``) turns samples into spikes: for
each channel some neurons of its own, then two fully connected populations. These are ``LIF`` layers
before the first L2MU.

V. Fra et al., Natively neuromorphic LMU architecture for encoding-free SNN-based HAR on commercial
edge devices, arXiv 2407.04076, 2024. Here each neuron has its own decay and threshold, both
trained (a population's there), h has a bias, the input module's currents are normalised and its
first neurons read a few samples each, and the classifier averages a linear layer of h instead of
counting the spikes of an output population.
"""

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgeflow.cells.cell import Cell, Weights, copy_params
from edgeflow.cells.lif import LIF, CubaLIF, Neurons, membrane_reach
from edgeflow.cells.lmu import LMU, memories
from edgeflow.cells.spike_input import SLOPE, input_module
from edgeflow.cells.stack import Stack
from edgeflow.errors import CompressError
from edgeflow.program import nodes
from edgeflow.program.fixedpoint import INT16_MAX
from edgeflow.quantization import Affine, Calibration, Converted, centred, clipped_fraction, delayed

#: Default coefficients of a memory, and its window in samples.
ORDER, THETA = 4, 4.0
#: Weights of new layers that read spikes, over those of layers that read samples; and thresholds
#: of new memories, which A and B drive weakly. Without, the later populations are silent and do
#: not learn; with them, 3 to 50 % of their neurons fire in a step.
GAIN, MEMORY_THRESHOLD = 3.0, 0.3
#: Neurons per channel in the first population of the input module, and samples that each reads.
POPULATION, KERNEL_SIZE = 8, 5


class L2MU(Neurons, LMU):
    """One layer: spikes [n, time, inputs] -> (spikes h [n, time, hidden], state).

    The state holds, for u, m and h in turn, the membrane and the spikes (and the current).

    Parameters
    ----------
    input_size, hidden_size, order, theta, memory_size
        As in ``edgeflow.cells.lmu.LMU``.
    reset : str
        What a spike does to its neuron, as in ``edgeflow.cells.lif.LIF``.
    slope : float
        Of the surrogate gradient (fast sigmoid).

    Attributes
    ----------
    beta_logit, threshold : Parameter [memory_size + memory_size * order + hidden]
        Of u, m, h.
    alpha_logit : Parameter, as beta_logit
        Of ``CubaL2MU`` only.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        order: int = ORDER,
        theta: float = THETA,
        memory_size: int = 1,
        *,
        reset: str = "subtract",
        slope: float = SLOPE,
    ) -> None:
        super().__init__(input_size, hidden_size, order, theta, memory_size)
        self.sizes = (memory_size, memory_size * order, hidden_size)
        self.add_neurons(sum(self.sizes), reset, slope)
        self._scale()

    @torch.no_grad()
    def _scale(self) -> None:
        """Bring new weights and thresholds to where neurons fire."""
        rest = torch.ones_like(self.threshold)
        if self.synapse:  # a synapse sums up 1 / (1 - alpha) of its current
            rest -= self.alpha
        of_u, of_m, of_h = rest.split(self.sizes)
        for scale, weights in ((of_u, (self.e_x, self.e_h)),
                               (of_h, (self.W_x, self.W_h, self.W_m))):  # fmt: skip
            for weight in weights:
                assert weight is not None
                weight.mul_(GAIN * scale[:, None])
        size, memory, _ = self.sizes
        self.threshold[size : size + memory] = MEMORY_THRESHOLD / of_m

    def zero_state(self, x: Tensor) -> Any:
        """Return the state before the first step."""
        parts = 3 if self.synapse else 2
        return tuple((x.new_zeros(len(x), size),) * parts for size in self.sizes)

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Return h [n, time, hidden] and the last state."""
        traces, state = self.trace(x, state)
        for (u, s, *_), limits in zip(traces, self.limits.split(self.sizes), strict=True):
            self.show(s, u, limits)
        return traces[2][1], state

    def trace(self, x: Tensor, state: Any = None) -> tuple[Any, Any]:
        """Return all steps [n, time, ...] of all that the state holds, and the last state."""
        assert self.e_h is not None and self.e_m is not None and self.W_h is not None
        state = self.zero_state(x) if state is None else state
        size, _, hidden = self.sizes
        beta, limits = self.beta.split(self.sizes), self.limits.split(self.sizes)
        alpha = self.alpha.split(self.sizes) if self.synapse else None

        def population(k: int, i: Tensor) -> tuple[Tensor, ...]:
            u, s, *rest = state[k]
            if alpha is not None:
                i = alpha[k] * rest[0] + i
            u, s = self.integrate(i, u, s, beta[k], limits[k])
            return (u, s) if alpha is None else (u, s, i)

        from_x = x @ torch.cat([self.e_x, self.W_x]).T
        from_h = torch.cat([self.e_h, self.W_h]).T
        steps = []
        for value in from_x.unbind(1):
            m, h = state[1][1], state[2][1]
            i_u, i_h = torch.addmm(value, h, from_h).split([size, hidden], 1)
            u = population(0, torch.addmm(i_u, m, self.e_m.T))
            i_m = m.unflatten(1, (size, self.order)) @ self.A.T + u[1][:, :, None] * self.B
            m = population(1, i_m.flatten(1))
            state = (u, m, population(2, torch.addmm(i_h + self.b, m[1], self.W_m.T)))
            steps.append(state)
        traces = tuple(
            tuple(torch.stack(v, 1) for v in zip(*parts, strict=True))
            for parts in zip(*steps, strict=True)
        )
        return traces, state


class CubaL2MU(L2MU):
    """L2MU of current-based neurons."""

    synapse = True


def _build(
    kind: type[L2MU],
    neurons: type[LIF],
    inputs: int,
    hidden: int,
    layers: int = 1,
    dropout: float = 0.0,
    *,
    order: int = ORDER,
    theta: float = THETA,
    memory_size: int = 0,
    population: int = POPULATION,
    kernel_size: int = KERNEL_SIZE,
) -> nn.Module:
    """Return an input module and layers of a kind: x [n, time, inputs] -> (spikes, state).

    `kind` is that of the layers, `neurons` that of the input module. `population` neurons per
    channel read samples, each the last `kernel_size` ones; the others as in ``edgeflow.cells.lmu``.
    """
    size = memories(hidden, memory_size)
    cores = [kind(hidden, hidden, order, theta, size) for _ in range(layers)]
    source = input_module(neurons, inputs, hidden, population, kernel_size)
    return Stack([Stack([source, cores[0]]), *cores[1:]], dropout)


build_l2mu = partial(_build, L2MU, LIF)
build_cuba_l2mu = partial(_build, CubaL2MU, CubaLIF)


@torch.no_grad()
def convert(layer: Any, given: Calibration) -> Converted:
    """Quantize; units as in ``edgeflow.cells.lif``, the same for all neurons of a coefficient."""
    source = given.source
    if source.bits != 2:
        raise CompressError("it reads spikes: put an input module or a LIF layer in front of it")
    size, order = layer.memory_size, layer.order
    x = torch.from_numpy(np.ascontiguousarray(source.real))
    traces, _ = layer.trace(x)
    u, m, h = (parts[1] for parts in traces)
    before = [torch.from_numpy(delayed(t.numpy())) for t in (h, m)]
    weights = {
        "encode": torch.cat([layer.e_x, layer.e_h, layer.e_m], 1),
        "transition": torch.cat([layer.A, layer.B[:, None]], 1),
        "update": torch.cat([layer.W_x, layer.W_h, layer.W_m], 1),
    }
    bias = {"update": layer.b}
    pairs = torch.cat([before[1].unflatten(2, (size, order)), u[..., None]], 3)
    read = {
        "encode": torch.cat([x, *before], 2),
        "transition": pairs,
        "update": torch.cat([x, before[0], m], 2),
    }
    products, units, used = {}, [], []
    thresholds = layer.limits.double().split(layer.sizes)
    for field, parts, limits in zip(weights, traces, thresholds, strict=True):
        current = read[field] @ weights[field].T + bias.get(field, 0.0)
        values = [parts[0], *parts[2:]]
        seen = [v.abs().amax((0, 1)).double().numpy() for v in (current.flatten(2), *values)]
        reach = membrane_reach(np.max(seen, axis=0), limits.numpy())
        if field == "transition":  # one matrix for all memories
            reach = np.tile(reach.reshape(size, order).max(0), size)
        units.append(reach / INT16_MAX)
        rows = len(weights[field])
        offset = layer.b.double().numpy() if field in bias else np.zeros(rows)
        spikes = centred(1.0, 2, read[field].numpy())
        weight = weights[field].double().numpy()
        products[field] = Affine(weight, offset, spikes, units[-1][:rows])
        used.append(np.max([np.abs(v.numpy()) / reach for v in values], axis=0))
    unit = np.concatenate(units)
    fields = {**given.matrices(products), **layer.integers(unit)}
    node = nodes.L2MU(name=given.name, **fields)
    saturation = {"membrane": clipped_fraction(np.concatenate(used, axis=2), 1.0)}
    return Converted(node, given.output(1.0, 2), saturation, products, layer.notes(unit))


def load_dequantized(layer: Any, real: Weights) -> None:
    """Give the layer these weights; A and B are not trained."""
    copy_params([layer.e_x, layer.e_h, layer.e_m], real["encode"], axis=1)
    copy_params([layer.W_x, layer.W_h, layer.W_m], real["update"], axis=1)


#: A higher rate ends in an explosion of the gradient.
_cell = partial(
    Cell,
    convert=convert,
    readout="mean",
    training={"lr": 3e-3, "weight_decay": 0.1},
    load_dequantized=load_dequantized,
)
CELL = _cell(L2MU, build=build_l2mu, name="l2mu", about="spiking LMU")
CUBA = _cell(
    CubaL2MU,
    build=build_cuba_l2mu,
    name="cuba-l2mu",
    about="spiking LMU with synaptic currents",
)
