"""Spiking Legendre Memory Unit: equations, input module, quantization."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import Tensor, nn

import edgeflow
from edgeflow.cells import SequenceClassifier, build_cell
from edgeflow.cells.l2mu import L2MU, CubaL2MU
from edgeflow.cells.lif import LIF, CubaLIF
from edgeflow.cells.spike_input import Population, input_module
from edgeflow.codegen.kernels import choose_kernel
from edgeflow.errors import CompressError, ProgramError, TrainError
from edgeflow.program import Program
from tests.random_nodes.recurrent import random_l2mu

KINDS = pytest.mark.parametrize("kind", [L2MU, CubaL2MU])


def layer(kind: type[L2MU], reset: str = "subtract", inputs: int = 9, hidden: int = 14) -> L2MU:
    torch.manual_seed(5)
    made = kind(inputs, hidden, order=5, theta=6.0, memory_size=4, reset=reset)
    with torch.no_grad():
        made.b.normal_(std=0.05)
        nn.init.normal_(made.e_m, std=0.3)
        made.threshold.mul_(torch.empty_like(made.threshold).uniform_(0.6, 1.4))
    return made.eval()


def spikes(n: int = 6, time: int = 60, inputs: int = 9, rate: float = 0.25) -> Tensor:
    torch.manual_seed(2)
    return (torch.rand(n, time, inputs) < rate).float()


def waves(n: int = 64, time: int = 50, inputs: int = 6) -> np.ndarray:
    """Movement-like signals: a few sines a channel and noise."""
    rng = np.random.default_rng(8)
    t = np.arange(time)[None, :, None] / 20
    x = sum(
        rng.normal(size=(n, 1, inputs))
        * np.sin(2 * np.pi * f * t + rng.uniform(0, 6, (n, 1, inputs)))
        for f in (0.5, 1.5, 3.0)
    )
    return (x + 0.2 * rng.normal(size=x.shape)).astype(np.float32)


@torch.no_grad()
@pytest.mark.parametrize("kind,reset,theirs", [
    (L2MU, "subtract", "subtract"), (L2MU, "zero", "zero"),
    (CubaL2MU, "subtract", "subtract"), (CubaL2MU, "refractory", "zero"),
])  # fmt: skip
def test_equations_with_neurons_of_snntorch(kind: type[L2MU], reset: str, theirs: str) -> None:
    made, x = layer(kind, reset), spikes()
    size, order = made.memory_size, made.order
    beta, threshold = (
        v.split(made.sizes) for v in (torch.sigmoid(made.beta_logit), made.threshold)
    )
    if made.synapse:
        alpha = torch.sigmoid(made.alpha_logit).split(made.sizes)
        neurons = [
            snn.Synaptic(alpha=a, beta=b, threshold=t, reset_mechanism=theirs)
            for a, b, t in zip(alpha, beta, threshold, strict=True)
        ]
        states = [list(neuron.reset_mem()) for neuron in neurons]
    else:
        neurons = [
            snn.Leaky(beta=b, threshold=t, reset_mechanism=theirs)
            for b, t in zip(beta, threshold, strict=True)
        ]
        states = [[neuron.reset_mem()] for neuron in neurons]

    def population(k: int, current: Tensor) -> Tensor:
        s, *states[k] = neurons[k](current, *states[k])
        return s

    m, h = torch.zeros(6, size * order), torch.zeros(6, 14)
    expected = []
    for value in x.unbind(1):
        u = population(0, value @ made.e_x.T + h @ made.e_h.T + m @ made.e_m.T)
        parts = m.view(6, size, order)
        driven = torch.einsum("ij,nkj->nki", made.A, parts) + u[:, :, None] * made.B
        m = population(1, driven.flatten(1))
        drive = value @ made.W_x.T + h @ made.W_h.T + m @ made.W_m.T + made.b
        h = population(2, drive)
        expected.append((u, m, h))
    traces, _ = made.trace(x)
    for (_, got, *_), reference in zip(traces, zip(*expected, strict=True), strict=True):
        reference = torch.stack(reference, 1)
        assert 0.03 < float(reference.mean()) < 0.9  # a test of silence proves nothing
        # sums are ordered differently: a membrane at its threshold may fall on either side
        assert float((got != reference).float().mean()) < 1e-3
    assert torch.equal(made(x)[0], traces[2][1])


@torch.no_grad()
@KINDS
@pytest.mark.parametrize("reset", ["subtract", "zero", "refractory"])
def test_step_by_step_equals_the_sequence(kind: type[L2MU], reset: str) -> None:
    made, x = layer(kind, reset), spikes()
    state, parts = None, []
    for t in range(x.shape[1]):
        y, state = made(x[:, t : t + 1], state)
        parts.append(y)
    assert torch.allclose(torch.cat(parts, 1), made(x)[0])


@torch.no_grad()
@pytest.mark.parametrize("neurons", [LIF, CubaLIF])
@pytest.mark.parametrize("taps", [1, 3])
def test_input_module(neurons: type[LIF], taps: int) -> None:
    """Each channel has neurons of its own; the output is spikes, some everywhere."""
    torch.manual_seed(0)
    made = input_module(neurons, 6, 32, 4, taps)
    x = torch.from_numpy(waves())
    for _ in range(100):  # until the statistics are those of x
        made(x)
    made.eval()
    *delay, first, _, _ = made.layers
    assert isinstance(first.input, Population)
    weight = first.input.weight
    own = torch.arange(6).repeat_interleave(4)[:, None] == torch.arange(6).repeat(taps)
    assert bool(((weight != 0) == own).all())
    for part in delay:
        x, _ = part(x)
    assert torch.allclose(first.input(x), x @ weight.T + first.input.bias, atol=1e-5)
    for part in made.layers[len(delay) :]:
        x, _ = part(x)
        assert x.unique().tolist() == [0, 1] and 0.02 < float(x.mean()) < 0.8


@pytest.mark.parametrize("name", ["l2mu", "cuba-l2mu"])
@pytest.mark.parametrize("seed", range(3))
def test_new_networks_fire_and_learn(name: str, seed: int) -> None:
    torch.manual_seed(seed)
    made = build_cell(name, 6, 32, 1, 0.0)
    y, _ = made(torch.from_numpy(waves()))
    assert 0.02 < float(y.detach().mean()) < 0.8
    (y * torch.randn(32)).sum().backward()
    for key, parameter in made.named_parameters():
        assert parameter.grad is not None and float(parameter.grad.abs().sum()) > 0, key


@pytest.mark.parametrize("name", ["l2mu", "cuba-l2mu"])
@pytest.mark.parametrize("layers", [1, 2])
def test_built_cells_are_compressed(name: str, layers: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = SequenceClassifier(name, ["a", "b", "c"], list("uvwxyz"), hidden=24, window=50,
                               layers=layers).eval()  # fmt: skip
    assert model.hyper["readout"] == "mean"
    x = waves()
    program = edgeflow.compress(model, x, window=50)
    synapse = "_alpha" if name == "cuba-l2mu" else ""
    expected = [
        "Taps",
        *["LIF" + synapse] * 3,
        *["L2MU" + synapse] * layers,
        "Linear",
        "Accumulate",
    ]
    assert [node.operator for node in program.nodes] == expected
    for node in program.nodes[2:-2]:  # all but the first neurons read spikes only
        for matrix in node.matrices().values():
            assert choose_kernel(matrix, ["c"]).name == "ef_add_columns_s8"
    assert max(program.metadata["saturation"].values()) < 1e-3
    program.save(tmp_path / "m.onnx")
    assert Program.load(tmp_path / "m.onnx").hash == program.hash


class Net(nn.Module):
    def __init__(self, kind: type[L2MU], reset: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.below = LIF(6, 20, recurrent=False)
        self.rnn = layer(kind, reset, 20, 24)
        self.head = nn.Linear(24, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(self.below(x)[0])[0])


@torch.no_grad()
@KINDS
@pytest.mark.parametrize("reset", ["subtract", "zero", "refractory"])
def test_quantized_is_close_to_float(kind: type[L2MU], reset: str) -> None:
    """On the same spikes: rates agree, and single steps where the past was the same."""
    net, x = Net(kind, reset).eval(), waves()
    program = edgeflow.compress(net, x, window=50)
    node, made = program.nodes[1], net.rnn
    state = program.initial_state(len(x))
    integers, seen, got = program.quantize_input(x), [], []
    for t in range(x.shape[1]):
        _, state = program.step(integers[:, t], state)
        seen.append(state[0]["s"])
        got.append(np.concatenate([state[1][name] for name in "emh"], 1))
    traces, _ = made.trace(torch.from_numpy(np.stack(seen, 1)).float())
    real = torch.cat([parts[1] for parts in traces], 2).numpy()
    integer = np.stack(got, 1)
    assert 0.05 < real.mean() < 0.8
    assert (integer[:, :5] != real[:, :5]).mean() < 0.01
    assert np.abs(integer.mean(1) - real.mean(1)).mean() < 0.05
    assert node.reset == ["subtract", "zero", "refractory"].index(reset)
    assert program.metadata["saturation"]["rnn membrane"] < 1e-3


def test_needs_spikes() -> None:
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = layer(L2MU, inputs=6)
            self.head = nn.Linear(14, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.rnn(x)[0])

    with pytest.raises(CompressError, match="reads spikes"):
        edgeflow.compress(Bare().eval(), waves(), window=50)


def test_wrong_options() -> None:
    with pytest.raises(TrainError, match="use one of"):
        L2MU(2, 3, reset="none")
    with pytest.raises(TrainError, match="order is 0"):
        L2MU(2, 3, order=0)


def test_wrong_nodes() -> None:
    node = random_l2mu(np.random.default_rng(1), "l", 3, 7, 2, 12, False)
    size, order = node.encode.rows, node.transition.rows

    def replaced(**fields: object) -> None:
        dataclasses.replace(node, **fields)

    wide = dataclasses.replace(node.transition, input_bits=3)
    with pytest.raises(ProgramError, match="2-bit spikes"):
        replaced(transition=wide)
    with pytest.raises(ProgramError, match="must read the same"):
        replaced(update=dataclasses.replace(node.update, input_bits=3))
    few = size * order + 7
    cut = {
        field: dataclasses.replace(matrix, weight=matrix.weight[:, :few])
        for field, matrix in (("encode", node.encode), ("update", node.update))
    }
    with pytest.raises(ProgramError, match="no input"):
        replaced(**cut)
    with pytest.raises(ProgramError, match="beta must be int16"):
        replaced(beta=-node.beta - np.int16(1))
    with pytest.raises(ProgramError, match="threshold must have one value"):
        replaced(threshold=node.threshold[1:])
    with pytest.raises(ProgramError, match="reset 3"):
        replaced(reset=3)
