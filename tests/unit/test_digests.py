"""Files that EdgeFlow wrote, with one bit flipped: refused by name, or the same content as before.

Unit tier. It alone would catch a kind of file that lost its digest, or whose reader no longer
compares it: a weight of 1e38, a score or a cost that nobody measured would load without a word.
"""

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgeflow import digest
from edgeflow.cells import load_model
from edgeflow.cells.checkpoint import write_torch
from edgeflow.codegen.build import Build
from edgeflow.compression.record import read_record, save_record
from edgeflow.compression.suspicion import record_notes
from edgeflow.errors import CompressError, EdgeFlowError, ProgramError, TargetError, TrainError
from edgeflow.profiling.result import ProfileResult
from edgeflow.program import Program
from edgeflow.recipes import candidate
from edgeflow.recipes.apply import trained_tail
from edgeflow.targets.size import SizeReport
from edgeflow.training import resume
from edgeflow.training.repeat import rng_states
from tests.input_fuzz import seeds
from tests.unit.test_profile_report import a_result

#: Flips of a kind in the fast tier, and in the slow set.
FEW, MANY = 60, 1500
SIZES = SizeReport(900, 80, None, {"weights": 500}, {"model": 80, "stack": 0}, {"kernels": 300})
COST = {"board": "qemu-m4", "optimize": "speed", "instructions": {"mean": 75.0}, "energy_uj": None,
        "flash_bytes": 900, "ram_bytes": 80, "weight_bytes": 500}  # fmt: skip
SCORES = {"accuracy_float": 0.95, "accuracy_int": 0.925, "split": "test",
          "people": {"7": {"float": 0.9, "int": 0.8}}}  # fmt: skip
RECORD = {"format": 1, "hash": "0" * 16, "data": "x", "scores": SCORES, "size": {"weight_bytes": 500},
          "command": {"seed": 3}, "cost": COST}  # fmt: skip


def plain(value: Any) -> Any:
    """Return a nest with the bytes of its tensors, so that ``==`` compares bits."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), value.shape, value.numpy().tobytes()
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return repr(value)


def write_model(folder: Path) -> Path:
    next(seeds.model_files(folder))
    return folder / "model.pt"


def read_model(path: Path) -> Any:
    model = load_model(path)
    return plain([model.state_dict(), model.hyper, model.classes, model.channels, model.cell,
                  model.rate_hz, model.window, model.data, model.seed])  # fmt: skip


def write_resume(folder: Path) -> Path:
    torch.manual_seed(2)
    net = torch.nn.GRU(3, 4)
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3)
    net(torch.randn(5, 1, 3))[0].sum().backward()
    optimiser.step()
    state = {"model": net.state_dict(), "optimiser": optimiser.state_dict(), "rng": rng_states()}
    write_torch({"arguments": {"lr": 1e-3}, "epoch": 1, **state}, folder / "resume.pt")
    return folder / "resume.pt"


def write_metrics(folder: Path) -> Path:
    result = {"arguments": {"tail": 0.1}, "test": {"accuracy": 0.9}, "data": "x", "history": [0.5]}
    resume.write_result(folder / "metrics.json", result)
    return folder / "metrics.json"


def write_profile(folder: Path) -> Path:
    a_result().save(folder / "profile.json")
    return folder / "profile.json"


def write_record(folder: Path) -> Path:
    save_record(folder / "m.onnx", RECORD)
    return folder / "m.json"


def write_candidate(folder: Path) -> Path:
    one = candidate.Candidate.__new__(candidate.Candidate)
    one.folder, one._known = folder, {"arguments": {"a": 1}, "expected": {}, "scores": None}
    one._keep(costs={"speed": COST})
    return folder / "candidate.json"


def write_size(folder: Path) -> Path:
    SIZES.save(folder / "size.json")
    return folder / "size.json"


def read_size(path: Path) -> SizeReport:
    return Build(path.parent, "host", "host", "", (), ()).size


def write_build(folder: Path) -> Path:
    (folder / "firmware.elf").touch()
    content = {"board": "host", "core": "host", "model_hash": "0" * 16, "layers": ["rnn", "head"],
               "kernels": [], "optimize": "size", "choices": [], "placement": {},
               "tvm_layers": [], "name": None}  # fmt: skip
    (folder / "build.json").write_text(digest.sealed_json(content, 2))
    return folder / "build.json"


def write_program(folder: Path) -> Path:
    next(seeds.program_files(folder))
    return folder / "program.onnx"


def read_program(path: Path) -> Any:
    program = Program.load(path)
    return program.hash, program.rate_hz, repr(program.metadata)


@dataclass(frozen=True)
class Kind:
    """A kind of file: how it is written, how it is read, and the error of a damaged one."""

    write: Callable[[Path], Path]
    read: Callable[[Path], Any]
    error: type[EdgeFlowError]


def torch_state(path: Path) -> Any:
    return plain(resume.load(path, {"lr": 1e-3}))


KINDS = {
    "model.pt": Kind(write_model, read_model, TrainError),
    "resume.pt": Kind(write_resume, torch_state, TrainError),
    "metrics.json": Kind(
        write_metrics, lambda path: resume.read_result(path, {"tail": 0.1}), TrainError
    ),
    "profile.json": Kind(
        write_profile, lambda path: repr(ProfileResult.load(path).to_json()), EdgeFlowError
    ),
    "record": Kind(write_record, lambda path: read_record(path), CompressError),
    "candidate.json": Kind(write_candidate, lambda path: candidate._read(path), CompressError),
    "size.json": Kind(write_size, read_size, TargetError),
    "build.json": Kind(write_build, lambda path: Build.load(path.parent), TargetError),
    "program": Kind(write_program, read_program, ProgramError),
}


def silent_flips(kind: Kind, folder: Path, count: int) -> tuple[list[int], int]:
    """Return the bits whose flip was loaded as something else, and how many were refused."""
    path = kind.write(folder)
    content, good = path.read_bytes(), kind.read(path)
    rng, silent, refused = np.random.default_rng(4), [], 0
    for bit in rng.choice(8 * len(content), min(count, 8 * len(content)), replace=False):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            found = kind.read(path)
        except kind.error as error:
            assert path.name in str(error) and "\n" not in str(error)
            refused += 1
            continue
        # a flip in a key is a field of another name; what was written is all there
        same = {**found, **good} == found if isinstance(found, dict) else found == good
        if not same:
            silent.append(int(bit))
    return silent, refused


@pytest.mark.parametrize("name", KINDS)
def test_a_few_flipped_bits(name: str, tmp_path: Path) -> None:
    silent, refused = silent_flips(KINDS[name], tmp_path, FEW)
    assert not silent
    assert refused > FEW // 2


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_many_flipped_bits(name: str, tmp_path: Path) -> None:
    silent, refused = silent_flips(KINDS[name], tmp_path, MANY)
    assert not silent
    assert refused > MANY // 2


def test_the_record_and_the_remedy_are_named(tmp_path: Path) -> None:
    """The flip of ../shared/cases/faults/checkpoint-bitflip: an exponent of one weight."""
    path = write_model(tmp_path)
    content = bytearray(path.read_bytes())
    state = load_model(path).state_dict()
    raw = next(v for k, v in state.items() if k.endswith("weight_hh_l0")).numpy().tobytes()
    content[content.index(raw) + 4 * 33 + 3] ^= 0x40
    path.write_bytes(content)
    with pytest.raises(TrainError, match=r"model\.pt: damaged: its record \S*data/\d+ is not .*"
                                         r"copy it again, or train it again with --restart$"):  # fmt: skip
        load_model(path)


def test_other_programs_still_read_the_archives(tmp_path: Path) -> None:
    path = write_model(tmp_path)
    assert torch.load(path, weights_only=True)["cell"] == "gru"
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None


def edited(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) >= 1
    path.write_text(text.replace(old, new, 1))


def test_json_that_was_edited_by_hand_is_refused_and_reformatted_is_not(tmp_path: Path) -> None:
    path = write_record(tmp_path)
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content, sort_keys=True))
    assert read_record(path) == RECORD
    edited(path, "0.925", "0.975")
    with pytest.raises(CompressError, match=r"m\.json: changed since it was written .*: compress"):
        read_record(path)


@pytest.mark.parametrize("name", KINDS)
def test_a_file_of_an_older_version_has_no_digest_and_loads(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    path = kind.write(tmp_path)
    good = kind.read(path)
    if path.suffix == ".json":
        content = json.loads(path.read_text())
        del content[digest.FIELD]
        path.write_text(json.dumps(content))
    elif path.suffix == ".pt":
        whole = digest.unsealed(path.read_bytes())
        assert len(whole) < path.stat().st_size
        path.write_bytes(whole)
    assert kind.read(path) == good


def test_the_metrics_beside_a_model_are_no_guess(tmp_path: Path) -> None:
    path = write_metrics(tmp_path)
    assert trained_tail(tmp_path) == 0.1
    edited(path, "0.1", "0.3")
    with pytest.raises(CompressError, match=r"metrics\.json: changed since it was written"):
        trained_tail(tmp_path)
    none: Any = None
    assert "not compared" in record_notes(tmp_path, none, none, {"split": "test"})[0]


def test_numbers_are_written_as_they_are_read() -> None:
    content = {"a": 1e-300, "b": (1, 2), "c": {3: float("nan"), "é": None}, "d": 0.1 + 0.2}
    text = digest.sealed_json(content, 1)
    assert repr(digest.unsealed_json(text)) == repr(json.loads(json.dumps(content)))


def test_files_end_with_their_digest(tmp_path: Path) -> None:
    path = tmp_path / "a.o"
    for content in (b"", b"x" * 10, b"x" * (1 << 20), b"x" * ((1 << 20) + 7)):
        path.write_bytes(content)
        assert not digest.is_whole(path)
        assert digest.unsealed(content) == content
        digest.seal(path)
        assert digest.is_whole(path)
        assert digest.unsealed(path.read_bytes()) == content
        path.write_bytes(path.read_bytes()[:-1])
        assert not digest.is_whole(path)
    assert not digest.is_whole(tmp_path)
    assert not digest.is_whole(tmp_path / "none")
