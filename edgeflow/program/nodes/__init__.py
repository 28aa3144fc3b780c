"""The integer layers. One dataclass a file; a new cell is added here and nowhere else in
`program`: its oracle, its ONNX function and its tensors stand together."""

from edgeflow.program.nodes.accumulate import Accumulate
from edgeflow.program.nodes.base import Node
from edgeflow.program.nodes.cfc import CFC, PURE_CFC
from edgeflow.program.nodes.gru import GRU
from edgeflow.program.nodes.l2mu import L2MU, CubaL2MU
from edgeflow.program.nodes.lif import LIF, CubaLIF, RecurrentCubaLIF, RecurrentLIF
from edgeflow.program.nodes.linear import Linear
from edgeflow.program.nodes.lmu import LMU, LMUFeedForward
from edgeflow.program.nodes.lstm import LSTM
from edgeflow.program.nodes.ltc import LTCS
from edgeflow.program.nodes.mingru import MinGRU
from edgeflow.program.nodes.minlstm import MinLSTM

_KINDS: list[type[Node]] = [
    GRU,
    LSTM,
    MinGRU,
    MinLSTM,
    Linear,
    *CFC,
    *PURE_CFC,
    *LTCS.values(),
    Accumulate,
    LIF,
    RecurrentLIF,
    CubaLIF,
    RecurrentCubaLIF,
    LMU,
    LMUFeedForward,
    L2MU,
    CubaL2MU,
]
NODES = {kind.op_type: kind for kind in _KINDS}

__all__ = [
    "GRU",
    "L2MU",
    "LIF",
    "LMU",
    "LSTM",
    "NODES",
    "Accumulate",
    "CubaL2MU",
    "CubaLIF",
    "LMUFeedForward",
    "Linear",
    "MinGRU",
    "MinLSTM",
    "Node",
    "RecurrentCubaLIF",
    "RecurrentLIF",
]
