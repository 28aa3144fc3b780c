"""Import of files of torch.export.save."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.export import Dim

from edgeflow.compression.quantize import quantize
from edgeflow.errors import CompressError
from edgeflow.importers import load_float_model
from tests.unit.test_import_onnx import CHANNELS, HIDDEN, Net, ReluRNN, assert_same, walk


def export(net: nn.Module, path: Path, *, free: bool = True, time_first: bool = False) -> Path:
    x = torch.from_numpy(walk(3, 20))
    x = x.transpose(0, 1) if time_first else x
    shapes = ((Dim.AUTO, Dim.AUTO, CHANNELS),) if free else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own
        torch.export.save(torch.export.export(net, (x,), dynamic_shapes=shapes), path)
    return path


@pytest.mark.parametrize(
    "kind,layers,read,batch_first,free",
    [
        (nn.GRU, 1, "all", True, True),
        (nn.GRU, 2, "last", True, False),
        (nn.GRU, 2, "state", False, True),
        (nn.LSTM, 1, "all", False, False),
        (nn.LSTM, 2, "state", True, True),
        (nn.LSTM, 1, "last", False, True),
        (nn.RNN, 1, "last", True, False),
        (nn.RNN, 2, "state", False, True),
        (ReluRNN, 2, "all", True, True),
    ],
)
def test_export(
    kind: Any, layers: int, read: str, batch_first: bool, free: bool, tmp_path: Path
) -> None:
    net = Net(kind, layers, read, batch_first, bias=layers == 1).eval()
    path = export(net, tmp_path / "m.pt2", free=free, time_first=not batch_first)
    chain = load_float_model(path, walk())
    assert [name for name, _ in chain.layers] == (["rnn"] if layers == 1 else ["rnn0", "rnn1"]) + [
        "head"
    ]
    np.testing.assert_allclose(chain.std, [2, 9, 0.5], rtol=1e-6)
    assert_same(chain, net, walk(5, 41))


def test_it_compresses(tmp_path: Path) -> None:
    x = walk()
    chain = load_float_model(export(Net().eval(), tmp_path / "m.pt2"), x, window=30)
    program, real = quantize(chain, x), chain.run(x)
    assert np.abs(program.run(program.quantize_input(x)) * program.output_scale - real).max() < 0.03


class Glue(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.a, self.b = nn.GRU(CHANNELS, HIDDEN), nn.Linear(HIDDEN, 5), nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h, state = self.rnn(3 - x.transpose(0, 1) / 2)
        y = 0.5 * self.a(h[-1:].permute(1, 0, 2).squeeze(1)) - 1
        return torch.softmax(y @ self.b.weight.T + self.b.bias, dim=-1), state


def test_glue_scaling_and_softmax(tmp_path: Path) -> None:
    net = Glue().eval()
    chain, x = load_float_model(export(net, tmp_path / "m.pt2"), walk()), walk(4, 33)
    with torch.no_grad():
        expected = net(torch.from_numpy(x))[0].numpy()
    logits = torch.from_numpy(chain.run(x)[:, -1])
    np.testing.assert_allclose(torch.softmax(logits, -1).numpy(), expected, atol=1e-5)


class Bad(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(CHANNELS, HIDDEN, batch_first=True, bidirectional=True)
        self.attn = nn.MultiheadAttention(2 * HIDDEN, 2, batch_first=True)
        self.old = nn.RNN(2 * HIDDEN, HIDDEN, batch_first=True)
        self.lstm = nn.LSTM(HIDDEN, HIDDEN, batch_first=True)
        self.norm = nn.LayerNorm(HIDDEN)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.rnn(x)[0]
        h = self.old(self.attn(h, h, h)[0])[0]
        return torch.tanh(self.norm(self.lstm(h)[0]))


def test_every_unsupported_operation_is_named(tmp_path: Path) -> None:
    with pytest.raises(CompressError) as caught:
        load_float_model(export(Bad().eval(), tmp_path / "m.pt2"), walk())
    for part in (
        "gru (gru): bidirectional",
        "attention: it weighs all samples",
    ):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


class Simple(nn.Module):
    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what
        self.rnn = nn.LSTM(CHANNELS, CHANNELS, batch_first=True)
        self.head = nn.Linear(CHANNELS, 2)
        self.first = nn.Parameter(torch.randn(1, 3, CHANNELS))

    def forward(self, x: torch.Tensor) -> Any:
        if self.what == "first":
            return self.rnn(x, (self.first, self.first))[0]
        h, (_, c) = self.rnn(x)
        results = {
            "cell": lambda: self.head(c[0]),
            "middle": lambda: self.head(h[:, 5]),
            "reversed": lambda: self.head(h.flip(1)),
            "dropout": lambda: self.head(nn.functional.dropout(h, 0.3, training=True)),
        }
        return results[self.what]()


@pytest.mark.parametrize(
    "what,message",
    [
        ("first", "a first state that is not the same"),
        ("cell", "the cell state is read"),
        ("middle", "does more than its layers"),
        ("reversed", r"flip \(flip\): it needs the future"),
        ("dropout", "training mode"),
    ],
)
def test_what_is_no_chain(what: str, message: str, tmp_path: Path) -> None:
    path = export(Simple(what).eval(), tmp_path / "m.pt2", free=False)
    with pytest.raises(CompressError, match=message):
        load_float_model(path, walk())


def test_wrong_files(tmp_path: Path) -> None:
    (tmp_path / "m.pt2").write_bytes(b"not a zip")
    with pytest.raises(CompressError, match=r"not a file of torch.export.save"):
        load_float_model(tmp_path / "m.pt2", walk())
    path = export(Net().eval(), tmp_path / "n.pt2")
    with pytest.raises(CompressError, match=r"samples are \[n, time, 5\]"):
        load_float_model(path, np.zeros((2, 9, 5), np.float32))


class Everything(nn.Module):
    """Every role but the recurrent ones' variants."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv, self.norm = nn.Conv1d(CHANNELS, 5, 3), nn.BatchNorm1d(5)
        self.rnn, self.layer_norm = nn.GRU(5, HIDDEN), nn.LayerNorm(HIDDEN)
        self.head = nn.Linear(HIDDEN, 1)
        self.norm.running_mean.normal_()  # type: ignore[union-attr]
        self.norm.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]

    def logit(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.norm(self.conv(nn.functional.pad(x.mT, (2, 0)))))
        y = self.layer_norm(self.rnn(y.permute(2, 0, 1))[0]).mean(0)
        return self.head(y)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        z = self.logit(x)
        return torch.sigmoid(z), z


def test_one_of_each(tmp_path: Path) -> None:
    """In float64, exported for windows of 20; those of the data have 30."""
    net = Everything().double().eval()
    path, x = tmp_path / "m.pt2", walk(4, 30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(net, (torch.tensor(walk(1, 20)).double(),)), path)
    chain = load_float_model(path, walk(), classes=("a", "b"), window=30)
    assert [name for name, _ in chain.layers] == [
        "conv0", "conv1", "relu", "rnn", "layer_norm", "mean", "head"
    ]  # fmt: skip
    got, expected = chain.run(x)[:, -1], net.logit(torch.tensor(x).double()).detach().numpy()
    np.testing.assert_allclose(got[:, 1:] - got[:, :1], expected, atol=1e-4)
    for text in ("float64", "20 samples, those of the data are 30", "sigmoid", "'b' against 'a'"):
        assert any(text in note for note in chain.notes), text


class Gain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.GRU(CHANNELS, HIDDEN, batch_first=True), nn.Linear(HIDDEN, 2)

    def forward(self, h: torch.Tensor, x: torch.Tensor, gain: torch.Tensor) -> Any:
        y, h = self.rnn(x * gain, h)
        return h, self.head(y)


def test_inputs_and_outputs_by_use(tmp_path: Path) -> None:
    """The state is first of both; a gain is neither samples nor state."""
    state, x, gain = torch.zeros(1, 3, HIDDEN), torch.tensor(walk(3, 20)), torch.ones(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(Gain().eval(), (state, x, gain))
        torch.export.save(program, tmp_path / "m.pt2")
    with pytest.raises(CompressError, match=r"its input 'gain' \[1\] is no first state"):
        load_float_model(tmp_path / "m.pt2", walk())

    class Fixed(Gain):
        def forward(self, h: torch.Tensor, x: torch.Tensor) -> Any:  # type: ignore[override]
            return super().forward(h, x, torch.ones(1))

    net = Fixed().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(net, (state, x)), tmp_path / "m.pt2")
    chain = load_float_model(tmp_path / "m.pt2", walk())
    assert [name for name, _ in chain.layers] == ["rnn", "head"]
    expected = net(state, x)[1].detach().numpy()
    np.testing.assert_allclose(chain.run(walk(3, 20)), expected, atol=1e-5)
