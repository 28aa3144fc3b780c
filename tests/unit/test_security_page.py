"""SECURITY.md names every kind of file, and no kind runs a pickle (tier: unit).

Alone they would catch a new importer, kind or door that the page leaves out, one that the page still
has, and a reader that unpickles: each file would leave a mark, and torch's own loader does.
"""

import io
import os
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgeflow.cells import load_model
from edgeflow.data import load_dataset
from edgeflow.errors import EdgeFlowError
from edgeflow.importers import file_kinds, load_float_model, model_file
from edgeflow.importers.checkpoint_weights import load_weights
from edgeflow.program import Program
from tests.input_fuzz.doors import DOORS

PAGE = Path(__file__).parents[2] / "SECURITY.md"


def rows() -> list[list[str]]:
    table = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    head, *found = cells
    assert head[:2] == ["what", "kinds"]
    return found


def test_every_kind_of_file_has_a_row() -> None:
    known = set(file_kinds._TEXTS) - {""}
    known |= set(model_file._IMPORTERS) | set(DOORS)
    known |= {Path(door.name).suffix for door in DOORS.values()}
    known |= {".py", ".bin", ".parquet"}
    named = [word for row in rows() for word in re.findall(r"`([^`]+)`", row[1])]
    assert set(named) == known
    assert len(named) == len(set(named))


def test_every_row_says_what_runs_and_what_is_checked() -> None:
    for row in rows():
        assert len(row) == 5 and row[0] and row[2] and row[4], row
        assert row[3] or "mymodel.py" in row[0]


class Mark:
    """Pickled, it makes a folder when it is read."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.place),)


def legacy(mark: Mark) -> bytes:
    file = io.BytesIO()
    torch.save({"state_dict": mark}, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


def zipped(mark: Mark) -> bytes:
    file = io.BytesIO()
    torch.save({"format": 1, "cell": "gru", "hyper": {}, "state_dict": mark}, file)
    return file.getvalue()


def arrays(mark: Mark) -> bytes:
    file = io.BytesIO()
    np.savez(file, x=np.array([mark], object), y=np.array([mark], object))
    return file.getvalue()


def archive(*names: str) -> Callable[[Mark], bytes]:
    def make(mark: Mark) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as found:
            for name in names:
                found.writestr(name, pickle.dumps(mark))
        return file.getvalue()

    return make


FORMS = {
    "pickle": lambda mark: pickle.dumps(mark, protocol=2),
    "newer pickle": pickle.dumps,
    "torch": zipped,
    "old torch": legacy,
    "npz": arrays,
    "pt2": archive("m/archive_format", "m/data/weights/model.pt", "m/data/constants/model.pt"),
    "keras": archive("config.json", "model.weights.h5", "metadata.json"),
    "torchscript": archive("m/constants.pkl", "m/data.pkl", "m/code/x.py"),
}  # fmt: skip
SUFFIXES = [".pt", ".pth", ".bin", ".pkl", ".pt2", ".npz", ".npy", ".keras", ".h5", ".onnx", ".nir",
            ".safetensors", ".joblib", ".csv"]  # fmt: skip


def readers(path: Path) -> list[Callable[[], Any]]:
    example = np.zeros((2, 10, 3), np.float32)
    net = torch.nn.Linear(3, 2)
    return [
        lambda: load_float_model(path, example),
        lambda: load_model(path),
        lambda: load_weights(net, path),
        lambda: load_dataset(path),
        lambda: Program.load(path),
    ]


@pytest.mark.parametrize("form", FORMS)
def test_no_kind_runs_a_pickle(form: str, tmp_path: Path) -> None:
    mark = Mark(tmp_path / "ran")
    for suffix in SUFFIXES:
        path = tmp_path / f"a{suffix}"
        path.write_bytes(FORMS[form](mark))
        for read in readers(path):
            with pytest.raises(EdgeFlowError):
                read()
        assert not mark.place.exists(), suffix


def test_the_mark_would_show(tmp_path: Path) -> None:
    mark = Mark(tmp_path / "ran")
    with pytest.raises((pickle.UnpicklingError, AttributeError, TypeError, KeyError, OSError)):
        torch.load(io.BytesIO(zipped(mark)), weights_only=False)["state_dict"].keys()
    assert mark.place.exists()
