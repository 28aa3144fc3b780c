"""Small valid files of each kind that is read."""

import io
import json
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgeflow.cells import SequenceClassifier
from edgeflow.cells.checkpoint import save_model
from edgeflow.digest import read_json, unsealed
from edgeflow.importers.safetensors import MAX_HEADER
from edgeflow.resources import resource
from edgeflow.training.fit import Fit
from edgeflow.training.loop import _Run
from edgeflow.training.options import TrainOptions

CHANNELS, TIME, CLASSES = 3, 20, 4


def samples(n: int = 4) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.standard_normal((n, TIME, CHANNELS)).cumsum(axis=1).astype(np.float32)


class Net(nn.Module):
    """A model as users write them."""

    def __init__(self, kind: type[nn.RNNBase] = nn.GRU, layers: int = 1) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.norm = nn.LayerNorm(CHANNELS)
        self.rnn = kind(CHANNELS, 7, layers, batch_first=True)
        self.head = nn.Linear(7, CLASSES)
        self.register_buffer("std", torch.tensor([2.0, 9.0, 0.5]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(self.norm(x / self.std))[0][:, -1])


class Conv(nn.Module):
    """Convolution, normalization, ReLU, a mean over time and a softmax."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(6)
        self.conv, self.norm = nn.Conv1d(CHANNELS, 5, 3), nn.BatchNorm1d(5)
        self.rnn, self.head = nn.LSTM(5, 6, batch_first=True), nn.Linear(6, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.pad(x.transpose(1, 2), (2, 0))
        x = torch.relu(self.norm(self.conv(x))).transpose(1, 2)
        return self.head(self.rnn(x)[0].mean(1)).softmax(-1)


def csv_files() -> Iterator[bytes]:
    rng = np.random.default_rng(2)
    rows = [
        f"{person},{label},{label}{person},{x[0]:.3f},{x[1]:.3f},{x[2]:.3f}"
        for person in range(4)
        for label in ("walk", "run", "stand")
        for x in rng.standard_normal((12, 3))
    ]
    head = "# rate_hz: 5\nperson,label,recording,ax,ay,az"
    yield "\n".join([head, *rows]).encode()
    times = [f"{line},{i / 50:.3f}" for i, line in enumerate(rows)]
    yield "\n".join(["person,label,recording,ax,ay,az,time", *times]).encode()
    european = [line.replace(",", ";").replace(".", ",") for line in rows]
    yield "\r\n".join([head.replace("n,l", "n;l").replace(",", ";"), *european]).encode()
    stamps = [f"{r},2024-03-01T10:00:{i // 10:02}.{i % 10}Z" for i, r in enumerate(rows)]
    yield "\n".join(["person,label,recording,ax,ay,az,time", *stamps]).encode()


def npz_files() -> Iterator[bytes]:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((12, 10, 3)).astype(np.float32)
    y, person = np.arange(12) % 3, np.repeat(np.arange(4), 3)
    names = np.array(["walk", "run", "stand"])
    yield _npz(x=x, y=y, person=person, rate_hz=5.0)
    yield _npz(
        x=x, y=y, person=person.astype("U4"), rate_hz=5, window=8, classes=names,
        channels=np.array(["ax", "ay", "az"]), units=np.array(["g"] * 3),
        people_train=np.array(["0", "1"]), people_val=np.array(["2"]), people_test=np.array(["3"]),
    )  # fmt: skip
    yield _npz(
        x=x.reshape(-1, 3),
        length=np.full(12, 10),
        y=names[y],
        person=person,
        rate_hz=np.array([5.0]),
    )


def _npz(**arrays: object) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _unsealed(path: Path) -> bytes:
    """Return JSON without its digest, which would refuse all that is changed."""
    return json.dumps(read_json(path)).encode()


def profile_files(folder: Path) -> Iterator[bytes]:
    from tests.unit.test_profile_report import a_result

    path = folder / "profile.json"
    part = {"energy_uj": {"mean": 4.5, "kind": "estimated", "model": "m", "error_percent": 49.0}}
    warmup = {"accuracy": [0.5] * 10, "accuracy_float": [], "samples": 3}
    fit = [
        {
            "what": "flash",
            "of": "b",
            "used": 9,
            "room": 8,
            "unit": "bytes",
            "fits": False,
            "fails": True,
        }
    ]
    line = {
        "round_trip_ms": {"mean": 1.5},
        "requests": 9,
        "retries": 1,
        "damaged": 2,
        "board_errors": None,
        "resets": 0,
    }
    for result in (
        a_result(),
        a_result(3, **part, warmup=warmup, rate_hz=0.0),
        a_result(fit=fit, line=line),
    ):
        result.save(path)
        yield _unsealed(path)


def record_files(folder: Path) -> Iterator[bytes]:
    from tests.unit.test_digests import RECORD, save_record

    for record in (RECORD, {**RECORD, "cost": None, "window": 10, "rate_hz": 50.0}):
        save_record(folder / "m.onnx", record)
        yield _unsealed(folder / "m.json")


def candidate_files(folder: Path) -> Iterator[bytes]:
    from tests.unit.test_digests import write_candidate

    yield _unsealed(write_candidate(folder))


def build_files(folder: Path) -> Iterator[bytes]:
    from tests.unit.test_digests import write_build

    yield _unsealed(write_build(folder))


def package_files() -> Iterator[bytes]:
    """What describes an export."""
    described = {
        "edgeflow": "0.2.0", "to": "zephyr", "name": "gait", "core": "cortex-m4",
        "model_hash": "0123456789abcdef", "build_id": "fedcba9876543210", "weight_bytes": 5464,
        "state_bytes": 464, "files": ["src/gait.c", "src/gait.h"],
    }  # fmt: skip
    for core in ("cortex-m4", "c"):
        yield json.dumps({**described, "core": core}).encode()


def size_files(folder: Path) -> Iterator[bytes]:
    from tests.unit.test_digests import write_size

    yield _unsealed(write_size(folder))


@cache
def a_fit(folder: Path) -> Fit:
    """A training that has gone one epoch, with its state in ``resume.pt``."""
    from tests.unit.test_train import SMALL, waves

    options = TrainOptions(**{**SMALL, "epochs": 1})
    folder.mkdir(parents=True, exist_ok=True)
    fit = _Run(waves(), "gru", options, folder, []).fit
    fit.run()
    return fit


def resume_files(folder: Path) -> Iterator[bytes]:
    a_fit(folder / "fit")
    yield unsealed((folder / "fit" / "resume.pt").read_bytes())


def cost_files() -> Iterator[bytes]:
    for name in ("kernels/cortex-m4", "cycles/cortex-m4", "schedules/cortex-m4"):
        yield (resource("calibration") / "costs" / f"{name}.toml").read_bytes()
    yield (resource("calibration") / "parts" / "nucleo-l4r5zi.toml").read_bytes()


def people_files() -> Iterator[bytes]:
    yield json.dumps({"train": ["a", 1], "val": ["b"], "test": ["c", "d"]}, indent=1).encode()


def recipe_files() -> Iterator[bytes]:
    for path in sorted((resource("calibration") / "recipes").glob("*.toml")):
        yield path.read_bytes()


def ladder_files() -> Iterator[bytes]:
    yield (resource("calibration") / "ladder.toml").read_bytes()


def device_files() -> Iterator[bytes]:
    for path in sorted((resource("calibration") / "imc").glob("*.toml")):
        yield path.read_bytes()


def board_files() -> Iterator[bytes]:
    for name in ("qemu-m4", "qemu-rv32", "host"):
        yield (resource("targets") / f"{name}.toml").read_bytes()


def model_files(folder: Path) -> Iterator[bytes]:
    for cell in ("gru", "lif"):
        model = SequenceClassifier(
            cell, [f"c{k}" for k in range(CLASSES)], ["ax", "ay", "az"], hidden=6, rate_hz=50.0,
            window=TIME,
        )  # fmt: skip
        save_model(model, folder / "model.pt")
        yield (folder / "model.pt").read_bytes()


def weight_files() -> Iterator[bytes]:
    weights = Net().state_dict()
    for content in (weights, {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in weights.items()},
                              "optimizer": {"lr": 1e-3, "state": [weights["std"]]}}):  # fmt: skip
        buffer = io.BytesIO()
        torch.save(content, buffer)
        yield buffer.getvalue()


def safetensors_files() -> Iterator[bytes]:
    header, data = {}, b""
    for name, value in Net().state_dict().items():
        raw = value.numpy().tobytes()
        offsets = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": offsets}
        data += raw
    yield safetensors(json.dumps(header).encode(), data)


def safetensors(header: bytes, data: bytes) -> bytes:
    assert len(header) < MAX_HEADER
    return len(header).to_bytes(8, "little") + header + data


def onnx_files(folder: Path) -> Iterator[bytes]:
    for net in (Net(), Net(nn.LSTM, 2), Net(nn.RNN), Conv()):
        path = folder / "net.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's own
            torch.onnx.export(
                net.eval(), (torch.from_numpy(samples(2)),), path, dynamo=False, input_names=["x"],
                dynamic_axes={"x": {0: "n", 1: "time"}},
            )  # fmt: skip
        yield path.read_bytes()


def pt2_files(folder: Path) -> Iterator[bytes]:
    sizes = ((torch.export.Dim.AUTO, torch.export.Dim.AUTO, CHANNELS),)
    for net, shapes in ((Net(), sizes), (Net(nn.LSTM), None), (Conv(), None)):
        path = folder / "net.pt2"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own
            program = torch.export.export(
                net.eval(), (torch.from_numpy(samples(4)),), dynamic_shapes=shapes
            )
            torch.export.save(program, path)
        yield path.read_bytes()


def nir_files(folder: Path) -> Iterator[bytes]:
    from tests.unit.test_import_nir import network, nir

    for kind, recurrent, integrator in (("LIF", False, False), ("CubaLIF", True, True)):
        path = folder / "net.nir"
        nir.write(path, network(kind, recurrent, integrator))
        yield path.read_bytes()


def keras_files(folder: Path, suffix: str) -> Iterator[bytes]:
    from tests.keras_models import build

    for name in ("gru-stack", "conv-mean", "functional"):
        path = folder / f"net{suffix}"
        build(name).save(path)
        yield path.read_bytes()


def program_files(folder: Path) -> Iterator[bytes]:
    from tests.random_programs import random_program

    for cells in (["gru", "lstm"], ["lif", "sum"]):
        random_program(2, 3, [5, 4, 3], 2, 12, 12, cells=cells).save(folder / "program.onnx")
        yield (folder / "program.onnx").read_bytes()
