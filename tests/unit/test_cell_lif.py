"""Spiking layers and the summing read-out."""

from pathlib import Path

import numpy as np
import pytest
import snntorch as snn
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from edgeflow.cells import SequenceClassifier, load_model, save_model
from edgeflow.cells.accumulate import Accumulate, build_readout
from edgeflow.cells.lif import LIF, CubaLIF, _Spike, from_nir
from edgeflow.compression.quantize import quantize
from edgeflow.errors import CompressError, ProgramError, TrainError
from edgeflow.importers import from_module
from edgeflow.program import InputFormat, Linear, Program, nodes
from edgeflow.program.onnx_file import OnnxProgram
from tests.random_nodes.matrices import random_matrix
from tests.random_nodes.recurrent import random_spiking
from tests.random_programs import samples


def layer(kind: type[LIF], reset: str = "subtract", recurrent: bool = False) -> LIF:
    torch.manual_seed(3)
    made = kind(6, 17, recurrent=recurrent, reset=reset)
    with torch.no_grad():
        made.threshold.uniform_(0.3, 1.5)
    return made.eval()


def current(n: int = 5, time: int = 60, inputs: int = 6) -> Tensor:
    torch.manual_seed(4)
    return 1.5 * torch.randn(n, time, inputs)


def assert_same(spikes: Tensor, expected: list[Tensor], u: Tensor, membrane: list[Tensor]) -> None:
    reference = torch.stack(expected, dim=1)
    assert 0.05 < float(reference.mean()) < 0.7  # a test of silence proves nothing
    assert torch.equal(spikes, reference)
    assert torch.allclose(u, torch.stack(membrane, dim=1), atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_lif_equals_snntorch(reset: str) -> None:
    made, x = layer(LIF, reset), current()
    theirs = snn.Leaky(beta=made.beta, threshold=made.threshold, reset_mechanism=reset)
    u, expected, membrane = theirs.reset_mem(), [], []
    for i in made.input(x).unbind(dim=1):
        s, u = theirs(i, u)
        expected.append(s)
        membrane.append(u)
    spikes, (trace,), _ = made.trace(x)
    assert_same(spikes, expected, trace, membrane)


@torch.no_grad()
@pytest.mark.parametrize("reset,name", [("subtract", "subtract"), ("refractory", "zero")])
def test_cuba_lif_equals_snntorch(reset: str, name: str) -> None:
    made, x = layer(CubaLIF, reset), current()
    theirs = snn.Synaptic(
        alpha=made.alpha, beta=made.beta, threshold=made.threshold, reset_mechanism=name
    )
    (j, u), expected, membrane = theirs.reset_mem(), [], []
    for i in made.input(x).unbind(dim=1):
        s, j, u = theirs(i, j, u)
        expected.append(s)
        membrane.append(u)
    spikes, (trace, _), _ = made.trace(x)
    assert_same(spikes, expected, trace, membrane)


@torch.no_grad()
@pytest.mark.parametrize("kind", [LIF, CubaLIF])
def test_recurrence_equals_snntorch(kind: type[LIF]) -> None:
    made, x = layer(kind, recurrent=True), current()
    common = {"beta": made.beta, "threshold": made.threshold, "all_to_all": True,
              "linear_features": 17}  # fmt: skip
    if kind is LIF:
        theirs = snn.RLeaky(**common)
        s, u = theirs.reset_mem()
    else:
        theirs = snn.RSynaptic(alpha=made.alpha, **common)
        s, j, u = theirs.reset_mem()
    theirs.recurrent.weight.copy_(made.recurrent.weight)
    theirs.recurrent.bias.zero_()
    expected, membrane = [], []
    for i in made.input(x).unbind(dim=1):
        if kind is LIF:
            s, u = theirs(i, s, u)
        else:
            s, j, u = theirs(i, s, j, u)
        expected.append(s)
        membrane.append(u)
    spikes, traces, _ = made.trace(x)
    assert_same(spikes, expected, traces[0], membrane)


@pytest.mark.parametrize("name", ["fast_sigmoid", "arctan"])
def test_surrogate_gradients_equal_snntorch(name: str) -> None:
    theirs = {"fast_sigmoid": snn.surrogate.fast_sigmoid(slope=25),
              "arctan": snn.surrogate.atan(alpha=2.0)}[name]  # fmt: skip
    v = torch.linspace(-2, 2, 81, requires_grad=True)
    (ours,) = torch.autograd.grad(_Spike.apply(v, LIF(1, 1, surrogate=name).slope).sum(), v)
    (reference,) = torch.autograd.grad(theirs(v).sum(), v)
    assert torch.allclose(ours, reference, rtol=1e-5)


@pytest.mark.parametrize("kind", [LIF, CubaLIF])
def test_everything_learns(kind: type[LIF]) -> None:
    made = layer(kind, recurrent=True)
    spikes, _ = made(current())
    (spikes * torch.randn(17)).sum().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None and float(parameter.grad.abs().sum()) > 0, name


@pytest.mark.parametrize("cuba", [False, True])
def test_nir_semantics(cuba: bool) -> None:
    """Forward Euler of NIR's differential equations, as its definition writes them."""
    rng = np.random.default_rng(5)
    dt, n, inputs = 1e-3, 11, 4
    weight, bias = rng.normal(size=(n, inputs)), 0.1 * rng.normal(size=n)
    tau_mem, r = rng.uniform(5e-3, 4e-2, n), rng.uniform(1, 3, n) / dt * 5e-3
    tau_syn, w_in = rng.uniform(2e-3, 2e-2, n), rng.uniform(1, 3, n)
    v_leak = np.zeros(n) if cuba else 0.2 * rng.normal(size=n)
    v_threshold = rng.uniform(0.5, 1.5, n)
    recurrent = 0.5 * rng.normal(size=(n, n))
    extra = {"tau_syn": tau_syn, "w_in": w_in} if cuba else {}
    made = from_nir(weight, bias, tau_mem=tau_mem, r=r, v_leak=v_leak, v_threshold=v_threshold,
                    dt=dt, recurrent=recurrent, **extra)  # fmt: skip
    x = rng.normal(size=(200, inputs))
    v, i, z, expected = np.zeros(n), np.zeros(n), np.zeros(n), []
    for t in range(200):
        drive = weight @ x[t] + bias + recurrent @ z
        i = i + dt / tau_syn * (-i + w_in * drive) if cuba else drive
        v = v + dt / tau_mem * ((v_leak - v) + r * i)
        z = (v > v_threshold).astype(float)
        v = np.where(z == 1, 0.0, v)
        expected.append(z)
    with torch.no_grad():
        spikes, _ = made.double()(torch.from_numpy(x)[None])
    assert 0.02 < np.mean(expected) < 0.8
    np.testing.assert_array_equal(spikes[0].numpy(), np.array(expected))


def test_nir_refusals() -> None:
    arguments = {"tau_mem": 1e-2, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0}
    with pytest.raises(CompressError, match="longer than a time constant"):
        from_nir(np.eye(2), 0.0, dt=1.0, **arguments)
    with pytest.raises(CompressError, match="v_leak"):
        from_nir(np.eye(2), 0.0, dt=1e-4, tau_syn=1e-2, **(arguments | {"v_leak": 1.0}))


@torch.no_grad()
@pytest.mark.parametrize("kind", [LIF, CubaLIF])
@pytest.mark.parametrize("reset", ["subtract", "zero", "refractory"])
def test_step_by_step_equals_the_sequence(kind: type[LIF], reset: str) -> None:
    made, x = layer(kind, reset, recurrent=True), current()
    whole, _ = made(x)
    state, parts = None, []
    for t in range(x.shape[1]):
        y, state = made(x[:, t : t + 1], state)
        parts.append(y)
    assert torch.equal(torch.cat(parts, dim=1), whole)


@pytest.mark.parametrize("options", [{"reset": "none"}, {"surrogate": "relu"}])
def test_wrong_options(options: dict[str, str]) -> None:
    with pytest.raises(TrainError, match="use one of"):
        LIF(2, 3, **options)


class TestReadout:
    @torch.no_grad()
    def test_mean_is_the_mean_at_the_end(self) -> None:
        x = torch.randn(3, 20, 4)
        y, state = Accumulate(20)(x)
        assert torch.allclose(y[:, -1], x.mean(dim=1), atol=1e-6)
        again, _ = Accumulate(20)(x, state)
        assert torch.allclose(again[:, -1], 2 * x.mean(dim=1), atol=1e-6)

    @torch.no_grad()
    def test_leaky_follows_its_equation(self) -> None:
        made, x = Accumulate(), torch.randn(3, 20, 4)
        y, d = torch.zeros(3, 4), torch.sigmoid(made.decay_logit)
        for t in range(20):
            y = d * y + (1 - d) * x[:, t]
        assert torch.allclose(made(x)[0][:, -1], y, atol=1e-6)
        _, state = made(x[:, :7])
        assert torch.allclose(made(x[:, 7:], state)[0][:, -1], y, atol=1e-6)

    def test_names(self) -> None:
        assert build_readout("last", 0) is None
        with pytest.raises(TrainError, match="use one of last, mean, leaky"):
            build_readout("median", 10)
        with pytest.raises(TrainError, match="needs windows"):
            build_readout("mean", 0)

    @pytest.mark.parametrize(
        "cell,window,expected",
        [("gru", 30, "last"), ("lif", 30, "mean"), ("lif", 0, "leaky"), ("cuba-lif", 9, "mean")],
    )
    def test_default(self, cell: str, window: int, expected: str, tmp_path: Path) -> None:
        model = SequenceClassifier(cell, ["a", "b"], ["x"], hidden=4, window=window)
        assert model.hyper["readout"] == expected
        save_model(model, tmp_path / "model.pt")
        assert load_model(tmp_path).hyper == model.hyper

    @pytest.mark.parametrize("readout", ["mean", "leaky"])
    def test_quantized_is_close(self, readout: str) -> None:
        torch.manual_seed(0)
        model = SequenceClassifier("gru", ["a", "b", "c"], ["x", "y"], hidden=9, window=40,
                                   readout=readout)  # fmt: skip
        x = current(8, 40, 2).numpy()
        program = quantize(from_module(model, x, window=40), x)
        assert [node.op_type for node in program.nodes] == ["GRU", "Linear", "Accumulate"]
        with torch.no_grad():
            real = model(torch.from_numpy(x)).numpy()
        got = program.run(program.quantize_input(x)) * program.output_scale
        assert np.abs(got - real).max() < 0.02 * np.abs(real).max()

    def test_long_sums_stay_within_limits(self) -> None:
        for decay in (0, 1, 32767, 32768):
            node = nodes.Accumulate("sum", 2, 16, decay, 15)
            state = {"sum": np.zeros((1, 2), np.int64)}
            for _ in range(300):
                state = {"sum": np.array([[1 << 30, -(1 << 30)]])}
                _, state = node.step(np.array([[32767, -32768]]), state)
            assert np.abs(state["sum"]).max() <= 1 << 30

    def test_ranges(self) -> None:
        with pytest.raises(ProgramError, match="shift 16"):
            nodes.Accumulate("sum", 2, 16, 0, 16)


class Net(nn.Module):
    """Two spiking layers, the second of which reads spikes."""

    def __init__(self, kind: type[LIF], reset: str, recurrent: bool) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first = kind(6, 23, reset=reset, recurrent=recurrent)
        self.second = kind(23, 15, reset=reset, recurrent=not recurrent)
        self.head = nn.Linear(15, 4)
        self.readout = Accumulate(50)

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.head(self.second(self.first(x)[0])[0]))[0]


def waves(n: int = 64, time: int = 50) -> np.ndarray:
    """Movement-like signals: a few sines a channel and noise."""
    rng = np.random.default_rng(8)
    t = np.arange(time)[None, :, None] / 20
    x = sum(
        rng.normal(size=(n, 1, 6)) * np.sin(2 * np.pi * f * t + rng.uniform(0, 6, (n, 1, 6)))
        for f in (0.5, 1.5, 3.0)
    )
    return (x + 0.2 * rng.normal(size=x.shape)).astype(np.float32)


@pytest.mark.parametrize("kind", [LIF, CubaLIF])
@pytest.mark.parametrize("reset", ["subtract", "zero", "refractory"])
@pytest.mark.parametrize("recurrent", [False, True])
def test_quantized_is_close_to_float(kind: type[LIF], reset: str, recurrent: bool) -> None:
    model, x = Net(kind, reset, recurrent).eval(), waves()
    chain = from_module(model, x, window=50)
    program = quantize(chain, x)
    state, y, spikes = program.initial_state(len(x)), [], []
    integers = program.quantize_input(x)
    for t in range(x.shape[1]):
        out, state = program.step(integers[:, t], state)
        spikes.append(state[0]["s"])
        y.append(out)
    real = chain.activations(x)
    assert 0.03 < real[1].mean() < 0.7
    # spikes are decisions: a rounded weight moves some of them by a step
    assert (np.stack(spikes, axis=1) != real[1]).mean() < 0.03
    rate = np.abs(np.stack(spikes, axis=1).mean(axis=1) - real[1].mean(axis=1))
    assert rate.mean() < 0.01
    got = np.stack(y, axis=1)[:, -1] * program.output_scale
    assert np.abs(got - real[-1][:, -1]).mean() < 0.15 * real[-1][:, -1].std()
    assert program.metadata["saturation"]["first membrane"] < 1e-3


def spiking_program(seed: int, sizes: list[int], extreme: bool) -> Program:
    """Spiking layers, a linear layer and a sum, with random parameters."""
    rng = np.random.default_rng(seed)
    width, bits, made = int(rng.integers(1, 9)), int(rng.choice([2, 8, 12, 16])), []
    form = InputFormat(np.zeros(width, np.float32), np.ones(width, np.float32), bits,
                       tuple(f"x{i}" for i in range(width)))  # fmt: skip
    for number, size in enumerate(sizes):
        made.append(random_spiking(rng, f"lif{number}", width, size, bits, 12, extreme))
        width, bits = size, 2
    outputs = int(rng.integers(1, 9))
    made.append(Linear("head", random_matrix(rng, outputs, width, bits, extreme)))
    decay = int(rng.choice([0, 1, rng.integers(32769), 32767, 32768]))
    made.append(nodes.Accumulate("readout", outputs, 16, decay, int(rng.integers(0, 16))))
    return Program(tuple(made), form, 0.01)


@st.composite
def spiking_programs(draw: st.DrawFn) -> Program:
    sizes = st.lists(st.integers(1, 80), min_size=1, max_size=3)
    return spiking_program(draw(st.integers(0, 2**32 - 1)), draw(sizes), draw(st.booleans()))


@settings(max_examples=40, deadline=None)
@given(program=spiking_programs(), seed=st.integers(0, 2**32 - 1))
def test_onnxruntime_equals_oracle(program: Program, seed: int) -> None:
    x = samples(program, seed, windows=4, time=12)
    np.testing.assert_array_equal(OnnxProgram(program).run(x), program.run(x))


def test_wrong_layers() -> None:
    rng = np.random.default_rng(0)
    matrix, wide = random_matrix(rng, 3, 2, 12, False), random_matrix(rng, 3, 3, 12, False)
    ok = np.ones(3, np.int16)
    with pytest.raises(ProgramError, match="beta must be int16"):
        nodes.LIF("l", matrix, -ok, ok)
    with pytest.raises(ProgramError, match="threshold must have one value"):
        nodes.LIF("l", matrix, ok, ok[:2])
    with pytest.raises(ProgramError, match="2-bit spikes"):
        nodes.LIF("l", matrix, ok, ok, recurrent=wide)
    with pytest.raises(ProgramError, match="reset 3"):
        nodes.LIF("l", matrix, ok, ok, 3)
