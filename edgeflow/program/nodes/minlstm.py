"""Minimal long short-term memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgeflow.program import onnx_functions as fn
from edgeflow.program.fixedpoint import INT16_MAX, Ints, log_sigmoid_table, lookup, saturate
from edgeflow.program.nodes.base import Range
from edgeflow.program.nodes.min_rnn import MinRNN


@dataclass(frozen=True, eq=False, repr=False)
class MinLSTM(MinRNN):
    r"""minLSTM: :math:`z = i / (f + i)`, rows in the order f, i, candidate.

    Without a division, with i and f the logistic functions of their rows:
    :math:`z = \sigma(sat16(\ln i - \ln f))`, logarithms in Q3.12. Both gates may be far below 0 and
    still differ, so that their rows have a wider range:
    :math:`\ln \sigma(v) = \min(v, 0) + \ln \sigma(|v|)`, the last from a table.

    Parameters
    ----------
    gate_shift : int
        The gates' rows are in units of 2^(gate_shift - 12); 0..4.
    """

    gate_shift: int

    op_type: ClassVar[str] = "MinLSTM"
    blocks: ClassVar[int] = 3
    int_fields: ClassVar[Mapping[str, Range]] = {**MinRNN.int_fields, "gate_shift": (0, 4)}
    tables: ClassVar[tuple[str, ...]] = ("sigmoid", "log_sigmoid")
    c_struct: ClassVar[str | None] = "ef_minlstm"
    c_function: ClassVar[str | None] = "ef_minlstm_step"

    def preactivation(self, gates: Ints) -> Ints:
        v = gates << self.gate_shift
        tail = lookup(log_sigmoid_table(), np.minimum(np.abs(v), INT16_MAX))
        logarithm = np.minimum(v, 0) + tail
        return saturate(logarithm[:, self.outputs :] - logarithm[:, : self.outputs])

    @classmethod
    def onnx_preactivation(cls, b: fn.Body, gates: list[str]) -> str:
        unit = b.op("Pow", b.const(2), b.attribute("gate_shift"))
        logarithm = []
        for gate in gates:
            v = b.op("Mul", gate, unit)
            size = b.op("Min", b.op("Abs", v), b.const(INT16_MAX))
            tail = b.lookup("log_sigmoid_table", size)
            logarithm.append(b.op("Add", b.op("Min", v, b.const(0)), tail))
        return b.saturate(b.op("Sub", logarithm[1], logarithm[0]))
