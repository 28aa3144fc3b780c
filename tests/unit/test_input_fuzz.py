"""Damaged and odd inputs give a result, or a message that can be read; never more.

Kinds: CSV, .npz, TOML (boards, recipes, ladders, devices, costs), JSON of people, profiles, records,
candidates, builds, exports and sizes, model.pt, resume.pt, weights of torch.save and .safetensors, ONNX,
programs, .pt2, .nir, .keras, .h5. What carries a digest is damaged without it, as a file of an older
version is. Mutations work on bytes and inside of the
containers, with checksums that are right again. An input fails the test if it

- raises anything but an `EdgeFlowError`, or one whose message is empty, longer than 12 lines or has
  control characters in it; or prints a traceback
- ends the process, as a fault in a library does
- takes more than 10 s of the processor, or 60 s of the clock
- makes what is resident of a process (ru_maxrss, not addresses) grow by more than 2 GiB over what it
  is with the libraries and one valid file read

The slow set has 10^5 inputs and more, in processes of their own; EDGEFLOW_FUZZ_INPUTS=100000 in the
environment makes that as many of each kind. ``python -m tests.input_fuzz KIND NUMBER``
reads one again.
"""

import json
import os
import struct
import tempfile
import threading
import zlib
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from edgeflow.data import load_dataset
from edgeflow.errors import CompressError, DataError, EdgeFlowError, TrainError
from edgeflow.importers import load_float_model
from edgeflow.importers.checkpoint_weights import load_weights
from edgeflow.importers.hdf5_heap import check_heaps
from tests.input_fuzz import seeds
from tests.input_fuzz.doors import DOORS, MANY, content_of, wrong
from tests.input_fuzz.workers import run

os.environ.setdefault("KERAS_BACKEND", "torch")  # it asks for TensorFlow otherwise
#: Kinds whose seeds take no second to make, and inputs of each in the fast tier.
FAST = ("csv", "npz", "board", "recipe", "ladder", "people", "model", "weights", "safetensors",
        "onnx", "program", "costs", "profile", "record", "candidate", "build", "package",
        "size", "device")  # fmt: skip
FEW = 30
pytestmark = pytest.mark.filterwarnings("ignore:Duplicate name")  # zipfile's, of what it writes
NEEDS = {"nir": ("nir", "snntorch"), "keras": ("keras", "h5py"), "h5": ("keras", "h5py")}


def report(kind: str, contents: list[bytes], found: list[tuple[int, str]]) -> str:
    """Save the inputs that fail; return what to read, and how to go on."""
    folder, lines = Path(tempfile.mkdtemp(prefix="edgeflow-fuzz-")), []
    for number, text in found:
        path = folder / f"{number}-{DOORS[kind].name}"
        path.write_bytes(content_of(kind, contents, number))
        again = f"python -m tests.input_fuzz {kind} {number}"
        lines.append(f"{kind} {number} ({path}; {again}):\n{text}")
    return "\n".join(lines)


@pytest.mark.parametrize("kind", FAST)
def test_a_few(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    door = DOORS[kind]
    contents, path, found = list(door.seeds(tmp_path)), tmp_path / door.name, []
    for number in range(FEW):
        path.write_bytes(content_of(kind, contents, number))
        if text := wrong(door.read, path):
            found.append((number, text))
    assert not found, report(kind, contents, found)


@pytest.mark.parametrize("kind", DOORS)
def test_seeds_are_valid(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if kind not in FAST and not request.config.getoption("--slow"):
        pytest.skip("slow: run with --slow")
    for package in NEEDS.get(kind, ()):
        pytest.importorskip(package)
    door = DOORS[kind]
    contents = list(door.seeds(tmp_path))
    for content in contents:
        (tmp_path / door.name).write_bytes(content)
        door.read(tmp_path / door.name)
    sums = [zlib.crc32(content_of(kind, contents, number)) for number in range(20)]
    assert sums == [zlib.crc32(content_of(kind, contents, number)) for number in range(20)]
    assert len(set(sums)) > 15


@pytest.mark.slow
@pytest.mark.parametrize("kind", DOORS)
def test_many(kind: str, tmp_path: Path) -> None:
    """Two processes of each kind, each with every other input."""
    for package in NEEDS.get(kind, ()):
        pytest.importorskip(package)
    door, found = DOORS[kind], list[tuple[int, str]]()
    contents = list(door.seeds(tmp_path))
    threads = [
        threading.Thread(
            target=run,
            args=(
                kind,
                contents,
                range(first, MANY or door.count, 2),
                tmp_path / str(first),
                found,
            ),
        )
        for first in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not found, report(kind, contents, found)


def test_there_are_enough() -> None:
    assert sum(door.count for door in DOORS.values()) >= 100_000
    assert min(DOORS[kind].count for kind in ("onnx", "pt2", "nir")) >= 3_000


def test_what_is_wrong(tmp_path: Path) -> None:
    def raises(error: BaseException) -> str:
        def read(path: Path) -> None:
            raise error

        return wrong(read, tmp_path)

    assert wrong(lambda path: None, tmp_path) == ""
    assert raises(DataError("a.csv: line 3: no number")) == ""
    assert "ZeroDivisionError" in raises(ZeroDivisionError())
    assert "KeyboardInterrupt" in raises(KeyboardInterrupt())
    assert raises(DataError("")) == "an empty message"
    for text, said in (("x\n" * 13, "13 lines"), ("x" * 9999, "9999 characters")):
        error = DataError()
        error.args = (text,)
        assert said in raises(error)


# What was found, and has no better place.


def test_messages_can_be_printed() -> None:
    text = str(EdgeFlowError("a\x1b[31m\tb\r\u2028c\ud800\x9b\nd é"))
    assert text == "a\\x1b[31m\\tb\\r\\u2028c\\ud800\\x9b\nd é"
    text.encode()
    text = str(EdgeFlowError(f"a.csv: {'x' * 70000}: leave it out"))
    assert len(text) == 1600 and text.startswith("a.csv: xxx") and text.endswith("x: leave it out")


def test_format_that_is_no_number(tmp_path: Path) -> None:
    for value in (torch.zeros(0), torch.zeros(3), [1], "1", True, np.float64(1)):
        torch.save({"format": value, "hyper": {}, "cell": "gru"}, tmp_path / "model.pt")
        with pytest.raises(TrainError, match=r"model.pt: damaged"):
            load_float_model(tmp_path / "model.pt", seeds.samples())


@pytest.mark.parametrize("kind", ["U3", "f4", "M8[ms]", "V5", "?", "c8"])
def test_lengths_that_are_no_numbers(kind: str, tmp_path: Path) -> None:
    arrays = {"x": np.zeros((4, 4)), "y": [0, 1], "person": [0, 1], "rate_hz": 1.0}
    np.savez(tmp_path / "a.npz", **arrays, length=np.zeros(2, kind))
    with pytest.raises(DataError, match="'length' is of type .*: it must hold whole numbers"):
        load_dataset(tmp_path / "a.npz")


@pytest.mark.parametrize("window", [np.nan, np.inf, 2.5])
def test_windows_that_are_no_whole_number(window: float, tmp_path: Path) -> None:
    arrays = {"x": np.zeros((4, 4, 1)), "y": [0, 1, 0, 1], "person": [0, 1, 2, 3], "rate_hz": 1.0}
    np.savez(tmp_path / "a.npz", **arrays, window=window)
    with pytest.raises(DataError, match="'window' is .*: it must be a whole number"):
        load_dataset(tmp_path / "a.npz")


@pytest.mark.parametrize(
    "objects",
    [[(1, 6), (1024, 8)], [(1, 6), (1, 8)], [(1, 2**63)], [(1, 6), (2, 500)], [(1, 6), (0, 0)]],
)
def test_heaps_of_hdf5(objects: list[tuple[int, int]]) -> None:
    def heap(objects: list[tuple[int, int]]) -> bytes:
        parts = [struct.pack("<HHIQ8x", number, 0, 0, size) for number, size in objects]
        free = 240 - len(b"".join(parts))  # is an object too, but has no bytes of its own
        parts.append(struct.pack("<HHIQ", 0, 0, 0, free).ljust(free, b"\0"))
        return b"GCOL\x01\0\0\0" + struct.pack("<Q", 256) + b"".join(parts)

    check_heaps(heap([(1, 6), (3, 8), (2, 1)]) + b"GCOL\x01\0\0\0")
    with pytest.raises(CompressError, match="a heap of texts"):
        check_heaps(b"more" + heap([(1, 6)]) + heap(objects))


def test_texts_of_hdf5_that_are_longer_than_the_file() -> None:
    """The library makes room for what is declared, before it looks for it."""
    heap = b"GCOL\x01\0\0\0" + struct.pack("<QHHIQ8s", 48, 1, 0, 0, 8, b"conv1d_1")
    check_heaps(heap.ljust(48, b"\0") + struct.pack("<IQI", 8, 0, 1))
    for length in (1000, 2**32 - 1):
        with pytest.raises(CompressError, match="a heap of texts"):
            check_heaps(heap.ljust(48, b"\0") + struct.pack("<IQI", length, 0, 1))
    check_heaps(heap.ljust(48, b"\0") + struct.pack("<IQI", 2**32 - 1, 0, 7))  # of no text
    # two texts of an attribute, with a limit, by an address of no heap
    kind = b"\x19\x01\0\0\x10\0\0\0\x10\0\0\0\x01\0\0\0\0\0\x08\0\0\0\0\0"
    space = b"\x01\x01\x01\0\0\0\0\0" + struct.pack("<QQ", 2, 2)
    texts = struct.pack("<IQI", 8, 5, 1)
    check_heaps(kind + space + 2 * texts)
    with pytest.raises(CompressError, match="a heap of texts"):
        check_heaps(kind + space + texts + struct.pack("<IQI", 2**31, 5, 1))
    check_heaps(kind + space + texts)  # cut off


@pytest.mark.parametrize("kind", ["board", "recipe", "ladder", "people"])
@pytest.mark.parametrize("text", ["9" * 5000, "[" * 100_000])
def test_too_many_digits_or_brackets(kind: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / DOORS[kind].name
    path.write_text(text if kind == "people" else f"a = {text}")
    with pytest.raises(EdgeFlowError, match="not"):
        DOORS[kind].read(path)


@pytest.mark.parametrize("key", ["cell", "classes", "hyper", "rate_hz", "window", "state_dict"])
def test_parts_of_a_model_of_other_types(key: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(next(seeds.model_files(tmp_path)))
    content = torch.load(path, weights_only=True)
    for value in (torch.ones(30, 3), [torch.ones(30, 3)], None):
        torch.save({**content, key: value}, path)
        with pytest.raises(TrainError, match=f"its '{key}' is damaged"):
            load_float_model(path, seeds.samples())


@pytest.mark.parametrize("number", [-1, 2**70, float("inf")])
def test_states_of_random_numbers_that_are_none(number: float, tmp_path: Path) -> None:
    path = tmp_path / "resume.pt"
    path.write_bytes(next(seeds.resume_files(tmp_path)))
    content = torch.load(path, weights_only=True)
    version, internal, gauss = content["rng"]["python"]
    content["rng"]["python"] = (version, [number, *internal[1:]], gauss)
    torch.save(content, path)
    with pytest.raises(TrainError, match="do not fit together"):
        seeds.a_fit(tmp_path / "fit").restore(path)


@pytest.mark.parametrize("kind", [["F32"], {}, None, 3])
def test_type_of_safetensors_that_is_no_text(kind: object, tmp_path: Path) -> None:
    entry = {"dtype": kind, "shape": [1], "data_offsets": [0, 4]}
    path = tmp_path / "a.safetensors"
    path.write_bytes(seeds.safetensors(json.dumps({"w": entry}).encode(), bytes(4)))
    with pytest.raises(CompressError, match="the entry of 'w' is none of a tensor"):
        load_weights(seeds.Net(), path)


def test_onnx_that_only_onnxruntime_refuses(tmp_path: Path) -> None:
    model = onnx.ModelProto.FromString(next(seeds.onnx_files(tmp_path)))
    model.opset_import[0].version = 2**31 - 1
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(CompressError, match=r"a\.onnx: .*[Oo]pset"):
        load_float_model(tmp_path / "a.onnx", seeds.samples())


@pytest.mark.parametrize("content", [np.array([2**41]).tobytes(), b"\4\0\0"])
def test_onnx_that_is_filled_for_ever(content: bytes, tmp_path: Path) -> None:
    model = onnx.ModelProto.FromString(next(seeds.onnx_files(tmp_path)))
    shape = onnx.TensorProto(name="v", data_type=onnx.TensorProto.INT64, dims=[1], raw_data=content)
    nodes = [
        onnx.helper.make_node("Constant", [], ["shape"], value=shape),
        onnx.helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
    ]
    model.graph.node.extend(nodes)
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(CompressError, match="constants|raw_data"):
        load_float_model(tmp_path / "a.onnx", seeds.samples())


def test_a_message_of_many_lines_becomes_one() -> None:
    many, few = "\n".join("a" * 21), "\n".join("a" * 12)
    assert str(EdgeFlowError(many)) == " ".join("a" * 21)
    assert str(EdgeFlowError(few)) == few
