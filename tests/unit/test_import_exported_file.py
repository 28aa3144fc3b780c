"""A .pt2 file is checked before torch reads it, which could run code in it."""

import io
import json
import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgeflow.errors import CompressError
from edgeflow.importers import load_float_model
from edgeflow.importers.exported_file import _is_size, check_exported
from tests.input_fuzz import seeds


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return next(seeds.pt2_files(tmp_path_factory.mktemp("exported")))


def changed(content: bytes, end: str, change: Callable[[bytes], bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, change(data) if name.endswith(end) else data)
    return buffer.getvalue()


class Touch:
    """Makes a file as it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def refuse(content: bytes, folder: Path, match: str) -> None:
    path = folder / "a.pt2"
    path.write_bytes(content)
    with pytest.raises(CompressError, match=match) as caught:
        load_float_model(path, seeds.samples())
    assert str(caught.value).startswith(str(path))
    assert not (folder / "made").exists()


def test_a_good_file_passes(content: bytes) -> None:
    check_exported(content)
    # zip archives of other tools, with the same records
    check_exported(changed(content, "none", lambda data: data))


def test_pickles_are_not_run(content: bytes, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save(((Touch(tmp_path / "made"),), {}), buffer)
    data = changed(content, "sample_inputs/model.pt", lambda _: buffer.getvalue())
    refuse(data, tmp_path, "sample_inputs/model.pt is a pickle of more than tensors")


def test_pickled_weights_are_not_read(content: bytes, tmp_path: Path) -> None:
    def pickled(data: bytes) -> bytes:
        return data.replace(b'"use_pickle": false', b'"use_pickle": true', 1)

    refuse(changed(content, "weights_config.json", pickled), tmp_path, "asks for a pickled object")
    constant = {"config": {"a": {"path_name": "opaque_obj_0", "use_pickle": False}}}
    data = changed(content, "constants_config.json", lambda _: json.dumps(constant).encode())
    refuse(data, tmp_path, "asks for a pickled object")


def test_text_of_sizes_is_not_run(content: bytes, tmp_path: Path) -> None:
    def code(data: bytes) -> bytes:
        values = json.loads(data)
        name = json.dumps(str(tmp_path / "made"))
        text = json.dumps(f"__import__('os').mkdir({name})")
        return (
            data.replace(b'"expr_str": "', f'"expr_str": {text}, "x": "'.encode())
            if values
            else b""
        )

    refuse(changed(content, "models/model.json", code), tmp_path, "where a size should be")


@pytest.mark.parametrize(
    "target", ["torch.hub.load", "torch.load", "torch.serialization.os.mkdir", "_operator", ""]
)
def test_functions_are_operators(target: str, content: bytes, tmp_path: Path) -> None:
    old, new = b"torch.ops.aten.div.Tensor", target.encode()
    data = changed(content, "model.json", lambda values: values.replace(old, new))
    refuse(data, tmp_path, "no operator of torch")


def test_damage_is_told_without_a_log(
    content: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    refuse(content.replace(b"torch.ops", b"torch_ops", 1), tmp_path, "damaged: its record")
    refuse(content[:-40], tmp_path, "damaged|TorchScript|no kind")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile's, of the name
        buffer = io.BytesIO(content)
        with zipfile.ZipFile(buffer, "a") as archive:
            archive.writestr(archive.namelist()[0].upper(), b"")
    refuse(buffer.getvalue(), tmp_path, "a record twice")
    data = changed(content, "weights/weight_0", lambda _: np.zeros(1).tobytes())
    refuse(data, tmp_path, "a.pt2: not a file of torch.export.save")
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "text",
    ["s77", "2*s0 + 1", "s0**2", "FloorDiv(s0, 2)", "Max(1, u0) <= 3", "Eq(Mod(s0, 2), 0)", "-1",
     "Symbol('s77', positive=True, integer=True)", "Pow(Symbol('s0'), Integer(-1))"],
)  # fmt: skip
def test_sizes(text: str) -> None:
    assert _is_size(text)


@pytest.mark.parametrize(
    "text",
    ["", "s0.x", "exit()", "open('a')", "__import__('os')", "(lambda: 1)()", "[s0 for s0 in s1]",
     "9**9**9", "9**s0", "Pow(9, Pow(9, 9))", "Symbol('a b')", "s0" * 2000, "(" * 900, "f'{s0}'",
     "Add('__import__(1)')", "Pow(*x)", "s0\0", "x[0]", "Pow(9, 10**9)", "Pow(9, exp=99999)"],
)  # fmt: skip
def test_no_sizes(text: str) -> None:
    assert not _is_size(text)
