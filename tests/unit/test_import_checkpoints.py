"""Weights for ``mymodel.py:Net``: the wrappers, prefixes, precisions and parts that files have.

Kinds: prefixes on either side, nested and of wrappers; dictionaries around; averaged and best
copies, and two of equal rank; half, bfloat16, float64; pruned, weight norm, spectral norm, each in
both forms, where the module has whole weights and where it computes them, too; objects beside the
weights; safetensors; what is no weights; what does not fit; nothing in a file is run.
"""

import argparse
import collections
import io
import json
import os
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from edgeflow.errors import CompressError, TrainError
from edgeflow.importers import FloatChain, load_float_model
from edgeflow.importers.parametrised import with_computed

SOURCE = """
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(3, 5, batch_first=True)
        self.out = nn.Linear(5, 4)
    def forward(self, x):
        return self.out(self.gru(x)[0])
class Wrapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = Net()
    def forward(self, x):
        return self.net(x)
class Lazy(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(3, 5, batch_first=True)
        self.out = nn.LazyLinear(4)
    def forward(self, x):
        return self.out(self.gru(x)[0])
"""


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(3, 5, batch_first=True)
        self.out = nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.out(self.gru(x)[0])
        return result


def samples() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((6, 12, 3)).astype(np.float32)


def trained(seed: int = 7) -> Net:
    torch.manual_seed(seed)
    return Net().eval()


def outputs(net: nn.Module) -> np.ndarray:
    with torch.no_grad():
        result: np.ndarray = net(torch.from_numpy(samples())).numpy()
    return result


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mymodel.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(content: Any, model: str = "mymodel.py:Net") -> FloatChain:
    torch.save(content, "c.pt")
    return load_float_model(model, samples(), checkpoint="c.pt")


def prefixed(prefix: str, state: Any) -> dict[str, Tensor]:
    return {f"{prefix}{key}": value for key, value in state.items()}


Wrap = Callable[[dict[str, Tensor]], Any]
WRAPS: dict[str, Wrap] = {
    "plain": lambda s: s,
    "module": lambda s: prefixed("module.", s),
    "compiled": lambda s: prefixed("_orig_mod.", s),
    "any prefix": lambda s: prefixed("whatever.it.is.", s),
    "nested": lambda s: prefixed("module._orig_mod.model.", s),
    "part compiled": lambda s: {k.replace("gru.", "gru._orig_mod."): v for k, v in s.items()},
    "state_dict": lambda s: {"state_dict": s},
    "lightning": lambda s: {
        "state_dict": prefixed("model.", s),
        "epoch": 3,
        "hyper_parameters": {"lr": 1e-3},
        "pytorch-lightning_version": "2.5",
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(15, 3)}}}],
    },
    "model": lambda s: {"model": s, "optimizer": {"state": {}, "param_groups": [{"lr": 1.0}]}},
    "deep": lambda s: {"a": {"b": [1, {"weights": s}]}},
    "loss beside": lambda s: {**prefixed("net.", s), "loss.weight": torch.ones(4)},
}


@pytest.mark.parametrize("model", ["mymodel.py:Net", "mymodel.py:Wrapped"])
@pytest.mark.parametrize("wrap", WRAPS)
def test_prefixes_and_wrappers_do_not_count(wrap: str, model: str) -> None:
    net = trained()
    chain = load(WRAPS[wrap](dict(net.state_dict())), model)
    np.testing.assert_allclose(chain.run(samples()), outputs(net), atol=1e-6)
    said = "1 other tensors, loss.weight the first" in " ".join(chain.notes)
    assert said == (wrap == "loss beside") and len(chain.notes) == said


def test_averaged_model_of_torch() -> None:
    averaged = torch.optim.swa_utils.AveragedModel(trained())
    chain = load(averaged.state_dict())
    np.testing.assert_allclose(chain.run(samples()), outputs(averaged.module), atol=1e-6)
    assert chain.notes == ()


@pytest.mark.parametrize(
    "names",
    [
        ("ema", "model"), ("ema_state_dict", "state_dict"), ("model_ema", "model"),
        ("swa_model", "net"), ("best_state_dict", "last_state_dict"), ("model", "teacher"),
        ("shadow", "best"),
    ],
)  # fmt: skip
def test_of_two_that_fit_one_is_taken_and_noted(names: tuple[str, str]) -> None:
    taken, left = trained(1), trained(2)
    for order in (names, names[::-1] if names[1] != "teacher" else names):
        states = {names[0]: taken.state_dict(), names[1]: left.state_dict()}
        chain = load({name: states[name] for name in order})
        np.testing.assert_allclose(chain.run(samples()), outputs(taken), atol=1e-6)
        (note,) = chain.notes
        assert f"'{names[0]}' were taken, not those of '{names[1]}'" in note
    assert load(dict.fromkeys(names, taken.state_dict())).notes == ()  # both the same


def test_of_two_parts_none_is_preferred() -> None:
    both = prefixed("encoder.", trained(1).state_dict()) | prefixed(
        "decoder.", trained(2).state_dict()
    )
    with pytest.raises(CompressError, match="'encoder' fit, those of 'decoder', too: save the"):
        load(both)
    averaged = prefixed("online_model.", trained(1).state_dict()) | prefixed(
        "ema_model.", trained(2).state_dict()
    )
    chain = load({**averaged, "initted": torch.tensor(True)})
    np.testing.assert_allclose(chain.run(samples()), outputs(trained(2)), atol=1e-6)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_precision_is_converted_and_noted(kind: torch.dtype) -> None:
    net = trained()
    chain = load({key: value.to(kind) for key, value in net.state_dict().items()})
    np.testing.assert_allclose(chain.run(samples()), outputs(net.to(kind).float()), atol=1e-6)
    assert chain.notes == (f"c.pt: its weights are {kind!s}: converted to float32".replace("torch.", ""),)  # fmt: skip


def pruned(net: Net) -> None:
    prune.random_unstructured(net.out, "weight", 0.5)
    prune.random_unstructured(net.gru, "weight_hh_l0", 0.3)
    prune.random_unstructured(net.gru, "weight_hh_l0", 0.3)


def weight_normed(net: Net) -> None:
    parametrizations.weight_norm(net.out)
    parametrizations.weight_norm(net.gru, "weight_hh_l0", dim=None)


def weight_normed_before(net: Net) -> None:
    nn.utils.weight_norm(net.out, dim=1)
    nn.utils.weight_norm(net.gru, "weight_ih_l0")


def spectral(net: Net) -> None:
    parametrizations.spectral_norm(net.out)
    parametrizations.spectral_norm(net.gru, "weight_hh_l0")


def spectral_before(net: Net) -> None:
    nn.utils.spectral_norm(net.out)


NORMS = {f.__name__: f for f in (pruned, weight_normed, weight_normed_before, spectral, spectral_before)}  # fmt: skip


def parametrised(kind: str) -> Net:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the forms that torch deprecates
        net = trained().train()
        NORMS[kind](net)
        x = torch.from_numpy(samples())
        for _ in range(3):  # some steps, as the parts drift away from those of the start
            (net(x) ** 2).sum().backward()
            with torch.no_grad():
                for parameter in net.parameters():
                    parameter -= 1e-3 * parameter.grad
    return net.eval()


@pytest.mark.parametrize("kind", NORMS)
def test_computed_weights(kind: str) -> None:
    net = parametrised(kind)
    expected = outputs(net)
    assert np.abs(expected - outputs(trained())).max() > 1e-3
    # the module of the file has plain weights
    chain = load(net.state_dict())
    np.testing.assert_allclose(chain.run(samples()), expected, atol=1e-6)
    # the module computes them, too, and is left as it came
    before = {key: value.clone() for key, value in net.state_dict().items()}
    chain = load_float_model(net, samples())
    np.testing.assert_allclose(chain.run(samples()), expected, atol=1e-6)
    assert before.keys() == net.state_dict().keys()
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    np.testing.assert_array_equal(outputs(net), expected)


def test_parts_of_what_is_not_known_stay() -> None:
    net = trained()
    parametrizations.orthogonal(net.out)
    with pytest.raises(CompressError, match=r"1 missing, out.weight \[4, 5\] the first"):
        load(net.state_dict())
    one = torch.ones(2, 2)
    for odd in ({"w_g": one, "w_v": torch.ones(3)}, {"w_orig": one}, {"w_orig": one, "w_mask": torch.ones(3)},
                {"w_orig": one, "w_u": torch.ones(7)}, {"w": one, "w_orig": one, "w_mask": one}):  # fmt: skip
        assert with_computed(odd).keys() == odd.keys()


class Anything:
    """Of a class that a reader does not have, or must not run."""

    def __init__(self) -> None:
        self.value = 3


class Runs:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("was-run",)


class Evaluates:
    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("__import__('os').mkdir('was-run')",)


class Opens:
    def __reduce__(self) -> tuple[Any, ...]:
        return open, ("was-run", "w")


def test_harmless_objects_beside() -> None:
    net = trained()
    beside = {
        "args": argparse.Namespace(lr=0.1, path=Path("x")),
        "best": np.float64(0.5),
        "seed": np.int64(3),
        "history": np.zeros(3),
        "counts": collections.defaultdict(list, {"a": [1]}),
        "counter": collections.Counter("abc"),
        "own": Anything(),
        "when": __import__("datetime").datetime(2026, 1, 1),
        "type": torch.float32,
        "device": torch.device("cpu"),
        "none": None,
    }
    for legacy in (False, True):
        torch.save(
            {"state_dict": net.state_dict(), **beside}, "c.pt",
            _use_new_zipfile_serialization=not legacy,
        )  # fmt: skip
        chain = load_float_model("mymodel.py:Net", samples(), checkpoint="c.pt")
        np.testing.assert_allclose(chain.run(samples()), outputs(net), atol=1e-6)


@pytest.mark.parametrize("runs", [Runs, Evaluates, Opens])
@pytest.mark.parametrize("legacy", [False, True])
def test_nothing_in_a_file_is_run(runs: type, legacy: bool) -> None:
    content = {"state_dict": trained().state_dict(), "other": runs()}
    torch.save(content, "c.pt", _use_new_zipfile_serialization=not legacy)
    try:
        load_float_model("mymodel.py:Net", samples(), checkpoint="c.pt")
    except CompressError as error:
        assert "its pickle" in str(error)
    assert not Path("was-run").exists()
    Path("p.pt").write_bytes(pickle.dumps(runs()))
    with pytest.raises(CompressError, match="a pickle, which runs code when it is read"):
        load_float_model("mymodel.py:Net", samples(), checkpoint="p.pt")
    assert not Path("was-run").exists()


def whole_pickle(path: str) -> None:
    torch.save(trained(), path)


def script(path: str) -> None:
    torch.jit.save(torch.jit.script(nn.Linear(3, 2)), path)


def damaged(path: str) -> None:
    torch.save(trained().state_dict(), path)
    content = bytearray(Path(path).read_bytes())
    content[content.index(trained().out.weight.detach().numpy().tobytes()) + 3] ^= 0x40
    Path(path).write_bytes(content)


def bomb(path: str) -> None:
    torch.save(trained().state_dict(), "t.pt")
    with zipfile.ZipFile("t.pt") as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, bytes(10**6) if "/data/" in name else old.read(name))


FILES: dict[str, tuple[Callable[[str], Any], str]] = {
    "pickled module": (whole_pickle, r"a pickled tests.unit.test_import_checkpoints.Net, whose code is not run: save the weights alone, torch.save\(net.state_dict\(\)"),
    "module inside": (lambda p: torch.save({"model": trained()}, p), "a pickled tests.*Net"),
    "script": (script, "TorchScript"),
    "damaged": (damaged, "c.pt: damaged: its record c/data/. is not what was written"),
    "cut off": (lambda p: Path(p).write_bytes(b"PK\x03\x04" + bytes(300)), "damaged"),
    "bomb": (bomb, "damaged"),
    "text": (lambda p: Path(p).write_text("hello"), "not a state_dict: no kind of model"),
    "empty": (lambda p: Path(p).write_bytes(b""), "an empty file"),
    "folder": (lambda p: Path(p).mkdir(), "cannot be read: Is a directory"),
    "pointer": (lambda p: Path(p).write_text("version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"),
    "no tensors": (lambda p: torch.save({"epoch": 3, "lr": 0.1}, p), r"without tensors \(keys: epoch, lr\)"),
    "tensor": (lambda p: torch.save(torch.ones(3), p), r"a single tensor \[3\]"),
    "list": (lambda p: torch.save([1, 2], p), "a list"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
def test_what_is_no_weights(kind: str) -> None:
    make, message = FILES[kind]
    make("c.pt")
    with pytest.raises(CompressError, match=message) as error:
        load_float_model("mymodel.py:Net", samples(), checkpoint="c.pt")
    assert "\n" not in str(error.value) and len(str(error.value)) < 600


def test_a_damaged_model_of_ours(tmp_path: Path) -> None:
    from edgeflow.cells.checkpoint import read_torch

    damaged("c.pt")
    with pytest.raises(TrainError, match="c.pt: damaged: its record c/data/"):
        read_torch(Path("c.pt"), "a model.pt")


def change(**changes: Tensor | None) -> dict[str, Tensor]:
    state: dict[str, Any] = {**trained().state_dict(), **{k.replace("__", "."): v for k, v in changes.items()}}  # fmt: skip
    return {key: value for key, value in state.items() if value is not None}


@pytest.mark.parametrize(
    "content,message",
    [
        (change(out__weight=None, out__bias=None, gru__bias_hh_l0=None),
         r"of the 6 weights 3 missing, gru.bias_hh_l0 \[15\] the first"),
        (prefixed("rnn.", nn.GRU(3, 5).state_dict()), r"6 missing, gru.weight_ih_l0 \[15, 3\] the first; 4 not in the model, rnn.weight_ih_l0 the first"),
        (change(head__weight=torch.ones(3)), "1 not in the model, head.weight the first"),
        (change(out__weight=torch.ones(7, 5)), r"1 of another shape: out.weight is \[7, 5\] in the file, \[4, 5\] in the model"),
        (prefixed("a.b.", change(out__bias=torch.ones(7))), r"of its 'a.b'\) 1 of another shape: out.bias is \[7\]"),
        ({"state_dict": change(out__bias=None)}, r"\(of its 'state_dict'\) 1 missing, out.bias \[4\]"),
        (change(out__bias=torch.ones(4, dtype=torch.int8)), "out.bias is int8: give the weights from before quantisation"),
        (change(out__bias=torch.ones(4, device="meta")), "out.bias has no values"),
        (change(out__bias=torch.zeros(1).expand(4)), "1 missing, out.bias"),
        ({"\x1b[31mred" + "x" * 999: torch.ones(1)}, r"1 not in the model, \[31mredx+ \.\.\. x+ the first|redx+"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(content: Any, message: str) -> None:
    with pytest.raises(
        CompressError, match="not a state_dict that fits Net: .*" + message
    ) as error:
        load(content)
    text = str(error.value)
    assert "\x1b" not in text and "\n" not in text and len(text) < 500


def test_tied_and_old_weights() -> None:
    """A weight that the module has twice may be saved once; old files lack counters."""
    Path("tied.py").write_text(
        "from torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.a = nn.Linear(3, 3)\n"
        "        self.norm = nn.BatchNorm1d(3)\n        self.b = self.a\n"
        "    def forward(self, x):\n"
        "        return self.norm(self.a(x).transpose(1, 2)).transpose(1, 2)\n"
    )
    state = {"a.weight": torch.eye(3), "a.bias": torch.ones(3)}
    state |= {f"norm.{k}": torch.ones(3) for k in ("weight", "bias", "running_mean", "running_var")}
    x = samples()
    chain = load(state, "tied.py:Net")
    np.testing.assert_allclose(chain.run(x), x / np.sqrt(1 + 1e-5) + 1, atol=1e-5)


def test_lazy_sizes() -> None:
    chain = load(trained().state_dict(), "mymodel.py:Lazy")
    np.testing.assert_allclose(chain.run(samples()), outputs(trained()), atol=1e-6)
    with pytest.raises(CompressError, match="sizes of its lazy layers are not known yet"):
        load_float_model("mymodel.py:Lazy", samples())


def safetensors(tensors: dict[str, Tensor], **changes: Any) -> bytes:
    names = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64", torch.int64: "I64"}  # fmt: skip
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, tensor in tensors.items():
        raw = tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()
        header[name] = {
            "dtype": names[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
            **changes,
        }
        data += raw
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_safetensors(kind: torch.dtype) -> None:
    net = trained().to(kind)
    Path("c.safetensors").write_bytes(safetensors(prefixed("model.", net.state_dict())))
    chain = load_float_model("mymodel.py:Net", samples(), checkpoint="c.safetensors")
    np.testing.assert_allclose(chain.run(samples()), outputs(net.float()), atol=1e-6)
    assert len(chain.notes) == (kind != torch.float32)
    with pytest.raises(CompressError, match=r"give the model's class, too: mymodel.py:Net --checkpoint c.safetensors"):  # fmt: skip
        load_float_model("c.safetensors", samples())


@pytest.mark.parametrize(
    "changes,message",
    [
        ({"data_offsets": [0, 7]}, "does not have the bytes of its shape"),
        ({"data_offsets": [0, 10**12], "shape": [250 * 10**9]}, "does not have the bytes"),
        ({"data_offsets": [-4, 0]}, "is none of a tensor"),
        ({"shape": "many"}, "is none of a tensor"),
        ({"dtype": "F8_E4M3"}, "has the type F8_E4M3: save it as F32"),
    ],
)
def test_damaged_safetensors(changes: dict[str, Any], message: str) -> None:
    Path("c.safetensors").write_bytes(safetensors({"a": torch.ones(2)}, **changes))
    with pytest.raises(CompressError, match=f"c.safetensors: .*{message}"):
        load_float_model("mymodel.py:Net", samples(), checkpoint="c.safetensors")


def test_a_cut_safetensors() -> None:
    content = safetensors(dict(trained().state_dict()))
    for end in range(0, len(content) - 1, 37):
        Path("c.safetensors").write_bytes(content[:end])
        with pytest.raises(CompressError):
            load_float_model("mymodel.py:Net", samples(), checkpoint="c.safetensors")


def test_mutated_checkpoints_are_refused_or_read() -> None:
    """Nothing but `CompressError` for any bytes; nothing is run, nothing large is made."""
    buffer = io.BytesIO()
    torch.save({"state_dict": trained().state_dict(), "own": Anything()}, buffer)
    whole, rng = buffer.getvalue(), np.random.default_rng(0)
    for _ in range(60):
        content = bytearray(whole)
        for at in rng.integers(0, len(content), rng.integers(1, 4)):
            content[at] = rng.integers(0, 256)
        Path("c.pt").write_bytes(content)
        try:
            load_float_model("mymodel.py:Net", samples(), checkpoint="c.pt")
        except CompressError as error:
            assert len(str(error).splitlines()) == 1
