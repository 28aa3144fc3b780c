"""Minimal long short-term memory."""

from dataclasses import dataclass

import numpy as np

from edgeflow.program.fixedpoint import INT16_MAX, Ints, lookup, saturate
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

    op_type = "MinLSTM"
    blocks = 3
    int_fields = MinRNN.int_fields | {"gate_shift": (0, 4)}
    tables = ("sigmoid", "log_sigmoid")
    c_struct = "ef_minlstm"

    @property
    def scratch(self) -> int:
        return super().scratch + self.hidden % 2  # kernels read two units at a time

    def preactivation(self, *gates: Ints) -> Ints:
        f, i = (self._logarithm(gate << self.gate_shift) for gate in gates)
        return saturate(i - f)

    @staticmethod
    def _logarithm(v: Ints) -> Ints:
        tail = lookup("log_sigmoid", np.minimum(np.abs(v), INT16_MAX))
        return np.minimum(v, 0) + tail
