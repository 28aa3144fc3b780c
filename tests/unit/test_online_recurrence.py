"""Recurrent layers that learn as samples come, in floats (`scripts/online_recurrence.py`).

Fast. Alone catches influences that are not what their names say: exact ones of diagonal cells
against back-propagation through time, SnAp-1 of a GRU against its definition with all of J.
"""

import importlib
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import jacobian
from torch.func import functional_call, jacrev

from edgeflow.cells import build_cell
from tests.conftest import ROOT

INPUTS, HIDDEN, TIME = 2, 4, 7


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return importlib.import_module("online_recurrence")


def drawn(cell: str) -> tuple[nn.Module, dict[str, Tensor], Tensor]:
    """Return a layer in float64, its parameters, and samples [time, inputs]."""
    torch.manual_seed(3)
    layer = build_cell(cell, INPUTS, HIDDEN, 1, 0.0).double()
    p = {name: value.detach() for name, value in layer.named_parameters()}
    return layer, p, torch.randn(TIME, INPUTS, dtype=torch.float64)


def states(layer: nn.Module, p: dict[str, Tensor], x: Tensor) -> Tensor:
    return functional_call(layer, p, (x[None],))[0][0]


def run(online: Any, layer: nn.Module, p: dict[str, Tensor], x: Tensor) -> tuple[Tensor, Any]:
    """Return the last state and its influences."""
    h = torch.zeros(HIDDEN, dtype=x.dtype)
    influence = {name: torch.zeros_like(value) for name, value in p.items()}
    for one in x:
        h, influence = online.carried(online.step_of(layer), p, one, h, influence)
    return h, influence


def by_time(layer: nn.Module, p: dict[str, Tensor], x: Tensor) -> dict[str, Tensor]:
    """Return d h_T / d p [hidden, *shape], by back-propagation through time."""

    def last(*values: Tensor) -> Tensor:
        return states(layer, dict(zip(p, values, strict=True)), x)[-1]

    return dict(zip(p, jacobian(last, tuple(p.values())), strict=True))


def own_units(online: Any, of_all: Tensor, like: Tensor) -> Tensor:
    """Return of d h / d p [hidden, *shape] that of each parameter's own unit."""
    whose = online.by_unit(torch.arange(HIDDEN), like).expand(like.shape)
    return of_all.gather(0, whose[None])[0]


@pytest.mark.parametrize("cell", ["gru", "mingru", "minlstm"])
def test_a_step_is_the_layers(online: Any, cell: str) -> None:
    layer, p, x = drawn(cell)
    torch.testing.assert_close(run(online, layer, p, x)[0], states(layer, p, x)[-1])


@pytest.mark.parametrize("cell", ["mingru", "minlstm"])
def test_influences_of_diagonal_cells_are_exact(online: Any, cell: str) -> None:
    layer, p, x = drawn(cell)
    influence, exact = run(online, layer, p, x)[1], by_time(layer, p, x)
    for name, value in p.items():
        torch.testing.assert_close(influence[name], own_units(online, exact[name], value))
        # and there is no other: their squares are as many
        torch.testing.assert_close(exact[name].square().sum(), influence[name].square().sum())


def test_influences_of_a_gru_are_snap_1(online: Any) -> None:
    """J = pattern * (I + D J), where the pattern is that of I (Menick et al., section 3)."""
    layer, p, x = drawn("gru")
    step, h = online.step_of(layer), torch.zeros(HIDDEN, dtype=x.dtype)
    pattern = {name: jacrev(step)(p, x[0], h + 0.3)[name] != 0 for name in p}
    j = {name: torch.zeros(HIDDEN, *value.shape, dtype=x.dtype) for name, value in p.items()}
    for one in x:
        direct, own = jacrev(step, argnums=(0, 2))(p, one, h)
        j = {name: pattern[name] * (direct[name] + torch.tensordot(own, j[name], 1)) for name in p}
        h = step(p, one, h)
    influence, exact = run(online, layer, p, x)[1], by_time(layer, p, x)
    for name, value in p.items():
        assert pattern[name].sum() == value.numel()  # a parameter acts on one unit directly
        torch.testing.assert_close(influence[name], own_units(online, j[name], value))
        assert not torch.allclose(influence[name], own_units(online, exact[name], value))


def test_a_gru_whose_units_do_not_meet_is_exact(online: Any) -> None:
    layer, p, x = drawn("gru")
    p["weight_hh_l0"] *= torch.eye(HIDDEN, dtype=x.dtype).repeat(3, 1)
    influence, exact = run(online, layer, p, x)[1], by_time(layer, p, x)
    for name, value in p.items():
        torch.testing.assert_close(influence[name], own_units(online, exact[name], value))


def test_forecasts_learn(online: Any) -> None:
    """Of a wave that the model does not know, whose phase only states can have."""
    torch.manual_seed(0)
    model = importlib.import_module("lagged_gru").Forecaster(1, 1, 8, 1)
    z = torch.sin(torch.arange(900) / 4)[:, None]
    with torch.no_grad():
        frozen, learned = online.learned(model, z, [5], [(0.0, 0.0), (3e-3, 3e-3)])
        torch.testing.assert_close(frozen, model(z[None])[0])
    wanted = z[5:] - z[:-5]
    size = [float((one[:-5] - wanted)[600:].square().mean()) for one in (frozen, learned)]
    assert size[1] < 0.3 * size[0]
