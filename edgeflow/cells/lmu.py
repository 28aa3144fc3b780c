r"""Legendre Memory Unit, and its feed-forward variant that is trained in parallel.

With input :math:`x_t` [inputs], state :math:`h_t` [hidden] and, for each of `memory_size` memory
inputs, a memory of `order` coefficients, all together :math:`m_t` [memory_size * order]:

.. math::
    u_t &= e_x x_t + e_h h_{t-1} + e_m m_{t-1} \\
    m_t^{(k)} &= A m_{t-1}^{(k)} + B u_t^{(k)} \\
    h_t &= \tanh(W_x x_t + W_h h_{t-1} + W_m m_t + b)

A and B are the zero-order hold of the Legendre system of ``edgeflow.cells.legendre``.

A. Voelker, I. Kajić, C. Eliasmith, Legendre Memory Units, NeurIPS 2019. Without :math:`e_h` and
:math:`e_m` the memory is linear and time-invariant: all its steps come out of one product with its
impulse response. The feed-forward variant leaves :math:`W_h` out, too: N. Chilkuri, C. Eliasmith,
Parallelizing Legendre Memory Unit training, ICML 2021.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgeflow.cells.cell import Cell, Weights, copy_params
from edgeflow.cells.legendre import legendre, powers, zero_order_hold
from edgeflow.cells.options import check_width
from edgeflow.cells.stack import stacked
from edgeflow.errors import CompressError, TrainError
from edgeflow.program.fixedpoint import INT16_MAX
from edgeflow.program.nodes import lmu as nodes
from edgeflow.quantization import (
    PREACTIVATION_SCALE,
    Affine,
    Calibration,
    Converted,
    Floats,
    Signal,
    centred,
    clipped_fraction,
    delayed,
    parameters,
)

#: Steps of a chunk in the parallel form: more cost more each, fewer leave more to step through.
CHUNK = 16
#: Default window of the memory, in samples: that of two seconds at 20 to 50 Hz.
THETA = 64.0
#: Default coefficients of a memory.
ORDER = 8
#: Its matrices are functions of matrices, which take seconds of more.
MOST_ORDER = 1024

State = tuple[Tensor, Tensor]


class LMU(nn.Module):
    """One layer: x [n, time, inputs] -> (h [n, time, hidden], state).

    The state is (h [n, hidden], m [n, memory_size, order]).

    Parameters
    ----------
    input_size, hidden_size : int
    order : int
        Coefficients of a memory: details down to theta / order samples are kept.
    theta : float
        Samples that the memory reaches back, positive.
    memory_size : int
        Memory inputs.
    hidden_to_memory, memory_to_memory : bool
        Whether u depends on the state, and on the memory.
    train_memory : bool
        Whether A and B are trained, from their Legendre values on.
    feed_forward : bool
        The variant without any of e_h, e_m, W_h; its two flags are ignored.

    Raises
    ------
    TrainError
        If a size is not positive.
    """

    A: Tensor
    B: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        order: int = ORDER,
        theta: float = THETA,
        memory_size: int = 1,
        *,
        hidden_to_memory: bool = True,
        memory_to_memory: bool = True,
        train_memory: bool = False,
        feed_forward: bool = False,
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        self.order, self.theta, self.memory_size = order, theta, memory_size
        for name in ("input_size", "hidden_size", "order", "theta", "memory_size"):
            if not getattr(self, name) > 0:
                raise TrainError(f"{name} is {getattr(self, name)}: it must be positive")
        if order > MOST_ORDER:
            raise TrainError(f"order is {order}: it must be at most {MOST_ORDER}")
        check_width("order times memory_size", order * memory_size)
        A, B = (t.float() for t in zero_order_hold(*legendre(order, theta)))
        if train_memory:
            self.A, self.B = nn.Parameter(A), nn.Parameter(B)
        else:
            self.register_buffer("A", A)
            self.register_buffer("B", B)

        def weight(rows: int, cols: int, wanted: bool = True) -> nn.Parameter | None:
            return nn.Parameter(torch.zeros(rows, cols)) if wanted else None

        recurrent, memory = not feed_forward, memory_size * order
        self.e_x = nn.Parameter(torch.zeros(memory_size, input_size))
        self.e_h = weight(memory_size, hidden_size, recurrent and hidden_to_memory)
        self.e_m = weight(memory_size, memory, recurrent and memory_to_memory)
        self.W_x = nn.Parameter(torch.zeros(hidden_size, input_size))
        self.W_h = weight(hidden_size, hidden_size, recurrent)
        self.W_m = nn.Parameter(torch.zeros(hidden_size, memory))
        self.b = nn.Parameter(torch.zeros(hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights as the paper does; e_m starts at zero."""
        for encoder in (self.e_x, self.e_h):
            if encoder is not None:
                limit = (3 / encoder.shape[1]) ** 0.5
                nn.init.uniform_(encoder, -limit, limit)
        for kernel in (self.W_x, self.W_h, self.W_m):
            if kernel is not None:
                nn.init.xavier_normal_(kernel)

    @property
    def feed_forward(self) -> bool:
        """True if no weight reads the state."""
        return self.W_h is None

    @property
    def linear_memory(self) -> bool:
        """True if u depends on x only."""
        return self.e_h is None and self.e_m is None

    def zero_state(self, x: Tensor) -> State:
        """Return the state before the first step."""
        n = len(x)
        return x.new_zeros(n, self.hidden_size), x.new_zeros(n, self.memory_size, self.order)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Return h [n, time, hidden] and the last state."""
        state = self.zero_state(x) if state is None else state
        if not self.linear_memory:
            h, _, _, state = self.loop(x, state)
            return h, state
        m = self.remember(x @ self.e_x.T, state[1])
        drive = x @ self.W_x.T + m.flatten(2) @ self.W_m.T + self.b
        if self.W_h is None:
            h = torch.tanh(drive)
        else:
            previous, steps = state[0], []
            for value in drive.unbind(1):
                previous = torch.tanh(torch.addmm(value, previous, self.W_h.T))
                steps.append(previous)
            h = torch.stack(steps, 1)
        return h, (h[:, -1], m[:, -1])

    def loop(
        self, x: Tensor, state: State, read: Callable[[Tensor], Tensor] = lambda h: h
    ) -> tuple[Tensor, Tensor, Tensor, State]:
        """Step through x; return h, m [n, time, memory_size, order], u, and the last state.

        The recurrent weights see ``read(h)``.
        """
        h, m = state
        from_x = x @ torch.cat([self.e_x, self.W_x]).T
        steps = []
        for value in from_x.unbind(1):
            u, drive = value.split([self.memory_size, self.hidden_size], 1)
            h = read(h)
            if self.e_h is not None:
                u = torch.addmm(u, h, self.e_h.T)
            if self.e_m is not None:
                u = torch.addmm(u, m.flatten(1), self.e_m.T)
            m = m @ self.A.T + u[:, :, None] * self.B
            drive = torch.addmm(drive + self.b, m.flatten(1), self.W_m.T)
            h = torch.tanh(drive if self.W_h is None else torch.addmm(drive, h, self.W_h.T))
            steps.append((h, m, u))
        all_h, all_m, all_u = (torch.stack(values, 1) for values in zip(*steps, strict=True))
        return all_h, all_m, all_u, (h, m)

    def remember(self, u: Tensor, m: Tensor) -> Tensor:
        """Return every step's memory [n, time, memory_size, order] of u [n, time, memory_size].

        A chunk of steps is one product with the impulse response ``A**k B``, laid out such that
        step t sees the inputs 0..t, plus the memory before the chunk, carried on by ``A**(t + 1)``.
        All chunks are computed at once; only the memory between them is stepped through.
        """
        time, order = u.shape[1], self.order
        length = min(time, CHUNK)
        padded = nn.functional.pad(u, (0, 0, 0, -time % length))
        # [n, memory_size, chunks, length]
        parts = padded.transpose(1, 2).unflatten(2, (-1, length))
        all_powers = powers(self.A, length + 1)
        response = all_powers[:length] @ self.B
        lag = torch.arange(length)[None, :] - torch.arange(length)[:, None]  # [s, t]
        kernel = torch.where((lag >= 0)[..., None], response[lag.clamp(min=0)], 0.0)
        before, own = [m], parts @ kernel[:, -1]
        for k in range(parts.shape[2] - 1):
            before.append(before[-1] @ all_powers[-1].T + own[:, :, k])
        carry = all_powers[1:].permute(2, 0, 1)  # [order, time, order]
        both = torch.cat([parts, torch.stack(before, 2)], 3)
        steps = both @ torch.cat([kernel, carry]).flatten(1)
        return steps.unflatten(3, (length, order)).flatten(2, 3)[:, :, :time].transpose(1, 2)


def memories(hidden: int, memory_size: int) -> int:
    """Return the memory inputs of a layer; 0: one for every four units, at least one."""
    return memory_size or max(1, hidden // 4)


@partial(stacked, bare=True)
def build(
    inputs: int,
    hidden: int,
    *,
    order: int = ORDER,
    theta: float = THETA,
    memory_size: int = 0,
    hidden_to_memory: bool = True,
    memory_to_memory: bool = True,
    train_memory: bool = False,
) -> LMU:
    """Return an LMU layer; `memory_size` 0 is one for every four units, at least one."""
    return LMU(
        inputs,
        hidden,
        order,
        theta,
        memories(hidden, memory_size),
        hidden_to_memory=hidden_to_memory,
        memory_to_memory=memory_to_memory,
        train_memory=train_memory,
    )


@partial(stacked, bare=True)
def build_feed_forward(
    inputs: int,
    hidden: int,
    *,
    order: int = ORDER,
    theta: float = THETA,
    memory_size: int = 0,
    train_memory: bool = False,
) -> LMU:
    """Return a layer of the variant that is trained in parallel; options as in `build`."""
    size = memories(hidden, memory_size)
    return LMU(inputs, hidden, order, theta, size, train_memory=train_memory, feed_forward=True)


#: Head room of u and m over the largest value seen in calibration; a window of a stream may begin
#: in a state that no calibration window had.
MEMORY_MARGIN = 2.5
#: The matrix reads the memory with half of that, clipped, for one more bit of it.
READ_SHIFT = 1


def quantize_memory(A: Floats, B: Floats, scale: Floats) -> dict[str, Any]:
    """Return the integer form of ``m' = A m + B u``.

    Parameters
    ----------
    A : float64 array [order, order]
    B : float64 array [order]
    scale : float64 array [order]
        One unit of m's high part, in units of u's.

    Returns
    -------
    dict
        `transition`, `drive`, `shift`, `fraction` of ``edgeflow.program.nodes.LMU``.

    Raises
    ------
    CompressError
        If A or B are too large, or rounding makes a stable memory unstable.
    """
    delta = (A - np.eye(len(B))) * scale / scale[:, None]
    both = np.concatenate([delta, (B / scale)[:, None]], axis=1)
    bits = np.array([_row_bits(row) for row in both])
    if bits.min() < 2:
        raise CompressError(
            f"row {int(bits.argmin())} of the memory's A or B is too large: is theta much below "
            "order?"
        )
    # every row is shifted by one at least
    fraction = int(min(nodes.MAX_FRACTION, bits.min() - 1))
    fine = np.round(both * 2.0 ** bits[:, None])
    result = {
        "transition": fine[:, :-1].astype(np.int16).reshape(-1),
        "drive": fine[:, -1].astype(np.int16),
        "shift": (bits - fraction).astype(np.int16),
        "fraction": fraction,
    }
    rounded = np.eye(len(B)) + fine[:, :-1] * 2.0 ** -bits[:, None]
    if _radius(A) < 1 <= _radius(rounded):
        raise CompressError(
            f"the memory's A is stable (spectral radius {_radius(A):.6f}), its integer form is "
            "not: use a smaller theta or order"
        )
    return result


def _row_bits(row: Floats) -> int:
    """Return the finest fraction of a row of A and B that int16 and a 32-bit accumulator allow."""
    for bits in range(30, 1, -1):
        fine = np.round(row * 2.0**bits)
        if np.abs(fine).max() > INT16_MAX:
            continue
        whole = fine.astype(np.int64)
        if nodes.memory_fits(whole[:-1], whole[-1:], np.array([bits])):
            return bits
    return 0


def _radius(A: Floats) -> float:
    return float(np.abs(np.linalg.eigvals(A)).max())


@torch.no_grad()
def convert(layer: Any, given: Calibration) -> Converted:
    """Quantize; the scales of u and m come from calibration, A and B are shared by all memories."""
    size = layer.memory_size
    x = torch.from_numpy(given.source.real)
    _, memory_values, u, _ = layer.loop(x, layer.zero_state(x))
    m = memory_values.flatten(2)
    before = [torch.from_numpy(delayed(t)) for t in (given.real, m.numpy())]
    # parts are rounded, and clipped, before they are added
    parts_u = [x @ layer.e_x.T, u, *_products(before, (layer.e_h, layer.e_m))]
    parts_h = [x @ layer.W_x.T + layer.b, m @ layer.W_m.T, *_products(before[:1], (layer.W_h,))]
    reach_u = np.maximum.reduce([_reach(part, (0, 1)) for part in parts_u])
    reach_m = _reach(memory_values / torch.from_numpy(reach_u)[:, None], (0, 1, 2))
    scale_u = MEMORY_MARGIN * reach_u / INT16_MAX
    # a unit of m is that of u times one factor per coefficient
    factor = np.maximum(reach_m, 1e-3 * reach_m.max())
    memory = quantize_memory(layer.A.double().numpy(), layer.B.double().numpy(), factor)
    fraction, bits = memory["fraction"], given.state_bits
    read_shift = max(1, fraction + 16 - bits - READ_SHIFT)
    read_unit = 2.0 ** (read_shift - fraction)
    reading = centred((scale_u[:, None] * factor).reshape(-1) * read_unit, bits, m.numpy())
    units = np.concatenate([scale_u, np.full(layer.hidden_size, PREACTIVATION_SCALE)])

    def product(letter: str, signal: Signal, bias: Tensor | None = None) -> Affine:
        parts = (getattr(layer, f"{of}_{letter}") for of in "eW")
        weight, constant = parameters(torch.cat([p for p in parts if p is not None]))
        if bias is not None:
            constant[-len(bias) :] = bias.double().numpy()
        return Affine(weight, constant, signal, units[-len(weight) :])

    products = {"input": product("x", given.source, layer.b)}
    if not layer.feed_forward:
        products["recurrent"] = product("h", given.state())
    products["memory"] = product("m", reading)
    fields: dict[str, Any] = {
        **given.matrices(products),
        **memory,
        "memory_size": size,
        "read_shift": read_shift,
        "read_bits": bits,
        "state_bits": bits,
    }
    node = (nodes.LMUFeedForward if layer.feed_forward else nodes.LMU)(given.name, **fields)
    largest = torch.stack(parts_h).abs().amax(0)
    return Converted(node, given.state(), {"drive": clipped_fraction(largest.numpy())}, products)


def load_dequantized(layer: Any, real: Weights) -> None:
    """Give the layer these weights; A and B stay, as their integers are as good as exact."""
    parts = {"input": "x", "recurrent": "h", "memory": "m"}
    for field, weight in real.items():
        both = (getattr(layer, f"{kind}_{parts[field]}") for kind in "eW")
        copy_params([p for p in both if p is not None], weight)


def _products(signals: list[Tensor], weights: tuple[Tensor | None, ...]) -> list[Tensor]:
    return [x @ w.T for x, w in zip(signals, weights, strict=True) if w is not None]


def _reach(values: Tensor, axis: tuple[int, ...]) -> Floats:
    """Return the largest magnitude along `axis`; 1 where nothing but zero was seen."""
    reach = values.double().abs().amax(axis).numpy()
    return np.where(reach > 0, reach, 1.0)


def recur(
    layer: Any, x: Tensor, state: State | None, read: Callable[[Tensor], Tensor]
) -> tuple[Tensor, State]:
    """Return h [n, time, hidden] and the last state; the recurrent weights see ``read(h)``."""
    h, _, _, state = layer.loop(x, layer.zero_state(x) if state is None else state, read)
    return h, state


CELL = Cell(
    LMU,
    convert,
    build=build,
    training={"lr": 3e-3},
    load_dequantized=load_dequantized,
    recur=recur,
    name="lmu",
    about="Legendre Memory Unit",
)
FEED_FORWARD = Cell(
    LMU,
    convert,
    build=build_feed_forward,
    readout="mean",
    load_dequantized=load_dequantized,
    name="lmu-ff",
    about="LMU without weights on its state",
)
