"""Sizes, seeds, types and names that are declared and cannot be: an error of one line, at once.

Unit tier. It alone would catch a size that is believed before anything is compared with it: memory
for 10^9 units, a loop over 10^5 layers, a zip that unpacks a thousandfold; and the texts and types
of files that a program, a profile or a record of ours never has. Memory is limited here to what is
used before and 2 GiB more, so that what is asked for in excess fails rather than swaps.
"""

import io
import json
import resource
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from edgeflow.cells import load_model
from edgeflow.cells.cells import build_cell
from edgeflow.compression.record import read_record, save_record
from edgeflow.data import load_dataset
from edgeflow.errors import CompressError, DataError, EdgeFlowError, ProgramError, TrainError
from edgeflow.importers import load_float_model
from edgeflow.profiling.compare import read_runs
from edgeflow.profiling.result import ProfileResult
from edgeflow.recipes.recipe import Recipe
from edgeflow.training.options import TrainOptions
from tests.input_fuzz import seeds
from tests.input_fuzz.doors import DOORS, wrong
from tests.random_programs import random_program
from tests.unit.test_digests import RECORD
from tests.unit.test_profile_report import a_result

PROGRAM = random_program(2, 3, [5, 4, 3], 2, 12, 12, cells=["gru"])


@pytest.fixture(autouse=True)
def limited() -> Iterator[None]:
    """Two GiB more than the process has mapped."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (2 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The content of a ``model.pt``."""
    folder = tmp_path_factory.mktemp("model")
    next(seeds.model_files(folder))
    content: dict[str, Any] = torch.load(folder / "model.pt", weights_only=True)
    return content


@pytest.mark.parametrize(
    "sizes",
    [{"layers": 10**5}, {"hidden": 10**6}, {"hidden": 4096, "layers": 64}, {"hidden": "6"},
     {"hidden": 6.0}, {"layers": True}, {"hidden": 2**64}],
    ids=str,
)  # fmt: skip
def test_a_model_of_another_size_than_its_weights(
    sizes: dict[str, Any], model: dict[str, Any], tmp_path: Path
) -> None:
    torch.save({**model, "hyper": {**model["hyper"], **sizes}}, tmp_path / "model.pt")
    with pytest.raises(TrainError, match=r"model\.pt: .*(units|layers is|hidden is)"):
        load_model(tmp_path / "model.pt")


@pytest.mark.parametrize(
    "changed",
    [{"window": 2**31}, {"window": -1}, {"rate_hz": float("nan")}, {"rate_hz": float("inf")},
     {"rate_hz": -1.0}, {"classes": ["c"] * 10**4}],
    ids=lambda changed: str(changed)[:30],
)  # fmt: skip
def test_a_model_of_impossible_windows_or_classes(
    changed: dict[str, Any], model: dict[str, Any], tmp_path: Path
) -> None:
    torch.save({**model, **changed}, tmp_path / "model.pt")
    with pytest.raises(TrainError, match=r"model\.pt: .*copy it|copy the file"):
        load_model(tmp_path / "model.pt")


def test_a_tensor_of_more_than_the_file(model: dict[str, Any], tmp_path: Path) -> None:
    huge = torch.zeros(1).expand(10**9)
    assert torch.save({**model, "mean": huge}, tmp_path / "model.pt") is None
    with pytest.raises(TrainError, match="a tensor of more than the file"):
        load_model(tmp_path / "model.pt")


@pytest.mark.parametrize(
    ("cell", "options", "said"),
    [("lmu", {"order": 10**5}, "order is 100000"), ("lmu", {"order": 2000}, "at most 1024"),
     ("lmu", {"order": 1000, "memory_size": 1000}, "order times memory_size"),
     ("lmuformer", {"expansion": 4000}, "expansion times units"),
     ("lmuformer", {"kernel_size": 2**70}, "kernel_size is"), ("ltc", {"unfolds": 1000}, "to 64"),
     ("l2mu", {"population": 4096}, "population times channels"),
     ("lmu", {"theta": float("nan")}, "theta is"), ("lru", {"size": 10**9}, "size is")],
)  # fmt: skip
def test_options_of_cells_are_bounded(cell: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(TrainError, match=said):
        build_cell(cell, 6, 32, 1, 0.0, options)


@pytest.mark.parametrize(
    "options",
    [{"seed": 2**64}, {"seed": 2**63}, {"seed": -1}, {"seed": 1.5}, {"batch": 1.5},
     {"window": 1.5}, {"threads": True}, {"warmup": 0.5}, {"layers": 10**5}, {"lr": float("nan")},
     {"cell_options": 5}, {"seed": "1"}],
    ids=str,
)  # fmt: skip
def test_options_of_a_training(options: dict[str, Any]) -> None:
    with pytest.raises(TrainError, match=f"{next(iter(options))} is"):
        TrainOptions(**options).check()


def npz(path: Path, shape: Any, kind: str = "<f4", data: bytes = b"", packed: bool = False) -> Path:
    """Write recordings whose array x declares a shape and has other data."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", method) as archive:
        magic = b"\x93NUMPY\1\0" + struct.pack("<H", len(header))
        archive.writestr("x.npy", magic + header + data)
        others = {"y": np.arange(4) % 2, "person": np.arange(4), "rate_hz": np.array(5.0)}
        for name, array in others.items():
            buffer = io.BytesIO()
            np.save(buffer, array)
            archive.writestr(f"{name}.npy", buffer.getvalue())
    return path


@pytest.mark.parametrize(
    ("shape", "kind"),
    [((10**9, 5, 1), "<f4"), ((2**62, 4, 4), "<f4"), ((10**8, 5, 0), "<f4"),
     ((0, 10**18, 1), "<f4"), ((10**9, 5, 1), "|V0"), ((10**9,), "<U0")],
)  # fmt: skip
def test_arrays_of_more_than_the_file(shape: Any, kind: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.npz: "):
        load_dataset(npz(tmp_path / "a.npz", shape, kind))


@pytest.mark.slow
def test_arrays_that_unpack_a_thousandfold(tmp_path: Path) -> None:
    data = bytes(300 << 20)
    path = npz(tmp_path / "a.npz", (75 << 10, 1024, 1), data=data, packed=True)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(DataError, match=r"'x\.npy' unpacks from \d+ to \d+ bytes"):
        load_dataset(path)


@pytest.mark.parametrize("sizes", [(10**7, 0), (0, 10**9), (10**5, 10**5)], ids=str)
def test_an_onnx_file_of_a_huge_batch(sizes: tuple[int, int], tmp_path: Path) -> None:
    model = onnx.ModelProto.FromString(next(seeds.onnx_files(tmp_path)))
    dims = model.graph.input[0].type.tensor_type.shape.dim
    for dim, size in zip(dims, sizes, strict=False):
        if size:
            dim.dim_value = size
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(CompressError, match="at a time: export it with free sizes"):
        load_float_model(tmp_path / "a.onnx", seeds.samples())


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"classes": (1, 2)}, "1 is no text"), ({"classes": ("\ud800", "b")}, "no text"),
     ({"classes": (None, ["a"])}, "no text"), ({"window": 10**9}, "a window of"),
     ({"rate_hz": float("nan")}, "the rate"), ({"output_scale": float("inf")}, "scale"),
     ({"metadata": {"task": 3}}, "'task'"), ({"metadata": {"task": {"name": ["x"]}}}, "a task"),
     ({"metadata": {"fired": {"gru.input": "x"}}}, "'fired'"), ({"metadata": {"notes": [3]}}, "'notes'"),
     ({"metadata": {"data": ["x"]}}, "'data'"), ({"metadata": {"warmup_samples": 0.5}}, "'warmup_s")],
    ids=str,
)  # fmt: skip
def test_a_program_of_other_types(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ProgramError, match=said):
        replace(PROGRAM, **changes)


def test_channels_are_texts() -> None:
    with pytest.raises(ProgramError, match="channels: 1 is no text"):
        replace(PROGRAM, input=replace(PROGRAM.input, channels=(1, "b", "c")))


#: Values that stand where another type is expected.
ODD = [None, True, -1, 10**400, float("nan"), float("inf"), "x", "\ud800", [], [[1]], {}, {"a": {}}]


def odd_parts(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the places of all values in a nest."""
    if path:
        yield path
    parts = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in parts if isinstance(content, dict | list) else ():
        if isinstance(value, dict | list):
            yield from odd_parts(value, (*path, key))
        else:
            yield (*path, key)


def with_part(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return a copy of a nest with one value replaced."""
    whole = json.loads(json.dumps(content))
    owner = whole
    for key in path[:-1]:
        owner = owner[key]
    owner[path[-1]] = value
    return whole


def test_a_profile_with_any_value_of_another_type(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    warmup = {"accuracy": [0.5] * 10, "accuracy_float": [], "samples": 3}
    fit = [{"what": "flash", "of": "a board", "used": 9, "room": 8, "fits": False, "fails": True}]
    line = {"round_trip_ms": {"mean": 1.5}, "requests": 9, "retries": 1, "damaged": 2}
    content = json.loads(json.dumps(a_result(warmup=warmup, fit=fit, line=line).to_json()))
    rng, refused = np.random.default_rng(1), 0
    for place in odd_parts(content):
        value = ODD[int(rng.integers(len(ODD)))]
        path.write_text(json.dumps(with_part(content, place, value)))
        assert wrong(DOORS["profile"].read, path) == "", (place, value)
        try:
            ProfileResult.load(path)
        except EdgeFlowError as error:
            assert "profile.json: not a profile (" in str(error)
            refused += 1
    assert refused > 100


def test_a_record_with_any_value_of_another_type(tmp_path: Path) -> None:
    save_record(tmp_path / "m.onnx", RECORD)
    path = tmp_path / "m.json"
    assert read_record(path) == RECORD
    for place in odd_parts(RECORD):
        for value in ODD:
            path.write_text(json.dumps(with_part(RECORD, place, value)))
            assert wrong(lambda path: read_runs([path]), path) == "", (place, value)


@pytest.mark.parametrize(
    "text",
    ["train.seed = 18446744073709551616", "train.seed = -1", "train.epochs = nan",
     "train.epochs = [3]", "train.lr = inf", "widths.weights = 8", "widths.weights = [['int8']]",
     "prune.share = nan", "compile.optimize = {a = 1}", "train = 3", "[[train]]\nepochs = 1",
     f"train.epochs = {10**400}"],
)  # fmt: skip
def test_odd_values_of_a_recipe(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(text + "\n")
    with pytest.raises(CompressError) as found:
        Recipe.load(tmp_path / "a.toml")
    assert "\n" not in str(found.value)
