"""The integer layers. One dataclass a file; a new cell is added here and nowhere else in
`program`: its oracle, its ONNX function and its tensors stand together."""

from edgeflow.program.nodes.accumulate import Accumulate
from edgeflow.program.nodes.base import Node
from edgeflow.program.nodes.cfc import CfC, PureCfC
from edgeflow.program.nodes.channel_mixer import ChannelMixer
from edgeflow.program.nodes.cutoff import Cutoff
from edgeflow.program.nodes.gru import GRU
from edgeflow.program.nodes.gru_reset_before import GRUResetBefore
from edgeflow.program.nodes.l2mu import L2MU
from edgeflow.program.nodes.layer_norm import LayerNorm
from edgeflow.program.nodes.lif import LIF
from edgeflow.program.nodes.linear import Linear
from edgeflow.program.nodes.lmu import LMU, LMUFeedForward
from edgeflow.program.nodes.lru import LRU
from edgeflow.program.nodes.lstm import LSTM
from edgeflow.program.nodes.ltc import LTC
from edgeflow.program.nodes.mingru import MinGRU
from edgeflow.program.nodes.minlstm import MinLSTM
from edgeflow.program.nodes.relu import ReLU
from edgeflow.program.nodes.rnn import RNN
from edgeflow.program.nodes.taps import Taps

_KINDS: list[type[Node]] = [
    GRU,
    GRUResetBefore,
    RNN,
    LSTM,
    LRU,
    MinGRU,
    MinLSTM,
    Linear,
    CfC,
    PureCfC,
    LTC,
    Accumulate,
    LIF,
    LMU,
    LMUFeedForward,
    L2MU,
    Taps,
    ReLU,
    ChannelMixer,
    LayerNorm,
    Cutoff,
]
NODES = {kind.op_type: kind for kind in _KINDS}

__all__ = [
    "GRU",
    "L2MU",
    "LIF",
    "LMU",
    "LRU",
    "LSTM",
    "LTC",
    "NODES",
    "RNN",
    "Accumulate",
    "CfC",
    "ChannelMixer",
    "Cutoff",
    "GRUResetBefore",
    "LMUFeedForward",
    "LayerNorm",
    "Linear",
    "MinGRU",
    "MinLSTM",
    "Node",
    "PureCfC",
    "ReLU",
    "Taps",
]
