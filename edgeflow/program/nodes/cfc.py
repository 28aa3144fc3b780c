"""Closed-form continuous-time cell, gated and pure, with a backbone of 0 to 3 layers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from edgeflow.program.fixedpoint import (
    Ints,
    clip,
    lookup,
    narrow,
    saturate,
    shift_right_round,
    split,
)
from edgeflow.program.matrix import Matrix, round_up
from edgeflow.program.nodes.base import Activated, State
from edgeflow.program.nodes.recurrent import Recurrent

#: Matrices behind the first one, by the backbone's number of layers.
BACKBONES = ((), ("heads",), ("second", "heads"), ("second", "third", "heads"))
#: Layers that a backbone can have.
MAX_BACKBONE = len(BACKBONES) - 1
#: Largest magnitude of a pure cell's gain: its product with the table's 12055 fits 32 bits.
MAX_GAIN = 1 << 17


@dataclass(frozen=True, eq=False, repr=False)
class _Backbone(Recurrent):
    r"""The products of a CfC cell.

    .. math::
        v_1 = input(x) + recurrent(h), \quad v_{k+1} = M_k \tanh(v_k)

    with every :math:`v` in Q3.12; the last one goes to the heads. Without a backbone it is
    :math:`v_1`.
    """

    input: Matrix
    recurrent: Matrix
    gate: int
    state_bits: int
    backbone_bits: int
    second: Matrix | None = None
    third: Matrix | None = None
    heads: Matrix | None = None

    matrix_fields = ("input", "recurrent", "second", "third", "heads")
    size_fields = ("hidden", "buffer")
    int_fields = {
        "gate": (0, 1), "state_bits": (8, 16), "backbone_bits": (8, 16),
    }  # fmt: skip
    c_struct = "ef_cfc"
    c_helpers = ("ef_cfc_backbone",)
    #: Rows of the heads for each unit.
    heads_a_unit: ClassVar[int]
    #: Whether heads are activated, by a function that is monotonous.
    activates_heads: ClassVar[bool]

    def __post_init__(self) -> None:
        super().__post_init__()
        first, *rest = self.matrices().values()
        layers = tuple(self.matrices())[2:]
        self.require(
            layers in BACKBONES,
            "a backbone is heads, second and heads, or second, third and heads, not "
            + " and ".join(layers),
        )
        self.require(
            self.recurrent.rows == first.rows,
            f"the input matrix has {first.rows} rows, the recurrent one {self.recurrent.rows}",
        )
        for matrix in rest[1:]:
            given = first.rows, self.backbone_bits
            self.require(
                (matrix.cols, matrix.input_bits) == given,
                f"a backbone layer reads {matrix.cols} values of {matrix.input_bits} bits, the one "
                f"before gives {given[0]} of {given[1]}",
            )
            first = matrix
        size = self.heads_a_unit * self.outputs
        self.require(
            first.rows == size,
            f"{self.outputs} units need {size} rows of heads, not {first.rows}",
        )
        self.check_state_width()

    @property
    def buffer(self) -> int:
        """Values of the longest product, rounded up so that a second one behind it is aligned."""
        return round_up(max(matrix.rows for matrix in self.matrices().values()))

    @property
    def scratch(self) -> int:
        return 2 * self.buffer

    @property
    def activated(self) -> Sequence[Activated]:
        found = [Activated(self.input.rows, {"input": 0, "recurrent": 0})]
        found += [Activated(m.rows, {f: 0}) for f, m in list(self.matrices().items())[2:]]
        return found if self.activates_heads else found[:-1]

    def heads_of(self, x: Ints, state: State) -> Ints:
        """Return the heads' pre-activations."""
        v = saturate(self.product("input", x, state) + self.product("recurrent", state["h"], state))
        bits = self.backbone_bits
        for matrix in list(self.matrices().values())[2:]:
            # 2 tanh, as the shift is then never zero
            v = matrix.apply(narrow(2 * self.activate("tanh", v), 17 - bits, bits))
        return v


@dataclass(frozen=True, eq=False, repr=False)
class CfC(_Backbone):
    r"""Gated CfC cell (Hasani et al. 2022, Nature Machine Intelligence 4), constant time steps.

    With the heads :math:`v` in the order f, g, t:

    .. math::
        f = \tanh(v_f), \quad g = \tanh(v_g), \quad s = \sigma(v_t), \quad
        h' = f + s \odot (g - gate \cdot f)

    All are Q0.15. The state is Q0.(state_bits - 1) in the default mode (gate 1) and, as it
    reaches 2, Q1.(state_bits - 2) without the second gate (gate 0).

    Parameters
    ----------
    name : str
    input : Matrix [rows, inputs]
        Of the backbone's first layer or, without one, of the heads [3 * hidden, inputs].
    recurrent : Matrix [rows, hidden]
    gate : int
        1: default mode; 0: no_gate.
    state_bits, backbone_bits : int
        Width of the state and of what the backbone's layers give, 8..16.
    second, third : Matrix [units, units], optional
        Of a backbone that deep.
    heads : Matrix [3 * hidden, units], optional
        With a backbone only.
    """

    op_type = "CfC"
    tables = ("sigmoid", "tanh")
    c_function = "ef_cfc_step"
    heads_a_unit = 3
    activates_heads = True

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        v_f, v_g, v_t = split(self.heads_of(x, state), 3)
        f, g = self.activate("tanh", v_f), self.activate("tanh", v_g)
        s = self.activate("sigmoid", v_t)
        blend = f + shift_right_round(s * (g - self.gate * f), 15)
        # a unit of the state is 2^(16 - state_bits), or twice that, of the blend's
        h = narrow(2 * blend, 18 - self.gate - self.state_bits, self.state_bits)
        return h, {"h": h}


@dataclass(frozen=True, eq=False, repr=False)
class PureCfC(_Backbone):
    r"""CfC cell that is the closed-form solution itself, constant time steps.

    .. math::
        h' = offset + gain \odot v e^{-|v|}

    where :math:`v e^{-|v|}` comes from a table in Q0.15 and `gain` is in units of the state.

    Parameters
    ----------
    name : str
    input, recurrent : Matrix
        As in `CfC`, with one row of heads per unit.
    gate : int
        0.
    state_bits, backbone_bits : int
    second, third, heads : Matrix, optional
    offset : int32 array [hidden]
        In units of the state, within 16 bits.
    gain : int32 array [hidden]
        Within +-2**17.
    """

    offset: NDArray[np.int32] = field(kw_only=True)
    gain: NDArray[np.int32] = field(kw_only=True)

    op_type = "PureCfC"
    array_fields = {
        "offset": (-(1 << 15), 1 << 15), "gain": (-MAX_GAIN, MAX_GAIN),
    }  # fmt: skip
    tables = ("decay", "tanh")
    c_function = "ef_cfc_pure_step"
    heads_a_unit = 1
    activates_heads = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, array in self.arrays().items():
            self.require(array.size == self.outputs, f"{name} must have {self.outputs} values")
        self.require(self.gate == 0, f"gate is {self.gate}: a pure cell has none")

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        e = lookup("decay", self.heads_of(x, state))
        h = clip(self.offset + shift_right_round(e * self.gain, 15), self.state_bits)
        return h, {"h": h}
