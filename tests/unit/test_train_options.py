"""Options of a training: the cell's own, its defaults, the loss."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgeflow.cells import CELLS, load_model
from edgeflow.cells.options import parse_options
from edgeflow.digest import read_json
from edgeflow.errors import TrainError
from edgeflow.tasks.classification import l2_svm
from edgeflow.training import train
from edgeflow.training.augment import mirror, mirror_signs
from edgeflow.training.batches import tail_weight
from tests.unit.test_train import SMALL, waves


def test_cell_options_reach_the_cell_and_the_checkpoint(tmp_path: Path) -> None:
    options = {"order": 3, "theta": 12.5, "train_memory": True}
    result = train(waves(), "lmu", out=tmp_path, hidden=8, epochs=1, cell_options=options)
    for model in (result.model, load_model(tmp_path)):
        found = model.hyper["options"]
        assert {name: found[name] for name in options} == options
        assert found["memory_size"] == 0  # defaults are kept, too
        assert (model.rnn.order, model.rnn.theta) == (3, 12.5)
        assert isinstance(model.rnn.A, torch.nn.Parameter)


@pytest.mark.parametrize(
    "cell,options,message",
    [
        ("gru", {"order": 3}, "gru has no option 'order': it has none"),
        ("lmu", {"ordre": 3}, "lmu has no option 'ordre': it has order=8, theta=64.0"),
        ("lmu", {"order": True}, "order is true: lmu needs one like 8"),
        ("lmu", {"order": "many"}, 'order is "many": lmu needs one like 8'),
    ],
)
def test_wrong_cell_options(cell: str, options: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=re.escape(message)):
        train(waves(), cell, out=tmp_path, cell_options=options)


def test_parse_options() -> None:
    texts = ["order=8", "theta=2.5", "train_memory=true", "mode=pure", "reset=null"]
    assert parse_options(texts) == {
        "order": 8, "theta": 2.5, "train_memory": True, "mode": "pure", "reset": "null"
    }  # fmt: skip
    for texts in (["order"], ["=3"], ["order=1", "order=2"]):
        with pytest.raises(TrainError):
            parse_options(texts)


def test_a_cell_brings_its_own_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = dataclasses.replace(CELLS["gru"], training={"lr": 0.003, "batch": 64})
    monkeypatch.setitem(CELLS, "gru", cell)
    result = train(waves(), out=tmp_path, epochs=1, batch=32)
    arguments = result.metrics["arguments"]
    assert (arguments["lr"], arguments["batch"]) == (0.003, 32)


@given(st.integers(0, 3), st.lists(st.floats(-3, 3), min_size=4, max_size=4))
def test_l2_svm_is_the_squared_hinge(label: int, logits: list[float]) -> None:
    hinges = [max(0.0, 1 - (1 if c == label else -1) * y) for c, y in enumerate(logits)]
    expected = sum(h * h for h in hinges) / 4
    loss = l2_svm(torch.tensor(logits).view(1, 1, 4), torch.tensor([label]))
    assert loss.shape == (1, 1)
    assert float(loss) == pytest.approx(expected, abs=1e-5)


def test_margin_loss_trains(tmp_path: Path) -> None:
    result = train(waves(), out=tmp_path, loss="l2-svm", **(SMALL | {"epochs": 15}))
    assert result.metrics["test"]["accuracy"] > 0.9


def test_mirror_is_the_other_wrist() -> None:
    """A motion and its mirror image: rates of turn are those of the mirrored path."""
    channels = ["ax", "ay", "az", "gx", "gy", "gz", "pulse"]
    signs = mirror_signs(channels, ["m/s2"] * 3 + ["rad/s"] * 3 + ["1/min"])
    # v = w x r of a point at r, in both worlds
    rng = np.random.default_rng(0)
    r, w = rng.normal(size=(2, 3))
    polar, axial = signs[:3].numpy(), signs[3:6].numpy()
    np.testing.assert_allclose(np.cross(axial * w, polar * r), polar * np.cross(w, r))
    assert signs[0] == -1 and signs[6] == 1
    x = torch.randn(400, 5, 7)
    turned = mirror(x, signs, 0.25)
    share = float((turned != x).any(dim=2).all(dim=1).float().mean())
    assert 0.15 < share < 0.35
    untouched = (turned == x).all(dim=2).all(dim=1)
    assert torch.equal(turned[~untouched], (x * signs)[~untouched])


def test_a_data_set_says_whether_it_is_mirrored(tmp_path: Path) -> None:
    def losses(share: float, folder: str, **options: Any) -> list[float]:
        data = dataclasses.replace(waves(), mirror=share)
        result = train(data, out=tmp_path / folder, **{**SMALL, "epochs": 1, **options})
        return [row["loss"] for row in result.metrics["history"]]

    assert losses(0.5, "a") == losses(0.0, "b", mirror=0.5)
    assert losses(0.0, "c") == losses(0.5, "d", mirror=0.0) != losses(0.5, "e")


@pytest.mark.parametrize(("tail", "steps"), [(0.1, 2), (0.5, 10), (1.0, 20), (0.001, 1)])
def test_tail_is_what_the_loss_sees(
    tail: float, steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def record(n: int, length: int, last: int) -> torch.Tensor:
        weight = tail_weight(n, length, last)
        seen.append(weight.sum(dim=1))
        return weight

    monkeypatch.setattr("edgeflow.training.batches.tail_weight", record)
    train(waves(), out=tmp_path, tail=tail, **(SMALL | {"epochs": 1}))
    assert all((weights == steps).all() for weights in seen)


def test_training_on_every_step_decides_earlier(tmp_path: Path) -> None:
    early = {}
    for tail in (0.05, 1.0):
        result = train(waves(), out=tmp_path / str(tail), tail=tail, **(SMALL | {"epochs": 15}))
        windows = waves().windows("test")
        with torch.no_grad():
            outputs = result.model(torch.from_numpy(windows.x)).numpy()
        early[tail] = np.mean(waves().task.by_sample(outputs, windows.y)[3:12])
    assert early[1.0] > early[0.05] + 0.03


def test_a_training_of_before_the_option_is_finished(tmp_path: Path) -> None:
    done = train(waves(), out=tmp_path, **(SMALL | {"epochs": 1}))
    path = tmp_path / "metrics.json"
    metrics = read_json(path)  # without a digest, as then
    del metrics["arguments"]["tail"], metrics["arguments"]["keep"]
    path.write_text(json.dumps(metrics))
    again = train(waves(), out=tmp_path, **(SMALL | {"epochs": 1}))
    assert again.metrics["history"] == done.metrics["history"]
    with pytest.raises(TrainError, match=r"tail 0\.1, not 1"):
        train(waves(), out=tmp_path, tail=1.0, **(SMALL | {"epochs": 1}))
