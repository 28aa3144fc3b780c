"""Kinds of files: what seeds they have, how they are damaged, and which door reads them."""

import json
import os
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from edgeflow.calibration import read_data
from edgeflow.codegen.build import Build
from edgeflow.codegen.costs import KernelCosts
from edgeflow.codegen.package import Package, load_made
from edgeflow.codegen.schedules import Schedules
from edgeflow.data import load_dataset
from edgeflow.data.people import read_people
from edgeflow.digest import unsealed_json
from edgeflow.errors import EdgeFlowError
from edgeflow.imc import load_device
from edgeflow.imc.conductance import program as devices_program
from edgeflow.imc.population import default_times
from edgeflow.importers import load_float_model
from edgeflow.importers.checkpoint_weights import load_weights
from edgeflow.profiling.compare import read_runs, tables
from edgeflow.profiling.models import CycleModel, Part
from edgeflow.profiling.report import render, table_rows
from edgeflow.profiling.result import ProfileResult
from edgeflow.program import Program
from edgeflow.recipes import candidate
from edgeflow.recipes.recipe import Recipe
from edgeflow.recipes.search import read_ladder
from edgeflow.targets.board import load_board
from tests.input_fuzz import seeds
from tests.input_fuzz.containers import (
    damaged_h5,
    damaged_npz,
    damaged_proto,
    damaged_torch,
    damaged_zip,
)
from tests.input_fuzz.mutate import (
    Rng,
    damaged_bytes,
    damaged_json,
    damaged_text,
    damaged_toml,
    pick,
)

#: Inputs of each kind in the slow set, in the place of the kind's own; 0: those.
MANY = int(os.environ.get("EDGEFLOW_FUZZ_INPUTS", "0"))
#: Of so many profiles one is drawn, which takes a second.
_DRAWN = 200 if MANY else 20
#: Longest message, in lines and characters.
LINES, CHARACTERS = 12, 2000

Mutator = Callable[[Rng, bytes], bytes]


@dataclass(frozen=True)
class Door:
    """A kind of file.

    Parameters
    ----------
    name : str
        Of the file that is read.
    seeds : callable
        Takes a folder to write to; returns valid contents.
    damage : callable
    read : callable
        Takes the file's path.
    count : int
        Inputs of the slow set.
    """

    name: str
    seeds: Callable[[Path], Iterator[bytes]]
    damage: Mutator
    read: Callable[[Path], Any]
    count: int


def _read_data(path: Path) -> None:
    load_dataset(path, window=5)


def _read_model(path: Path) -> None:
    load_float_model(path, seeds.samples())


def _read_nir(path: Path) -> None:
    x = seeds.samples()
    load_float_model(path, np.concatenate([x, x[..., :1]], axis=-1))


def _read_keras(path: Path) -> None:
    load_float_model(path, np.concatenate([seeds.samples()] * 2, axis=1)[:, :24])


def _read_weights(path: Path) -> None:
    load_weights(seeds.Net(), path)


def _read_profile(path: Path) -> None:
    result = ProfileResult.load(path)
    tables(read_runs([path]))
    table_rows([result.to_json()])
    if zlib.crc32(path.read_bytes()) % _DRAWN == 0:
        render(result)


def _read_record(path: Path) -> None:
    tables(read_runs([path]))


def _read_build(path: Path) -> None:
    (path.parent / "firmware.elf").touch()
    build = Build.load(path.parent)
    repr(build)
    build.spec()


def _read_package(path: Path) -> None:
    package = load_made(path.parent)
    repr(package)
    package.spec()
    assert not isinstance(package, Package) or package.expected


def _read_size(path: Path) -> None:
    size = Build(path.parent, "host", "host", "", (), ()).size
    size.with_stack(20)


def _read_resume(path: Path) -> None:
    seeds.a_fit(path.parent / "fit").restore(path)


def _read_costs(path: Path) -> None:
    """Read it as what it says that it is."""
    text = path.read_bytes()
    kinds = {b"vectorize": Schedules, b"taken_branch": CycleModel, b"clock_hz": Part}
    read_data(next((kind for mark, kind in kinds.items() if mark in text), KernelCosts), path)


def _read_device(path: Path) -> None:
    device, rng = load_device(path), np.random.default_rng(0)
    cells = devices_program(device, np.linspace(device.g_min, device.g_max, 9), rng)
    for seconds in default_times(device):
        cells.at(seconds, rng)


def _mostly(inside: Mutator) -> Mutator:
    """Return a mutator that damages bytes, too, of one in eight."""
    return lambda rng, content: (inside if rng.integers(8) else damaged_bytes)(rng, content)


def _onnx(rng: Rng, content: bytes) -> bytes:
    model = onnx.ModelProto.FromString(content)
    # most of a program's header is JSON of its own
    header = next((p for p in model.metadata_props if p.key == "edgeflow"), None)
    if header is not None and rng.integers(2):
        unsealed = json.dumps(unsealed_json(header.value)).encode()
        header.value = damaged_json(rng, unsealed).decode("utf-8", "replace")
    else:
        damaged_proto(rng, model)
    return bytes(model.SerializeToString())


def _pt2(rng: Rng, content: bytes) -> bytes:
    return damaged_zip(
        rng, content, lambda n: damaged_json if n.endswith("json") else damaged_bytes
    )


def _keras(rng: Rng, content: bytes) -> bytes:
    return damaged_zip(rng, content, lambda n: damaged_h5 if n.endswith("h5") else damaged_json)


def _safetensors(rng: Rng, content: bytes) -> bytes:
    size = 8 + int.from_bytes(content[:8], "little")
    return seeds.safetensors(damaged_json(rng, content[8:size]), content[size:])


DOORS = {
    "csv": Door("a.csv", lambda _: seeds.csv_files(), damaged_text, _read_data, 30_000),
    "npz": Door("a.npz", lambda _: seeds.npz_files(), _mostly(damaged_npz), _read_data, 18_000),
    "board": Door("a.toml", lambda _: seeds.board_files(), damaged_toml, load_board, 6_000),
    "recipe": Door("a.toml", lambda _: seeds.recipe_files(), damaged_toml, Recipe.load, 6_000),
    "ladder": Door("a.toml", lambda _: seeds.ladder_files(), damaged_toml, read_ladder, 4_000),
    "device": Door("a.toml", lambda _: seeds.device_files(), damaged_toml, _read_device, 5_000),
    "costs": Door("a.toml", lambda _: seeds.cost_files(), damaged_toml, _read_costs, 5_000),
    "profile": Door("profile.json", seeds.profile_files, damaged_json, _read_profile, 6_000),
    "record": Door("m.json", seeds.record_files, damaged_json, _read_record, 6_000),
    "candidate": Door("candidate.json", seeds.candidate_files, damaged_json, candidate._read, 5_000),
    "build": Door("build.json", seeds.build_files, damaged_json, _read_build, 5_000),
    "package": Door("edgeflow.json", lambda _: seeds.package_files(), damaged_json, _read_package,
                    5_000),
    "size": Door("size.json", seeds.size_files, damaged_json, _read_size, 5_000),
    "resume": Door("resume.pt", seeds.resume_files, _mostly(damaged_torch), _read_resume, 5_000),
    "people": Door("a.json", lambda _: seeds.people_files(), damaged_json, read_people, 8_000),
    "model": Door("model.pt", seeds.model_files, _mostly(damaged_torch), _read_model, 5_000),
    "weights": Door(
        "a.pt", lambda _: seeds.weight_files(), _mostly(damaged_torch), _read_weights, 6_000
    ),
    "safetensors": Door(
        "a.safetensors", lambda _: seeds.safetensors_files(), _mostly(_safetensors),
        _read_weights, 5_000,
    ),
    "onnx": Door("a.onnx", seeds.onnx_files, _mostly(_onnx), _read_model, 4_000),
    "program": Door("a.onnx", seeds.program_files, _mostly(_onnx), Program.load, 3_000),
    "pt2": Door("a.pt2", seeds.pt2_files, _mostly(_pt2), _read_model, 3_000),
    "nir": Door("a.nir", seeds.nir_files, _mostly(damaged_h5), _read_nir, 3_000),
    "keras": Door(
        "a.keras", lambda f: seeds.keras_files(f, ".keras"), _mostly(_keras), _read_keras, 2_000
    ),
    "h5": Door("a.h5", lambda f: seeds.keras_files(f, ".h5"), _mostly(damaged_h5), _read_keras,
               2_000),
}  # fmt: skip


def content_of(kind: str, contents: list[bytes], number: int) -> bytes:
    """Return an input, the same each time."""
    rng = np.random.default_rng([number, *kind.encode()])
    return DOORS[kind].damage(rng, pick(rng, contents))


def wrong(read: Callable[[Path], Any], path: Path) -> str:
    """Return what is wrong with how a file is read; "" if it gives a result or a fine message."""
    try:
        read(path)
    except EdgeFlowError as error:
        return _wrong_message(str(error))
    except BaseException as error:
        import traceback

        return "".join(traceback.format_exception(error))
    return ""


def _wrong_message(text: str) -> str:
    lines = text.splitlines()
    odd = [c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]
    if not text.strip():
        return "an empty message"
    if odd:
        return f"a message with {odd[0]!r} in it: {text[:300]!r}"
    if len(lines) > LINES or len(text) > CHARACTERS:
        return f"a message of {len(lines)} lines, {len(text)} characters: {text[:300]!r}"
    return ""
