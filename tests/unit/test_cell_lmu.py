"""Legendre Memory Unit: discretisation, parallel form, quantization, long streams."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import expm
from scipy.signal import cont2discrete
from scipy.special import eval_sh_legendre

import edgeflow
from edgeflow.cells import build_cell
from edgeflow.cells.legendre import legendre, powers, zero_order_hold
from edgeflow.cells.lmu import CHUNK, LMU, quantize_memory
from edgeflow.data import load_dataset
from edgeflow.errors import CompressError, ProgramError, TrainError
from edgeflow.program import nodes
from edgeflow.program.fixedpoint import INT16_MAX

VARIANTS = {
    "full": {},
    "no_feedback": {"hidden_to_memory": False, "memory_to_memory": False},
    "hidden": {"memory_to_memory": False},
    "memory": {"hidden_to_memory": False},
    "trained": {"train_memory": True},
    "feed_forward": {"feed_forward": True},
}


def layer(variant: str = "full", **options) -> LMU:
    torch.manual_seed(1)
    sizes = {"order": 6, "theta": 20.0, "memory_size": 3} | options
    made = LMU(4, 10, **sizes, **VARIANTS[variant])
    if made.e_m is not None:  # starts at zero
        torch.nn.init.normal_(made.e_m, std=0.1)
    torch.nn.init.normal_(made.b, std=0.5)
    return made


@pytest.mark.parametrize("order,theta", [(1, 1.0), (4, 40.0), (8, 64.0), (12, 100.0), (16, 784.0)])
def test_zero_order_hold_equals_scipy(order: int, theta: float) -> None:
    A, B = legendre(order, theta)
    expected = cont2discrete(
        (A.numpy(), B.numpy()[:, None], np.eye(order), np.zeros((order, 1))), dt=1.0, method="zoh"
    )
    got = zero_order_hold(A, B)
    np.testing.assert_allclose(got[0].numpy(), expected[0], atol=1e-5)
    np.testing.assert_allclose(got[1].numpy(), expected[1][:, 0], atol=1e-5)
    np.testing.assert_allclose(got[0].numpy(), expm(A.numpy()), atol=1e-10)


def test_memory_holds_the_past_window() -> None:
    """Legendre polynomials, weighted with m, give the input back, delayed by 0 to theta."""
    order, theta, time = 12, 100.0, 400
    A, B = (t.numpy() for t in zero_order_hold(*legendre(order, theta)))
    u = np.sin(np.arange(time) * 2 * np.pi / 70)
    m = np.zeros(order)
    for value in u:
        m = A @ m + B * value
    for delay in (10, 50, 90):
        read = sum(m[i] * eval_sh_legendre(i, delay / theta) for i in range(order))
        assert abs(read - np.sin((time - 0.5 - delay) * 2 * np.pi / 70)) < 0.03


def test_powers() -> None:
    A = zero_order_hold(*legendre(5, 9.0))[0]
    for count in (1, 2, 3, 7, 16, 21):
        got = powers(A, count)
        assert len(got) == count
        for k in range(count):
            np.testing.assert_allclose(got[k], torch.linalg.matrix_power(A, k), atol=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
def test_documented_equations(variant: str) -> None:
    made = layer(variant)
    w = {k: v.detach().double().numpy() for k, v in made.named_parameters()}
    w |= {k: v.double().numpy() for k, v in made.named_buffers()}
    x = np.random.default_rng(0).standard_normal((2, 30, 4)).astype(np.float32)
    h, m = np.zeros((2, 10)), np.zeros((2, 3, 6))
    for t in range(30):
        u = x[:, t] @ w["e_x"].T
        u = u + h @ w["e_h"].T if "e_h" in w else u
        u = u + m.reshape(2, -1) @ w["e_m"].T if "e_m" in w else u
        m = np.einsum("ij,nkj->nki", w["A"], m) + u[:, :, None] * w["B"]
        drive = x[:, t] @ w["W_x"].T + m.reshape(2, -1) @ w["W_m"].T + w["b"]
        h = np.tanh(drive + h @ w["W_h"].T if "W_h" in w else drive)
    got, state = made(torch.from_numpy(x))
    np.testing.assert_allclose(got[:, -1].detach(), h, atol=1e-5)
    np.testing.assert_allclose(state[1].detach(), m, atol=1e-5)


@pytest.mark.parametrize("variant", ["no_feedback", "feed_forward"])
@pytest.mark.parametrize("time", [1, 5, CHUNK, 5 * CHUNK + 3])
def test_parallel_form_equals_the_step_loop(variant: str, time: int) -> None:
    made = layer(variant)
    x = torch.randn(3, time, 4)
    state = (torch.tanh(torch.randn(3, 10)), torch.randn(3, 3, 6))
    h, (last_h, last_m) = made(x, state)
    expected, m, _, _ = made.loop(x, state)
    assert torch.allclose(h, expected, atol=1e-5)
    assert torch.equal(last_h, h[:, -1]) and torch.allclose(last_m, m[:, -1], atol=1e-5)


def test_parallel_form_has_the_gradients_of_the_step_loop() -> None:
    gradients = []
    for parallel in (True, False):
        made = LMU(4, 10, order=6, theta=20.0, memory_size=3, feed_forward=True, train_memory=True)
        torch.manual_seed(0)
        made.reset_parameters()
        x = torch.randn(3, 50, 4)
        h = made(x)[0] if parallel else made.loop(x, made.zero_state(x))[0]
        h.square().sum().backward()
        gradients.append({k: p.grad for k, p in made.named_parameters()})
    for name, gradient in gradients[0].items():
        scale = gradient.abs().max()
        assert torch.allclose(gradient, gradients[1][name], atol=1e-4 * float(scale)), name


def test_what_is_trained() -> None:
    assert {k for k, _ in layer("full").named_buffers()} == {"A", "B"}
    assert not dict(layer("trained").named_buffers())
    names = {k for k, _ in layer("feed_forward").named_parameters()}
    assert names == {"e_x", "W_x", "W_m", "b"}


@pytest.mark.parametrize("name", ["order", "theta", "memory_size"])
def test_sizes_must_be_positive(name: str) -> None:
    with pytest.raises(TrainError, match=f"{name} is 0"):
        LMU(3, 5, **{name: 0})


class Net(torch.nn.Module):
    def __init__(self, cell: torch.nn.Module, size: int) -> None:
        super().__init__()
        self.rnn, self.out = cell, torch.nn.Linear(size, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.rnn(x)[0])


def walk(n: int, time: int) -> np.ndarray:
    """Return slow, sensor-like float32 [n, time, 4] of unit size."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((n, time, 4))
    for t in range(1, time):
        x[:, t] = 0.9 * x[:, t - 1] + 0.44 * x[:, t]
    return x.astype(np.float32)


@pytest.mark.parametrize("variant", VARIANTS)
def test_program_follows_the_module(variant: str) -> None:
    net, x = Net(layer(variant), 10), walk(60, 80)
    program = edgeflow.compress(net, x, window=80)
    real = net(torch.from_numpy(x)).detach().numpy()
    y = program.run(program.quantize_input(x)) * program.output_scale
    assert np.sqrt(((y - real) ** 2).mean()) < 0.015 * real.std()
    assert np.abs(y - real).max() < 0.15 * real.std()
    shares = program.metadata["saturation"]
    assert shares["rnn drive"] == 0


@pytest.mark.parametrize("name", ["lmu", "lmu-ff"])
@pytest.mark.parametrize("layers", [1, 2])
def test_built_cells_are_compressed(name: str, layers: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    x = walk(30, 50)
    net = Net(build_cell(name, 4, 16, layers, 0.1), 16).eval()
    program = edgeflow.compress(net, x, window=50)
    kind = nodes.LMU if name == "lmu" else nodes.LMUFeedForward
    assert [type(node) for node in program.nodes[:-1]] == [kind] * layers
    program.save(tmp_path / "m.onnx")
    assert edgeflow.program.Program.load(tmp_path / "m.onnx").hash == program.hash


def stream(node: nodes.LMUFeedForward, u: np.ndarray) -> np.ndarray:
    """Return the integer memory [time, memories, order] in units of its high part."""
    m = np.zeros((1, u.shape[1] * node.order), np.int64)
    result = np.empty((len(u), u.shape[1], node.order))
    for t, value in enumerate(u):
        m = node._remember(m, value[None])
        result[t] = m.reshape(-1, node.order) / 2.0**node.fraction
    return result


@pytest.mark.parametrize(
    "order,theta", [(8, 64.0), pytest.param(12, 100.0, marks=pytest.mark.slow)]
)
def test_a_hundred_thousand_steps_do_not_drift(order: int, theta: float, shared_data: Path) -> None:
    """Real accelerometer and gyroscope streams, against float64 that reads the same samples."""
    recordings = load_dataset("wisdm-watch-hand", root=shared_data).recordings
    x = np.concatenate([r.x for r in recordings])[:100_000].astype(np.float64)
    assert len(x) == 100_000
    # the mean stays in: gravity is what an integrator would drift on
    x = x / x.std(axis=0)
    scale_u = 2.5 * np.abs(x).max(axis=0) / INT16_MAX
    u = np.round(x / scale_u).astype(np.int64)
    A, B = (t.numpy() for t in zero_order_hold(*legendre(order, theta)))
    real, m = np.empty((*u.shape, order)), np.zeros((u.shape[1], order))
    for t in range(len(u)):
        m = m @ A.T + u[t][:, None] * B
        real[t] = m
    factor = np.abs(real / np.abs(u).max(axis=0)[:, None]).max(axis=(0, 1))
    memory = quantize_memory(A, B, factor)
    net = layer("feed_forward", order=order, theta=theta, memory_size=u.shape[1])
    program = edgeflow.compress(Net(net, 10), walk(4, 20))
    node = dataclasses.replace(program.nodes[0], **memory)
    error = np.abs(stream(node, u) * factor - real) / np.abs(real).max(axis=0)
    assert error.max() < 1e-3  # of the largest value of each coefficient
    assert np.sqrt((error**2).mean()) < 1e-4
    first, last = error[1_000:11_000], error[-10_000:]
    assert last.max() < 2 * first.max()
    assert last.mean() < 1.5 * first.mean()


def test_memory_fades_to_rest() -> None:
    """Without input no limit cycle is left that the matrix would see."""
    program = edgeflow.compress(Net(layer("feed_forward"), 10), walk(20, 80))
    node = program.nodes[0]
    rng = np.random.default_rng(0)
    u = np.concatenate([rng.integers(-32768, 32768, (100, 3)), np.zeros((1000, 3), np.int64)])
    assert np.abs(stream(node, u)[-1]).max() <= 8
    assert (node._read(np.full(18, 8) << node.fraction, node.read_bits) <= 1).all()


def test_memory_that_cannot_be_stored() -> None:
    A, B = np.eye(2) * 0.5, np.ones(2)
    with pytest.raises(CompressError, match="row 1 of the memory's A or B is too large"):
        quantize_memory(A + np.array([[0, 0], [1e5, 0]]), B, np.ones(2))
    with pytest.raises(CompressError, match="its integer form is not"):
        quantize_memory(np.array([[1 - 1e-12]]), np.ones(1), np.ones(1))


def test_nodes_are_checked() -> None:
    program = edgeflow.compress(Net(layer("full"), 10), walk(20, 80))
    node = program.nodes[0]
    assert isinstance(node, nodes.LMU)
    for changes, message in [
        ({"fraction": 0}, "fraction 0 is not in 1..15"),
        ({"shift": node.shift * 0}, "shift must be int16 values in 1..30"),
        ({"drive": node.drive[:-1]}, "of order 5 needs 25 values"),
        ({"transition": node.transition * 0 + 32767}, "can leave 32 bits"),
        ({"memory_size": 4}, "4 memories of order 6 do not fit a matrix of 18 columns"),
        ({"read_bits": 11}, "must equal those that matrices read"),
        ({"shift": node.shift.astype(np.int32)}, "shift must be int16"),
    ]:
        with pytest.raises(ProgramError, match=message):
            dataclasses.replace(node, **changes)
