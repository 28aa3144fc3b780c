"""LRU: its recurrence in parallel and step by step, its poles, and what its integers lose."""

import dataclasses

import numpy as np
import pytest
import torch

from edgeflow.cells import build_cell
from edgeflow.cells.lru import LRU, convert, prune_units
from edgeflow.cells.scan import scan
from edgeflow.errors import ProgramError, TrainError
from edgeflow.program import nodes
from edgeflow.program.nodes.base import zeros
from edgeflow.quantization import Calibration, Signal, Widths


def single(hidden: int = 8, **options: float) -> LRU:
    torch.manual_seed(0)
    (layer,) = build_cell("lru", 3, hidden, 1, 0.0, options).layers
    return layer.eval()


def signal(x: torch.Tensor, bits: int = 12) -> Signal:
    scale = float(x.abs().max()) / 2.0 ** (bits - 1)
    return Signal(np.zeros(x.shape[-1]), np.full(x.shape[-1], scale), bits, x.numpy())


def test_the_scan_takes_complex_numbers() -> None:
    """Alone catches a gradient without the conjugates."""
    torch.manual_seed(0)
    size = torch.rand(2, 21, 3, dtype=torch.float64)
    decay = torch.polar(size, 3 * torch.rand_like(size)).requires_grad_()
    drive = torch.randn(2, 21, 3, dtype=torch.complex128, requires_grad=True)
    assert torch.autograd.gradcheck(scan, (decay, drive))


@torch.no_grad()
def test_in_parallel_as_step_by_step() -> None:
    """Alone catches a state that is not carried from call to call as the equations say."""
    layer, u = single(), torch.randn(2, 50, 3)
    y, last = layer(u)
    x = torch.zeros(2, layer.size, dtype=torch.complex64)
    c_real, c_imaginary = layer.output.weight.split(layer.size, dim=1)
    for t in range(50):
        driven = layer.input(u[:, t])
        b = torch.complex(driven[:, : layer.size], driven[:, layer.size : 2 * layer.size])
        x = layer.poles() * x + torch.exp(layer.gamma) * b
        read = torch.real(x @ torch.complex(c_real, -c_imaginary).T)
        assert torch.allclose(torch.tanh(read + driven[:, 2 * layer.size :]), y[:, t], atol=1e-5)
    assert torch.allclose(x, last, atol=1e-5)
    half, state = layer(u[:, :20])
    rest, _ = layer(u[:, 20:], state)
    assert torch.allclose(torch.cat([half, rest], 1), y, atol=1e-5)


@torch.no_grad()
def test_poles_start_in_the_ring() -> None:
    """Alone catches an initialisation outside of r_min, r_max and max_phase, or a wrong gamma."""
    layer = single(400, r_min=0.6, r_max=0.9, max_phase=0.5)
    size, phase = layer.poles().abs(), layer.poles().angle()
    assert 0.6 <= size.min() < 0.65 and 0.88 < size.max() <= 0.9
    assert phase.min() > 0 and 0.45 < phase.max() <= 0.5
    assert torch.allclose(torch.exp(layer.gamma), torch.sqrt(1 - size**2), atol=1e-5)


@pytest.mark.parametrize(
    "options", [{"r_min": 0.9, "r_max": 0.5}, {"r_max": 1.0}, {"max_phase": 7.0}, {"size": -1}]
)
def test_options_out_of_range(options: dict[str, float]) -> None:
    with pytest.raises(TrainError):
        build_cell("lru", 3, 4, 1, 0.0, options)


@pytest.mark.parametrize("pole", [0.9, 0.999])
@torch.no_grad()
def test_slow_states_keep_their_input(pole: float) -> None:
    """Alone catches a dead zone: over 6,000 steps the output follows the float layer's."""
    layer = single(16, size=8)
    layer.nu.fill_(float(np.log(-np.log(pole))))
    layer.gamma.fill_(0.5 * float(np.log(1 - pole**2)))
    u = torch.randn(1, 6_000, 3) * 0.3 + torch.randn(1, 1, 3) * 0.03
    source = signal(u)
    real = layer(u)[0].numpy()
    done = convert(layer, Calibration("lru", source, real, Widths(state=16)))
    node = done.node
    state = {"h": zeros(1, node.states["h"].size)}
    x = np.clip(np.round(u.numpy() / source.scale), -2047, 2047).astype(np.int64)
    error = []
    for t in range(x.shape[1]):
        y, state = node.step(x[:, t], state)
        error.append(y * done.output.scale - real[:, t])
    root_mean_square = np.sqrt(np.mean(np.square(error[-2000:])))
    assert root_mean_square < 0.004  # what weights of 8 bits cost with any pole
    # and without input, states that are left alone go to zero
    for _ in range(round(20 / (1 - pole))):
        state = {"h": node.step(np.zeros_like(x[:, 0]), state)[1]["h"]}
    bias = np.abs(node.input.bias[: 2 * layer.size]).max()
    assert bias == 0 and np.abs(state["h"]).max() < 2**10


@torch.no_grad()
def test_pruned_units_leave_the_others() -> None:
    layer, units = single(), np.array([0, 3, 5])
    u = torch.randn(2, 9, 3)
    small = prune_units(layer, np.arange(3), units)
    assert torch.allclose(small(u)[0], layer(u)[0][..., units], atol=1e-6)


def test_wrong_nodes() -> None:
    layer, u = single(), torch.randn(2, 30, 3)
    given = Calibration("l", signal(u), layer(u)[0].detach().numpy(), Widths())
    node = convert(layer, given).node
    assert isinstance(node, nodes.LRU)
    for change, message in (
        ({"real": node.real[:3]}, "poles and shifts"),
        ({"output": node.input}, "8 states and 24 outputs need matrices of 40 rows"),
        ({"state_bits": 9}, "must equal"),
        ({"shift": node.shift + 20}, "shift must be int16 values in 0..14"),
    ):
        with pytest.raises(ProgramError, match=message):
            dataclasses.replace(node, **change)
