"""Whatever is given to the Python API: a result, or an `EdgeFlowError` of one line."""

import inspect
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import edgeflow as ef
from edgeflow.errors import EdgeFlowError, EdgeFlowWarning, ExportError, ProgramError


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru, self.out = nn.GRU(4, 6, batch_first=True), nn.Linear(6, 3)
        self.norm = nn.BatchNorm1d(6)
        self.register_buffer("seen", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.gru(x)[0].transpose(1, 2)).transpose(1, 2)
        result: Tensor = self.out(y)[:, -1]
        return result


def walk(n: int = 6, time: int = 10) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, time, 4))


@pytest.fixture(scope="module")
def program() -> ef.Program:
    return ef.compress(Net(), walk(), classes=["a", "b", "c"], window=10)


#: What no argument is, or few are.
ODD: tuple[Any, ...] = (
    0, -1, 2.5, float("nan"), float("inf"), 10**30, "", "text", "\0", b"bytes", [], [1, 2], {},
    {"a": 1}, object(), np.zeros(3), np.zeros((2, 3, 4)), np.array("x"), torch.ones(2, 3),
    nn.Linear, nn.Linear(2, 2), {1, 2}, [[1], [1, 2]], [None], 1j, np.float64(1), max,
)  # fmt: skip


def ends_well(call: Callable[[], Any], what: str) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EdgeFlowWarning)
            call()
    except EdgeFlowError as error:
        text = str(error)
        assert len(text.splitlines()) == 1 and len(text) < 700, f"{what}: {text}"
    except Exception as error:
        raise AssertionError(f"{what}: {type(error).__name__}: {error}") from error


def parameters(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "options"]


@pytest.mark.parametrize("name", parameters(ef.compress))
def test_compress(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    net, x = Net(), walk(2, 5)
    for value in (*ODD, None):
        given = {"model": net, "calibration": x, name: value}
        ends_well(lambda given=given: ef.compress(**given), f"{name}={value!r}")


@pytest.mark.parametrize("name", [*parameters(ef.compile), "profile", "export", "train"])
def test_others_that_are_refused_at_once(
    name: str, program: ef.Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong kind of value never reaches the compiler."""
    monkeypatch.chdir(tmp_path)
    for value in ODD:
        if name == "profile":
            for key in parameters(ef.profile):
                given = {"build": "b", "data": (walk(), ["a"] * 6), key: value}
                ends_well(lambda given=given: ef.profile(**given), f"profile {key}={value!r}")
        elif name == "export":
            for key in parameters(ef.export):
                if key == "data":  # it is looked at after the program
                    continue
                given = {"program": program, "to": "no-format", "out": "o", key: value}
                ends_well(lambda given=given: ef.export(**given), f"export {key}={value!r}")
        elif name == "train":
            for key in (*parameters(ef.train), "hidden", "epochs", "lr", "seed", "mode"):
                given = {"data": "nowhere.csv", "out": "o", "hidden": 4, key: value}
                ends_well(lambda given=given: ef.train(**given), f"train {key}={value!r}")
        else:
            given = {"program": program, "board": "no-board", name: value}
            ends_well(lambda given=given: ef.compile(**given), f"compile {name}={value!r}")


@pytest.mark.parametrize("method", ["quantize_input", "run", "predict", "values"])
def test_samples(program: ef.Program, method: str) -> None:
    for value in (*ODD, None, walk()[..., :3], walk()[:0], walk() * np.nan, walk().tolist()):
        ends_well(lambda value=value: getattr(program, method)(value), f"{method} {value!r}")
        ends_well(lambda value=value: program.stream().step(value), f"step {value!r}")
    with pytest.raises(ProgramError, match=r"samples must be \[\.\.\., 4\] .* not \[6, 10, 3\]"):
        program.quantize_input(walk()[..., :3])
    with pytest.raises(ProgramError, match=r"int16 \[n, time, 4\], as quantize_input gives, not float64"):  # fmt: skip
        program.run(walk())  # type: ignore[arg-type]


def test_settings() -> None:
    for value in (*ODD, None):
        for call in (ef.Widths, ef.Recipe.load, ef.load_dataset, ef.load, ef.Build.load):
            ends_well(lambda call=call, value=value: call(value), f"{call} {value!r}")
        ends_well(lambda value=value: ef.Recipe(widths=value), f"Recipe {value!r}")


@settings(max_examples=40, deadline=None)
@given(
    shape=st.lists(st.integers(0, 5), max_size=4),
    kind=st.sampled_from(["f4", "f8", "f2", "i4", "u1", "?", "c8", "O", "U3", "M8[s]"]),
    fill=st.sampled_from([0, 1, 1e30, float("nan"), float("inf")]),
)
def test_arrays_of_any_shape(shape: list[int], kind: str, fill: float) -> None:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = np.full(shape, fill).astype(kind) if kind != "M8[s]" else np.zeros(shape, kind)
    ends_well(lambda: ef.compress(nn.GRU(4, 2, batch_first=True), x), f"{shape} {kind} {fill}")


def test_a_file_that_cannot_be_written(program: ef.Program, tmp_path: Path) -> None:
    with pytest.raises(EdgeFlowError, match="Is a directory"):
        ef.compress(Net(), walk(), out=tmp_path)
    with pytest.raises(ExportError, match="Is a directory"):
        ef.export(program, "onnx", tmp_path)


@pytest.mark.parametrize("fails", [False, True])
def test_the_module_and_random_numbers_are_left_as_they_came(fails: bool) -> None:
    net = Net().train()
    net.out.eval()
    net.gru.weight_hh_l0.requires_grad_(False)
    net.out.weight.grad = torch.ones(3, 6)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    modes = [part.training for part in net.modules()]
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    expected = torch.rand(1), np.random.rand(), random.random()
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    if fails:
        with pytest.raises(EdgeFlowError):
            ef.compress(net, walk()[..., :3])
    else:
        ef.compress(net, walk())
    assert (torch.rand(1), np.random.rand(), random.random()) == expected
    assert [part.training for part in net.modules()] == modes
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert [p.requires_grad for p in net.parameters()].count(False) == 1
    assert not net.gru.weight_hh_l0.requires_grad and net.out.weight.grad.sum() == 18


def test_a_warning_points_at_the_caller() -> None:
    from edgeflow import arguments

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")

        @arguments.random_kept()
        def compress() -> None:
            noted = ef.compress.__wrapped__(Net(), walk())  # type: ignore[attr-defined]
            object.__setattr__(noted, "metadata", {"notes": ["a note"]})
            arguments.warned(noted)

        compress()
    assert [w.filename for w in caught if w.category is EdgeFlowWarning] == [__file__]
