"""A residual GRU of two layers with two heads: the same floats and integers by every door.

It alone shows that a graph learned on real recordings keeps its decisions whichever file it came in,
and its bits on an emulated Cortex-M4.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgeflow.compression.quantize import quantize
from edgeflow.importers import load_float_model
from edgeflow.program import Program
from tests.harness import Case, mismatches, none_of
from tests.model_forms.doors import exported

if TYPE_CHECKING:
    from edgeflow.data import Dataset

CHANNELS, CLASSES, TIME = 3, 4, 25
TOLERANCE, SCALES = 1e-4, (0.1, 1.0, 10.0)
Windows = tuple[np.ndarray, np.ndarray]


class Residual(nn.Module):
    """Scores of classes, and one value beside them, of the last step."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.first = nn.GRU(CHANNELS, units, batch_first=True)
        self.second = nn.GRU(units, units, batch_first=True)
        self.classes, self.value = nn.Linear(units, CLASSES), nn.Linear(units, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.first(x)[0]
        h = (h + self.second(h)[0])[:, -1]
        return self.classes(h), self.value(h)


def in_keras(net: Residual, path: Path) -> Path:
    """Save the same model as Keras does."""
    models = pytest.importorskip("tests.keras_models")
    layers, keras = models.L, models.keras
    units = net.first.hidden_size
    x = keras.Input((TIME, CHANNELS))
    first, second = (layers.GRU(units, return_sequences=True) for _ in range(2))
    classes, value = layers.Dense(CLASSES, name="classes"), layers.Dense(1, name="value")
    h = first(x)
    h = layers.Add()([h, second(h)])[:, -1]
    model = keras.Model(x, [classes(h), value(h)])
    for layer, source in ((first, net.first), (second, net.second)):
        rows = [_gates(p.detach().numpy()) for p in source.parameters()]
        layer.set_weights([rows[0].T, rows[1].T, np.stack(rows[2:])])
    for layer, head in ((classes, net.classes), (value, net.value)):
        layer.set_weights([p.detach().numpy().T for p in head.parameters()])
    model.save(path)
    return path


def _gates(rows: np.ndarray) -> np.ndarray:
    """Return torch's r z n as Keras's z r h."""
    r, z, n = np.split(rows, 3)
    return np.concatenate([z, r, n])


def doors(net: Residual, folder: Path, *names: str) -> dict[str, Any]:
    """Return what `load_float_model` is given at each door."""
    given: dict[str, Any] = {"module": net}
    x = torch.zeros(2, TIME, CHANNELS)
    for name in names:
        if name == "keras":
            given[name] = in_keras(net, folder / "m.keras")
        else:
            given[name] = exported(name, net, (x,), folder, free=True)
    return given


def assert_same_integers(
    net: Residual, given: dict[str, Any], calibration: np.ndarray, real: np.ndarray
) -> Program:
    """Import at each door: floats as the module's, integers as each other's."""
    programs, scale = {}, calibration.std(axis=(0, 1))
    noise = np.random.default_rng(5).standard_normal((40, TIME, CHANNELS)) * scale
    batches = [
        real,
        *((calibration.mean(axis=(0, 1)) + s * noise).astype(np.float32) for s in SCALES),
    ]
    for name, model in given.items():
        chain = load_float_model(model, calibration, window=TIME)
        for x in batches:
            expected = outputs(net, x)
            error = np.abs(chain.run(x)[:, -1] - expected).max()
            assert error <= TOLERANCE * max(1.0, float(np.abs(expected).max())), name
        programs[name] = quantize(chain, calibration)
    first = programs["module"]
    y = first.run(first.quantize_input(real))
    for name, program in programs.items():
        assert (program.run(program.quantize_input(real)) == y).all(), name
    return first


def outputs(net: Residual, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return torch.cat(net(torch.from_numpy(x)), -1).numpy()


@pytest.mark.board
def test_a_small_one(tmp_path: Path) -> None:
    torch.manual_seed(3)
    net = Residual(6).eval()
    x = np.random.default_rng(1).normal(0.2, 1, (24, TIME, CHANNELS)).astype(np.float32)
    program = assert_same_integers(net, doors(net, tmp_path, "onnx"), x, x)
    cases = {"residual": Case(program, (), program.quantize_input(x[:4]))}
    assert mismatches("qemu-m4", cases, tmp_path) == none_of(cases)


class Stepped(nn.Module):
    """Cells in a loop over channels and their magnitude, slopes of units, a projected state."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.act = nn.GRUCell(3, 6), nn.PReLU(6)
        self.rnn = nn.LSTM(6, 7, batch_first=True, proj_size=4)
        self.classes = nn.Linear(4 + 6, CLASSES)
        nn.init.uniform_(self.act.weight, -0.5, 1.5)

    def forward(self, x: Tensor) -> Tensor:
        h, states = x.new_zeros(x.shape[0], 6), []
        for step in range(x.shape[1]):
            length = torch.linalg.vector_norm(x[:, step], dim=-1, keepdim=True)
            h = self.cell(torch.cat([x[:, step, 1:], length], -1), h)
            states.append(self.act(h))
        inner = torch.stack(states, 1)
        return self.classes(torch.cat([self.rnn(inner)[0], inner], -1))


@pytest.mark.board
def test_a_loop_over_channels(tmp_path: Path) -> None:
    """Alone shows that loops, ranges of channels, magnitudes, slopes and projections keep their bits."""
    torch.manual_seed(5)
    net = Stepped().eval()
    x = np.random.default_rng(2).normal(0.2, 1, (24, TIME, CHANNELS)).astype(np.float32)
    file = exported("pt2", net, (torch.zeros(2, TIME, CHANNELS),), tmp_path, free=False)
    chains = [load_float_model(model, x, window=TIME) for model in (net, file)]
    for scale in SCALES:
        with torch.no_grad():
            expected = net(torch.from_numpy(scale * x).float()).numpy()
        for chain in chains:
            got = chain.run((scale * x).astype(np.float32))
            assert np.abs(got - expected).max() <= TOLERANCE * expected.std()
    program, other = (quantize(chain, x) for chain in chains)
    inputs = program.quantize_input(x)
    y = program.run(inputs)
    assert (other.run(inputs) == y).all()
    with torch.no_grad():
        floats = net(torch.from_numpy(x)).numpy()
    assert np.abs(y * program.output_scale - floats).mean() <= 0.05 * floats.std()
    cases = {"stepped": Case(program, (), inputs[:4])}
    for board in ("host", "qemu-m4"):
        assert mismatches(board, cases, tmp_path / board) == none_of(cases)


def windows(seglearn: "Dataset", split: str) -> Windows:
    """Return windows of the acceleration at a quarter of its rate, of the first exercises."""
    given = seglearn.windows(split)
    some = given.y < CLASSES
    x = np.concatenate([given.x[some, k::4, :CHANNELS][:, :TIME] for k in range(4)])
    return np.ascontiguousarray(x), np.tile(given.y[some], 4)


def learned(x: np.ndarray, y: np.ndarray) -> Residual:
    """Return a model that tells the exercises, and how much is moved."""
    torch.manual_seed(0)
    net = Residual(24)
    optimiser = torch.optim.Adam(net.parameters(), 0.01)
    data, labels = torch.from_numpy(x), torch.from_numpy(y)
    effort = data.std(dim=1).sum(dim=-1, keepdim=True)
    effort = (effort - effort.mean()) / effort.std()
    for _ in range(6):
        for rows in torch.randperm(len(data)).split(64):
            scores, value = net(data[rows])
            loss = nn.functional.cross_entropy(scores, labels[rows])
            loss = loss + nn.functional.mse_loss(value, effort[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return net.eval()


@pytest.mark.slow
@pytest.mark.board
def test_one_of_real_recordings(seglearn: "Dataset", tmp_path: Path) -> None:
    (x, y), (tested, truth) = (windows(seglearn, split) for split in ("train", "test"))
    net = learned(x, y)
    given = doors(net, tmp_path, "pt2", "onnx", "keras")
    program = assert_same_integers(net, given, x[::8], tested)
    integers = program.run(program.quantize_input(tested))[:, -1, :CLASSES].argmax(axis=-1)
    floats = outputs(net, tested)[:, :CLASSES].argmax(axis=-1)
    before, after = ((decided == truth).mean() for decided in (floats, integers))
    assert before > 0.6 and before - after <= 0.005, (before, after)
    cases = {"residual": Case(program, (), program.quantize_input(tested[::40]))}
    assert mismatches("qemu-m4", cases, tmp_path) == none_of(cases)
