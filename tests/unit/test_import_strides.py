"""Strides, pooling and convolutions without padding: the chain is the module, and so are integers.

Only here are the clocks of an imported chain, its pieces of a stream, and what cannot be streamed.
The other doors are in ``tests/parity/test_strided_model.py``.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import edgeflow
from edgeflow.cells.chain import FloatChain
from edgeflow.cells.rate import Decimate, ZeroOrderHold, clocks_of
from edgeflow.compression.model import ChainModel
from edgeflow.compression.qat import QuantizationAware
from edgeflow.compression.quantize import quantize
from edgeflow.errors import CompressError
from edgeflow.importers.torch_module import from_module
from edgeflow.program.nodes import Decimate as DecimateNode
from edgeflow.quantization import Widths
from edgeflow.training.batches import Batch

TIME, CHANNELS = 50, 6


class Net(nn.Module):
    """Layers over time [n, channels, time], a GRU and a linear layer of its last output."""

    def __init__(self, *layers: nn.Module, left: int = 0, mean: bool = False) -> None:
        super().__init__()
        self.layers, self.left, self.mean = nn.Sequential(*layers), left, mean
        with torch.no_grad():
            width = self.layers(torch.zeros(1, CHANNELS, TIME)).shape[1]
        self.rnn, self.out = nn.GRU(width, 9, batch_first=True), nn.Linear(9, 4)
        for norm in (m for m in layers if isinstance(m, nn.BatchNorm1d)):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            norm.running_mean.normal_()  # type: ignore[union-attr]
            norm.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
        self.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layers(functional.pad(x.mT, (self.left, 0)) if self.left else x.mT).mT
        h = self.rnn(y)[0]
        return self.out(h.mean(1) if self.mean else h[:, -1])


def conv(inputs: int = CHANNELS, taps: int = 5, **options: int) -> nn.Conv1d:
    return nn.Conv1d(inputs, 8, taps, **options)  # type: ignore[arg-type]


NETS: dict[str, tuple[Callable[[], Net], Sequence[tuple[int, int]]]] = {
    "valid": (lambda: Net(conv(), nn.ReLU()), [(4, 1)]),
    "stride": (lambda: Net(conv(stride=3), nn.ReLU()), [(4, 3)]),
    "dilated": (lambda: Net(conv(taps=3, dilation=4, stride=2), nn.ReLU()), [(8, 2)]),
    "causal": (lambda: Net(conv(stride=2), left=4), [(0, 2)]),
    "partly": (lambda: Net(conv(stride=2), left=1), [(3, 2)]),
    "point": (lambda: Net(conv(taps=1, stride=4)), [(0, 4)]),
    "groups": (lambda: Net(conv(), nn.ReLU(), conv(8, 3, groups=4)), [(6, 1)]),
    "max": (lambda: Net(conv(), nn.ReLU(), nn.MaxPool1d(2)), [(5, 2)]),
    "mean": (lambda: Net(conv(), nn.ReLU(), nn.AvgPool1d(3, 2)), [(6, 2)]),
    "curve": (lambda: Net(conv(), nn.GELU(), nn.MaxPool1d(2), conv(8, 3), nn.SiLU()), [(5, 2), (9, 2)]),
    "moving": (lambda: Net(conv(), nn.MaxPool1d(3, 1)), [(6, 1)]),
    "first": (lambda: Net(nn.AvgPool1d(2), conv()), [(1, 2), (9, 2)]),
    "norm": (
        lambda: Net(conv(stride=2), nn.ReLU(), nn.BatchNorm1d(8), nn.MaxPool1d(2), conv(8, 3)),
        [(4, 2), (6, 4), (14, 4)],
    ),
    "over-time": (lambda: Net(conv(stride=2), nn.ReLU(), nn.MaxPool1d(2), mean=True), [(4, 2), (6, 4)]),
}  # fmt: skip


def noise(seed: int = 0, n: int = 24) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, TIME, CHANNELS)).astype(np.float32)


def imported(name: str) -> tuple[Net, FloatChain]:
    torch.manual_seed(3)
    net = NETS[name][0]()
    return net, from_module(net, noise(), window=TIME, classes=tuple("abcd"))


@pytest.mark.parametrize("name", NETS)
def test_floats_and_integers_are_the_module(name: str) -> None:
    net, chain = imported(name)
    layers = [layer for _, layer in chain.layers]
    clocks = [(c.first, c.period) for c in clocks_of(layers, chain.reads)]
    rates = [rate for rate in dict.fromkeys(clocks) if rate != (0, 1)]
    assert rates == list(NETS[name][1])
    assert isinstance(layers[-1], ZeroOrderHold)
    x = noise(1)
    with torch.no_grad():
        expected = net(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(chain.run(x)[:, -1], expected, atol=1e-6)
    program = quantize(chain, x)
    y = program.run(program.quantize_input(x)) * program.output_scale
    real = chain.run(x)
    assert np.sqrt(((y - real) ** 2).mean()) < 0.03 * real.std()
    first, _ = rates[-1]
    assert not y[:, :first].any() and y[:, first].any()


def test_a_stream_in_pieces_is_the_whole() -> None:
    """Pieces may be shorter than a stride, so that slow layers have no step in them."""
    _, chain = imported("norm")
    model, x = ChainModel(chain), torch.from_numpy(noise())
    whole, _ = model.stream(x)
    for length in (1, 3, 7):
        pieces, state = [], None
        for start in range(0, TIME, length):
            y, state = model.stream(x[:, start : start + length], state)
            pieces.append(y)
        torch.testing.assert_close(torch.cat(pieces, 1), whole)


def test_integers_train() -> None:
    _, chain = imported("norm")
    model, x = ChainModel(chain), noise()
    method = QuantizationAware(x, Widths())
    method.prepare(model)
    batch = Batch(torch.from_numpy(x), torch.zeros(len(x), dtype=torch.int64), None, keep=False)  # type: ignore[arg-type]
    with method.during_step(model):
        y = method.outputs(model, batch, model(batch.x))
        y[:, -1].square().mean().backward()
    assert method.program is not None
    expected = method.program.run(method.program.quantize_input(x)) * method.program.output_scale
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-6)
    assert all(bool(p.grad.any()) for p in model.parameters() if p.grad is not None)
    assert sum(p.grad is not None for p in model.parameters()) >= 8


class Branches(nn.Module):
    """A convolution with a stride beside one of another."""

    def __init__(self, stride: int, left: int = 2) -> None:
        super().__init__()
        self.a, self.b = conv(taps=3, stride=2), conv(taps=1, stride=stride)
        self.left = left
        self.rnn, self.out = nn.GRU(8, 9, batch_first=True), nn.Linear(9, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b = self.a(functional.pad(x.mT, (self.left, 0))), self.b(x.mT)
        size = min(a.shape[2], b.shape[2])
        return self.out(self.rnn((a[:, :, :size] + b[:, :, :size]).mT)[0][:, -1])


def test_branches_of_the_same_stride_join() -> None:
    net, x = Branches(2).eval(), noise()
    chain = from_module(net, x, window=TIME)
    assert sum(isinstance(layer, Decimate) for _, layer in chain.layers) == 2
    program = quantize(chain, x)
    gates = {clock.gate for clock in program.clocks}
    assert len(gates) == 2 and sum(isinstance(n, DecimateNode) for n in program.nodes) == 2


class Steps(nn.Module):
    """A value for each of fewer steps."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = conv(stride=2), nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.conv(x.mT).mT)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Net(conv(stride=2, padding=2)), r"padding \(2,\) reads the future: pad 4 zeros"),
        (lambda: Net(conv(), nn.MaxPool1d(2, padding=1)), "padding=1: use padding=0"),
        (lambda: Net(conv(), nn.AvgPool1d(3, ceil_mode=True)), "ceil_mode: use whole windows"),
        (lambda: Net(conv(), nn.MaxPool1d(2, dilation=2)), "dilation or ceil_mode"),
        (lambda: Branches(3), "joins values of unlike rates .*same strides and padding"),
        (Steps, "the model returns .*return the outputs of every step"),
    ],
)
def test_what_cannot_stream(make: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(CompressError, match=message):
        edgeflow.compress(make().eval(), noise())


def test_windows_too_short_for_a_first_value() -> None:
    _, chain = imported("dilated")
    with pytest.raises(CompressError, match="its first value needs 9 steps, and windows have 8"):
        quantize(chain, noise()[:, :8])
