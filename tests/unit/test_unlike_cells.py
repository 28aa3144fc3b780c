"""Cells of unlike size in one LSTM: 32 bits where 16 of one unit lose the small or clip the large."""

import numpy as np
import pytest
import torch
from torch import nn

from edgeflow.cells import CELLS
from edgeflow.cells.chain import FloatChain
from edgeflow.compression.quantize import quantize
from edgeflow.importers import from_module
from edgeflow.program import Program
from edgeflow.quantization import Widths


class Decision(nn.Module):
    """An LSTM whose units leak nothing they need not, and a head that reads them."""

    def __init__(self, gates: list[list[float]], weight: list[list[float]], head: list) -> None:
        super().__init__()
        units, channels = len(weight), len(weight[0])
        self.rnn = nn.LSTM(channels, units, batch_first=True)
        self.out = nn.Linear(units, len(head))
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.zero_()
            self.rnn.bias_ih_l0[:] = torch.tensor(gates).T.flatten()
            self.rnn.weight_ih_l0[2 * units : 3 * units] = torch.tensor(weight)
            self.out.weight[:] = torch.tensor(head)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.rnn(x)[0])  # type: ignore[no-any-return]


def unlike(small: float = 0.003) -> nn.Module:
    """Two units integrate the first channel, to 120; two hold the second one, to 2 `small`."""
    large, trace = [8.0, 8.0, 0.0, 8.0], [float(np.log(small)), 1.4, 0.0, 8.0]
    s = 0.5 / small
    head = [[1, -1, s, -s], [1, -1, -s, s], [-1, 1, s, -s], [-1, 1, -s, s]]
    weight = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
    return Decision([large, large, trace, trace], weight, head).eval()


def tilts() -> tuple[np.ndarray, np.ndarray]:
    """Return windows [120, 200, 2] of noise around two means, and the means' signs as classes."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 4, 120)
    middle = np.stack([0.8 * (1 - 2 * (y // 2)), 0.3 * (1 - 2 * (y % 2))], axis=1)
    x = middle[:, None] + rng.standard_normal((120, 200, 2)) * [0.5, 0.2]
    return x.astype(np.float32), y


def counter() -> nn.Module:
    """Two units count up and down, to 300 or so: the sign that is left decides."""
    open_gates = [8.0, 8.0, 0.0, 8.0]
    return Decision([open_gates] * 2, [[1.0], [-1.0]], [[1.0, -1.0], [-1.0, 1.0]]).eval()


def counts() -> tuple[np.ndarray, np.ndarray]:
    """Return windows [24, 900, 1] that go one way and then the other one, and which way wins."""
    rng = np.random.default_rng(0)
    first, y = rng.integers(0, 2, (2, 24))
    turn = np.where(first == y, 500, 380)[:, None]
    sign = np.where(np.arange(900) < turn, 1, -1) * np.where(first == 0, 1, -1)[:, None]
    return (0.8 * sign[..., None]).astype(np.float32), y


def outcome(
    net: nn.Module, x: np.ndarray, y: np.ndarray, widths: Widths | None = None
) -> tuple[Program, float]:
    """Return the program and its accuracy on windows of which the float model decides all."""
    chain: FloatChain = from_module(net, x[:8])
    assert (chain.run(x)[:, -1].argmax(1) == y).all()
    program = quantize(chain, x[: len(x) // 2], widths or Widths())
    whole = program.run(program.quantize_input(x))[:, -1]
    return program, float((whole.argmax(1) == y).mean())


@pytest.mark.parametrize("net,data", [(unlike, tilts), (counter, counts)])
def test_unlike_cells_keep_what_the_float_model_decides(net, data) -> None:  # type: ignore[no-untyped-def]
    program, accuracy = outcome(net(), *data())
    assert accuracy >= 0.98
    assert program.nodes[0].op_type == "WideLSTM" and program.nodes[0].ints()["state_bits"] == 12
    assert program.metadata["notes"] == [
        "layer rnn: 2 cells are too small or too large for their common unit: they get more bits"
    ]


@pytest.mark.parametrize("net,data", [(unlike, tilts), (counter, counts)])
def test_a_given_width_stays_with_a_note(net, data) -> None:  # type: ignore[no-untyped-def]
    program, accuracy = outcome(net(), *data(), widths=Widths(state=12))
    assert accuracy < 0.95 and program.nodes[0].op_type == "LSTM"
    (note,) = program.metadata["notes"]
    assert "2 cells are too small or too large for their common unit, which costs " in note
    assert note.endswith("--activations int16) becomes as wide as it needs")


@pytest.mark.parametrize("dead", [False, True])
def test_cells_that_decide_nothing_stay_in_16_bits(dead: bool) -> None:
    net = unlike(0.003) if dead else unlike(0.5)
    if dead:
        with torch.no_grad():
            net.out.weight[:, 2:] = 0  # type: ignore[union-attr]
    x, y = tilts()
    chain = from_module(net, x[:8])
    program = quantize(chain, x[:60])
    assert program.nodes[0].op_type == "LSTM" and "notes" not in program.metadata
    whole = program.run(program.quantize_input(x))[:, -1].argmax(1)
    assert dead or (whole == y).all()


def min_net(kind: str, small: float = 0.1) -> nn.Module:
    """Candidates of 100 times the first channel, and `small` times the second one."""
    net = nn.Module()
    net.rnn, net.out = CELLS[kind].build(2, 4), nn.Linear(4, 4)
    net.forward = lambda x: net.out(net.rnn(x)[0])  # type: ignore[method-assign, operator]
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        linear = net.rnn.linear[0]  # type: ignore[union-attr, index]
        linear.weight[-4:] = torch.tensor(
            [[100.0, 0.0], [-100.0, 0.0], [0.0, small], [0.0, -small]]
        )
        linear.bias[:4] = -3.0 if kind == "mingru" else 3.0
        s, b = 1 / small, 0.01
        net.out.weight[:] = torch.tensor(
            [[b, -b, s, -s], [b, -b, -s, s], [-b, b, s, -s], [-b, b, -s, s]]
        )
    return net.eval()


@pytest.mark.parametrize("small", [0.1, 0.01])
@pytest.mark.parametrize("kind", ["mingru", "minlstm"])
def test_neurons_of_a_minimal_cell_get_units_of_their_own(kind: str, small: float) -> None:
    program, accuracy = outcome(min_net(kind, small), *tilts())
    assert accuracy == 1
    (note,) = program.metadata["notes"]
    assert note.endswith("for their common unit: they get more bits")
    _, common = outcome(min_net(kind, small), *tilts(), widths=Widths(state=12))
    assert common < 0.5


def test_a_model_that_ends_with_the_cell_keeps_one_unit() -> None:
    """Its outputs are compared with each other."""
    x, _ = tilts()
    net = min_net("mingru")
    net.forward = lambda v: net.rnn(v)[0]  # type: ignore[method-assign, operator]
    program = quantize(from_module(net, x[:8]), x[:60])
    assert "notes" not in program.metadata and program.outputs == 4


def relu_net(small: float = 0.1) -> nn.Module:
    """Sums of both signs of 100 times the first channel, and of `small` times the second one."""
    net = nn.Module()
    net.rnn = nn.RNN(2, 4, nonlinearity="relu", batch_first=True)
    net.out = nn.Linear(4, 4)
    net.forward = lambda x: net.out(net.rnn(x)[0])  # type: ignore[method-assign, operator]
    s, b = 1 / small, 0.01
    rows = [[5.0, 0.0], [-5.0, 0.0], [0.0, 0.05 * small], [0.0, -0.05 * small]]
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        net.rnn.weight_ih_l0[:] = torch.tensor(rows)
        net.rnn.weight_hh_l0[:] = 0.95 * torch.eye(4)
        net.out.weight[:] = torch.tensor(
            [[b, -b, s, -s], [b, -b, -s, s], [-b, b, s, -s], [-b, b, -s, s]]
        )
    return net.eval()


@pytest.mark.parametrize("small", [0.1, 0.01])
def test_neurons_of_a_relu_network_get_units_of_their_own(small: float) -> None:
    program, accuracy = outcome(relu_net(small), *tilts())
    assert accuracy == 1 and program.nodes[0].ints()["state_bits"] == 16
    _, common = outcome(relu_net(small), *tilts(), widths=Widths(state=12))
    assert common < 0.5


def test_a_silent_layer_is_no_fault() -> None:
    """All candidates are zero: there is nothing to find a unit for."""
    net, (x, _) = min_net("mingru"), tilts()
    with torch.no_grad():
        net.rnn.linear[0].weight.zero_()  # type: ignore[union-attr, index]
    for widths in (Widths(), Widths(states={"rnn": 32})):
        program = quantize(from_module(net, x[:8]), x[:60], widths)
        assert not program.run(program.quantize_input(x[:2])).any()
