"""Models with branches, through every door: shortcuts, joined features, several outputs."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim

from edgeflow.cells.chain import FloatChain
from edgeflow.errors import CompressError
from edgeflow.importers.exported import from_exported
from edgeflow.importers.finish import Description
from edgeflow.importers.onnx_model import from_onnx
from edgeflow.importers.torch_module import from_module

CHANNELS, UNITS, TIME = 3, 8, 20
Door = Callable[[nn.Module, np.ndarray, Path], FloatChain]


class Model(nn.Module):
    """Layers for a `forward` that a test chooses."""

    def __init__(self, way: Callable[["Model", Tensor], object]) -> None:
        super().__init__()
        self.way = way
        self.first = nn.GRU(CHANNELS, UNITS, batch_first=True)
        self.second = nn.GRU(UNITS, UNITS, batch_first=True)
        self.side = nn.Linear(CHANNELS, UNITS)
        self.wide = nn.Linear(2 * UNITS + CHANNELS, UNITS)
        self.norm = nn.LayerNorm(UNITS)
        self.classes, self.value = nn.Linear(UNITS, 4), nn.Linear(UNITS, 1)

    def forward(self, x: Tensor) -> object:
        return self.way(self, x)


def _residual(m: Model, x: Tensor) -> object:
    """The model of the acceptance: a residual two-layer GRU with two heads."""
    h, _ = m.first(x)
    h = h + m.second(h)[0]
    return m.classes(h[:, -1]), m.value(h[:, -1])


def _steps(m: Model, x: Tensor) -> object:
    h, _ = m.first(x)
    h = m.norm(m.second(h)[0] + h)
    return {"classes": m.classes(h), "value": m.value(h)}


def _features(m: Model, x: Tensor) -> object:
    a, _ = m.first(x)
    b, _ = m.second(a)
    return m.classes(torch.relu(m.wide(torch.cat([a, x, b], dim=-1))))


def _states(m: Model, x: Tensor) -> object:
    a, last = m.first(x)
    _, other = m.second(a)
    static = torch.cat([last[-1], x[:, -1], other[-1]], dim=1)
    return m.classes(m.wide(static))


def _scaled(m: Model, x: Tensor) -> object:
    """A normalised input that two layers read, and a linear layer that is read as it is, too."""
    z = (x - 0.3) / 2.0
    side = m.side(z)
    h, _ = m.first(z)
    return m.classes(2 * side - h * 0.5 + side)


def _gate(m: Model, x: Tensor) -> object:
    h, _ = m.first(x)
    return m.classes(m.side(x) * (1 - h))


def _unit(m: Model, x: Tensor) -> object:
    """A gated unit, whose sigmoid is none at the end."""
    h, _ = m.first(x)
    return m.classes(torch.sigmoid(m.side(x)) * torch.tanh(m.second(h)[0] + h))


WAYS = [_residual, _steps, _features, _states, _scaled, _gate, _unit]


def by_module(module: nn.Module, x: np.ndarray, folder: Path) -> FloatChain:
    return from_module(module, x)


def by_export(module: nn.Module, x: np.ndarray, folder: Path) -> FloatChain:
    shapes = ((Dim.AUTO, Dim.AUTO, CHANNELS),)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own
        given = (torch.from_numpy(x[:4]),)
        program = torch.export.export(module, given, dynamic_shapes=shapes)
        torch.export.save(program, folder / "m.pt2")
    return from_exported(folder / "m.pt2", x)


def by_onnx(module: nn.Module, x: np.ndarray, folder: Path) -> FloatChain:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (torch.from_numpy(x[:4]),), folder / "m.onnx", dynamo=False,
            input_names=["x"], dynamic_axes={"x": {0: "n", 1: "time"}},
        )  # fmt: skip
    return from_onnx(folder / "m.onnx", x)


DOORS = [by_module, by_export, by_onnx]


def samples(scale: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(3)
    return (scale * rng.normal(0.2, 1.0, (16, TIME, CHANNELS))).astype(np.float32)


def outputs(module: nn.Module, x: np.ndarray) -> np.ndarray:
    """Return what a module gives at the last step, [n, outputs]."""
    with torch.no_grad():
        given = module(torch.from_numpy(x))
    parts = given.values() if isinstance(given, dict) else given
    parts = [given] if isinstance(given, Tensor) else [*parts]
    return torch.cat([y[:, -1] if y.ndim == 3 else y for y in parts], dim=-1).numpy()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("way", WAYS)
def test_a_graph_equals_its_source(
    way: Callable[[Model, Tensor], object], door: Door, tmp_path: Path
) -> None:
    """Alone catches a branch that is joined wrongly, at a door of its own."""
    torch.manual_seed(1)
    module = Model(way).eval()
    chain = door(module, samples(), tmp_path)
    assert chain.sources
    for scale in (0.1, 1.0, 10.0):
        x = samples(scale)
        y = outputs(module, x)
        assert np.abs(chain.run(x)[:, -1] - y).max() <= 1e-4 * max(1.0, float(np.abs(y).max()))


def test_two_outputs_stand_side_by_side() -> None:
    module = Model(_residual).eval()
    chain = from_module(module, samples())
    assert chain.notes == ("its outputs 'output 0' and 'output 1' stand side by side",)
    about = Description(classes=("a", "b", "c", "d"))
    with pytest.raises(
        CompressError, match="5 values in all, and the data have 4 classes: return one"
    ):
        from_module(module, samples(), classes=about.classes)


@pytest.mark.parametrize(
    ("way", "message"),
    [
        (lambda m, x: m.classes(m.first(x)[0] / (2 + m.side(x))), "joins two paths in a way"),
        (lambda m, x: m.classes(m.side(x) + m.value(m.side(x))), "joins 8 and 1 values: bring all"),
        (lambda m, x: (m.classes(m.side(x)).softmax(-1), m.value(m.side(x))),
         "softmax at the end of one of several outputs"),
        (lambda m, x: m.classes(m.side(x) + m.side(x).mean(1, keepdim=True)), "more than its layers"),
    ],
)  # fmt: skip
def test_what_is_no_graph_is_refused(way: Callable[[Model, Tensor], object], message: str) -> None:
    with pytest.raises(CompressError, match=message):
        from_module(Model(way).eval(), samples())
