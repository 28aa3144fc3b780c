"""All random layers by name."""

from collections.abc import Callable

from edgeflow.cells import CELLS
from edgeflow.program import GRU, Node
from edgeflow.program.nodes import (
    LSTM,
    MinGRU,
    MinLSTM,
    Sigmoid,
    SlowGRU,
    Tanh,
    WideLSTM,
)
from tests.random_nodes.between import (
    random_add,
    random_attention_pool,
    random_curve,
    random_decimate,
    random_mixer,
    random_moving_max,
    random_norm,
    random_relu,
    random_running_max,
    random_squash,
    random_sum,
    random_taps,
)
from tests.random_nodes.cells import random_cell_of
from tests.random_nodes.front import (
    random_biquad,
    random_difference,
    random_gravity,
    random_log_mel,
    random_magnitude,
)
from tests.random_nodes.recurrent import (
    random_cfc,
    random_gru,
    random_gru_reset_before,
    random_l2mu,
    random_lmu,
    random_lstm,
    random_ltc,
    random_min_rnn,
    random_rnn,
    random_spiking,
)

#: Cells that a draw below stands for, which is named after another one.
_FAMILIES = ("lmu-ff", "cuba-lif", "cuba-l2mu", "lmuformer", "lmuformer-snn")
DRAW: dict[str, Callable[..., Node]] = {
    "gru": random_gru(GRU),
    "slow_gru": random_gru(SlowGRU),
    "cfc": random_cfc,
    "ltc": random_ltc,
    "lstm": random_lstm(LSTM),
    "wide_lstm": random_lstm(WideLSTM),
    "rnn": random_rnn,
    "gru_reset_before": random_gru_reset_before,
    "mingru": random_min_rnn(MinGRU),
    "minlstm": random_min_rnn(MinLSTM),
    "lif": random_spiking,
    "sum": random_sum,
    "lmu": random_lmu,
    "l2mu": random_l2mu,
    "taps": random_taps,
    "decimate": random_decimate,
    "moving_max": random_moving_max,
    "running_max": random_running_max,
    "attention_pool": random_attention_pool,
    "relu": random_relu,
    "mixer": random_mixer,
    "add": random_add,
    "sigmoid": random_squash(Sigmoid),
    "tanh": random_squash(Tanh),
    "curve": random_curve,
    "norm": random_norm,
    "magnitude": random_magnitude,
    "difference": random_difference,
    "gravity": random_gravity,
    "biquad": random_biquad,
    "log_mel": random_log_mel,
}
#: Cells that have no draw of their own.
PLAIN = [cell for cell in CELLS if cell not in (*DRAW, *_FAMILIES)]
DRAW |= {cell: random_cell_of(cell) for cell in PLAIN}
