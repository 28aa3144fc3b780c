"""Every cell, all windows of the WISDM test people: onnxruntime gives the oracle's bits."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeflow.cells import CELLS
from edgeflow.compression.evaluate import compress_model
from edgeflow.data import Dataset, load_dataset
from edgeflow.program import Program
from edgeflow.program.nodes.cutoff import Cutoff, lead
from edgeflow.program.onnx_file import to_onnx
from edgeflow.program.onnx_forms import Form, as_form
from edgeflow.recipes.apply import compress_by_recipe
from edgeflow.recipes.recipe import make_recipe
from edgeflow.training import train
from tests.onnx_consumer import Consumer
from tests.parity.test_every_cell_compressed import NO_DELTA, SPIKING

pytestmark = pytest.mark.slow

#: Not a multiple of 4, nor of 8.
HIDDEN = 19
FORMS = [
    Form(),
    Form(inline=True),
    Form(raw=True),
    Form(scan=True),
    Form(scan=True, inline=True, raw=True),
]
#: Windows that run at once.
BATCH = 512


@pytest.fixture(scope="module")
def wisdm(shared_data: Path) -> Dataset:
    return load_dataset("wisdm-watch-hand", root=shared_data)


@pytest.fixture(scope="module")
def trained(wisdm: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("cells")
    # the test people are all there; a few others are enough to learn something
    few = {**wisdm.people, "train": wisdm.people["train"][:4], "val": wisdm.people["val"][:1]}
    quick = dataclasses.replace(wisdm, people=few)

    @functools.cache
    def make(cell: str) -> Path:
        train(quick, cell, out=folder / cell, hidden=HIDDEN, epochs=1, batch=256, tail=1.0)
        return folder / cell

    return make


def mismatches(program: Program, windows: np.ndarray, form: Form) -> int:
    """Return the steps at which outputs differ, and the windows whose last or label does.

    `windows` are raw samples float32 [n, time, channels].
    """
    expected = program.run(program.quantize_input(windows))
    assert len(np.unique(expected)) > 20  # the model says something
    consumer = Consumer(as_form(to_onnx(program), program, form))
    x = windows if form.raw else program.quantize_input(windows)
    wrong = 0
    for start in range(0, len(x), BATCH):
        found = consumer.run(x[start : start + BATCH])
        right = expected[start : start + BATCH]
        wrong += int((found["y"] != right).any(axis=2).sum())
        if form.scan:
            wrong += int((found["last"] != right[:, -1]).any(axis=1).sum())
        if form.raw:
            labels = np.array(program.classes)[right[:, -1].argmax(axis=1)]
            wrong += int((found["label"] != labels).sum())
    return wrong


def compressed(cell: str, model: Path, data: Dataset, out: Path) -> Program:
    """Return the cell pruned, with int4 weights, delta products and a cut-off, where it can."""
    options = {
        "weights": "int4",
        "epochs": 1,
        "prune": 0.5,
        "delta": {"state": 0.6, "input": 0.3, "group": 2},
    }
    if cell in NO_DELTA:
        del options["delta"]
    if cell == "ltc":  # its synapses are no matrices of products
        del options["prune"]
    if cell in SPIKING:
        options["spike-rate"] = 0.1
    program = compress_by_recipe(model, data, make_recipe({}, options), out).compressed.program
    y = program.run(program.quantize_input(data.windows("test").x[::20]))
    threshold = int(np.median(lead(y).max(axis=1)))  # that half of the windows reach
    cutoff = Cutoff("cutoff", program.outputs, threshold, start=3)
    return dataclasses.replace(program, nodes=(*program.nodes, cutoff))


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell(cell: str, trained: Callable[[str], Path], wisdm: Dataset) -> None:
    windows = wisdm.windows("test").x
    assert windows.shape == (4467, 40, 6)
    program = compress_model(trained(cell), wisdm).program
    assert {form: mismatches(program, windows, form) for form in FORMS} == dict.fromkeys(FORMS, 0)


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_compressed(
    cell: str, trained: Callable[[str], Path], wisdm: Dataset, tmp_path: Path
) -> None:
    few = {**wisdm.people, "train": wisdm.people["train"][:2], "val": wisdm.people["val"][:1]}
    data = dataclasses.replace(wisdm, people=few)
    program = compressed(cell, trained(cell), data, tmp_path / "model.onnx")
    assert (cell in NO_DELTA) != any(node.delta_matrices() for node in program.nodes)
    matrices = [m for node in program.nodes for m in node.matrices().values()]
    assert max(int(np.abs(m.weight.astype(int)).max()) for m in matrices) <= 7
    assert cell == "ltc" or max(float((m.weight == 0).mean()) for m in matrices) >= 0.45
    windows = wisdm.windows("test").x
    whole = program.without_cutoff().run(program.quantize_input(windows))
    assert program.cutoff is not None
    assert len(np.unique(program.cutoff.samples_read(whole))) > 10
    forms = [Form(), Form(scan=True, inline=True, raw=True)]
    assert {form: mismatches(program, windows, form) for form in forms} == dict.fromkeys(forms, 0)
