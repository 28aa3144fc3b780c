"""Float graphs: they become integers, and train, like chains."""

import numpy as np
import pytest
import torch
from torch import nn

from edgeflow.cells.chain import FloatChain
from edgeflow.cells.join import Product, Sum
from edgeflow.cells.taps import DelayLine
from edgeflow.compression.model import ChainModel
from edgeflow.compression.qat import QuantizationAware
from edgeflow.compression.quantize import quantize
from edgeflow.errors import CompressError
from edgeflow.program.onnx_file import OnnxProgram
from edgeflow.quantization import Widths


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
