"""Delta layers in torch: equal to the plain ones at threshold 0, and to the integers otherwise."""

import numpy as np
import pytest
import torch

import edgeflow
from edgeflow.cells.cells import build_cell, layer_of
from edgeflow.cells.chain import FloatChain
from edgeflow.cells.delta import Delta, Hold, has_delta_state
from edgeflow.cells.stack import Stack
from edgeflow.compression.delta import COARSEST, DeltaSparsity, with_thresholds
from edgeflow.compression.options import DeltaOptions
from edgeflow.compression.quantize import quantize
from edgeflow.errors import CompressError
from edgeflow.quantization import Widths

CELLS = ["gru", "lstm", "rnn", "lmu", "lmu-ff", "cfc", "mingru", "minlstm"]
STATES = {"gru", "lstm", "rnn", "lmu", "cfc"}


def single(cell: str, inputs: int = 5, hidden: int = 9) -> torch.nn.Module:
    torch.manual_seed(3)
    module = build_cell(cell, inputs, hidden, 1, 0.0)
    module = module.layers[0] if isinstance(module, Stack) else module
    return layer_of(module).unstack(module)[0].eval()


def delta(layer: torch.nn.Module, threshold: float, group: int = 1) -> Delta:
    state = Hold(torch.ones(9), threshold, group) if has_delta_state(layer) else None
    return Delta(layer, Hold(torch.full((5,), 4.0), threshold, group), state).eval()


def walk(n: int = 3, time: int = 30, channels: int = 5) -> torch.Tensor:
    steps = np.random.default_rng(0).normal(0, 0.3, (n, time, channels)).cumsum(axis=1)
    return torch.from_numpy(steps.astype(np.float32)).clip(-3.9, 3.9)


@pytest.mark.parametrize("cell", CELLS)
def test_threshold_zero_is_the_plain_layer(cell: str) -> None:
    layer, x = single(cell), walk()
    wrapped = delta(layer, 0.0)
    assert (wrapped.state is not None) == (cell in STATES)
    with torch.no_grad():
        expected = layer(x)[0]
        torch.testing.assert_close(wrapped(x)[0], expected, atol=1e-6, rtol=1e-5)
        assert wrapped.input.sparsity == 0.0
        # a stream cut in two gives the same
        head, state = wrapped(x[:, :11])
        tail, _ = wrapped(x[:, 11:], state)
    torch.testing.assert_close(torch.cat([head, tail], 1), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("group", [1, 2])
def test_integers_follow_the_float_layer(cell: str, group: int) -> None:
    layer = single(cell)
    wrapped = delta(layer, 0.06, group)
    head = torch.nn.Linear(9, 3)
    x = walk(8, 40)
    chain = FloatChain(
        [("cell", wrapped), ("head", head.eval())],
        x.numpy().mean((0, 1)), np.ones(5, np.float32), tuple("abcde"),
    )  # fmt: skip
    # the input's full scale is the calibration's
    reach = np.quantile(np.abs(x.numpy() - x.numpy().mean((0, 1))), 1 - 1e-4, axis=(0, 1))
    wrapped.input.full_scale.copy_(torch.from_numpy(reach))
    program = quantize(chain, x.numpy(), Widths())
    matrices = program.nodes[0].delta_matrices()
    assert set(matrices) == ({"input", "recurrent"} if cell in STATES else {"input"})
    assert {(m.threshold, m.group) for m in matrices.values()} == {(round(0.06 * 2047), group)}
    real = chain.run(x.numpy())
    integer = program.run(program.quantize_input(x.numpy())) * program.output_scale
    # now and then rounding decides whether a value fires
    assert np.abs(real - integer).mean() < 0.03 * real.std()
    assert 0.1 < wrapped.input.sparsity < 0.9


def test_hold_groups_and_gradient() -> None:
    hold = Hold(torch.ones(3), 0.5, 2)
    x = torch.tensor([[0.6, 0.1, 0.4]], requires_grad=True)
    seen, held = hold(x, None)
    assert held.tolist() == [[pytest.approx(0.6), pytest.approx(0.1), 0.0]]
    assert hold.sparsity == pytest.approx(1 / 3)
    seen.sum().backward()
    assert x.grad is not None and x.grad.tolist() == [[1.0, 1.0, 1.0]]
    assert len(hold.moves) == 1
    hold.forget()
    assert hold.sparsity == 0.0 and not hold.moves


def test_refusals() -> None:
    for threshold, group, message in [(-0.1, 1, "threshold of -0.1"), (0.1, 256, "256 columns")]:
        with pytest.raises(CompressError, match=message):
            Hold(torch.ones(3), threshold, group)
    spiking = single("lif")
    with pytest.raises(CompressError, match="a LIF has no delta form"):
        edgeflow.compress(Delta(spiking, Hold(torch.ones(5), 0.1)), walk(4).numpy())


@pytest.mark.parametrize("epochs", [1, 2, 3, 5, 10])
def test_only_epochs_with_the_whole_thresholds_are_settled(epochs: int) -> None:
    options = DeltaOptions(state=0.5, input=0.5)
    method = DeltaSparsity(walk().numpy(), options, Widths(), epochs)
    wanted: list[float] = []
    method.set_thresholds = lambda model, state, input: wanted.append(state)  # type: ignore[method-assign]
    settled = []
    for epoch in range(epochs):
        method.before_epoch(torch.nn.Module(), epoch / epochs)
        settled.append(method.settled((epoch + 1) / epochs))
    assert settled == [share == 0.5 for share in wanted] and settled[-1]
    assert not method.settled(0.0)


def test_each_channel_of_an_input_has_its_share_silent() -> None:
    rng = np.random.default_rng(0)
    # two drift, one of them slower, one is noise
    steps = rng.normal(size=(40, 60, 3))
    x = np.cumsum(steps, axis=1).astype(np.float32)
    x[..., 1] = steps[..., 1]
    x[..., 2] += np.linspace(-90, 90, 60)
    layers = [("rnn", single("gru", 3)), ("head", torch.nn.Linear(9, 2).eval())]
    chain = FloatChain(
        layers, x.mean((0, 1)), x.std((0, 1)), ("a", "b", "c"), ("no", "yes"), window=60
    )
    tuned = with_thresholds(chain, x, DeltaOptions(state=0.0, input=0.5), Widths())
    hold = tuned.layers[0][1].input
    assert hold.balance.min() == 1 and 2 < hold.balance.max() <= COARSEST
    program, plain = quantize(tuned, x), quantize(chain, x)
    ratio = program.input.scale / plain.input.scale
    np.testing.assert_allclose(ratio, hold.balance.numpy(), rtol=1e-6)
    # what the integers hold moves by half of the samples in each channel
    matrix = program.nodes[0].matrices()["input"]
    samples, held = program.quantize_input(x).astype(np.int64), np.zeros((40, 3), np.int64)
    fired = np.zeros(3)
    for t in range(60):
        following = matrix.hold(samples[:, t], held)
        fired += (following != held).mean(axis=0) / 60
        held = following
    assert np.abs(fired - 0.5).max() < 0.12
    real = program.run(program.quantize_input(x))[:, -1] * program.output_scale
    expected = tuned.activations(x)[-1][:, -1]
    assert np.abs(real - expected).max() < 0.1 * np.abs(expected).max()
