"""What `forward` of a torch module may call: each kind is imported with its values, or named.

Imported: relu, dropout, norms, convolutions, maps of channels, mean over time, a function at the
end, as functions, methods, in place and as modules, shared or not; moves of values, time first
inside, the last state; one output for two classes; outputs in tuples and dicts. Refused, with the
place: first states, clipping, further channels, shortcuts, attention, two heads, random and
bidirectional layers, numbers made of samples, code that fails.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgeflow.errors import CompressError
from edgeflow.importers import FloatChain, from_module
from edgeflow.importers.check import check_output, samples


def walk(n: int = 12, time: int = 20) -> np.ndarray:
    steps = np.random.default_rng(0).standard_normal((n, time, 3)).cumsum(1)
    return (steps * [1, 5, 0.1] + [0, 20, -3]).astype(np.float32)


class Net(nn.Module):
    """Parts that the forms below call."""

    mu: Tensor
    sigma: Tensor

    def __init__(self, form: Callable[["Net", Tensor], Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.form = form
        self.gru, self.second = nn.GRU(3, 6, batch_first=True), nn.GRU(6, 6, batch_first=True)
        self.stack = nn.GRU(3, 6, 2, batch_first=True)
        self.both = nn.GRU(3, 3, batch_first=True, bidirectional=True)
        self.four = nn.GRU(4, 6, batch_first=True)
        self.lstm = nn.LSTM(3, 6)
        self.conv, self.padded = nn.Conv1d(3, 6, 5), nn.Conv1d(3, 6, 5, padding=4)
        self.hidden, self.out, self.other = nn.Linear(6, 6), nn.Linear(6, 4), nn.Linear(6, 2)
        self.one, self.flat = nn.Linear(6, 1), nn.Linear(120, 4)
        self.relu, self.drop, self.layer_norm = nn.ReLU(), nn.Dropout(), nn.LayerNorm(6)
        self.norm, self.h0 = nn.BatchNorm1d(6), nn.Parameter(torch.randn(1, 1, 6))
        self.norm.running_mean.normal_()  # type: ignore[union-attr]
        self.norm.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
        for name, values in {
            "mu": [0.0, 20, -3], "sigma": [2.0, 9, 0.5], "mean": [9.0, 9, 9], "std": [4.0, 4, 4]
        }.items():  # fmt: skip
            self.register_buffer(name, torch.tensor(values))

    def forward(self, x: Tensor) -> Any:
        return self.form(self, x)

    def h(self, x: Tensor) -> Tensor:
        y: Tensor = self.gru(x)[0]
        return y


def _first(value: Any) -> Tensor:
    result: Tensor = value
    while not isinstance(result, Tensor):
        result = next(iter(result.values())) if isinstance(result, dict) else result[0]
    return result


def _in_place(net: Net, x: Tensor) -> Tensor:
    x -= net.mu
    x /= net.sigma
    y: Tensor = net.hidden(net.h(x))
    y.relu_()
    return net.out(y)


FORMS: dict[str, tuple[Callable[[Net, Tensor], Any], list[str]]] = {
    "names of buffers": (lambda m, x: m.out(m.h((x - m.mu) / m.sigma)), ["gru", "out"]),
    "buffers not used": (lambda m, x: m.out(m.h(x)), ["gru", "out"]),
    "relu, a function": (
        lambda m, x: m.out(functional.relu(m.hidden(m.h(x)))), ["gru", "hidden", "relu", "out"]),
    "relu, shared": (
        lambda m, x: m.out(m.drop(m.relu(m.hidden(m.drop(m.relu(m.h(x))))))),
        ["gru", "relu", "hidden", "relu_2", "out"]),
    "in place": (_in_place, ["gru", "hidden", "relu", "out"]),
    "layer norm, a function": (
        lambda m, x: m.out(functional.layer_norm(m.h(x), (6,))), ["gru", "layer_norm", "out"]),
    "layer norm": (lambda m, x: m.out(m.layer_norm(m.h(x))[:, -1]), ["gru", "layer_norm", "out"]),
    "batch norm": (
        lambda m, x: m.out(m.norm(m.hidden(m.h(x)).mT).mT), ["gru", "hidden", "out"]),
    "conv behind zeros": (
        lambda m, x: m.out(m.second(functional.relu(m.conv(functional.pad(x.mT, (4, 0)))).mT)[0]),
        ["conv0", "conv1", "relu", "second", "out"]),
    "conv cut": (
        lambda m, x: m.out(m.second(m.padded(x.permute(0, 2, 1))[..., :-4].transpose(1, 2))[0]),
        ["padded0", "padded1", "second", "out"]),
    "mean over time": (lambda m, x: m.out(m.h(x).mean(1)), ["gru", "mean", "out"]),
    "mean by pooling": (
        lambda m, x: m.out(functional.adaptive_avg_pool1d(m.h(x).mT, 1).squeeze(-1)),
        ["gru", "adaptive_avg_pool1d", "out"]),
    "last step by gather": (
        lambda m, x: m.out(m.h(x).gather(1, torch.full((len(x), 1, 6), x.shape[1] - 1))[:, 0]),
        ["gru", "out"]),
    "last state": (lambda m, x: m.out(m.stack(x)[1][-1]), ["stack0", "stack1", "out"]),
    "time first inside": (
        lambda m, x: m.out(m.lstm(x.transpose(0, 1))[0][-1]), ["lstm", "out"]),
    "time first and back": (
        lambda m, x: m.out(m.lstm(x.permute(1, 0, 2))[0]).permute(1, 0, 2), ["lstm", "out"]),
    "a layer called twice": (
        lambda m, x: m.out(m.hidden(m.hidden(m.h(x)))), ["gru", "hidden", "hidden_2", "out"]),
    "zeros first": (
        lambda m, x: m.out(m.gru(x, torch.zeros(1, len(x), 6))[0]), ["gru", "out"]),
    "a product": (lambda m, x: functional.linear(m.h(x), m.out.weight), ["gru", "out"]),
    "scaled": (lambda m, x: 2 * m.out(m.h(-x * 3)) - 1, ["gru", "out"]),
    "dict": (lambda m, x: {"logits": m.out(m.h(x)), "state": m.gru(x)[1]}, ["gru", "out"]),
}  # fmt: skip


def same(chain: FloatChain, net: nn.Module, x: np.ndarray) -> None:
    with torch.no_grad():
        expected = _first(net(torch.tensor(x))).numpy()
    got = chain.run(x)
    assert expected.std() > 0.01
    np.testing.assert_allclose(got if expected.ndim == 3 else got[:, -1], expected, atol=1e-4)


@pytest.mark.parametrize("name", FORMS)
def test_functions_in_forward(name: str) -> None:
    form, layers = FORMS[name]
    net = Net(form).eval()
    chain = from_module(net, walk(), window=20)
    assert [layer for layer, _ in chain.layers] == layers
    same(chain, net, 1.5 * walk(5) + 1)
    assert chain.notes == ()


@pytest.mark.parametrize("function", ["softmax", "log_softmax"])
def test_function_at_the_end_is_left_out(function: str) -> None:
    net = Net(lambda m, x: getattr(functional, function)(m.out(m.h(x)), -1)).eval()
    chain = from_module(net, walk())
    assert chain.notes == (f"the {function} at its end is left out: the decisions are the same",)
    same(chain, Net(lambda m, x: m.out(m.h(x))).eval(), walk(5))


@pytest.mark.parametrize("end", [torch.sigmoid, lambda z: z.squeeze(-1), lambda z: z])
def test_one_output_for_two_classes(end: Callable[[Tensor], Tensor]) -> None:
    net = Net(lambda m, x: end(m.one(m.h(x)))).eval()
    chain = from_module(net, walk(), classes=("still", "moving"))
    logit = Net(lambda m, x: m.one(m.h(x))).eval()(torch.tensor(walk())).detach().numpy()
    got = chain.run(walk())
    np.testing.assert_allclose(got[..., 1:] - got[..., :1], logit, atol=1e-5)
    assert "above 0" in chain.notes[-1] and "it is 'moving'" in chain.notes[-1]
    assert from_module(net, walk(), classes=("a", "b", "c")).run(walk()).shape[-1] == 1


def test_features_beside_the_outputs_are_noted() -> None:
    def form(net: Net, x: Tensor) -> Any:
        h = net.h(x)
        return h, net.out(h)

    chain = from_module(Net(form), walk())
    assert [name for name, _ in chain.layers] == ["gru", "out"]
    assert chain.notes == ("its output 'output 0' is inside of the model, and left out",)


def test_argmax_beside_its_scores_is_noted() -> None:
    def form(net: Net, x: Tensor) -> Any:
        y = net.out(net.h(x)[:, -1])
        return {"class": y.softmax(-1).argmax(-1), "scores": y}

    net = Net(form).eval()
    chain = from_module(net, walk())
    assert chain.notes == (
        "its output 'output 'class'' is the argmax of another one, and left out",
    )
    with torch.no_grad():
        expected = net(torch.tensor(walk()))["scores"].numpy()
    np.testing.assert_allclose(chain.run(walk())[:, -1], expected, atol=1e-5)


def test_a_state_kept_between_calls_is_noted() -> None:
    def form(net: Net, x: Tensor) -> Any:
        y, net.state = net.gru(x, getattr(net, "state", None))
        return net.out(y)

    net = Net(form).eval()
    chain = from_module(net, walk())
    assert chain.notes == (
        "forward keeps a state from call to call: each window is taken as its first call, from zeros",
    )
    assert not hasattr(net, "state")
    same(chain, net, walk(5))


def test_time_first_is_noted() -> None:
    net = Net(lambda m, x: m.out(m.lstm(x)[0])).eval()
    chain = from_module(net, walk())
    assert chain.notes == ("it reads its samples as [time, n, channels]",)
    expected = net(torch.tensor(walk().swapaxes(0, 1))).detach().numpy().swapaxes(0, 1)
    np.testing.assert_allclose(chain.run(walk()), expected, atol=1e-5)


def test_decisions_by_values_are_noted() -> None:
    chain = from_module(Net(lambda m, x: m.out(m.h(2 * x if x.max() > 1e9 else x))), walk())
    assert "forward decides by the values of the samples (bool at" in chain.notes[0]


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16])
def test_other_precisions_are_taken_as_float32(kind: torch.dtype) -> None:
    net = Net(lambda m, x: m.out(m.h(x))).to(kind).eval()
    chain = from_module(net, walk())
    assert "taken as float32" in chain.notes[0]
    assert next(net.parameters()).dtype == kind
    same(chain, net.float(), walk(5))


def _attended(net: Net, x: Tensor) -> Any:
    h = net.h(x)
    return net.out((torch.softmax(net.one(h), 1) * h).cumsum(1))


def _fails(net: Net, x: Tensor) -> Any:
    raise AssertionError("\x1b[31mtwo\n\naxes")


def _by_name(net: Net, x: Tensor, *, static: Tensor) -> Any:
    return net.out(net.h(x))


def _written(net: Net, x: Tensor) -> Any:
    x = x.clone()
    x[:, :, 0] *= 2
    return net.out(net.h(x))


HERE = r"test_import_functions\.py:\d+"


@pytest.mark.parametrize(
    "form,message",
    [
        (lambda m, x: m.out(m.gru(x, m.h0 * torch.arange(len(x))[None, :, None])[0]),
         r"gru \(GRU\) starts from a first state that is not the same in all sequences"),
        (lambda m, x: m.out(m.gru(x, torch.randn(1, len(x), 6))[0]), "first state"),
        (lambda m, x: m.out(m.gru(x, x[:, 0].repeat(1, 2)[None])[0]), "first state depends on"),
        (lambda m, x: m.out(m.h(x.clamp(-2, 2))), f"clamp at {HERE}: leave it out, and clip"),
        (lambda m, x: m.out(m.four(torch.cat([x, x.norm(1, dim=-1, keepdim=True)], -1))[0]),
         f"norm at {HERE}: use torch.linalg.vector_norm"),
        (lambda m, x: m.out(functional.softsign(functional.softsign(m.h(x)))), f"softsign at {HERE}: use ReLU"),
        (_attended, f"softmax at {HERE}: attention: it weighs all"),
        (lambda m, x: (m.other(m.h(x)), m.out(m.h(x)).argmax(-1)), f"argmax at {HERE}: not supported"),
        (lambda m, x: m.out(m.h(torch.log1p(x.abs()))), f"log1p at {HERE}: compute it in the data"),
        (lambda m, x: m.out(m.h(x + torch.ones(20, 1))), f"add at {HERE} applies a constant of shape "
         r"\[20, 1\] to 3 channels: .* make it the same at every step"),
        (lambda m, x: m.out(m.h(functional.conv2d(x[:, None], torch.ones(1, 1, 1, 1))[:, 0])),
         f"conv2d at {HERE}: use a causal nn.Conv1d"),
        (lambda m, x: m.out(m.h(x)) * len(x), "does more than its layers"),
        (_written, f"setitem at {HERE}"),
        (_fails, rf"\(x \[8, 20, 3\]\): {HERE} in _fails: AssertionError: two axes: make it run"),
        (lambda m, x: m.out(m.h(x / x.abs().max().item())), f"item at {HERE}: forward makes numbers"),
        (lambda m, x: m.out(functional.dropout(m.h(x))), f"dropout at {HERE}: .* training mode"),
        (lambda m, x: m.out(m.h(x + torch.randn_like(x))), f"randn_like at {HERE}: it is random"),
        (lambda m, x: m.out(m.h(x)[:, 5]), r"first to differ is out \(Linear\), by .*getitem at"),
        (lambda m, x: m.out(m.h(x))[:, 5], f"All layers agree: it is what getitem at {HERE}"),
        (lambda m, x: m.out(m.lstm(x.transpose(0, 1))[1][1][0]), "the cell state is read"),
        (lambda m, x: m.out(torch.cat([*m.both(x)[1]], -1)), r"both \(GRU\): bidirectional"),
        (lambda m, x: m.flat(m.h(x).flatten(1)), "120 values, a step has 6: .*last step's"),
        (lambda m, x: m.out(m.second(m.padded(x.mT).mT)[0]), r"returns \[8, 24, 4\]"),
        (lambda m, x: m.missing(x), rf"{HERE} in .*AttributeError: 'Net' object"),
        (lambda m, x, static: x, "missing 1 required positional argument: 'static': give defaults"),
        (_by_name, "missing 1 required keyword-only argument: 'static': give defaults"),
        (lambda m, x: m.out(m.mu), "outputs do not depend on the samples|cannot be run"),
    ],
)  # fmt: skip
def test_what_is_refused(form: Any, message: str) -> None:
    with pytest.raises(CompressError, match=message) as caught:
        from_module(Net(form), walk())
    assert len(str(caught.value)) < 600 and "\n" not in str(caught.value)


def test_small_outputs_are_compared_with_their_own_spread() -> None:
    """Outputs of 1e-5 may not be all wrong."""
    chain = from_module(Net(lambda m, x: 1e-5 * m.out(m.h(x))), walk())
    y = chain.run(walk())
    assert y.std() < 1e-4
    check_output(chain, walk(), y)
    with pytest.raises(CompressError, match="outputs differ by"):
        check_output(chain, walk(), 2 * y)


def test_check_of_outputs() -> None:
    """A source twice as large, one constant output, and rounding."""
    chain = from_module(Net(lambda m, x: m.out(m.h(x))), walk())
    y = chain.run(walk())
    check_output(chain, walk(), y * np.float32(1 + 1e-6))
    for wrong in (
        1.001 * y,
        y + np.array([0, 0, 0, 1e-3]),
        np.where(y > np.quantile(y, 0.99), 0, y),
    ):
        with pytest.raises(CompressError, match=r"does more than its layers \(gru, out\)"):
            check_output(chain, walk(), wrong.astype(np.float32))


def test_samples_are_spread_over_the_data() -> None:
    """The first windows of a data set are of one person and class."""
    x = np.arange(100, dtype=np.float32)[:, None, None] * np.ones((1, 5, 3), np.float32)
    real, *noise = samples(x, None, None)
    assert real[:, 0, 0].tolist() == [0, 14, 28, 42, 57, 71, 85, 99]
    spreads = [float(values.std() / real.std()) for values in noise]
    np.testing.assert_allclose(spreads, [0.1, 1, 10], rtol=0.3)
    assert [len(values) for values in samples(x, 3, 4)] == [9] * 4
    assert samples(x, 1, 4)[0].shape == (8, 4, 3)


def test_random_state_of_torch_is_left_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    net = Net(lambda m, x: m.out(m.h(x)))
    torch.set_rng_state(before)
    from_module(net, walk())
    assert torch.equal(torch.get_rng_state(), before)


def test_compiled_modules_are_seen_through() -> None:
    net = Net(lambda m, x: m.out(m.h(x))).eval()
    net.compile()
    same(from_module(net, walk()), Net(lambda m, x: m.out(m.h(x))).eval(), walk(5))
    net.hidden = torch.compile(nn.Linear(6, 6))  # type: ignore[assignment]
    net.form = lambda m, x: m.out(m.hidden(m.h(x)))
    assert [name for name, _ in from_module(net, walk()).layers] == ["gru", "hidden", "out"]
