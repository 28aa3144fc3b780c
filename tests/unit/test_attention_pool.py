"""Attention pooling: how far its integers are from a softmax in floats, and that it trains."""

import numpy as np
import pytest
import torch
from torch import nn

from edgeflow.cells.attention import AttentionPool
from edgeflow.cells.chain import FloatChain
from edgeflow.compression.model import ChainModel
from edgeflow.compression.quantize import quantize
from edgeflow.errors import CompressError
from edgeflow.program import nodes
from edgeflow.program.confidence import half_power
from edgeflow.program.nodes.attention_pool import TOTAL_BITS

#: Octaves that weights reach, and their order in time.
RANGES = [(0.5, "any"), (8.0, "any"), (8.0, "rising"), (8.0, "falling"), (60.0, "any")]


def pool(octaves: float, size: int = 4) -> nodes.AttentionPool:
    """Return a layer whose scores of 16 bits are exponents within so many octaves."""
    real = octaves * 4096 / 32768
    shift = next(s for s in range(30, -1, -1) if round(real * 2.0**s) < 1 << 15)
    return nodes.AttentionPool("pool", size, 16, round(real * 2.0**shift), shift, 15, 16)


def stepped(node: nodes.AttentionPool, x: np.ndarray) -> np.ndarray:
    """Return the outputs [time, size] of x [time, size + 1]; states stay within their range."""
    state = {name: np.zeros((1, v.size), np.int64) for name, v in node.states.items()}
    outputs = []
    for row in x.astype(np.int64):
        y, state = node.step(row[None], state)
        assert np.abs(state["mean"]).max() <= 1 << 30
        assert 1 << 21 <= state["total"].max() < 1 << TOTAL_BITS
        outputs.append(y[0])
    return np.stack(outputs)


def exact(h: np.ndarray, octaves: np.ndarray) -> np.ndarray:
    """Return the weighted means so far, in float64."""
    weight = np.exp2(octaves - octaves.max())[:, None]
    return (weight * h).cumsum(axis=0) / weight.cumsum(axis=0)


@pytest.mark.parametrize("octaves,order", RANGES)
@pytest.mark.parametrize("time", [3, 100, 3000])
def test_error_is_within_its_bound(octaves: float, order: str, time: int) -> None:
    rng, node = np.random.default_rng(time), pool(octaves)
    h, score = rng.integers(-32768, 32768, (time, 4)), rng.integers(-32768, 32768, time)
    score = {"any": score, "rising": np.sort(score), "falling": -np.sort(score)}[order]
    score = score.clip(-32768, 32767)
    y = stepped(node, np.concatenate([h, score[:, None]], axis=1))
    real = score * node.multiplier / 2.0 ** (node.shift + 12)
    error = np.abs(y - exact(h, real)).max()
    assert error <= 7e-4 * np.ptp(h) + time * 2.0**-16 + 0.5


def test_equal_values_are_their_mean() -> None:
    rng, h = np.random.default_rng(0), np.array([32767, -32768, 1, -1])
    x = np.concatenate([np.tile(h, (500, 1)), rng.integers(-32768, 32768, (500, 1))], axis=1)
    y = stepped(pool(40.0), x)
    np.testing.assert_array_equal(y, np.tile(h.clip(-32767, 32767), (500, 1)))


def test_a_long_stream_halves_its_sum_and_goes_on() -> None:
    """10,000 equal scores, whose sum would be 19 times what it may be."""
    rng = np.random.default_rng(0)
    h = rng.integers(-3000, 3000, (10_000, 2))
    y = stepped(pool(8.0, 2), np.concatenate([h, np.zeros((10_000, 1), int)], axis=1))
    mean = h.cumsum(axis=0) / np.arange(1, 10_001)[:, None]
    assert np.abs(y - mean).max() <= 3


def test_half_powers() -> None:
    fraction = np.arange(4096)
    power = half_power(fraction)
    assert np.abs(power / 2.0 ** (15 - fraction / 4096) - 1).max() < 2.1e-4
    assert (np.diff(power) <= 0).all()


def attended(seed: int = 0, gain: float = 1.0) -> FloatChain:
    torch.manual_seed(seed)
    score = nn.Linear(12, 1)
    score.weight.data *= gain
    layers: list[tuple[str, nn.Module]] = [
        ("rnn", nn.GRU(3, 12, batch_first=True)),
        ("score", score),
        ("pool", AttentionPool()),
        ("classes", nn.Linear(12, 4)),
    ]
    zeros = np.zeros(3, np.float32)
    return FloatChain(layers, zeros, zeros + 1, ("a", "b", "c"), sources=((0,), (1,), (1, 2), (3,)))


def data(n: int = 24, time: int = 60) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.normal(0, 0.5, (n, time, 3)).cumsum(axis=1).astype(np.float32)


@pytest.mark.parametrize("gain", [0.01, 1.0, 30.0])
def test_integers_are_close_to_the_floats(gain: float) -> None:
    chain, x = attended(gain=gain), data()
    program, real = quantize(chain, x), chain.run(x)
    got = program.run(program.quantize_input(x)) * program.output_scale
    assert np.abs(got - real)[:, 5:].max() < 0.02 * np.ptp(real)


def test_the_float_layer_is_the_softmax_of_a_window() -> None:
    x = torch.randn(5, 40, 4) * torch.tensor([1.0, 2, 3, 40])
    y, state = AttentionPool()(x)
    window = (torch.softmax(x[..., 3:], 1) * x[..., :3]).sum(1)
    torch.testing.assert_close(y[:, -1], window, atol=1e-4, rtol=1e-4)
    first, middle = AttentionPool()(x[:, :13])
    rest, end = AttentionPool()(x[:, 13:], middle)
    torch.testing.assert_close(torch.cat([first, rest], 1), y, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(end, state, atol=1e-4, rtol=1e-4)


def test_scores_learn_where_to_look() -> None:
    """The class is in the one step that a channel marks: the mean over time hardly shows it."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (256, 30, 3)).astype(np.float32)
    x[..., 2] = 0
    mark = rng.integers(0, 30, 256)
    x[np.arange(256), mark, 2] = 3
    label = torch.from_numpy((x[np.arange(256), mark, 0] > 0).astype(np.int64))
    model = ChainModel(attended())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(80):
        loss = nn.functional.cross_entropy(model(torch.from_numpy(x))[:, -1], label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.3


def test_scores_out_of_reach_are_refused() -> None:
    chain = attended(gain=1e7)
    with pytest.raises(CompressError, match="layer pool: its scores reach .*: scale them down"):
        quantize(chain, data())
