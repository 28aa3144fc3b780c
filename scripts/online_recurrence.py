"""Forecasts of ``breathing.py`` whose recurrent layer learns on as samples come, in floats.

What a forecast was wrong by is known once its horizon has passed. Its gradient by the layer's
parameters needs how the state of then had come to depend on them, which is carried along: the
influence J_t = I_t + D_t J_{t-1}, with I_t the direct part of a step and D_t = dh_t / dh_{t-1}.
In the cells here each parameter acts on one unit directly, so that an influence that keeps to those
entries has the parameters' own shapes. Where D_t is diagonal, as in minGRU and minLSTM, that is all
of it: exact real-time recurrent learning (R. Williams, D. Zipser, Neural Computation 1(2), 1989).
For a GRU it is SnAp-1 (J. Menick et al., Practical real time recurrent learning with a sparse
approximation, arXiv 2006.07232, 2020): what comes by way of other units is left out.
"""

from collections import deque
from collections.abc import Callable, Sequence
from itertools import product

import torch
from adaptive_forecast import SETTLED
from lagged_gru import Forecaster
from torch import Tensor, nn
from torch.func import grad, jacrev, vmap

from edgeflow.cells.min_rnn import MinRNN

Params = dict[str, Tensor]
#: A layer's next state [hidden] of its parameters, an input [inputs] and the state.
Step = Callable[[Params, Tensor, Tensor], Tensor]

#: Step sizes that are compared, of the recurrent layer and of its read-out; 0: it stays.
RATES = (0.0, 1e-4, 3e-4, 1e-3, 3e-3)
SETTINGS = tuple(product(RATES, RATES))
#: Of the running mean of squared gradients that a step is divided by, and the least root of it.
MEMORY, LEAST = 0.99, 1e-6


def step_of(layer: nn.Module) -> Step:
    """Return a single layer's step, in which parameters are by unit: row i of each block is i's."""
    if isinstance(layer, MinRNN):

        def min_step(p: Params, x: Tensor, h: Tensor) -> Tensor:
            values = p["linear.0.weight"] @ x + p["linear.0.bias"]
            split = (layer.blocks - 1) * layer.hidden
            keep, take = layer.rates(values[:split])
            return keep * h + take * values[split:]

        return min_step
    assert isinstance(layer, nn.GRU)
    return _gru_step


def _gru_step(p: Params, x: Tensor, h: Tensor) -> Tensor:
    of_x = p["weight_ih_l0"] @ x + p["bias_ih_l0"]
    of_h = p["weight_hh_l0"] @ h + p["bias_hh_l0"]
    (r_x, z_x, n_x), (r_h, z_h, n_h) = of_x.chunk(3), of_h.chunk(3)
    z = torch.sigmoid(z_x + z_h)
    n = torch.tanh(n_x + torch.sigmoid(r_x + r_h) * n_h)
    return (1 - z) * n + z * h


def by_unit(values: Tensor, like: Tensor) -> Tensor:
    """Return values [hidden] by row of a parameter, which go with its columns."""
    rows = values.repeat(len(like) // len(values))
    return rows if like.ndim == 1 else rows[:, None]


def carried(step: Step, p: Params, x: Tensor, h: Tensor, before: Params) -> tuple[Tensor, Params]:
    """Return the next state, and its influences of the parameters, of those of the state before.

    An influence has a parameter's shape: what the parameter's own unit changes by with it.
    """
    own = jacrev(step, argnums=2)(p, x, h).diagonal()
    # the sum over units: a parameter acts on one of them
    direct = grad(lambda p: step(p, x, h).sum())(p)
    return step(p, x, h), {
        name: value + by_unit(own, value) * before[name] for name, value in direct.items()
    }


@torch.no_grad()
def learned(
    model: Forecaster, z: Tensor, steps: Sequence[int], settings: Sequence[tuple[float, float]]
) -> Tensor:
    """Return the forecasts [settings, time, outputs] of z [time, inner], learned on for each.

    A step is of the squared errors that came to be known, divided by the root of the gradient's
    running mean square. The linear path stays.

    Parameters
    ----------
    steps : sequence of int
        Horizons in samples.
    settings : sequence of (float, float)
        Step sizes of the recurrent layer and of its read-out.
    """
    n, width = len(settings), model.inner
    step = step_of(model.cell)
    moved = vmap(lambda p, x, h, before: carried(step, p, x, h, before), (0, None, 0, 0))
    to_rows = vmap(by_unit)
    linear = model.linear(model.read(z[None]))[0]

    def several(value: Tensor) -> Tensor:
        return value.detach().expand(n, *value.shape).clone()

    p = {name: several(value) for name, value in model.cell.named_parameters()}
    read = several(model.correction.weight)
    of_layer, of_read = torch.tensor(settings).T
    influence = {name: torch.zeros_like(value) for name, value in p.items()}
    squares = {**influence, "": torch.zeros_like(read)}
    h = torch.zeros(n, read.shape[-1])
    past: deque[tuple[Tensor, Params, Tensor]] = deque(maxlen=max(steps) + 1)
    found, updates = [], 0
    for t, x in enumerate(z):
        h, influence = moved(p, x, h, influence)
        forecast = linear[t] + torch.einsum("bij,bj->bi", read, h)
        past.append((h, influence, forecast))
        found.append(forecast)
        changes = {name: torch.zeros_like(value) for name, value in squares.items()}
        for number, ahead in enumerate(steps):
            if t - ahead < SETTLED:
                continue
            state, its_influence, then = past[-1 - ahead]
            own = slice(number * width, (number + 1) * width)
            error = then[:, own] - (x - z[t - ahead])
            changes[""][:, own] = torch.einsum("bi,bj->bij", error, state)
            of_state = torch.einsum("bij,bi->bj", read[:, own], error)
            for name, value in its_influence.items():
                changes[name] += to_rows(of_state, value) * value
        if t < SETTLED + min(steps):
            continue
        updates += 1
        for name, change in changes.items():
            squares[name] = MEMORY * squares[name] + (1 - MEMORY) * change.square()
            size = (squares[name] / (1 - MEMORY**updates)).sqrt() + LEAST
            rate = of_layer if name else of_read
            (p[name] if name else read).sub_(rate.view(n, *[1] * (change.ndim - 1)) * change / size)
    return torch.stack(found, dim=1)
