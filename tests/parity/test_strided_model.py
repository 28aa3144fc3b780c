"""A DeepConvLSTM-style model with strides and pooling, trained on real recordings.

Two convolutions with batch normalisation, ReLU and pooling, a GRU of 64 units, a layer
normalisation and two linear layers (F. J. Ordóñez and D. Roggen, Deep Convolutional and LSTM
Recurrent Neural Networks for Multimodal Wearable Activity Recognition, Sensors 16, 2016): every
door gives the same floats, the integers decide as they do, and a board has the oracle's bits.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from edgeflow.cells.chain import FloatChain
from edgeflow.codegen.build import compile_program
from edgeflow.compression.quantize import quantize
from edgeflow.data import Dataset
from edgeflow.importers.model_file import load_float_model
from edgeflow.importers.torch_module import from_module
from edgeflow.profiling.run import profile
from edgeflow.program import Program
from edgeflow.program.onnx_file import OnnxProgram


class Net(nn.Module):
    def __init__(self, mean: np.ndarray, std: np.ndarray, classes: int) -> None:
        super().__init__()
        channels = len(mean)
        self.register_buffer("mean", torch.from_numpy(mean))
        self.register_buffer("std", torch.from_numpy(std))
        self.conv1, self.norm1 = nn.Conv1d(channels, 24, 5, stride=2), nn.BatchNorm1d(24)
        self.conv2, self.norm2 = nn.Conv1d(24, 32, 3), nn.BatchNorm1d(32)
        self.pool = nn.MaxPool1d(2)
        self.rnn = nn.GRU(32, 64, batch_first=True)
        self.norm, self.hidden, self.out = (
            nn.LayerNorm(64),
            nn.Linear(64, 24),
            nn.Linear(24, classes),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = ((x - self.mean) / self.std).transpose(1, 2)
        y = torch.relu(self.norm1(self.conv1(y)))
        y = self.pool(torch.relu(self.norm2(self.conv2(y))))
        h = self.norm(self.rnn(y.transpose(1, 2))[0][:, -1])
        return self.out(torch.relu(self.hidden(h)))


@pytest.fixture(scope="module")
def net(seglearn: Dataset) -> Net:
    windows = seglearn.windows("train")
    x, y = torch.from_numpy(windows.x), torch.from_numpy(windows.y)
    axes = (0, 1)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        net = Net(windows.x.mean(axes), windows.x.std(axes), len(seglearn.classes))
        optimizer = torch.optim.Adam(net.parameters(), 3e-3)
        for _ in range(8):
            for part in torch.randperm(len(x)).split(64):
                optimizer.zero_grad()
                functional.cross_entropy(net(x[part]), y[part]).backward()
                optimizer.step()
    return net.eval()


def about(data: Dataset) -> dict[str, Any]:
    return {
        "channels": tuple(data.channels), "classes": tuple(data.classes), "window": data.window,
        "rate_hz": data.rate_hz,
    }  # fmt: skip


@pytest.fixture(scope="module")
def chain(net: Net, seglearn: Dataset) -> FloatChain:
    return from_module(net, seglearn.windows("train").x, **about(seglearn))


@pytest.fixture(scope="module")
def program(chain: FloatChain, seglearn: Dataset) -> Program:
    x = seglearn.windows("train").x
    return quantize(chain, x[np.linspace(0, len(x) - 1, 512).astype(int)])


def batches(data: Dataset) -> list[np.ndarray]:
    """Return windows spread over the test split, and noise at several scales."""
    x = data.windows("test").x
    real = x[np.linspace(0, len(x) - 1, 64).astype(int)]
    rng = np.random.default_rng(3)
    noise = rng.normal(size=real.shape).astype(np.float32) * real.std((0, 1))
    return [real, *(real.mean((0, 1)) + scale * noise for scale in (0.1, 1.0, 10.0))]


def assert_same(chain: FloatChain, net: Net, data: Dataset) -> None:
    for x in map(np.float32, batches(data)):
        with torch.no_grad():
            expected = net(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(chain.run(x)[:, -1], expected, atol=1e-4)


def test_a_module(chain: FloatChain, net: Net, seglearn: Dataset) -> None:
    assert_same(chain, net, seglearn)
    assert [type(layer).__name__ for _, layer in chain.layers] == [
        "DelayLine", "Decimate", "Linear", "ReLU", "DelayLine", "Linear", "ReLU", "MovingMax",
        "Decimate", "GRU", "LayerNorm", "Linear", "ReLU", "Linear", "ZeroOrderHold",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["pt2", "onnx"])
def test_a_file(kind: str, net: Net, seglearn: Dataset, tmp_path: Path) -> None:
    example, path = torch.from_numpy(batches(seglearn)[0]), tmp_path / f"model.{kind}"
    if kind == "pt2":
        free = {"x": {0: torch.export.Dim("n")}}
        torch.export.save(torch.export.export(net, (example[:2],), dynamic_shapes=free), path)
    else:
        torch.onnx.export(
            net, (example[:2],), str(path), input_names=["x"], dynamo=False,
            dynamic_axes={"x": {0: "n"}},
        )  # fmt: skip
    assert_same(load_float_model(path, example.numpy(), **about(seglearn)), net, seglearn)


def keras_twin(net: Net, time: int) -> Any:
    """Return the model in Keras, with the same weights."""
    from tests.keras_models import L, keras

    def kernel(conv: nn.Conv1d) -> list[np.ndarray]:
        return [array(conv.weight).transpose(2, 1, 0), array(conv.bias)]

    def array(tensor: Any) -> np.ndarray:
        found: np.ndarray = tensor.detach().numpy()
        return found

    def norm(layer: nn.BatchNorm1d) -> list[np.ndarray]:
        return [*map(array, (layer.weight, layer.bias, layer.running_mean, layer.running_var))]

    def gates(name: str) -> np.ndarray:
        r, z, n = np.split(array(getattr(net.rnn, name)), 3)
        return np.concatenate([z, r, n])

    layers = [
        L.Normalization(mean=array(net.mean), variance=array(net.std) ** 2),
        L.Conv1D(24, 5, strides=2), L.BatchNormalization(epsilon=net.norm1.eps), L.ReLU(),
        L.Conv1D(32, 3), L.BatchNormalization(epsilon=net.norm2.eps), L.ReLU(),
        L.MaxPooling1D(2), L.GRU(64), L.LayerNormalization(epsilon=net.norm.eps),
        L.Dense(24, activation="relu"), L.Dense(net.out.out_features),
    ]  # fmt: skip
    model = keras.Sequential([keras.Input((time, len(net.mean))), *layers])
    bias = np.stack([gates("bias_ih_l0"), gates("bias_hh_l0")])
    for number, weights in {
        1: kernel(net.conv1), 2: norm(net.norm1), 4: kernel(net.conv2), 5: norm(net.norm2),
        8: [gates("weight_ih_l0").T, gates("weight_hh_l0").T, bias],
        9: [array(net.norm.weight), array(net.norm.bias)],
        10: [array(net.hidden.weight).T, array(net.hidden.bias)],
        11: [array(net.out.weight).T, array(net.out.bias)],
    }.items():  # fmt: skip
        layers[number].set_weights(weights)
    return model


@pytest.mark.slow
def test_keras(net: Net, program: Program, seglearn: Dataset, tmp_path: Path) -> None:
    """Its windows, gates and units are written otherwise; the integers are the module's."""
    x = seglearn.windows("train").x
    keras_twin(net, x.shape[1]).save(tmp_path / "model.keras")
    chain = load_float_model(tmp_path / "model.keras", x[:16], **about(seglearn))
    assert_same(chain, net, seglearn)
    twin = quantize(chain, x[np.linspace(0, len(x) - 1, 512).astype(int)])
    windows = program.quantize_input(seglearn.windows("test").x)
    one, other = (some.run(windows)[:, -1].argmax(-1) for some in (program, twin))
    assert (one == other).mean() >= 0.998
    test_integers_decide_alike(chain, twin, seglearn)
    test_a_board_runs_slow_layers_at_their_steps(twin, seglearn, tmp_path / "build")


def test_integers_decide_alike(chain: FloatChain, program: Program, seglearn: Dataset) -> None:
    windows = seglearn.windows("test")
    real = chain.run(windows.x)[:, -1].argmax(-1)
    ours = program.run(program.quantize_input(windows.x))[:, -1].argmax(-1)
    accuracy = [(decided == windows.y).mean() for decided in (real, ours)]
    assert accuracy[0] > 0.5
    assert abs(accuracy[0] - accuracy[1]) <= 0.005
    x = program.quantize_input(batches(seglearn)[0][:16])
    np.testing.assert_array_equal(OnnxProgram(program).run(x), program.run(x))


@pytest.mark.board
def test_a_board_runs_slow_layers_at_their_steps(
    program: Program, seglearn: Dataset, tmp_path: Path
) -> None:
    result = profile(compile_program(program, "qemu-m4", tmp_path), seglearn, steps=2000)
    assert result.mismatches == 0
    counts = result.instructions_per_step
    assert counts is not None
    # a window of 100 samples has 23 steps of the GRU
    assert counts["mean"] < 0.4 * counts["max"]
