"""Float layers that start from learned states: as integers, in training, and without some units."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgeflow.cells.cells import layer_of
from edgeflow.cells.chain import FloatChain
from edgeflow.cells.start import started
from edgeflow.compression.model import ChainModel
from edgeflow.compression.quantize import quantize
from edgeflow.quantization import Widths
from edgeflow.quantization.widths import EXACT_STATE

KINDS: list[tuple[Any, int, dict[str, Any]]] = [
    (nn.GRU, 1, {}),
    (nn.LSTM, 2, {}),
    (nn.RNN, 1, {}),
    (nn.RNN, 1, {"nonlinearity": "relu"}),
]
SIZE = 8


def layer(kind: Any, states: int, options: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    plain = kind(3, SIZE, batch_first=True, **options)
    return started(plain, torch.rand(states, SIZE) * 1.6 - 0.8)


def chain(rnn: nn.Module) -> FloatChain:
    torch.manual_seed(1)
    layers: list[tuple[str, nn.Module]] = [("rnn", rnn), ("classes", nn.Linear(SIZE, 4))]
    zeros = np.zeros(3, np.float32)
    return FloatChain(layers, zeros, zeros + 1, ("a", "b", "c"))


def data(n: int = 12, time: int = 30) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, (n, time, 3)).astype(np.float32)


@pytest.mark.parametrize("exact", [False, True], ids=["12 bits", "exact"])
@pytest.mark.parametrize("kind,states,options", KINDS)
def test_integers_start_there(kind: Any, states: int, options: dict[str, Any], exact: bool) -> None:
    float_chain, x = chain(layer(kind, states, options)), data()
    widths = Widths(states={"rnn": EXACT_STATE}) if exact else Widths()
    program, real = quantize(float_chain, x, widths=widths), float_chain.run(x)
    got = program.run(program.quantize_input(x)) * program.output_scale
    assert "rnn.h" in program.start and ("rnn.c" in program.start) == (states == 2)
    assert np.abs(got - real)[:, 0].max() < 0.01 * np.ptp(real)


@pytest.mark.parametrize("kind,states,options", KINDS)
def test_a_given_state_goes_on(kind: Any, states: int, options: dict[str, Any]) -> None:
    rnn, x = layer(kind, states, options), torch.from_numpy(data())
    whole = rnn(x)[0]
    first, middle = rnn(x[:, :11])
    torch.testing.assert_close(torch.cat([first, rnn(x[:, 11:], middle)[0]], 1), whole)
    recur = layer_of(rnn).recur
    assert recur is not None
    torch.testing.assert_close(recur(rnn, x, None, lambda h: h)[0], whole, atol=1e-5, rtol=1e-5)


def test_training_learns_the_start() -> None:
    """The first output is that of the state alone, as the samples say nothing."""
    model, target = ChainModel(chain(layer(*KINDS[0]))), torch.tensor([1.0, -1, 0.5, 0])
    start = model.layer("rnn").start
    before = start.detach().clone()
    optimizer = torch.optim.Adam([start], lr=0.05)
    losses = []
    for _ in range(60):
        loss = ((model(torch.zeros(2, 1, 3))[:, 0] - target) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0] and (start.detach() != before).all()


def test_units_that_stay_keep_their_start() -> None:
    rnn = layer(*KINDS[1])
    prune = layer_of(rnn).prune_units
    assert prune is not None
    smaller: Any = prune(rnn, np.arange(3), np.array([1, 4, 6]))
    torch.testing.assert_close(smaller.start, rnn.start[:, [1, 4, 6]])
    assert smaller(torch.zeros(2, 4, 3))[0].shape == (2, 4, 3)
