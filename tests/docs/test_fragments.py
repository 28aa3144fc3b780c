"""Fragments of Python in the documentation (```py) run, too, given what their page speaks of."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import edgeflow as ef
from tests.conftest import ROOT
from tests.docs.test_docs import PAGES, blocks
from tests.random_nodes.adaptive import random_learner
from tests.recordings import write_recordings

# Lines to insert into files, which test_add_a_cell does, and interfaces, which are no code.
NOT_CODE = ("add-a-cell.md", "architecture.md")


def exported() -> dict[str, Any]:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru, self.out = nn.GRU(3, 8, batch_first=True), nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(self.gru(x)[0])

    nir = pytest.importorskip("nir")
    one = np.ones(1)
    graph = nir.NIRGraph.from_list(
        nir.Input(one),
        nir.Affine(np.ones((1, 1)), one),
        nir.LIF(one, one, one, one),
        nir.Output(one),
    )
    layers = {"conv": nn.Conv1d(3, 4, 5), "norm": nn.BatchNorm1d(4), "act": nn.ReLU()}
    layers |= {"first": nn.Linear(3, 4), "cell": nn.GRUCell(4, 5), "head": nn.Linear(5, 2)}
    layers |= {"rnn": nn.GRU(3, 4, batch_first=True), "score": nn.Linear(4, 1)}
    layers |= {"classes": nn.Linear(4, 2), "slow": nn.GRU(12, 4, batch_first=True)}
    return {"self": SimpleNamespace(**layers), "net": Net(), "graph": graph, "nir": nir}


def profiled() -> dict[str, Any]:
    x = np.random.default_rng(0).standard_normal((4, 20, 3))
    program = ef.compress(nn.GRU(3, 2, batch_first=True), x, classes=["a", "b"], window=20)
    build = ef.compile(program, "host", "build-c", kernel_sets=["c"])
    for folder in ("build-c", "build-dsp"):
        ef.profile(build, (x, ["a"] * 4), out=folder)
    return {}


def on_chips() -> dict[str, Any]:
    write_recordings(Path("mine.csv"))
    data = ef.load_dataset("mine.csv", window=20)
    return {"ef": ef, "data": data, "program": ef.compress(nn.GRU(4, 3, batch_first=True), data)}


def learning() -> dict[str, Any]:
    return {"program": random_learner(1, "prototypes", 9, 3), "window": np.ones((20, 3))}


GIVEN: dict[str, Callable[[], dict[str, Any]]] = {
    "adaptation.md": learning, "imc.md": on_chips, "import.md": exported, "profiling.md": profiled,
}  # fmt: skip


def fragments(page: Path) -> list[str]:
    return [text for file, kind, text in blocks(page) if kind == "py" and not file]


@pytest.mark.parametrize(
    "page",
    [p for p in PAGES if fragments(p) and p.name not in NOT_CODE],
    ids=lambda p: p.name,
)
def test_fragments_of(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = {"torch": torch, "nn": nn, **GIVEN[page.name]()}
    for text in fragments(page):
        shape = (2, 3, 20) if "self.conv" in text else (8, 20, 3)
        exec(compile(text, str(page.relative_to(ROOT)), "exec"), {**names, "x": torch.randn(shape)})


def test_exports_of_the_page_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = {"torch": torch, "nn": nn, **exported(), "x": torch.randn(8, 20, 3)}
    for text in fragments(ROOT / "docs" / "import.md"):
        if "self.conv" not in text:
            exec(text, names)
    for file in ("model.onnx", "model.pt2"):
        assert ef.compress(file, names["x"]).outputs == 2
