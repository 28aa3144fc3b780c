"""Import and quantization of torch modules."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import edgeflow
import edgeflow.compression
from edgeflow.errors import CompressError
from edgeflow.importers import from_module, load_float_model
from edgeflow.quantization import Affine, Signal


class Net(nn.Module):
    """What a user writes."""

    def __init__(self, hidden: int = 12, layers: int = 1, last: bool = False) -> None:
        super().__init__()
        torch.manual_seed(hidden)
        self.gru = nn.GRU(3, hidden, num_layers=layers, batch_first=True)
        self.drop = nn.Dropout(0.5)
        self.out = nn.Linear(hidden, 4)
        self.last = last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.out(self.drop(self.gru(x)[0]))
        return y[:, -1] if self.last else y


def calibration(n: int = 40, time: int = 30) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.standard_normal((n, time, 3)) * [1, 30, 0.01] + [5, -100, 0]).astype(np.float32)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("last", [False, True])
def test_program_follows_the_module(layers: int, last: bool) -> None:
    net, x = Net(layers=layers, last=last).eval(), calibration() * 0.02
    program = edgeflow.compress(net, x, window=30)
    assert len(program.nodes) == layers + 1
    real = net(torch.from_numpy(x)).detach().numpy()
    y = program.run(program.quantize_input(x)) * program.output_scale
    assert np.abs((y[:, -1] if last else y) - real).max() < 0.02


def test_channels_of_any_size_are_read_well() -> None:
    """Offsets and scales that differ by orders of magnitude cost nothing."""
    x = calibration()
    net = Net().eval()
    net.register_buffer("mean", torch.from_numpy(x.mean((0, 1))))
    net.register_buffer("std", torch.from_numpy(x.std((0, 1))))
    forward = net.forward
    net.forward = lambda v: forward((v - net.mean) / net.std)  # type: ignore[method-assign, assignment]
    program = edgeflow.compress(net, x)
    real = net(torch.from_numpy(x)).detach().numpy()
    y = program.run(program.quantize_input(x)) * program.output_scale
    assert np.abs(y - real).max() < 0.02


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    weight_scale=st.floats(1e-6, 1e3),
    bias_scale=st.floats(0, 1e4),
    bits=st.sampled_from([8, 12, 16]),
)
def test_matrix_error_is_bounded(
    seed: int, weight_scale: float, bias_scale: float, bits: int
) -> None:
    rng = np.random.default_rng(seed)
    rows, cols = 5, 9
    weight = rng.standard_normal((rows, cols)) * weight_scale
    bias = rng.standard_normal(rows) * bias_scale
    source = Signal(
        np.zeros(cols), np.full(cols, 2.0 ** -(bits - 1)), bits, np.zeros((1, 1, cols), np.float32)
    )
    reach = np.abs(weight).sum() + np.abs(bias).max()
    output_scale = reach / 32000
    matrix = Affine(weight, bias, source, output_scale).quantize()
    x = rng.integers(-(2 ** (bits - 1)) + 1, 2 ** (bits - 1), (20, cols))
    real = x * 2.0 ** -(bits - 1) @ weight.T + bias
    got = matrix.apply(x) * output_scale
    row_scale = np.maximum(np.abs(weight).max(1) / 127, np.abs(bias) * 2.0 ** (bits - 1) / 2**24)
    # half a weight step a column, half an output unit, the multiplier's own rounding
    bound = 0.5 * row_scale * cols + output_scale + np.abs(real) * 1e-3
    assert (np.abs(got - real) <= bound + 1e-9).all()


class WithNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(3, 8, batch_first=True, bidirectional=True)
        self.norm = nn.GroupNorm(1, 16)
        self.act = nn.Softsign()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.norm(self.gru(x)[0].mT)).mT


def test_every_unsupported_layer_is_named() -> None:
    with pytest.raises(
        CompressError,
        match=r"gru \(GRU\): bidirectional.* norm \(GroupNorm\): use .*act \(Softsign\): use ",
    ):
        from_module(WithNorm(), calibration())


@pytest.mark.parametrize("kind", ["attention", "transformer"])
def test_attention_is_refused(kind: str) -> None:
    class Attentive(Net):
        def __init__(self) -> None:
            super().__init__(hidden=8)
            self.attn = (
                nn.MultiheadAttention(8, 2, batch_first=True)
                if kind == "attention"
                else nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.gru(x)[0]
            return self.out(self.attn(h, h, h)[0] if kind == "attention" else self.attn(h))

    with pytest.raises(CompressError, match=r"MultiheadAttention\): attention: it weighs all"):
        from_module(Attentive(), calibration())


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_bidirectional_is_refused(kind: Any) -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = kind(3, 8, batch_first=True, bidirectional=True)
            self.out = nn.Linear(16, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(self.rnn(x)[0])

    with pytest.raises(CompressError, match=r"rnn \(\w+\): bidirectional: it needs the future"):
        from_module(Both(), calibration())


class HiddenFunction(Net):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(torch.sin(self.gru(x)[0]))


def test_functions_between_layers_are_noticed() -> None:
    with pytest.raises(CompressError, match=r"sin at test_quantize\.py:\d+: use ReLU"):
        from_module(HiddenFunction(), calibration())


def test_time_first_modules_are_understood() -> None:
    class TimeFirst(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru = nn.GRU(3, 5)
            self.out = nn.Linear(5, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(self.gru(x)[0])

    chain = from_module(TimeFirst(), calibration())
    assert [name for name, _ in chain.layers] == ["gru", "out"]


def test_wrong_number_of_channels() -> None:
    with pytest.raises(CompressError, match="cannot be run on samples of 3 channels"):
        from_module(nn.Sequential(nn.Linear(5, 2)), calibration())


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_calibration(bad: float) -> None:
    x = calibration()
    chain = from_module(Net(), x)
    x[3, 2, 1] = bad
    with pytest.raises(CompressError, match="NaN or infinite"):
        edgeflow.compression.quantize.quantize(chain, x)


def test_nan_weights() -> None:
    net = Net()
    chain = from_module(net, calibration())
    with torch.no_grad():
        next(chain.layers[0][1].parameters())[0] = np.nan
    with pytest.raises(CompressError, match="layer gru has weights that are NaN"):
        edgeflow.compression.quantize.quantize(chain, calibration())


class TestModelFile:
    SOURCE = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(3, 8, batch_first=True)
        self.out = nn.Linear(8, 4)
    def forward(self, x):
        return self.out(self.gru(x)[0])
def broken():
    raise ValueError("no config")
number = int
"""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        file = tmp_path / "mymodel.py"
        file.write_text(self.SOURCE)
        return file

    def test_module_and_weights(self, file: Path, tmp_path: Path) -> None:
        first = load_float_model(f"{file}:Net", calibration())
        module = nn.Module()
        module.gru, module.out = nn.GRU(3, 8, batch_first=True), nn.Linear(8, 4)
        torch.save(module.state_dict(), tmp_path / "w.pt")
        chain = load_float_model(f"{file}:Net", calibration(), checkpoint=tmp_path / "w.pt")
        x = calibration()
        expected = module.out(module.gru(torch.from_numpy(x))[0]).detach().numpy()
        np.testing.assert_allclose(chain.run(x), expected, atol=1e-5)
        assert np.abs(first.run(x) - expected).max() > 1e-3

    @pytest.mark.parametrize(
        "name,message",
        [
            ("Other", "there is no 'Other'"),
            ("broken", "ValueError: no config"),
            ("number", "gives a int"),
        ],
    )
    def test_refusals(self, file: Path, name: str, message: str) -> None:
        with pytest.raises(CompressError, match=message):
            load_float_model(f"{file}:{name}", calibration())

    def test_weights_of_another_model(self, file: Path, tmp_path: Path) -> None:
        torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "w.pt")
        with pytest.raises(CompressError, match="not a state_dict that fits Net"):
            load_float_model(f"{file}:Net", calibration(), checkpoint=tmp_path / "w.pt")

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(CompressError, match="no such file"):
            load_float_model(tmp_path / "none", calibration())
