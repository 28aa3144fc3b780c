"""minGRU and minLSTM: scan and step loop, equations, and the integer step."""

import dataclasses
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import edgeflow
from edgeflow.cells.cells import build_cell
from edgeflow.cells.scan import scan
from edgeflow.errors import ProgramError
from edgeflow.program import Linear, Matrix
from edgeflow.program.fixedpoint import lookup, table
from edgeflow.program.nodes import MinGRU
from edgeflow.resources import resource
from tests.random_programs import random_program

CELLS = ["mingru", "minlstm"]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small tensors: threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def loop(decay: Tensor, drive: Tensor, start: Tensor) -> Tensor:
    h, states = start, []
    for t in range(decay.shape[1]):
        h = decay[:, t] * h + drive[:, t]
        states.append(h)
    return torch.stack(states, dim=1)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def walk(n: int = 30, time: int = 60) -> np.ndarray:
    steps = np.random.default_rng(0).standard_normal((n, time, 3)).cumsum(axis=1)
    return (0.3 * steps).astype(np.float32)


@settings(deadline=None, max_examples=60)
@given(time=st.integers(1, 200), seed=st.integers(0, 2**32 - 1), zeros=st.booleans())
def test_scan_and_its_gradient_equal_the_loop(time: int, seed: int, zeros: bool) -> None:
    torch.manual_seed(seed)
    decay = torch.rand(2, time, 3, dtype=torch.double)
    if zeros:  # where a scan that divides or takes logarithms fails
        decay = torch.where(torch.rand(decay.shape) < 0.5, 0.0, 1.0).double()
    parts = [decay, torch.randn_like(decay), torch.randn_like(decay[:, 0])]
    for part in parts:
        part.requires_grad_(True)
    fast, slow = scan(*parts), loop(*parts)
    torch.testing.assert_close(fast, slow, atol=1e-11, rtol=0)
    weight = torch.randn_like(fast)
    gradients = [torch.autograd.grad((h * weight).sum(), parts) for h in (fast, slow)]
    torch.testing.assert_close(*gradients, atol=1e-10, rtol=0)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("time", [1, 16, 17, 300])
def test_sequence_equals_steps(cell: str, time: int) -> None:
    torch.manual_seed(1)
    module = build_cell(cell, 3, 7, 2, 0.0)
    x, state = 3 * torch.randn(2, time, 3), torch.randn(2, 2, 7)
    with torch.no_grad():
        whole, last = module(x, state)
        steps = []
        for t in range(time):
            y, state = module(x[:, t : t + 1], state)
            steps.append(y)
    torch.testing.assert_close(whole, torch.cat(steps, dim=1), atol=1e-5, rtol=0)
    torch.testing.assert_close(last, state, atol=1e-5, rtol=0)


@pytest.mark.parametrize("cell", CELLS)
def test_documented_equations(cell: str) -> None:
    torch.manual_seed(2)
    module = build_cell(cell, 3, 5, 1, 0.0)
    x = walk(2, 40)
    weight, bias = (p.detach().double().numpy() for p in module.parameters())
    h = np.zeros((2, 5))
    for t in range(40):
        parts = np.split(x[:, t] @ weight.T + bias, module.blocks, axis=1)
        if cell == "mingru":
            z = sigmoid(parts[0])
            h = (1 - z) * h + z * parts[1]
        else:
            f, i = sigmoid(parts[0]), sigmoid(parts[1])
            h = f / (f + i) * h + i / (f + i) * parts[2]
    with torch.no_grad():
        y, _ = module(torch.from_numpy(x))
    np.testing.assert_allclose(y[:, -1].numpy(), h, atol=1e-5)


class Net(nn.Module):
    def __init__(self, cell: str, layers: int) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.rnn = build_cell(cell, 3, 11, layers, 0.0)
        self.out = nn.Linear(11, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.rnn(x)[0])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 3])
def test_program_follows_the_module(cell: str, layers: int) -> None:
    net, x = Net(cell, layers), walk()
    program = edgeflow.compress(net, x)
    assert len(program.nodes) == layers + 1 and isinstance(program.nodes[-1], Linear)
    real = net(torch.from_numpy(x)).detach().numpy()
    y = program.run(program.quantize_input(x)) * program.output_scale
    assert np.abs(y - real).max() < 0.02 * np.abs(real).max()
    assert set(program.metadata["saturation"].values()) == {0.0}


@pytest.mark.parametrize("cell", CELLS)
def test_slow_states_follow_float64(cell: str) -> None:
    """Time constants of up to a thousand samples, over 4,000 steps."""
    torch.manual_seed(4)
    module = build_cell(cell, 3, 6, 1, 0.0)
    with torch.no_grad():
        module.linear[0].weight[:-6] *= 0.1
        module.linear[0].bias[:6] = torch.linspace(3, 7, 6) * (-1 if cell == "mingru" else 1)
        if cell == "minlstm":
            module.linear[0].bias[6:12] = 0.0
    rng = np.random.default_rng(5)
    x = 0.1 * rng.standard_normal((1, 4_000, 3)) + np.sin(np.arange(4_000) / 800)[None, :, None]
    x = x.astype(np.float32)
    net = nn.Sequential(module)
    net.forward = lambda v: module(v)[0]  # type: ignore[method-assign]
    program = edgeflow.compress(net, x)
    with torch.no_grad():
        real = module.double()(torch.from_numpy(x).double())[0].numpy()
    y = program.run(program.quantize_input(x)) * program.output_scale
    assert np.abs(y - real).max() < 0.01 * np.abs(real).max()


def test_slow_states_do_not_get_stuck() -> None:
    """At a rate of 81 / 2**15 a state comes to rest where its candidate is, not before."""
    matrix = Matrix(
        np.zeros((2, 1), np.int8), np.array([-6 << 12, 100], np.int32),
        np.full(2, 2**30, np.int32), 2, 12,
    )  # fmt: skip
    node = MinGRU("m", matrix, state_bits=16, output_shift=15)
    x, state = np.zeros((1, 1), np.int64), {"h": np.zeros((1, 1), np.int64)}
    for _ in range(4_000):
        y, state = node.step(x, state)
    assert y.item() == 100


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rate=st.integers(0, 32767))
def test_state_stays_between_its_ends(seed: int, rate: int) -> None:
    """|h| < 2**30 is kept, and the update is the exact one."""
    rng = np.random.default_rng(seed)
    h = rng.integers(-(2**30), 2**30, 50)
    h[:2] = -(2**30), 2**30 - 1
    candidate = rng.choice([-32768, 32767], 50)
    new = h + rate * (candidate - (h >> 15))
    assert np.abs(rate * (candidate - (h >> 15))).max() < 2**31
    assert new.min() >= -(2**30) and new.max() < 2**30
    exact = [
        Fraction(int(a)) + Fraction(rate, 2**15) * (int(c) * 2**15 - int(a))
        for a, c in zip(h, candidate, strict=True)
    ]
    assert max(abs(int(n) - e) for n, e in zip(new, exact, strict=True)) < 2**15


def test_log_sigmoid_table() -> None:
    value = np.arange(-(2**15), 2**15)
    y = lookup("log_sigmoid", value)
    assert np.diff(y).min() >= 0
    assert np.abs(y / 2**12 + np.log1p(np.exp(-value / 2**12))).max() < 6e-4
    text = (resource("firmware") / "kernels" / "ef_table_log_sigmoid.c").read_text()
    body = text[text.index("= {") + 3 : text.index("};")]
    np.testing.assert_array_equal([int(v) for v in body.split(",") if v.strip()],
                                  table("log_sigmoid"))  # fmt: skip


@pytest.mark.parametrize(
    "change,message",
    [
        ({"output_shift": 0}, "shift 0"),
        ({"output_shift": 31}, "shift 31"),
        ({"state_bits": 17}, "state_bits 17 is not in 8..16"),
    ],
)
def test_bad_nodes(change: dict, message: str) -> None:
    node = random_program(0, 3, [4], 2, 12, 12, cells=["mingru"]).nodes[0]
    assert isinstance(node, MinGRU)
    with pytest.raises(ProgramError, match=message):
        dataclasses.replace(node, **change)
    matrix = random_program(0, 3, [1], 5, 12, 12).nodes[1].matrices()["matrix"]
    with pytest.raises(ProgramError, match="2 rows per unit, not 5"):
        MinGRU("m", matrix, 12, 19)
