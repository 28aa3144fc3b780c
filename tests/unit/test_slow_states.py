"""States that move in steps below a unit of their integers: wider where that helps, else a note."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import edgeflow
from edgeflow.cells import CELLS
from edgeflow.cells.cfc import CfC
from edgeflow.cells.gru_reset_before import GRUResetBefore
from edgeflow.cells.lif import LIF
from edgeflow.compression.model import ChainModel
from edgeflow.compression.qat import QuantizationAware
from edgeflow.compression.quantize import quantize
from edgeflow.errors import CompressError, EdgeFlowWarning
from edgeflow.importers import from_module
from edgeflow.program import Program
from edgeflow.quantization import Widths


class Decision(nn.Module):
    """A recurrent layer whose first unit decides."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.rnn, self.out = layer, nn.Linear(2, 2)
        with torch.no_grad():
            self.out.weight.copy_(torch.tensor([[4.0, 0.0], [-4.0, 0.0]]))
            self.out.bias.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.rnn(x)[0])


def zeroed(layer: Any) -> Any:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


@torch.no_grad()
def slow_gru(tau: float, kind: Any = nn.GRU) -> nn.Module:
    layer = zeroed(kind(1, 2, batch_first=True))
    layer.bias_ih_l0[2:4] = np.log(tau - 1)
    layer.weight_ih_l0[4:] = 1.0
    return layer


@torch.no_grad()
def slow_rnn(tau: float) -> nn.Module:
    layer = zeroed(nn.RNN(1, 2, batch_first=True))
    layer.weight_hh_l0.copy_(torch.eye(2) * (1 - 1 / tau))
    layer.weight_ih_l0[:] = 1 / tau
    return layer


@torch.no_grad()
def slow_lstm(tau: float) -> nn.Module:
    layer = zeroed(nn.LSTM(1, 2, batch_first=True))
    layer.bias_ih_l0[:4] = torch.tensor([-1.0, -1.0, 1.0, 1.0]) * np.log(tau - 1)
    layer.weight_ih_l0[4:6] = 1.0
    layer.bias_ih_l0[6:] = 8.0
    return layer


@torch.no_grad()
def slow_cfc(tau: float) -> nn.Module:
    layer = zeroed(CfC(1, 2, backbone_layers=0))
    layer.ff1.weight[:, 1:] = torch.eye(2)
    layer.ff2.weight[:, 0] = 1.0
    layer.time_b.bias[:] = -np.log(tau - 1)
    return layer


@torch.no_grad()
def slow_mingru(tau: float) -> nn.Module:
    layer = zeroed(CELLS["mingru"].build(1, 2))
    layer.linear[0].bias[:2] = -np.log(tau - 1)
    layer.linear[0].weight[2:] = 1.0
    return layer


def drifts(steps: int, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return noisy windows [60, steps, 1] whose mean is +-level, and which of both it is."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 60)
    noise = 0.2 * level * rng.standard_normal((60, steps, 1))
    return (np.where(y == 0, level, -level)[:, None, None] + noise).astype(np.float32), y


def outcome(
    layer: nn.Module, steps: int, level: float, widths: Widths | None = None
) -> tuple[Program, float, float]:
    """Return the program, its accuracy by the float one's, and the error by the largest output."""
    x, y = drifts(steps, level)
    chain = from_module(Decision(layer).eval(), x[:40])
    program = quantize(chain, x[:40], widths or Widths())
    real = chain.run(x)[:, -1]
    whole = program.run(program.quantize_input(x))[:, -1] * program.output_scale
    assert (real.argmax(1) == y).all(), "the float model is right"
    return (
        program,
        float((whole.argmax(1) == y).mean()),
        float(abs(whole - real).max() / real.max()),
    )


@pytest.mark.parametrize("tau,level", [(1000, 0.1), (1000, 0.02), (2500, 0.1)])
def test_a_slow_gru_does_not_stand_still(tau: float, level: float) -> None:
    program, accuracy, error = outcome(slow_gru(tau), 400, level)
    assert accuracy == 1 and error < 0.05
    assert program.nodes[0].op_type == "SlowGRU" and program.nodes[0].ints()["state_bits"] == 12
    (note,) = program.metadata["notes"]
    assert note == (
        "layer rnn: 2 of 2 units of its state move in steps that 12 bits lose: it gets 32"
    )


def test_a_slow_lstm_does_not_stand_still() -> None:
    """Its steps are below half of the unit of 16 bits only where both drive and leak are small."""
    program, accuracy, error = outcome(slow_lstm(2500), 400, 0.02)
    assert accuracy == 1 and error < 0.05
    assert program.nodes[0].op_type == "WideLSTM" and program.nodes[0].ints()["state_bits"] == 12
    _, _, narrow = outcome(slow_lstm(2500), 400, 0.02, Widths(state=12))
    assert narrow > 0.1


@pytest.mark.parametrize(
    "layer,bits",
    [(slow_gru(1000, GRUResetBefore), 16), (slow_rnn(1000), 16)],
    ids=["gru reset before", "rnn"],
)
def test_other_states_get_16_bits(layer: nn.Module, bits: int) -> None:
    program, accuracy, _ = outcome(layer, 800, 0.1)
    assert accuracy == 1 and program.nodes[0].ints()["state_bits"] == bits
    assert "12 bits lose: it gets 16" in program.metadata["notes"][0]


@pytest.mark.parametrize("layer", [slow_rnn(2500), slow_cfc(2500)], ids=["rnn", "cfc"])
def test_a_note_where_more_bits_do_not_help(layer: nn.Module) -> None:
    program, _, error = outcome(layer, 400, 0.1)
    assert error > 0.5 and program.nodes[0].ints()["state_bits"] == 12
    (note,) = program.metadata["notes"]
    assert "2 of 2 units of its state move in steps that 12 bits lose, off by 10" in note
    assert "mingru" in note


@pytest.mark.parametrize(
    "layer", [slow_mingru(1000), slow_lstm(1000), slow_gru(100)], ids=["mingru", "lstm", "gru 100"]
)
def test_states_that_need_nothing_stay(layer: nn.Module) -> None:
    program, accuracy, error = outcome(layer, 400, 0.1)
    assert accuracy == 1 and error < 0.05
    assert program.nodes[0].ints()["state_bits"] == 12 and "notes" not in program.metadata


@pytest.mark.parametrize("widths", [Widths(8, 8), Widths(state=12), Widths(states={"rnn": 12})])
def test_a_given_width_stays(widths: Widths) -> None:
    program, _, error = outcome(slow_gru(1000), 400, 0.1, widths)
    assert error > 0.9 and program.nodes[0].ints()["state_bits"] == widths.state_of("rnn")
    (note,) = program.metadata["notes"]
    assert "bits lose, off by 10" in note and "--activations int16" in note


@pytest.mark.parametrize("activations,kind", [("int16", "SlowGRU"), ("int8", "GRU")])
def test_a_recipe_leaves_the_width_to_the_data(activations: str, kind: str) -> None:
    x, _ = drifts(200, 0.1)
    recipe = {"widths": {"activations": activations}}
    with pytest.warns(EdgeFlowWarning, match="its state move in steps"):
        program = edgeflow.compress(Decision(slow_gru(1000)).eval(), x, recipe=recipe)
    assert program.nodes[0].op_type == kind


def test_32_bits_may_be_asked_for() -> None:
    program, accuracy, _ = outcome(slow_gru(1000), 400, 0.1, Widths(states={"rnn": 32}))
    assert accuracy == 1 and program.nodes[0].op_type == "SlowGRU"
    assert "notes" not in program.metadata


@pytest.mark.parametrize(
    "wrong",
    [{"state": 32}, {"input": 32}, {"state": 0}, {"states": {"rnn": 17}}, {"states": {"rnn": 7}}],
)
def test_widths_out_of_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(CompressError, match="is not in 8..16 bits"):
        Widths(**wrong)


def test_fine_tuning_sees_the_wider_state() -> None:
    x, _ = drifts(200, 0.1)
    chain = from_module(Decision(slow_gru(1000)).eval(), x)
    model, method = ChainModel(chain), QuantizationAware(x, Widths())
    method.prepare(model)
    with method.during_step(model):
        assert method.program is not None and method.program.nodes[0].op_type == "SlowGRU"


def lif(tau: float, drive: float) -> Callable[[np.ndarray], Program]:
    def compressed(x: np.ndarray) -> Program:
        layer = zeroed(LIF(1, 2, recurrent=False))
        nn.init.constant_(layer.beta_logit, float(np.log(tau - 1)))
        nn.init.ones_(layer.threshold)
        nn.init.constant_(layer.input.weight, drive)
        return quantize(from_module(Decision(layer).eval(), x), x)

    return compressed


def test_a_note_for_neurons_that_leak_too_slowly() -> None:
    """A drift far below 0 makes the unit of the membrane coarse: 0.5 of it leak in no step."""
    x = np.ones((4, 300, 1), np.float32) * np.array([-1, -1, -1, 1])[:, None, None]
    x = x.astype(np.float32)
    (note,) = lif(1000.0, 1.0)(x).metadata["notes"]
    assert "2 of 2 neurons leak so slowly" in note and "thresholds stay in them" in note
    assert "notes" not in lif(30.0, 1.0)(x).metadata
    assert "notes" not in lif(1000.0, 0.01)(x).metadata
