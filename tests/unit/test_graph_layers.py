"""Float graphs: they become integers, and train, like chains."""

import numpy as np
import pytest
import torch
from torch import nn

from edgeflow.cells.cells import layer_of
from edgeflow.cells.chain import FloatChain
from edgeflow.cells.curve import ChannelPReLU
from edgeflow.cells.join import Product, Sum
from edgeflow.cells.taps import DelayLine
from edgeflow.compression.model import ChainModel
from edgeflow.compression.qat import QuantizationAware
from edgeflow.compression.quantize import quantize
from edgeflow.errors import CompressError
from edgeflow.program.onnx_file import OnnxProgram
from edgeflow.quantization import Calibration, Signal, Widths


def residual(seed: int = 0, size: int = 12) -> FloatChain:
    """Two GRU layers, the second with a shortcut, and two heads, of which one sees the input."""
    torch.manual_seed(seed)
    layers: list[tuple[str, nn.Module]] = [
        ("first", nn.GRU(3, size, batch_first=True)),
        ("second", nn.GRU(size, size, batch_first=True)),
        ("skip", Sum(torch.ones(2, size))),
        ("classes", nn.Linear(size, 4)),
        ("value", nn.Linear(size + 3, 1)),
        ("outputs", Sum(torch.ones(1, 5))),
    ]
    return FloatChain(
        layers,
        np.array([1, -2, 0], np.float32),
        np.array([2, 1, 0.5], np.float32),
        ("a", "b", "c"),
        sources=((0,), (1,), (1, 2), (3,), (3, 0), (4, 5)),
    )


def data(n: int = 24, time: int = 40) -> np.ndarray:
    rng = np.random.default_rng(1)
    steps = rng.normal(0, 0.4, (n, time, 3)).cumsum(axis=1)
    return (steps + np.array([1, -2, 0])).astype(np.float32)


def errors(chain: FloatChain, x: np.ndarray) -> np.ndarray:
    """Return the error of each output, rms by its own spread."""
    program = quantize(chain, x)
    real = chain.run(x)
    got = program.run(program.quantize_input(x)) * program.output_scale
    return np.sqrt(((got - real) ** 2).mean(axis=(0, 1))) / real.std(axis=(0, 1))


def test_a_graph_is_what_its_layers_are_side_by_side() -> None:
    """Alone catches a float layer that reads another value than its node."""
    chain, x = residual(), data()
    (_, first), (_, second), _, (_, classes), (_, value), _ = chain.layers
    with torch.no_grad():
        normal = torch.from_numpy((x - chain.mean) / chain.std)
        h = first(normal)[0]
        h = h + second(h)[0]
        y = torch.cat([classes(h), value(torch.cat([h, normal], -1))], -1).numpy()
    np.testing.assert_allclose(chain.run(x), y, atol=1e-5)
    np.testing.assert_allclose(ChainModel(chain)(torch.from_numpy(x)).detach(), y, atol=1e-5)


def test_integers_of_a_graph_are_near() -> None:
    chain, x = residual(), data()
    assert errors(chain, x).max() < 0.05
    program = quantize(chain, x)
    assert program.sources == (*chain.sources, (6,))
    assert [node.op_type for node in program.nodes[2:3]] == ["Add"]
    few = program.quantize_input(x[:3])
    np.testing.assert_array_equal(OnnxProgram(program).run(few), program.run(few))


def test_branches_of_unlike_size_keep_their_bits() -> None:
    """Alone catches a sum that takes the unit of one of its branches."""
    chain, x = residual(), data()
    small, large = nn.Linear(3, 12), nn.Linear(3, 12)
    small.weight.data *= 0.01
    large.weight.data *= 50
    chain.layers[:3] = [
        ("small", small),
        ("large", large),
        ("skip", Sum(torch.tensor([[100.0] * 12, [-1.0] * 12]))),
    ]
    chain.sources = ((0,), (0,), *chain.sources[2:])
    assert errors(chain, x).max() < 0.05
    swapped = [*chain.layers]
    swapped[2] = ("skip", Product())
    chain.layers = swapped
    assert errors(chain, x).max() < 0.05


def test_a_sum_with_the_input_itself() -> None:
    """Alone catches an offset of the input that gets lost where it is added."""
    chain, x = residual(size=3), data() + np.float32(3)
    chain.sources = ((0,), (1,), (0, 2), *chain.sources[3:])
    assert errors(chain, x).max() < 0.05
    chain.layers[2] = ("gate", Product())
    with pytest.raises(CompressError, match="gate: it reads the input: put a linear layer"):
        quantize(chain, x)


def test_weights_on_delayed_samples_make_up_for_each_other() -> None:
    """Alone catches weights of a delay line that are rounded one by one: a slow signal adds up."""
    torch.manual_seed(0)
    head = nn.Linear(12 + 9 * 3, 6)
    with torch.no_grad():
        head.weight[:, 12:] *= 20
        head.weight[:, -3:] -= head.weight[:, 12:].unflatten(1, (9, 3)).sum(dim=1)
    chain = FloatChain(
        [
            ("inner", nn.Linear(3, 3)),
            ("gru", nn.GRU(3, 12, batch_first=True)),
            ("lags", DelayLine(9)),
            ("head", head),
        ],
        np.array([1, -2, 0], np.float32),
        np.array([2, 1, 0.5], np.float32),
        ("a", "b", "c"),
        sources=((0,), (1,), (1,), (2, 3)),
    )
    x = data()
    x = (x[:, ::-1].cumsum(axis=1) / 20).astype(np.float32)
    assert errors(chain, x).max() < 0.01


def test_a_graph_trains_with_its_integers() -> None:
    chain, x = residual(size=6), data(8, 12)
    model = ChainModel(chain)
    method = QuantizationAware(x, Widths())
    method.prepare(model)
    with method.during_step(model):
        model(torch.from_numpy(x)).square().mean().backward()
    assert method.program is not None and method.program.sources
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_gated_unit_in_integers() -> None:
    """Alone catches a sigmoid or tanh that reads its table in another unit."""
    chain, x = residual(), data()
    torch.manual_seed(2)
    wide = nn.Linear(12, 12)
    wide.weight.data *= 5
    chain.layers = [
        ("front", nn.Linear(3, 12)),
        ("gate", nn.Sigmoid()),
        ("wide", wide),
        ("tanh", nn.Tanh()),
        ("unit", Product()),
        ("head", nn.Linear(12, 2)),
    ]
    chain.sources = ((0,), (1,), (1,), (3,), (2, 4), (5,))
    assert errors(chain, x).max() < 0.05


FUNCTIONS = {
    "elu": nn.ELU(0.7),
    "selu": nn.SELU(),
    "gelu": nn.GELU(),
    "gelu_tanh": nn.GELU("tanh"),
    "silu": nn.SiLU(),
    "mish": nn.Mish(),
    "softplus": nn.Softplus(beta=2.0),
    "leaky_relu": nn.LeakyReLU(0.2),
    "celu": nn.CELU(0.7),
    "prelu": ChannelPReLU(np.array([0.2, -0.3, 0.0, 1.0, 2.5])),
    "relu6": nn.ReLU6(),
    "hardswish": nn.Hardswish(),
    "hardsigmoid": nn.Hardsigmoid(),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("spread", [0.3, 2.0, 20.0])
def test_a_function_of_values_in_integers(name: str, spread: float) -> None:
    """Alone catches a line or a table in another unit, and a table that ends too early."""
    rng = np.random.default_rng(4)
    real = (spread * rng.standard_normal((20, 30, 5))).astype(np.float32)
    scale = np.full(5, np.abs(real).max() / 32767)
    x = np.round(real / scale).astype(np.int64)
    with torch.no_grad():
        y = FUNCTIONS[name](torch.from_numpy(x * scale)).numpy()
    source = Signal(np.zeros(5), scale, 16, real)
    found = layer_of(FUNCTIONS[name]).convert(
        FUNCTIONS[name], Calibration(name, source, y.astype(np.float32), Widths(state=16))
    )
    got = found.node.step(x.reshape(-1, 5), {})[0] * found.output.scale
    # chords of the table; SiLU is still 0.0027 below x where it ends
    straight = name in ("leaky_relu", "prelu", "relu6", "hardsigmoid")
    most = 2e-4 if straight else 1.2e-3 if np.abs(real).max() < 8 else 3e-3
    assert np.abs(got - y.reshape(-1, 5)).max() <= most * max(1.0, np.abs(y).max() / 4)
    assert name not in ("leaky_relu", "prelu") or found.node.table is None


def test_a_function_that_a_table_cannot_hold() -> None:
    real = np.ones((1, 4, 2), np.float32)
    given = Calibration("s", Signal(np.zeros(2), np.ones(2) / 32767, 16, real), real, Widths())
    wide = nn.Softplus(beta=0.1)
    with pytest.raises(CompressError, match="bends beyond"):
        layer_of(wide).convert(wide, given)
