"""Signs that a model is not used as it was trained, told from training subjects alone."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgeflow.compression.evaluate import compress_model, load_chain
from edgeflow.data import Dataset, Recording
from edgeflow.training import train
from tests.unit.test_train import SMALL, waves

CLASSES = ["0", "1", "2", "3", "4"]


def levels(seed: int = 0, each: int = 4, classes: tuple[str, ...] = tuple(CLASSES)) -> Dataset:
    """Class k is noise around k: a linear layer tells them apart."""
    rng = np.random.default_rng(seed)
    recordings = [
        Recording(rng.normal(k, 0.1, (12, 1)).astype(np.float32), k, person)
        for person in "abcde" for k in range(5) for _ in range(each)
    ]  # fmt: skip
    people = {"train": ["a", "b", "c"], "val": ["d"], "test": ["e"]}
    return Dataset("levels", list(classes), ["x"], [""], 10.0, recordings, people, 4)


def nearest() -> nn.Linear:
    """Output k is largest where x is nearest to k."""
    layer = nn.Linear(1, 5)
    with torch.no_grad():
        layer.weight[:, 0] = torch.arange(5.0)
        layer.bias[:] = -(torch.arange(5.0) ** 2) / 2
    return layer


def permuted(data: Dataset, order: list[int]) -> Dataset:
    """The data set whose class number i has the recordings of class order[i]."""
    place = {old: new for new, old in enumerate(order)}
    recordings = [dataclasses.replace(r, label=place[r.label]) for r in data.recordings]
    classes = [data.classes[old] for old in order]
    return dataclasses.replace(data, recordings=recordings, classes=classes)


def test_the_order_of_the_outputs_is_named() -> None:
    data = permuted(levels(), [0, 3, 1, 2, 4])
    chain, _ = load_chain(nn.Sequential(nearest()), data)
    assert chain.notes == (
        "the classes look permuted: as '0, 1, 2, 3, 4' accuracy on training subjects would be "
        "100% instead of 40%, as '0, 3, 1, 2, 4': give them in the order of the model's outputs "
        "('# classes: ...' in a .csv file, 'classes' of .npz)",
    )
    assert list(chain.classes) == ["0", "3", "1", "2", "4"], "nothing is changed by itself"
    found = compress_model(nn.Sequential(nearest()), data)
    assert found.program.metadata["notes"] == list(chain.notes)
    assert found.scores["accuracy_float"] == pytest.approx(0.4)


@pytest.mark.parametrize("order", [[4, 3, 2, 1, 0], [1, 2, 3, 4, 0], [1, 0, 3, 2, 4]])
def test_every_order_is_found(order: list[int]) -> None:
    chain, _ = load_chain(nn.Sequential(nearest()), permuted(levels(), order))
    assert "as '0, 1, 2, 3, 4' accuracy on training subjects would be 100%" in chain.notes[0]


def test_right_order_says_nothing() -> None:
    assert load_chain(nn.Sequential(nearest()), levels())[0].notes == ()


def test_test_subjects_do_not_matter() -> None:
    """Only theirs are permuted: nothing is told, though their accuracy is low."""
    data, turned = levels(), permuted(levels(), [4, 3, 2, 1, 0])
    recordings = [
        turned.recordings[i] if r.person in "de" else r for i, r in enumerate(data.recordings)
    ]
    found = compress_model(
        nn.Sequential(nearest()), dataclasses.replace(data, recordings=recordings)
    )
    assert found.scores["accuracy_float"] < 0.3 and "notes" not in found.program.metadata


def test_a_model_that_is_merely_poor_is_not_said_to_be_permuted() -> None:
    """Its outputs do not belong to any class."""

    class Poor(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(1, 5)
            with torch.no_grad():
                self.head.weight[:] = 0
                self.head.bias[:] = torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0])

        def forward(self, x: Tensor) -> Tensor:
            return self.head(x)

    notes = load_chain(Poor(), levels())[0].notes
    assert notes == (
        "the model is right about 20% of the training windows, no better than chance with 5 "
        "classes: check its weights, and that channels, units and scaling of the data are those "
        "that it was trained on",
    )


def test_few_windows_say_nothing() -> None:
    data = permuted(levels(each=1), [4, 3, 2, 1, 0])
    data = dataclasses.replace(data, window=12)
    assert load_chain(nn.Sequential(nearest()), data)[0].notes == ()


def test_a_record_of_the_training_that_tells_of_more(tmp_path: Path) -> None:
    data = waves()
    train(data, out=tmp_path, **(SMALL | {"epochs": 12}))
    assert json.loads((tmp_path / "metrics.json").read_text())["test"]["accuracy"] > 0.85
    assert "notes" not in compress_model(tmp_path, data).program.metadata
    recordings = [dataclasses.replace(r, label=1 - r.label) for r in data.recordings]
    turned = dataclasses.replace(data, recordings=recordings)
    lost, order = compress_model(tmp_path, turned).program.metadata["notes"]
    assert "on test subjects, its training recorded" in lost
    assert "as 'fast, slow' accuracy on training subjects would be" in order
    # another data set may well be harder
    assert (
        "notes"
        not in compress_model(tmp_path, dataclasses.replace(turned, name="others")).program.metadata
    )
