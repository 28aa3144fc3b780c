"""LTC: against the ncps package, import of its modules, quantization, and the integer step."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import edgeflow
from edgeflow.cells.cells import build_cell
from edgeflow.cells.ltc import LTC
from edgeflow.errors import CompressError, ProgramError, TrainError
from edgeflow.importers.ncps import from_ncps
from edgeflow.program.nodes.ltc import MAX_SUM, MIN_DENOMINATOR, quotient
from tests.parity.conftest import run_c  # noqa: F401
from tests.random_nodes.recurrent import random_ltc


def walk(n: int = 12, time: int = 40, channels: int = 4) -> np.ndarray:
    """Return smooth samples of the size of normalised ones."""
    x = np.cumsum(np.random.default_rng(0).standard_normal((n, time, channels)), axis=1)
    return ((x - x.mean((0, 1))) / x.std((0, 1))).astype(np.float32)


class Net(nn.Module):
    def __init__(self, rnn: nn.Module, width: int) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.rnn = rnn
        self.out = nn.Linear(width, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.rnn(x)[0])


def reference(kind: str) -> nn.Module:
    ncps = pytest.importorskip("ncps.torch")
    from ncps.wirings import AutoNCP

    torch.manual_seed(0)
    rnn = {
        "full": lambda: ncps.LTC(4, 9),
        "wired": lambda: ncps.LTC(4, AutoNCP(24, 5, sparsity_level=0.6, seed=3)),
        "explicit": lambda: ncps.LTC(
            4, 9, input_mapping=None, output_mapping="linear", ode_unfolds=3,
            implicit_param_constraints=False,
        ),
    }[kind]()  # fmt: skip
    for parameter in rnn.parameters():
        if parameter.requires_grad:
            parameter.data += 0.2 * torch.rand_like(parameter)
    return rnn


@pytest.mark.parametrize("kind", ["full", "wired", "explicit"])
def test_equals_ncps(kind: str) -> None:
    theirs = reference(kind)
    (ours,) = from_ncps(theirs)
    x = torch.from_numpy(walk())
    with torch.no_grad():
        for state in (None, torch.rand(12, theirs.state_size)):
            y, last = theirs(x, state)
            got, got_last = ours(x, state)
            assert (y - got).abs().max() < 1e-5
            assert (last - got_last).abs().max() < 1e-5


@pytest.mark.parametrize("kind", ["full", "wired", "explicit"])
def test_gradients_equal_ncps(kind: str) -> None:
    theirs = reference(kind)
    (ours,) = from_ncps(theirs)
    weight = torch.randn(12, 40, ours.outputs)
    gradients = []
    for rnn in (theirs, ours):
        x = torch.from_numpy(walk()).requires_grad_()
        state = torch.linspace(0, 1, 12 * theirs.state_size).view(12, -1).requires_grad_()
        y, last = rnn(x, state)
        ((weight * y).sum() + last.square().sum()).backward()
        named = {name.split(".")[-1]: p.grad for name, p in rnn.named_parameters()}
        gradients.append({"x": x.grad, "state": state.grad, **named})
    compared = 0
    for name, expected in gradients[0].items():
        if expected is not None:
            got = gradients[1][name]
            assert (got - expected).abs().max() < 1e-4 * expected.abs().max() + 1e-5, name
            compared += 1
    assert compared >= 14


def test_each_unit_reads_as_many_as_told() -> None:
    torch.manual_seed(0)
    cell = LTC(4, 12, fan=5, unfolds=2)
    assert (cell.sparsity_mask.sum(dim=0) == 5).all()
    assert cell.sparsity_mask.sum(dim=1).std() > 0
    cell(torch.from_numpy(walk()))[0].sum().backward()
    absent = cell.sparsity_mask == 0
    for name in ("w", "sigma", "mu", "erev"):
        gradient = getattr(cell, name).grad
        assert not gradient[absent].any() and gradient[~absent].all()


def test_options_of_new_cells() -> None:
    default = build_cell("ltc", 4, 12, 1, 0.0)
    (layer,) = default.layers
    assert layer.unfolds == 1 and (layer.sparsity_mask.sum(dim=0) == 8).all()
    paper = build_cell("ltc", 4, 12, 2, 0.0, {"unfolds": 6, "fan": 0})
    for layer in paper.layers:
        assert layer.unfolds == 6 and layer.sparsity_mask.all()
    (small,) = build_cell("ltc", 4, 5, 1, 0.0).layers
    assert small.sparsity_mask.all()


def test_time_span_equals_ncps() -> None:
    theirs = reference("full")
    (ours,) = from_ncps(theirs)
    ours.time_span = 0.4
    x = torch.from_numpy(walk())
    with torch.no_grad():
        y = theirs(x[:1], timespans=torch.full((1, 40, 1), 0.4))[0]
        assert (y - ours(x[:1])[0]).abs().max() < 1e-5


def test_steps_equal_the_sequence() -> None:
    torch.manual_seed(0)
    cell, x, state = LTC(4, 7, outputs=3), torch.from_numpy(walk()), None
    with torch.no_grad():
        whole = cell(x)[0]
        for t in range(x.shape[1]):
            y, state = cell(x[:, t : t + 1], state)
            assert torch.allclose(y[:, 0], whole[:, t], atol=1e-6)


@pytest.mark.parametrize("kind", ["full", "wired", "explicit"])
def test_program_follows_the_module(kind: str) -> None:
    rnn = reference(kind)
    (ours,) = from_ncps(rnn)
    net, x = Net(rnn, ours.outputs), walk()
    program = edgeflow.compress(net, x)
    real = net(torch.from_numpy(x)).detach().numpy()
    y = program.run(program.quantize_input(x)) * program.output_scale
    assert np.abs(y - real).max() < 0.03 * real.std()
    assert max(program.metadata["saturation"].values()) == 0
    absent = ours.sparsity_mask.numpy().T.reshape(-1) == 0
    assert absent.any() == (kind == "wired")
    node = program.nodes[0]
    assert not node.weight[absent].any() and not node.reversal[absent].any()


@pytest.mark.parametrize("reach,saturates", [(20.0, False), (50.0, True)])
def test_synapses_that_open_far_from_zero(reach: float, saturates: bool) -> None:
    """As they do after training: their sigmoid's offset is beyond the +-8 that it reads."""
    torch.manual_seed(0)
    cell, x = LTC(4, 9, unfolds=2), walk()
    with torch.no_grad():
        cell.sensory_sigma.fill_(10.0)
        cell.sensory_mu.copy_(torch.linspace(-reach / 10, reach / 10, 36).view(4, 9))
    net = Net(cell, 9)
    program = edgeflow.compress(net, x)
    real = net(torch.from_numpy(x)).detach().numpy()
    y = program.run(program.quantize_input(x)) * program.output_scale
    assert (program.metadata["saturation"]["rnn synapses"] > 0) == saturates
    if not saturates:
        assert np.abs(y - real).max() < 0.05 * real.std()


@given(
    denominator=st.integers(MIN_DENOMINATOR, MAX_SUM - 1),
    numerator=st.integers(-MAX_SUM + 1, MAX_SUM - 1),
)
def test_quotient_is_close_for_every_input(denominator: int, numerator: int) -> None:
    got = quotient(np.array([numerator]), np.array([denominator]))[0]
    real = max(-1.0, min(1.0, numerator / denominator))
    assert abs(got / 2**15 - real) < 1.2e-4
    assert -32767 <= got <= 32767


def test_negative_conductance_is_refused() -> None:
    cell = LTC(4, 5, positive=False)
    with torch.no_grad():
        cell.w[1, 2] = -0.1
    with pytest.raises(CompressError, match="rnn: a conductance or capacity is negative"):
        edgeflow.compress(Net(cell, 5), walk())


def test_last_layer_needs_one_scale() -> None:
    cell = LTC(4, 5)
    with torch.no_grad():
        cell.output_b += 0.5
    with pytest.raises(CompressError, match=r"end it with nn\.Linear"):
        edgeflow.compress(cell, walk())


def test_wrong_arguments() -> None:
    with pytest.raises(TrainError, match="6 outputs: an LTC of 5 units has 1..5"):
        LTC(4, 5, outputs=6)
    with pytest.raises(TrainError, match="unfolds must be"):
        LTC(4, 5, unfolds=0)
    with pytest.raises(TrainError, match=r"fan is 6: a unit reads 1\.\.5 of 5 units"):
        LTC(4, 5, fan=6)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("weight", -1, "weight must be int16 values in 0.."),
        ("weight", 30000, "denominator could leave"),
        ("rest", 0, "rest must be int32 values in 65536.."),
        ("reversal", -30000, "numerator could reach"),
    ],
)
def test_what_is_not_proven_is_refused(field: str, value: int, message: str) -> None:
    node = random_ltc(np.random.default_rng(0), "c", 3, 4, 12, 12, False)
    array = getattr(node, field).copy()
    array[:] = value
    with pytest.raises(ProgramError, match=message):
        replace(node, **{field: array})
