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
