"""Window, rate and units of a model are compared with those of the data, by every door."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from edgeflow.cells import load_model
from edgeflow.compression.evaluate import compress_model, load_chain
from edgeflow.data import Dataset, Recording, choose_windows, match_notes
from edgeflow.data.matching import check_match
from edgeflow.errors import DataError
from edgeflow.training import train
from tests.unit.test_train import SMALL, waves


@pytest.fixture(scope="module")
def data() -> Dataset:
    return waves(length=80)


@pytest.fixture(scope="module")
def folder(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 10 Hz, windows of 20 samples, in g."""
    folder = tmp_path_factory.mktemp("model")
    train(data, out=folder, **(SMALL | {"epochs": 1}))
    return folder


def _cut(data: Dataset, length: int) -> Dataset:
    parts = [dataclasses.replace(r, x=r.x[:length]) for r in data.recordings]
    return dataclasses.replace(data, recordings=parts, window=length)


@pytest.mark.parametrize("rate", [20.0, 5.0, 10.5])
def test_another_rate_is_refused_with_both_and_the_remedy(
    folder: Path, data: Dataset, rate: float
) -> None:
    other = dataclasses.replace(data, rate_hz=rate)
    message = rf"has {rate:g} samples per second, the model was made for 10: .*\(--resample 10\)"
    with pytest.raises(DataError, match=message):
        load_chain(folder, other)
    program = compress_model(folder, data).program
    with pytest.raises(DataError, match=message):
        choose_windows(program, other, "test")


@pytest.mark.parametrize("rate", [10.0, 9.95, 10.1, 0.0])
def test_a_clock_that_is_a_little_off_or_unknown_is_no_other_rate(
    folder: Path, data: Dataset, rate: float
) -> None:
    chain, _ = load_chain(folder, dataclasses.replace(data, rate_hz=rate))
    assert chain.notes == ()


def test_other_windows_are_noted_with_both_and_the_model_s_are_used(
    folder: Path, data: Dataset
) -> None:
    found = compress_model(folder, dataclasses.replace(data, window=30))
    note = (
        "the model decides every 20 samples, windows of data set 'waves' have 30: the model's 20 "
        "are used"
    )
    assert found.program.metadata["notes"] == [note]
    assert found.program.window == 20
    assert found.scores["windows"] == len(data.windows("test", length=20).y)
    assert match_notes(found.program, dataclasses.replace(data, window=30)) == [note]
    assert match_notes(found.program, data) == []


def test_windows_cut_longer_than_the_model_s_are_noted(folder: Path, data: Dataset) -> None:
    program = compress_model(folder, data).program
    cut = dataclasses.replace(_cut(data, 30), window=20)
    assert match_notes(program, cut) == [
        "each recording of data set 'waves' has 30 samples, as if they were windows; the model "
        "decides every 20: the first 20 of each are used"
    ]
    assert match_notes(program, _cut(data, 20)) == []


def test_windows_shorter_than_the_model_s_are_refused(folder: Path, data: Dataset) -> None:
    message = "recordings have at most 15 samples, the model decides every 20: give whole"
    with pytest.raises(DataError, match=message):
        load_chain(folder, _cut(data, 15))
    program = compress_model(folder, data).program
    with pytest.raises(DataError, match=message):
        choose_windows(program, _cut(data, 15), "test")


def test_units_go_with_the_model(folder: Path, data: Dataset) -> None:
    assert load_model(folder).units == ["g", "g", "g"]
    program = compress_model(folder, data).program
    assert program.metadata["units"] == ["g", "g", "g"]
    other = dataclasses.replace(data, units=["g", "m/s²", "g"])
    message = "channel ay is in m/s², the model was made for g: convert"
    with pytest.raises(DataError, match=message):
        load_chain(folder, other)
    with pytest.raises(DataError, match=message):
        choose_windows(program, other, "test")
    unknown = dataclasses.replace(data, units=["", "", ""])
    assert len(choose_windows(program, unknown, "test").y)


def test_files_that_know_no_units_are_read(folder: Path, data: Dataset) -> None:
    content = torch.load(folder / "model.pt", weights_only=True)
    del content["units"]
    torch.save(content, folder / "old.pt")
    other = dataclasses.replace(data, units=["m/s2"] * 3)
    assert load_model(folder / "old.pt").units is None
    chain, _ = load_chain(folder / "old.pt", other)
    assert chain.units == ("m/s2",) * 3, "those that its integers are calibrated on"


def test_a_module_takes_the_units_of_the_data(data: Dataset) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 2))
    chain, _ = load_chain(net, data)
    assert chain.units == ("g", "g", "g")


@pytest.mark.parametrize(
    ("own", "wanted"),
    [("m/s²", "m/s^2"), ("m / s**2", "m/s2"), ("m/s/s", "m/s²"), ("dps", "deg/s"), ("G", "g"),
     ("", "g"), ("g", "")],
)  # fmt: skip
def test_one_unit_has_several_spellings(own: str, wanted: str) -> None:
    x = np.zeros((30, 1), np.float32)
    data = Dataset("d", ["a", "b"], ["c"], [own], 10.0, [Recording(x, 0, "p")], {}, 10)
    assert check_match(data, window=10, units=[wanted]) == []
