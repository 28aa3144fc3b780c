"""LSTM: its equations, import, refusals, and the integer step."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import edgeflow
from edgeflow.cells import lstm
from edgeflow.cells.cells import build_cell
from edgeflow.errors import CompressError, ProgramError
from edgeflow.importers import from_module
from edgeflow.program.fixedpoint import lookup, split, table
from edgeflow.program.nodes import LSTM, WideLSTM
from edgeflow.program.nodes.wide_lstm import CELL_LIMIT
from tests.random_programs import random_program


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def walk(n: int = 30, time: int = 60) -> np.ndarray:
    steps = np.random.default_rng(0).standard_normal((n, time, 3)).cumsum(axis=1)
    return (0.3 * steps).astype(np.float32)


class Net(nn.Module):
    def __init__(self, hidden: int, gain: float = 1.0, **options: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.lstm = layer = nn.LSTM(3, hidden, batch_first=True, **options)
        self.out = nn.Linear(layer.proj_size or hidden * (1 + layer.bidirectional), 4)
        with torch.no_grad():
            for name, parameter in layer.named_parameters():
                if "bias" not in name:
                    parameter *= gain

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.lstm(x)[0])


def test_documented_equations() -> None:
    torch.manual_seed(0)
    layer = build_cell("lstm", 3, 5, 1, 0.0)
    x = walk(2, 9)
    w = {name: p.detach().double().numpy() for name, p in layer.named_parameters()}
    h, c = np.zeros((2, 5)), np.zeros((2, 5))
    cells = []
    for t in range(9):
        v = x[:, t] @ w["weight_ih_l0"].T + w["bias_ih_l0"]
        v = v + h @ w["weight_hh_l0"].T + w["bias_hh_l0"]
        i, f, g, o = np.split(v, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        cells.append(np.concatenate([v, c], axis=1))
    with torch.no_grad():
        y, (_, last) = layer(torch.from_numpy(x))
    np.testing.assert_allclose(y[:, -1].numpy(), h, atol=1e-5)
    np.testing.assert_allclose(last[0].numpy(), c, atol=1e-5)
    both = np.stack(cells, axis=1)
    np.testing.assert_allclose(lstm.cell_state(both[..., :20]), both[..., 20:], atol=1e-12)


@pytest.mark.parametrize("layers,bias", [(1, True), (3, True), (2, False)])
def test_program_follows_the_module(layers: int, bias: bool) -> None:
    net = Net(11, num_layers=layers, bias=bias, gain=2.0)
    x = walk()
    program = edgeflow.compress(net, x)
    assert [node.op_type for node in program.nodes] == ["LSTM"] * layers + ["Linear"]
    real = net(torch.from_numpy(x)).detach().numpy()
    y = program.run(program.quantize_input(x)) * program.output_scale
    assert np.abs(y - real).max() < 0.02
    assert real.std() > 0.1


@pytest.mark.parametrize("reach,fraction", [(0.5, 15), (2.0, 13), (30.0, 9), (1000.0, 8)])
def test_unit_of_the_cell_state(reach: float, fraction: int) -> None:
    """An integrator (f = i = 1, constant g) that reaches `reach` at the end of calibration."""
    layer = nn.LSTM(1, 1, batch_first=True)
    time = 100
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.bias_ih_l0[:] = torch.tensor([15.0, 30.0, np.arctanh(min(reach / time, 0.99)), 30])
    x = np.ones((1, time, 1), np.float32)
    net = nn.Sequential(layer)
    net.forward = lambda v: layer(v)[0]  # type: ignore[method-assign]
    program = edgeflow.compress(net, x)
    (node,) = program.nodes
    assert isinstance(node, LSTM)
    assert node.cell_fraction == (8 if reach > 100 else fraction)
    state = program.initial_state(1)
    for _ in range(time):
        _, state = program.step(program.quantize_input(x[:, 0]), state)
    # the table's largest sigmoid is 0.99966
    leak = (1 - 0.99966**time) / (time * (1 - 0.99966))
    got = state[0]["c"].item() * 2.0**-node.cell_fraction
    assert got == pytest.approx(min(reach, 99.0) * leak, rel=0.03)  # g is a multiple of 2^-12


@pytest.mark.parametrize(
    "options,message",
    [({"bidirectional": True}, r"lstm \(\w+\): bidirectional: it needs the future")],
)
def test_refusals(options: dict, message: str) -> None:
    with pytest.raises(CompressError, match=message):
        from_module(Net(8, **options), walk())


@pytest.mark.parametrize(
    "change,message",
    [
        ({"cell_fraction": 7}, "cell_fraction 7 is not in 8..15"),
        ({"cell_fraction": 16}, "cell_fraction 16 is not in 8..15"),
        ({"state_bits": 11}, "state width 11"),
    ],
)
def test_bad_nodes(change: dict, message: str) -> None:
    node = random_program(0, 3, [4], 2, 12, 12, cells=["lstm"]).nodes[0]
    with pytest.raises(ProgramError, match=message):
        dataclasses.replace(node, **change)


def test_cell_update_fits_32_bits() -> None:
    """The largest sum of both products and the rounding, for every fraction."""
    gate, candidate = int(table("sigmoid").max()), int(np.abs(table("tanh").astype(int)).max())
    for fraction in range(8, 16):
        new = gate * candidate >> (15 - fraction)
        assert gate * 32768 + new + (1 << 14) < 2**31


def wide(**fields: Any) -> WideLSTM:
    node = random_program(0, 3, [4], 2, 12, 12, cells=["wide_lstm"]).nodes[0]
    assert isinstance(node, WideLSTM)
    return dataclasses.replace(node, **fields)


@pytest.mark.parametrize("fraction", [12, 31])
def test_bad_fraction_of_a_wide_cell(fraction: int) -> None:
    with pytest.raises(ProgramError, match=f"cell_fraction {fraction} is not in 13..30"):
        wide(cell_fraction=fraction)


@pytest.mark.parametrize("fraction", [13, 23, 30])
def test_a_wide_cell_is_the_exact_sum_within_two_units(fraction: int) -> None:
    """Neither a large cell nor a small one, nor an open forget gate, loses more than that."""
    node, rng = wide(cell_fraction=fraction), np.random.default_rng(0)
    c = (rng.choice([-1, 1], (200, 4)) * np.exp2(rng.uniform(0, 30, (200, 4)))).astype(np.int64)
    h = rng.integers(-2047, 2048, (200, 4))
    x = rng.integers(-2047, 2048, (200, 3))
    v = np.clip(node.input.apply(x) + node.recurrent.apply(h), -32768, 32767)
    i, f, g, o = (
        lookup(table_of, gate).astype(object)
        for table_of, gate in zip(("sigmoid", "sigmoid", "tanh", "sigmoid"), split(v, 4),
                                  strict=True)
    )  # fmt: skip
    y, after = node.step(x, {"h": h, "c": c})
    exact = np.clip((f * c.astype(object)) / 2**15 + i * g / 2 ** (30 - fraction), -(2**30), 2**30)
    assert np.abs(after["c"] - exact.astype(float)).max() < 2
    real = (o / 2**15).astype(float) * np.tanh(np.clip(after["c"] / 2.0**fraction, -8, 8))
    assert np.abs(y / 2048 - real).max() < 0.002


def test_wide_cell_update_fits_32_bits() -> None:
    """At both ends of c, with open gates."""
    gate, candidate = int(table("sigmoid").max()), int(np.abs(table("tanh").astype(int)).max())
    for c in (-CELL_LIMIT, CELL_LIMIT, CELL_LIMIT - 1, -1):
        kept = gate * (c >> 15) + ((gate * (c & 0x7FFF) + (1 << 14)) >> 15)
        assert abs(kept) + gate * candidate < 2**31
    assert CELL_LIMIT + (1 << 17) < 2**31
