"""A user's module is left as it came, whatever compression does with it."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgeflow.cells.lru import LRU
from edgeflow.errors import CompressError
from edgeflow.importers import from_module


def walk() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((12, 20, 3)).astype(np.float32)


class Net(nn.Module):
    """Every kind of thing that a module can hold."""

    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Sequential(nn.Linear(3, 6), nn.Dropout(0.5))
        self.norm = nn.BatchNorm1d(6)
        self.gru = nn.GRU(6, 8, num_layers=2, batch_first=True, dropout=0.5)
        self.out = nn.Linear(8, 2)
        self.register_buffer("count", torch.zeros(1))
        self.fails = False

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        self.count = self.count.clone()
        y = self.norm(self.first(x).mT).mT
        if self.fails:
            raise ValueError("no")
        result: Tensor = self.out(self.gru(y)[0])
        return result


def mixed() -> Net:
    """A net whose parts are in different modes, some frozen, with gradients and hooks."""
    net = Net().train()
    net(torch.from_numpy(walk())).sum().backward()
    net.norm.eval()
    net.first[1].eval()
    net.out.weight.requires_grad_(False)
    return net


def state(net: nn.Module) -> dict[str, Any]:
    """Return all that must not change."""
    return {
        "modes": [m.training for m in net.modules()],
        "tensors": copy.deepcopy(net.state_dict()),
        "places": [id(t) for t in (*net.parameters(), *net.buffers())],
        "gradients": [None if p.grad is None else p.grad.clone() for p in net.parameters()],
        "trained": [p.requires_grad for p in net.parameters()],
        "hooks": [(list(m._forward_hooks), list(m._forward_pre_hooks)) for m in net.modules()],
    }


def same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def fail(net: Net) -> None:
    net.fails = True


def no_more(net: Net) -> None:
    net.out = nn.Softsign()  # type: ignore[assignment]


@pytest.mark.parametrize("spoil", [None, fail, no_more])
def test_module_is_left_as_it_came(spoil: Callable[[Net], None] | None) -> None:
    net, called = mixed(), []
    net.out.register_forward_hook(lambda *_: called.append(1))
    net.gru.register_forward_pre_hook(lambda *_: None)
    if spoil is not None:
        spoil(net)
    before = state(net)
    if spoil is None:
        chain = from_module(net, walk())
        assert set(called) == {1}  # as the chain has no hooks
        mine = {id(p) for p in net.parameters()}
        assert not any(id(p) in mine for _, layer in chain.layers for p in layer.parameters())
        assert not any(m.training for _, layer in chain.layers for m in layer.modules())
    else:
        with pytest.raises(CompressError):
            from_module(net, walk())
    assert same(state(net), before)


@pytest.mark.parametrize("result", [KeyError("k"), 1 / 3, (), [1], None])
def test_whatever_a_module_does_is_one_line(result: Any) -> None:
    class Odd(Net):
        def forward(self, x: Tensor) -> Tensor:
            if isinstance(result, Exception):
                raise result
            return result

    with pytest.raises(CompressError, match=r"KeyError: 'k'|the model returns \w+, not a tensor"):
        from_module(Odd(), walk())


def test_weights_that_are_not_finite() -> None:
    net = Net()
    net.out.weight.data[0, 0] = torch.nan
    with pytest.raises(CompressError, match="parameter out.weight holds NaN"):
        from_module(net, walk())


def test_a_hook_that_changes_values_is_part_of_the_model() -> None:
    net, plain = Net(), Net()
    net.gru.register_forward_hook(lambda _m, _x, y: (2 * y[0], y[1]))
    plain.out.weight.data *= 2
    got, expected = from_module(net, walk()), from_module(plain, walk())
    np.testing.assert_allclose(got.run(walk()), expected.run(walk()), atol=1e-6)


def test_compiled_module_is_seen_through() -> None:
    net = Net()
    wrapped: Any = nn.Module()
    wrapped._orig_mod = net
    assert [name for name, _ in from_module(wrapped, walk()).layers][-1] == "out"


@pytest.mark.parametrize(
    "net,message",
    [
        (Net().to("meta"), r"parameter first\.0\.weight is float32 on meta: .*float\(\)\.cpu\(\)"),
        (nn.Sequential(nn.LazyLinear(2)), r"parameter 0\.weight has no size yet: call the model"),
        (torch.jit.script(nn.Linear(3, 2)), "torch.jit module hides its layers"),
    ],
)
def test_other_forms_are_refused(net: nn.Module, message: str) -> None:
    with pytest.raises(CompressError, match=message):
        from_module(net, walk())


def test_layer_that_cannot_be_copied() -> None:
    net = Net()
    net.gru = LRU(6, 8, 4, 0.0, 1.0, 1.0)  # type: ignore[assignment]
    net.gru.made = net.out.weight * 2  # has a history
    with pytest.raises(CompressError, match="layer gru cannot be copied"):
        from_module(net, walk())


def test_names_for_other_channels() -> None:
    with pytest.raises(CompressError, match=r"2 names for 3 channels of x .* \[12, 20, 3\]"):
        from_module(Net(), walk(), channels=["a", "b"])
