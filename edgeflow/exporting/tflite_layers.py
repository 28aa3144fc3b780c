"""Integer layers as quantized builtin operators of LiteRT, one function per kind of layer.

Real values: the program's input and the state of a gated cell are in [-1, 1), pre-activations in
[-8, 8), and int16 values whose unit comes from calibration count as [-1, 1), as only ratios matter.

Activations are int16 ("16x8": the program's own integers) or int8, where a value of b bits loses
the last b - 8. What adds up over time stays wide in both: the state of a GRU and the cell state of
an LSTM are int16, the state of a minGRU and a sum over time int32.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeflow.errors import ExportError
from edgeflow.exporting.flatbuffer import Kind, StepGraph, Tensor
from edgeflow.program.fixedpoint import PREACTIVATION_FRACTION
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes import (
    GRU,
    LSTM,
    RNN,
    Accumulate,
    CfC,
    GRUResetBefore,
    Linear,
    MinGRU,
    Node,
    ReLU,
    Taps,
)

PREACTIVATION = 2.0**-PREACTIVATION_FRACTION
Q15 = 2.0**-15
#: Where an int8 sigmoid rounds to 0, and a tanh nearly to 1: what they read is finer than +-8.
INT8_REACH = {"sigmoid": 6.3, "tanh": 3.5}

ELSE = "use '--to onnx', or a C library such as '--to cmake'"
_ADVICE = {
    "Cutoff": f"it ends the computation early: compress without --cutoff, or {ELSE}",
    "LIF": f"spikes need comparisons of wide states: {ELSE}",
    "L2MU": f"spikes need comparisons of wide states: {ELSE}",
    "LMU": f"its memory needs products of 16 by 16 bits: {ELSE}",
    "LMUFeedForward": f"its memory needs products of 16 by 16 bits: {ELSE}",
    "LTC": f"its solver needs a quantized division: {ELSE}",
    "LayerNorm": f"it needs the square root of a wide sum: {ELSE}",
    "MinLSTM": f"it needs the logarithms of its gates: train a minGRU, or {ELSE}",
    "PureCfC": f"it needs x exp(-|x|): train a CfC in another mode, or {ELSE}",
    "SlowGRU": f"its state has 32 bits: compress with Widths(state=12), or {ELSE}",
}


@dataclass(frozen=True)
class Signal:
    """A tensor that runs between layers: `bits` wide in the program, in units of `unit` there."""

    tensor: Tensor
    unit: float
    bits: int


class Lowering:
    """A step graph under construction, whose activations are int8 or int16."""

    def __init__(self, graph: StepGraph, kind: Kind) -> None:
        self.graph, self.kind = graph, kind
        self.following: dict[str, Tensor] = {}

    def scale(self, unit: float, bits: int) -> float:
        """Return the scale of a tensor that stands for a value of the program.

        An int8 tensor saturates where `bits` bits do.
        """
        return unit if self.kind is np.int16 else unit * 2.0 ** (bits - 8)

    def gate_scale(self, function: str) -> float:
        """Return the scale of what a sigmoid or tanh reads."""
        return PREACTIVATION if self.kind is np.int16 else INT8_REACH[function] / 127

    def input(self, size: int, bits: int) -> Signal:
        """Add the program's input, named x."""
        unit = 2.0 ** (1 - bits)
        scale = self.scale(unit, max(bits, 8))
        return Signal(self.graph.input("x", size, self.kind, scale), unit, bits)

    def state(self, node: Node, name: str, unit: float, bits: int) -> Signal:
        """Add a state as wide as activations."""
        tensor = self.wide_state(node, name, self.kind, self.scale(unit, bits))
        return Signal(tensor, unit, bits)

    def wide_state(self, node: Node, name: str, kind: Kind, scale: float) -> Tensor:
        """Add a state of any type."""
        return self.graph.input(f"{node.name}_{name}", node.states[name].size, kind, scale)

    def next(self, node: Node, name: str, tensor: Tensor) -> None:
        """Make a tensor the next value of a state."""
        self.following[f"{node.name}_{name}_next"] = tensor

    def affine(
        self, name: str, matrix: Matrix, rows: slice, x: Signal, unit: float, scale: float
    ) -> Tensor:
        """Add rows of a matrix, whose result counts in `unit`, as a tensor of `scale`."""
        ratio = matrix.multiplier[rows] * 2.0 ** (matrix.shift - 32) * unit
        silent = ratio == 0
        return self.graph.affine(
            name,
            x.tensor,
            np.where(silent[:, None], 0, matrix.weight[rows]).astype(np.int8),
            np.where(silent, 1, ratio / x.unit),
            matrix.bias[rows] * ratio,
            scale,
        )

    def gates(
        self, node: Any, field: str, names: str, x: Signal, functions: Sequence[str] = ()
    ) -> list[Tensor]:
        """Add the pre-activations of a matrix, a tensor for each letter of `names`.

        `functions` are what they go into, "sigmoid" or "tanh", where nothing is added before.
        """
        matrix = getattr(node, field)
        rows = matrix.rows // len(names)
        plain = self.scale(PREACTIVATION, 16)
        scales = [self.gate_scale(function) for function in functions] or [plain] * len(names)
        return [
            self.affine(
                f"{node.name}.{field}_{letter}", matrix, slice(k * rows, (k + 1) * rows), x,
                PREACTIVATION, scale,
            )
            for k, (letter, scale) in enumerate(zip(names, scales, strict=True))
        ]  # fmt: skip

    def parts(self, node: Any, names: str, x: Signal, h: Signal) -> list[tuple[Tensor, Tensor]]:
        """Add what input and state each add to the pre-activations."""
        of_x = self.gates(node, "input", names, x)
        return list(zip(of_x, self.gates(node, "recurrent", names, h), strict=True))

    def sigmoid(self, name: str, a: Tensor, u: Tensor) -> Tensor:
        """Add the logistic function of a sum."""
        total = self.graph.add(f"{name}.sum", a, u, self.kind, self.gate_scale("sigmoid"))
        return self.graph.logistic(name, total)

    def tanh(self, name: str, a: Tensor, u: Tensor) -> Tensor:
        """Add the hyperbolic tangent of a sum."""
        total = self.graph.add(f"{name}.sum", a, u, self.kind, self.gate_scale("tanh"))
        return self.graph.tanh(name, total)

    def blend(self, name: str, n: Tensor, z: Tensor, h: Tensor, scale: float) -> Tensor:
        """Add ``n + z (h - n)``, all of one type; n and h are within +-1."""
        wide = 2 * n.scale
        difference = self.graph.sub(f"{name}.difference", h, n, n.kind, wide)
        part = self.graph.mul(f"{name}.part", z, difference, n.kind, wide)
        return self.graph.add(name, n, part, n.kind, scale)

    def requantize(self, name: str, x: Tensor, kind: Kind, scale: float) -> Tensor:
        """Return x in another type and unit: x itself where it is so already."""
        if x.kind is kind and x.scale == scale:
            return x
        return self.graph.quantize(name, x, kind, scale)

    def clip(self, x: Tensor, bits: int) -> Tensor:
        """Saturate to `bits`, where int16 holds more; int8 tensors saturate there by themselves."""
        if x.kind is np.int8 or bits == 16:
            return x
        fine = self.graph.quantize(f"{x.name}.clip", x, np.int16, x.scale * 2.0 ** (bits - 16))
        return self.graph.quantize(f"{x.name}.clipped", fine, np.int16, x.scale)


def lower(low: Lowering, node: Node, x: Signal, output_unit: float) -> Signal:
    """Add a layer that reads x; `output_unit` is that of the outputs of a linear layer.

    Raises
    ------
    ExportError
        If LiteRT's quantized operators cannot express the layer.
    """
    for field in node.delta_matrices():
        raise ExportError(
            f"layer {node.name}: LiteRT cannot skip columns, and its matrix {field} has a delta "
            f"threshold: compress without --delta, or {ELSE}"
        )
    for field, matrix in node.matrices().items():
        if matrix.factor is not None:
            raise ExportError(
                f"layer {node.name}: its matrix {field} is of low rank, which this export does not "
                f"express: compress without --low-rank, or {ELSE}"
            )
    if isinstance(node, Linear):
        scale = low.scale(output_unit, 16)
        y = low.affine(f"{node.name}.y", node.matrix, slice(None), x, output_unit, scale)
        return Signal(y, output_unit, 16)
    if type(node) not in _LOWER:
        advice = _ADVICE.get(node.op_type, ELSE)
        raise ExportError(
            f"layer {node.name}: LiteRT's quantized operators cannot express {node.op_type}: "
            f"{advice}"
        )
    return _LOWER[type(node)](low, node, x)


def _gru(low: Lowering, node: GRU | GRUResetBefore, x: Signal) -> Signal:
    g, name, bits = low.graph, node.name, node.state_bits
    unit = 2.0 ** (1 - bits)
    h = low.wide_state(node, "h", np.int16, unit)
    seen = low.requantize(f"{h.name}.read", h, low.kind, low.scale(unit, bits))
    read = Signal(seen, unit, bits)
    a_r, a_z, a_n = low.gates(node, "input", "rzn", x)
    late = isinstance(node, GRU)
    u_r, u_z, *u_n = low.gates(node, "recurrent", "rzn" if late else "rz", read)
    r, z = low.sigmoid(f"{name}.r", a_r, u_r), low.sigmoid(f"{name}.z", a_z, u_z)
    if late:
        u_n = [g.mul(f"{name}.reset", r, u_n[0], low.kind, u_n[0].scale)]
    else:
        kept = g.mul(f"{name}.kept", r, seen, low.kind, seen.scale)
        u_n = low.gates(node, "candidate", "n", Signal(kept, unit, bits))
    n = low.tanh(f"{name}.n", a_n, u_n[0])
    n, z = (low.requantize(f"{t.name}.wide", t, np.int16, Q15) for t in (n, z))
    new = low.blend(f"{name}.h", n, z, h, h.scale)
    low.next(node, "h", new)
    return Signal(low.requantize(f"{name}.y", new, low.kind, seen.scale), unit, bits)


def _lstm(low: Lowering, node: LSTM, x: Signal) -> Signal:
    g, name = low.graph, node.name
    h = low.state(node, "h", 2.0 ** (1 - node.state_bits), node.state_bits)
    unit = 2.0**-node.cell_fraction
    c = low.wide_state(node, "c", np.int16, unit)
    functions = {"i": low.sigmoid, "f": low.sigmoid, "g": low.tanh, "o": low.sigmoid}
    parts = low.parts(node, "ifgo", x, h)
    i, f, candidate, o = (
        low.requantize(f"{name}.{gate}.wide", add(f"{name}.{gate}", a, u), np.int16, Q15)
        for (gate, add), (a, u) in zip(functions.items(), parts, strict=True)
    )
    kept = g.mul(f"{name}.kept", f, c, np.int16, unit)
    new = g.mul(f"{name}.new", i, candidate, np.int16, Q15)
    c = g.add(f"{name}.c", kept, new, np.int16, unit)
    low.next(node, "c", c)
    squashed = g.tanh(
        f"{name}.squashed", low.requantize(f"{name}.c.gate", c, np.int16, PREACTIVATION)
    )
    wide = g.mul(f"{name}.h", o, squashed, np.int16, h.unit)
    new = low.requantize(f"{name}.h.narrow", wide, low.kind, h.tensor.scale)
    low.next(node, "h", new)
    return Signal(new, h.unit, h.bits)


def _rnn(low: Lowering, node: RNN, x: Signal) -> Signal:
    g, name, bits = low.graph, node.name, node.state_bits
    unit = 2.0**node.state_shift * (PREACTIVATION if node.relu else Q15)
    h = low.state(node, "h", unit, bits)
    ((a, u),) = low.parts(node, "v", x, h)
    scale = h.tensor.scale
    if node.relu:
        v = g.add(f"{name}.sum", a, u, low.kind, low.scale(PREACTIVATION, 16))
        new = g.relu(f"{name}.h", v, scale)
    else:
        new = low.requantize(f"{name}.h", low.tanh(f"{name}.tanh", a, u), low.kind, scale)
    new = low.clip(new, bits)
    low.next(node, "h", new)
    return Signal(new, unit, bits)


def _mingru(low: Lowering, node: MinGRU, x: Signal) -> Signal:
    g, name, bits = low.graph, node.name, node.state_bits
    size = node.outputs
    # z is 0 where the program's v saturates at -8: int16 goes on to -16, where the logistic is 0
    v_scale = 2 * PREACTIVATION if low.kind is np.int16 else low.gate_scale("sigmoid")
    v = low.affine(f"{name}.v", node.input, slice(size), x, PREACTIVATION, v_scale)
    n = low.affine(f"{name}.n", node.input, slice(size, None), x, Q15, low.scale(Q15, 16))

    def widen(value: Tensor) -> Tensor:
        middle = low.requantize(f"{value.name}.middle", value, np.int16, Q15)
        return g.quantize(f"{value.name}.wide", middle, np.int32, Q15)

    # exact in int32, like the program but for one rounding
    h = low.wide_state(node, "h", np.int32, Q15 * Q15)
    difference = g.sub(f"{name}.difference", widen(n), widen(h), np.int32, Q15)
    z = widen(g.logistic(f"{name}.z", v))
    part = g.mul(f"{name}.part", z, difference, np.int32, Q15 * Q15)
    new = g.add(f"{name}.h", h, part, np.int32, Q15 * Q15)
    low.next(node, "h", new)
    unit = Q15 * Q15 * 2.0**node.output_shift
    y = g.quantize(f"{name}.y", new, low.kind, low.scale(unit, bits))
    return Signal(low.clip(y, bits), unit, bits)


def _cfc(low: Lowering, node: CfC, x: Signal) -> Signal:
    g, name, bits = low.graph, node.name, node.state_bits
    # without the second gate the state reaches 2
    unit = 2.0 ** (1 - bits) * (1 if node.gate else 2)
    h = low.state(node, "h", unit, bits)
    inner = list(node.matrices())[2:]
    sums = low.parts(node, "v" if inner else "fgt", x, h)
    if inner:
        ((a, u),) = sums
        v = low.tanh(f"{name}.backbone", a, u)
        width = 2.0 ** (1 - node.backbone_bits)
        for field in inner:
            scale = low.scale(width, node.backbone_bits)
            narrow = low.requantize(f"{name}.{field}.x", v, low.kind, scale)
            source = Signal(narrow, width, node.backbone_bits)
            if field != "heads":
                (v,) = low.gates(node, field, "v", source, ["tanh"])
                v = g.tanh(f"{name}.{field}", v)
        v_f, v_g, v_t = low.gates(node, "heads", "fgt", source, ["tanh", "tanh", "sigmoid"])
        f, second = g.tanh(f"{name}.f", v_f), g.tanh(f"{name}.g", v_g)
        s = g.logistic(f"{name}.s", v_t)
    else:
        f, second = (low.tanh(f"{name}.{k}", *sums[i]) for i, k in enumerate("fg"))
        s = low.sigmoid(f"{name}.s", *sums[2])
    if node.gate:
        new = low.blend(f"{name}.h", f, s, second, h.tensor.scale)
    else:
        part = g.mul(f"{name}.part", s, second, low.kind, second.scale)
        new = g.add(f"{name}.h", f, part, low.kind, h.tensor.scale)
    low.next(node, "h", new)
    return Signal(new, unit, bits)


def _relu(low: Lowering, node: ReLU, x: Signal) -> Signal:
    unit = x.unit * 2.0**node.shift
    y = low.graph.relu(f"{node.name}.y", x.tensor, low.scale(unit, node.bits))
    return Signal(low.clip(y, node.bits), unit, node.bits)


def _accumulate(low: Lowering, node: Accumulate, x: Signal) -> Signal:
    if node.decay != 1 << 15:
        raise ExportError(
            f"layer {node.name}: LiteRT's quantized operators cannot express the leak of its sum, "
            f"a product of 32 by 16 bits: train with a plain mean over the window, or {ELSE}"
        )
    g, name = low.graph, node.name
    total = low.wide_state(node, "sum", np.int32, x.unit)
    middle = low.requantize(f"{name}.middle", x.tensor, np.int16, x.unit)
    wide = g.quantize(f"{name}.wide", middle, np.int32, x.unit)
    new = g.add(f"{name}.sum", total, wide, np.int32, x.unit)
    low.next(node, "sum", new)
    unit = x.unit * 2.0**node.shift
    return Signal(g.quantize(f"{name}.y", new, low.kind, low.scale(unit, 16)), unit, 16)


def _taps(low: Lowering, node: Taps, x: Signal) -> Signal:
    g, name, size = low.graph, node.name, node.size
    past = low.wide_state(node, "past", low.kind, x.tensor.scale)
    whole = g.concatenate(f"{name}.whole", past, x.tensor)
    columns = np.arange(whole.size)
    low.next(node, "past", g.gather(f"{name}.past", whole, columns[size:]))
    chosen = columns.reshape(-1, size)[:: node.dilation].reshape(-1)
    y = whole if node.dilation == 1 else g.gather(f"{name}.y", whole, chosen)
    return Signal(y, x.unit, x.bits)


_LOWER: Mapping[type[Node], Callable[[Lowering, Any, Signal], Signal]] = {
    GRU: _gru,
    GRUResetBefore: _gru,
    LSTM: _lstm,
    RNN: _rnn,
    MinGRU: _mingru,
    CfC: _cfc,
    ReLU: _relu,
    Accumulate: _accumulate,
    Taps: _taps,
}
