"""LMUFormer and its parts: delay line, convolution, batch normalisation, rectification, mixer."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import edgeflow
from edgeflow.cells import SequenceClassifier, build_cell
from edgeflow.cells.lmuformer import ChannelMixer
from edgeflow.cells.norm import NormedLinear
from edgeflow.cells.taps import DelayLine
from edgeflow.errors import CompressError, ProgramError, TrainError
from edgeflow.program import InputFormat, Linear, Matrix, Program, nodes


def noise(n: int = 64, time: int = 40, channels: int = 3) -> np.ndarray:
    """Return samples with an offset, as gravity is one."""
    rng = np.random.default_rng(0)
    return (3 * rng.standard_normal((n, time, channels)) + 5).astype(np.float32)


def settled(model: nn.Module, x: np.ndarray) -> nn.Module:
    """Return a model whose normalisations know x."""
    model.train()
    with torch.no_grad():
        for _ in range(60):
            model(torch.from_numpy(x))
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.5, 0.5)
    return model.eval()


def run(program: Program, x: np.ndarray) -> np.ndarray:
    return program.run(program.quantize_input(x)) * program.output_scale


@pytest.mark.parametrize("taps,dilation", [(2, 1), (5, 1), (3, 4)])
def test_taps_are_the_input_of_a_causal_convolution(taps: int, dilation: int) -> None:
    torch.manual_seed(0)
    conv = nn.Conv1d(3, 7, taps, dilation=dilation)
    x = torch.randn(2, 20, 3)
    past = (taps - 1) * dilation
    expected = conv(nn.functional.pad(x.mT, (past, 0))).mT
    y, state = DelayLine(taps, dilation)(x)
    got = y @ conv.weight.mT.flatten(1).T + conv.bias
    assert torch.allclose(got, expected, atol=1e-6)
    assert torch.equal(state, x[:, -past:])
    first, between = DelayLine(taps, dilation)(x[:, :3])
    second, _ = DelayLine(taps, dilation)(x[:, 3:], between)
    assert torch.equal(torch.cat([first, second], 1), y)


@pytest.mark.parametrize("sizes", [(1, 1), (2, 0)])
def test_too_few_taps(sizes: tuple[int, int]) -> None:
    with pytest.raises(TrainError, match="must be at least"):
        DelayLine(*sizes)


def test_weights_of_a_normed_linear_layer() -> None:
    x = noise()
    layer = settled(NormedLinear(3, 6), x)
    real = layer(torch.from_numpy(x))
    weight, bias = layer.weight, layer.bias
    assert torch.allclose(real, torch.from_numpy(x) @ weight.T + bias, atol=1e-5)


def test_lmuformer_follows_its_documented_equations() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 12, 3)
    model = settled(build_cell("lmuformer", 3, 8, 1, 0.0, {"kernel_size": 4}), x.numpy())
    (block,) = model.layers
    embedding, memory, mixer = block.layers
    padded = nn.functional.pad(x, (0, 0, 3, 0))
    window = torch.cat([padded[:, k : k + 12] for k in range(4)], 2)
    norm = embedding.linear.norm
    e = torch.relu(norm(embedding.linear.linear(window).mT).mT)
    h, _ = memory(e)
    inside = torch.relu(mixer.up.norm(mixer.up.linear(h).mT).mT)
    expected = h + mixer.down.norm(mixer.down.linear(inside).mT).mT
    assert torch.allclose(model(x)[0], expected, atol=1e-6)


@pytest.mark.parametrize("cell", ["lmuformer", "lmuformer-snn"])
@pytest.mark.parametrize("layers", [1, 2])
def test_program_follows_the_module(cell: str, layers: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    x = noise(128)
    model = SequenceClassifier(cell, ["a", "b", "c"], ["x", "y", "z"], hidden=16, layers=layers,
                               window=40)  # fmt: skip
    model.mean.fill_(5.0)
    model.std.fill_(3.0)
    model = settled(model, x)
    real = model(torch.from_numpy(x)).detach().numpy()
    program = edgeflow.compress(model, x, window=40)
    last, expected = run(program, x)[:, -1], real[:, -1]
    assert (last.argmax(1) == expected.argmax(1)).mean() > 0.9
    # what tells windows apart; a spike early or late is a whole one
    centre = expected.mean(0)
    agreement = np.corrcoef((last - centre).ravel(), (expected - centre).ravel())[0, 1]
    assert agreement > (0.99 if cell == "lmuformer" else 0.8)
    program.save(tmp_path / "m.onnx")
    assert Program.load(tmp_path / "m.onnx").hash == program.hash


def test_spiking_version_reads_spikes() -> None:
    model = build_cell("lmuformer-snn", 3, 8, 1, 0.0)
    net = settled(nn.Sequential(model), noise())
    program = edgeflow.compress(WithHead(net[0], 8), noise())
    kinds = [(node.op_type, node.input_bits) for node in program.nodes]
    assert [kind for kind, _ in kinds] == ["Taps", "LIF", "LMUFeedForward", "LIF", "LIF", "Linear"]
    assert [kinds[k][1] for k in (2, 4, 5)] == [2, 2, 2]


class WithHead(nn.Module):
    def __init__(self, cell: nn.Module, size: int) -> None:
        super().__init__()
        self.cell, self.out = cell, nn.Linear(size, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.cell(x)[0])


@pytest.mark.parametrize("option", ["expansion", "kernel_size", "order"])
def test_options_must_be_positive(option: str) -> None:
    for cell in ("lmuformer", "lmuformer-snn"):
        with pytest.raises(TrainError, match="-1: it must be"):
            build_cell(cell, 3, 8, 1, 0.0, {option: -1})


class Convolutions(nn.Module):
    """A model of standard layers: normalised input, two causal convolutions, GRU."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.BatchNorm1d(3)
        self.conv1, self.norm1 = nn.Conv1d(3, 12, 5, padding=4), nn.BatchNorm1d(12)
        self.conv2, self.norm2 = nn.Conv1d(12, 10, 3, dilation=2, bias=False), nn.BatchNorm1d(10)
        self.act1, self.act2, self.third = nn.ReLU(), nn.ReLU(), nn.BatchNorm1d(10)
        self.point = nn.Conv1d(10, 9, 1)
        self.before_gru = nn.BatchNorm1d(9)
        self.act3 = nn.ReLU()
        self.gru, self.out = nn.GRU(9, 8, batch_first=True), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv1(self.first(x.mT))[:, :, :-4]
        x = self.act1(self.norm1(x))
        x = self.act2(self.norm2(self.conv2(nn.functional.pad(x, (4, 0)))))
        x = self.before_gru(self.act3(self.point(self.third(x))))
        return self.out(self.gru(x.mT)[0])


def test_convolutions_and_norms_of_a_module() -> None:
    torch.manual_seed(0)
    x = noise()
    net = settled(Convolutions(), x)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    real = net(torch.from_numpy(x)).detach().numpy()
    program = edgeflow.compress(net, x)
    kinds = ["Taps", "Linear", "ReLU", "Taps", "Linear", "ReLU", "Linear", "ReLU", "GRU", "Linear"]
    assert [node.op_type for node in program.nodes] == kinds
    error = np.abs(run(program, x) - real)
    assert error.max() < 0.15 * real.std()
    # the zeros that the first samples see are real zeros
    assert error[:, :4].mean() < 2 * error.mean()
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


@pytest.mark.parametrize(
    "options,message",
    [
        ({"kernel_size": 3, "padding": 1}, r"padding \(1,\) reads the future: pad 2 zeros"),
        ({"kernel_size": 3, "padding": "same"}, "padding 'same' reads the future"),
        ({"kernel_size": 3, "stride": 2}, r"the model returns \[.*, 2\]; its layers give"),
        ({"kernel_size": 3, "padding": 2, "padding_mode": "circular"}, "padding_mode 'circular'"),
    ],
)
def test_convolutions_that_cannot_stream(options: dict, message: str) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.out = nn.Conv1d(3, 6, **options), nn.Linear(6, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(self.conv(x.mT).mT)

    with pytest.raises(CompressError, match=message):
        edgeflow.compress(Net(), noise())


def test_a_convolution_that_looks_ahead_is_noticed() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.out = nn.Conv1d(3, 6, 3, padding=2), nn.Linear(6, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(self.conv(x.mT)[:, :, 2:].mT)  # cuts the wrong end

    with pytest.raises(CompressError):
        edgeflow.compress(Net(), noise())


def sequence(*layers: nn.Module) -> nn.Module:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.Sequential(*layers)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for part in self.parts:
                swap = isinstance(part, nn.BatchNorm1d)
                x = part(x.mT).mT if swap else part(x)
            return x

    return Net().eval()


def test_norms_that_cannot_be_folded() -> None:
    stranded = sequence(nn.Linear(3, 4), nn.ReLU(), nn.BatchNorm1d(4))
    with pytest.raises(CompressError, match=r"parts.2 \(BatchNorm1d\) has no linear layer beside"):
        edgeflow.compress(stranded, noise())
    batch = sequence(nn.Linear(3, 4), nn.BatchNorm1d(4, track_running_stats=False))
    with pytest.raises(CompressError, match="no running statistics"):
        edgeflow.compress(batch, noise())


@pytest.mark.parametrize("first", [nn.ReLU(), ChannelMixer(3, 4)])
def test_layers_that_cannot_read_raw_samples(first: nn.Module) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.out = first, nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.first(x)
            return self.out(y[0] if isinstance(y, tuple) else y)

    with pytest.raises(CompressError, match="put a linear layer in front of it"):
        edgeflow.compress(Net().eval(), noise())


def test_average_of_the_weights_has_their_statistics(shared_data: Path, tmp_path: Path) -> None:
    from edgeflow.data import load_dataset
    from edgeflow.training import train

    dataset = load_dataset("seglearn-watch", root=shared_data)
    model = train(dataset, "lmuformer", out=tmp_path, hidden=4, epochs=2).model
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            assert not torch.allclose(module.running_var, torch.ones(1))


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), size=st.integers(2, 400), bits=st.integers(4, 16),
    spread=st.floats(0.001, 1.0),
)  # fmt: skip
def test_layer_norm_follows_float64(seed: int, size: int, bits: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    limit = 2 ** (bits - 1) - 1
    centre = rng.uniform(-1, 1) * limit * (1 - spread)
    x = np.round(centre + spread * limit * rng.uniform(-1, 1, (4, size))).astype(np.int64)
    epsilon = int(rng.integers(1, size**2 + 1))
    gain = rng.integers(-32767, 32768, size)
    bias = rng.integers(-30000, 30000, size)
    node = nodes.LayerNorm("n", gain.astype(np.int16), bias.astype(np.int32), epsilon, bits, 16, 4)
    real = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + epsilon / size**2)
    real = np.clip((real * gain + bias) / 16, -32767, 32767)
    got, _ = node.step(x, {})
    assert np.abs(got - real).max() <= 0.5 + 1e-6 * np.abs(real).max() + 2**-20 * 32767 / 16


def test_layer_norm_of_a_module() -> None:
    torch.manual_seed(0)
    x = noise()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm = nn.Linear(3, 12), nn.LayerNorm(12)
            self.gru, self.out = nn.GRU(12, 8, batch_first=True), nn.Linear(8, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(self.gru(self.norm(self.first(x)))[0])

    net = Net().eval()
    torch.nn.init.uniform_(net.norm.weight, 0.5, 1.5)
    torch.nn.init.uniform_(net.norm.bias, -0.5, 0.5)
    program = edgeflow.compress(net, x)
    assert program.nodes[1].op_type == "LayerNorm"
    real = net(torch.from_numpy(x)).detach().numpy()
    assert np.abs(run(program, x) - real).max() < 0.15 * real.std()


def test_layer_norms_that_cannot_be_converted() -> None:
    class Net(nn.Module):
        def __init__(self, norm: nn.Module) -> None:
            super().__init__()
            self.norm, self.out = norm, nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(self.norm(x))

    with pytest.raises(CompressError, match="put a linear layer before it"):
        edgeflow.compress(Net(nn.LayerNorm(3)), noise())
    with pytest.raises(CompressError, match=r"normalized_shape \[40, 3\]"):
        edgeflow.compress(Net(nn.LayerNorm((40, 3))), noise())


def test_nodes_are_checked() -> None:
    def matrix(rows: int, cols: int, bits: int) -> Matrix:
        weight = np.ones((rows, cols), np.int8)
        return Matrix(weight, np.zeros(rows, np.int32), np.ones(rows, np.int32), 1, bits)

    mixer = nodes.ChannelMixer(
        "m", matrix(5, 3, 12), matrix(3, 5, 12), np.ones(3, np.int16), 12, 12
    )
    taps, relu = nodes.Taps("t", 3, 12, 5, 2), nodes.ReLU("r", 3, 16, 12, 4)
    norm = nodes.LayerNorm("n", np.ones(3, np.int16), np.zeros(3, np.int32), 1, 12, 12, 0)
    for node, changes, message in [
        (norm, {"epsilon": 0}, "epsilon 0 is not in 1.."),
        (norm, {"gain": np.ones(2, np.int16)}, "of the same size"),
        (taps, {"taps": 1}, "taps 1 is not in 2.."),
        (taps, {"dilation": 0}, "dilation 0"),
        (taps, {"bits": 17}, "bits 17"),
        (taps, {"dilation": 20000}, "at most 65535 fit"),
        (relu, {"shift": 16}, "shift 16 is not in 0..15"),
        (mixer, {"down": matrix(3, 6, 12)}, "need a second matrix of 3 x 5, not 3 x 6"),
        (mixer, {"skip": -mixer.skip}, "skip must be int16"),
        (mixer, {"hidden_bits": 11}, "hidden width 11"),
        (mixer, {"state_bits": 7}, "state_bits 7 is not in 8..16"),
    ]:
        with pytest.raises(ProgramError, match=message):
            dataclasses.replace(node, **changes)


def test_extreme_values_of_a_mixer() -> None:
    """Both products are added at their limits without wrapping."""
    weight = np.full((1, 1), 127, np.int8)
    huge = Matrix(weight, np.full(1, 2**29, np.int32), np.full(1, 2**31 - 1, np.int32), 1, 16)
    mixer = nodes.ChannelMixer("m", huge, huge, np.full(1, 32767, np.int16), 16, 16)
    form = InputFormat(np.zeros(1, np.float32), np.ones(1, np.float32), 16, ("x",))
    head = Linear("h", Matrix(weight, np.zeros(1, np.int32), np.full(1, 2**24, np.int32), 1, 16))
    program = Program((mixer, head), form, 1.0)
    assert mixer.step(np.array([[32767], [-32768]]), {})[0].tolist() == [[32767], [0]]
    assert program.run(np.array([[[32767]]], np.int16))[0, 0, 0] > 0
