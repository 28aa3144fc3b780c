"""Simple RNN and the GRU with the reset gate before the product: float, quantized, integer."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import edgeflow
from edgeflow.cells.cells import build_cell
from edgeflow.cells.gru_reset_before import GRUResetBefore
from edgeflow.errors import ProgramError, TrainError
from edgeflow.program.nodes import RNN
from tests.parity.conftest import run_c  # noqa: F401
from tests.random_nodes.draw import DRAW


def walk(n: int = 12, time: int = 40, channels: int = 4) -> np.ndarray:
    """Return smooth samples of the size of normalised ones."""
    x = np.cumsum(np.random.default_rng(0).standard_normal((n, time, channels)), axis=1)
    return ((x - x.mean((0, 1))) / x.std((0, 1))).astype(np.float32)


class Net(nn.Module):
    def __init__(self, rnn: nn.Module, width: int) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.rnn = rnn
        self.out = nn.Linear(width, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.rnn(x)[0])


def recurrent(kind: str) -> nn.Module:
    torch.manual_seed(1)
    if kind == "reset-before":
        return GRUResetBefore(4, 12)
    return build_cell("rnn", 4, 12, 2, 0.0, {"nonlinearity": kind})


@pytest.mark.parametrize("kind", ["tanh", "relu", "reset-before"])
@pytest.mark.parametrize("scale", [0.3, 30.0])
def test_program_follows_the_module(kind: str, scale: float) -> None:
    """Also where relu's states are far from 1."""
    rnn, x = recurrent(kind), walk()
    if kind == "relu":
        with torch.no_grad():
            for k in range(2):
                # an identity sums up without end
                getattr(rnn, f"weight_hh_l{k}").mul_(0.8)
            rnn.weight_ih_l0.mul_(scale)
            rnn.bias_ih_l0.mul_(scale)
    net = Net(rnn, 12)
    program = edgeflow.compress(net, x)
    real = net(torch.from_numpy(x)).detach().numpy()
    y = program.run(program.quantize_input(x)) * program.output_scale
    assert np.abs(y - real).max() < 0.04 * real.std()
    assert max(program.metadata["saturation"].values()) == 0


def test_relu_starts_from_the_identity() -> None:
    for layer in ("weight_hh_l0", "weight_hh_l1"):
        np.testing.assert_array_equal(getattr(recurrent("relu"), layer).detach(), np.eye(12))
    with pytest.raises(TrainError, match="nonlinearity is 'sine': use one of tanh, relu"):
        build_cell("rnn", 4, 12, 1, 0.0, {"nonlinearity": "sine"})


def test_reset_before_equals_its_equations() -> None:
    """And differs from the reset after the product, which torch.nn.GRU has."""
    torch.manual_seed(0)
    cell, x = GRUResetBefore(4, 5).double(), torch.from_numpy(walk()).double()
    parts = {name: p.detach().numpy() for name, p in cell.named_parameters()}
    (w_r, w_z, w_n), (u_r, u_z, u_n) = (
        np.split(parts[f"weight_{side}_l0"], 3) for side in ("ih", "hh")
    )
    (b_r, b_z, b_n) = np.split(parts["bias_ih_l0"] + parts["bias_hh_l0"], 3)
    h, expected = np.zeros((12, 5)), []
    for v in x.numpy().swapaxes(0, 1):
        r = 1 / (1 + np.exp(-(v @ w_r.T + h @ u_r.T + b_r)))
        z = 1 / (1 + np.exp(-(v @ w_z.T + h @ u_z.T + b_z)))
        h = (1 - z) * np.tanh(v @ w_n.T + (r * h) @ u_n.T + b_n) + z * h
        expected.append(h)
    with torch.no_grad():
        got, last = cell(x)
        after = nn.GRU(4, 5, batch_first=True).double()
        after.load_state_dict(cell.state_dict())
        assert (after(x)[0] - got).abs().max() > 0.01
    np.testing.assert_allclose(got.numpy(), np.stack(expected, axis=1), atol=1e-12)
    np.testing.assert_array_equal(last, got[:, -1])


def test_relu_state_never_falls_below_zero() -> None:
    rng = np.random.default_rng(0)
    node = replace(DRAW["rnn"](rng, "c", 3, 4, 12, 12, False), relu=1, state_shift=0)
    x = rng.integers(-2047, 2048, (50, 3))
    h = node.step(x, {"h": np.zeros((50, 4), np.int64)})[0]
    v = node.input.apply(x) + node.recurrent.apply(np.zeros((50, 4), np.int64))
    np.testing.assert_array_equal(h, np.clip(v, 0, 2047))
    assert (v < 0).any() and (v > 0).any()


def test_wrong_nodes() -> None:
    rng = np.random.default_rng(0)
    rnn = DRAW["rnn"](rng, "c", 3, 4, 12, 12, False)
    gru = DRAW["gru_reset_before"](rng, "c", 3, 4, 12, 12, False)
    other = DRAW["rnn"](rng, "c", 3, 5, 12, 12, False)
    assert isinstance(rnn, RNN)
    for node, change, message in (
        (rnn, {"relu": 2}, "relu 2 is not in 0..1"),
        (rnn, {"state_shift": 16}, "shift 16 is not in 0..15"),
        (rnn, {"state_bits": 11}, "state width 11"),
        (rnn, {"input": other.input}, "an RNN of 4 units needs 4 rows, not 5"),
        (gru, {"recurrent": rnn.recurrent}, r"needs 8 rows, not 4 \(recurrent\)"),
        (gru, {"candidate": rnn.input}, "reads 3 values of 12 bits, the state has 4 of 12"),
    ):
        with pytest.raises(ProgramError, match=message):
            replace(node, **change)
