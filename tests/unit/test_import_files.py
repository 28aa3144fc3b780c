"""MODEL: Python files and what is in them, and files of other kinds, each told with the way in."""

import io
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgeflow.compression.evaluate import load_chain
from edgeflow.errors import EdgeFlowError
from edgeflow.importers import load_float_model
from edgeflow.importers.user_module import load_module
from edgeflow.model_options import ModelOptions

SOURCE = """
import random, sys
import numpy as np, torch
from torch import nn
print("user code prints")
class Net(nn.Module):
    def __init__(self, hidden=5):
        super().__init__()
        self.gru = nn.GRU(3, hidden, batch_first=True)
    def forward(self, x):
        return self.gru(x)[0]
class Sized(Net):
    def __init__(self, hidden, *, deep):
        super().__init__(hidden)
def make():
    return Sized(4, deep=True)
def loaded():
    net = Net()
    net.load_state_dict(torch.load("net.pt"))
    return net
def partly():
    net = loaded()
    net.out = nn.Linear(5, 2)
    return net
def by_numpy():
    net = loaded()
    with torch.no_grad():
        net.gru.weight_hh_l0[0, 0] = np.random.rand() + random.random()
    return net
def broken():
    raise ValueError("no \\x1b[31mconfig\\x1b[0m")
def leaves():
    sys.exit(3)
def scripted():
    return torch.jit.script(Net())
def traced():
    return torch.jit.trace(Net(), torch.zeros(1, 9, 3))
def quantized():
    return torch.ao.quantization.quantize_dynamic(Net(), {nn.GRU})
instance = make()
state = instance.state_dict()
number = 3
kind = int
"""


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(3, 5, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.gru(x)[0]
        return result


def samples() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((6, 12, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mymodel.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    torch.save(Net().state_dict(), "net.pt")
    return tmp_path


def refusal(model: str | Path, **options: Any) -> str:
    with pytest.raises(EdgeFlowError) as error:
        load_float_model(model, samples(), **options)
    text = str(error.value)
    assert "\x1b" not in text and len(text.splitlines()) == 1 and len(text) < 600
    return text


@pytest.mark.parametrize("name", ["Net", "make", "instance"])
def test_classes_functions_and_modules_are_taken(name: str) -> None:
    assert len(load_float_model(f"mymodel.py:{name}", samples()).layers) == 1


@pytest.mark.parametrize("name", ["Net", "make", "instance", "partly", "by_numpy"])
def test_random_weights_are_refused(name: str) -> None:
    text = refusal(f"mymodel.py:{name}", untrained=False)
    assert "its weights are random (" in text and "--checkpoint net.pt" in text
    assert "--untrained" in text
    first = {"partly": "out.weight and 1 more", "by_numpy": "(gru.weight_hh_l0)"}
    assert first.get(name, "gru.weight_ih_l0 and 3 more") in text


def test_weights_that_are_not_random() -> None:
    expected = load_float_model("mymodel.py:loaded", samples(), untrained=False).run(samples())
    chain = load_float_model("mymodel.py:Net", samples(), checkpoint="net.pt", untrained=False)
    np.testing.assert_array_equal(chain.run(samples()), expected)


def test_random_numbers_of_the_caller_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(3)
    np.random.seed(3)
    random.seed(3)
    expected = torch.rand(1), np.random.rand(), random.random()
    torch.manual_seed(3)
    np.random.seed(3)
    random.seed(3)
    load_module("mymodel.py:by_numpy")
    for name in ("Net", "broken"):
        with pytest.raises(EdgeFlowError):
            load_module(f"mymodel.py:{name}", untrained=False)
    assert (torch.rand(1), np.random.rand(), random.random()) == expected
    out, err = capsys.readouterr()
    assert out == "" and "user code prints" in err


def test_the_command_and_the_api_ask_for_trained_weights() -> None:
    import edgeflow as ef
    from edgeflow.data import from_arrays

    x = samples()
    with pytest.raises(EdgeFlowError, match="its weights are random"):
        ef.compress("mymodel.py:Net", x)
    program = ef.compress("mymodel.py:Net", x, untrained=True)
    assert program == ef.compress("mymodel.py:Net", x, untrained=True)  # the same random ones
    assert ef.compress("mymodel.py:Net", x, checkpoint="net.pt") != program
    data = from_arrays(x, np.arange(6) % 5, classes=list("abcde"), channels=list("xyz"), split="train", window=12)  # fmt: skip
    with pytest.raises(EdgeFlowError, match="its weights are random"):
        load_chain("mymodel.py:Net", data)
    load_chain("mymodel.py:Net", data, ModelOptions(untrained=True))


@pytest.mark.parametrize(
    "model,message",
    [
        ("mymodel.py", "mymodel.py: name the model in it: mymodel.py:Net or mymodel.py:Sized or mymodel.py:make"),
        ("mymodel.py:", "name the model in it"),
        ("mymodel.py:Nett", "there is no 'Nett' in it: there is Net"),
        ("mymodel.py:xyzzy", "there is no 'xyzzy' in it: there is Net, Sized, make"),
        ("mymodle.py:Net", "mymodle.py: no such file: is it mymodel.py?"),
        ("nowhere/m.py:Net", "no such file"),
        ("mymodel:Net", "for 'Net' of a Python file give mymodel.py:Net"),
        ("mymodel.Net", "for 'Net' of a Python file give mymodel.py:Net"),
        ("mymodel.py:Sized", "needs arguments (hidden, deep): write a function without any that returns it, def make(): return Sized(hidden=...)"),
        ("mymodel.py:state", "is a OrderedDict: name a class"),
        ("mymodel.py:number", "is a int: name a class"),
        ("mymodel.py:kind", "gives a int, not a torch.nn.Module"),
        ("mymodel.py:broken", "line 31: ValueError: no config"),
        ("mymodel.py:leaves", "line 33: SystemExit: 3"),
        ("mymodel.py:scripted", "torch.jit module, which hides its layers: give the nn.Module that it was made from"),
        ("mymodel.py:traced", "torch.jit module, which hides its layers"),
        ("mymodel.py:quantized", "'gru' is quantized already (GRU): give the nn.Module from before quantize_dynamic"),
        ("syntax.py:Net", "line 2: SyntaxError"),
        ("syntax.py", "line 2: SyntaxError"),
        ("plain.py", "there is no class of a torch.nn.Module in it"),
        ("raises.py:Net", "line 3: KeyError: 'HOME_OF_MODELS'"),
        ("imports.py:Net", "line 1: ModuleNotFoundError: No module named 'not_there_at_all'"),
    ],
)  # fmt: skip
def test_python_files_that_do_not_do(model: str, message: str) -> None:
    Path("syntax.py").write_text("import torch\ndef (:\n")
    Path("plain.py").write_text("x = 1\n")
    Path("raises.py").write_text("import os\n\nhome = os.environ['HOME_OF_MODELS']\n")
    Path("imports.py").write_text("import not_there_at_all\n")
    assert message in refusal(model)


def test_a_module_beside_is_found_and_the_path_is_put_back() -> None:
    import sys

    Path("beside_it.py").write_text("from torch import nn\nNet = lambda: nn.GRU(3, 2, batch_first=True)\n")  # fmt: skip
    Path("user.py").write_text("def make():\n    import beside_it\n    return beside_it.Net()\n")
    before = list(sys.path)
    load_float_model("user.py:make", samples())
    assert sys.path == before


def archive(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(name, "x")
    return buffer.getvalue()


def saved(content: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def pickled() -> bytes:
    import pickle

    return pickle.dumps({"a": 1})


Content = bytes | Callable[[], bytes] | tuple[str, ...]
KINDS: dict[str, tuple[Content, str]] = {
    "m.tflite": (b"\x1c\0\0\0TFL3rest", "TensorFlow Lite, whose integers are made already: save the Keras model as .keras or .h5, or export"),
    "m.bin": (b"\x1c\0\0\0TFL3rest", "TensorFlow Lite"),
    "m.pb": (b"\x0a\x05model", "TensorFlow: save the Keras model as .keras or .h5"),
    "saved": (("saved_model.pb",), "TensorFlow: save the Keras model"),
    "m.mlpackage": (("Manifest.json",), "Core ML: export the trained model as ONNX"),
    "m.jit": (lambda: archive("m/constants.pkl", "m/data.pkl", "m/code/a.py"), "TorchScript .* mymodel.py:Net --checkpoint net.pt"),
    "m.pt": (lambda: archive("m/data.pkl", "m/code/a.py"), "TorchScript"),
    "net.pth": (lambda: saved(Net().state_dict()), "give the model's class, too: mymodel.py:Net --checkpoint net.pth"),
    "net.ckpt": (lambda: saved({"state_dict": Net().state_dict()}), "mymodel.py:Net --checkpoint net.ckpt"),
    "old.pt": (lambda: saved(Net().state_dict(), _use_new_zipfile_serialization=False), "mymodel.py:Net --checkpoint old.pt"),
    "whole.pt": (lambda: saved(Net()), r"a pickled tests.unit.test_import_files.Net, whose code is not run: save the weights alone, .*mymodel.py:Net --checkpoint"),
    "cut.pt": (b"PK\x03\x04 cut off", "damaged"),
    "m.pkl": (pickled, "a pickle, which runs code when it is read, so it is not read"),
    "m.joblib": (b"\x80\x04rest", "joblib"),
    "m.mar": (lambda: archive("MAR-INF/MANIFEST.json", "net.pt"), "TorchServe"),
    "m.npz": (lambda: archive("a.npy"), "arrays of numpy"),
    "m.zip": (lambda: archive("a.txt"), "a zip archive: unpack it"),
    "m.hdf": (b"\x89HDF\r\n\x1a\nrest", "an HDF5 file: give a NIR graph the suffix .nir"),
    "m.mlmodel": (b"\x08\x01", "Core ML"),
    "m.engine": (b"ftrt", "an engine of TensorRT"),
    "m.gguf": (b"GGUF", "GGUF"),
    "m.pdmodel": (b"\x0a", "paddle2onnx"),
    "m.ipynb": (b"{}", "a notebook: put the model's class into a file"),
    "d.csv": (b"a,b\n", "data: give it as --data"),
    "m.yaml": (b"a: 1", "a text of settings"),
    "model.c": (b"int x;", "C code"),
    "m.onnx": (b"", "an empty file: write it again"),
    "n.onnx": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "w.pt2": (b"<!DOCTYPE html><html>", "a web page: the download went wrong"),
    "what": (b"hello", "no kind of model that is known: give a folder of 'edgeflow train', mymodel.py:Net"),
    "empty": ((), "a folder without a model.pt: no run of 'edgeflow train'"),
    "runs": (("a/model.pt",), "a folder without a model.pt: .*; there is one in runs/a"),
    "build": (("model.c",), "a build of 'edgeflow compile': give the trained model"),
    "hub": (("config.json", "model.safetensors"), "--checkpoint hub/model.safetensors"),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_files_of_other_kinds(name: str) -> None:
    import re

    content, message = KINDS[name]
    path = Path(name)
    if isinstance(content, tuple):
        path.mkdir()
        for inner in content:
            (path / inner).parent.mkdir(exist_ok=True)
            (path / inner).write_bytes(b"x")
    else:
        path.write_bytes(content if isinstance(content, bytes) else content())
    text = refusal(path)
    assert text.startswith(f"{name}: ") and re.search(message, text), text


def test_what_a_file_is_counts_more_than_its_suffix() -> None:
    net = Net().eval()
    torch.export.save(torch.export.export(net, (torch.from_numpy(samples()),)), "m.pt2")
    Path("m.pt2").rename("m.pt")
    assert len(load_float_model("m.pt", samples()).layers) == 1


@pytest.mark.parametrize(
    "given,message",
    [
        ("gru32", "gru32: no such file: is it gru-32?"),
        ("nowhere/model.onnx", "there is no folder nowhere"),
        ("completely-different", "give a folder of 'edgeflow train', mymodel.py:Net, or a file with the suffix .onnx, .pt2"),
        ("\0", "no such file"),
        ("x" * 5000, "cannot be read: File name too long"),
    ],
)  # fmt: skip
def test_what_is_not_there(given: str, message: str) -> None:
    Path("gru-32").mkdir()
    with pytest.raises(EdgeFlowError) as error:
        load_float_model(given, samples())
    assert message in str(error.value)
