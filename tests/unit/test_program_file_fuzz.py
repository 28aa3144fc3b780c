"""A damaged file of a program loads as that program or gives a `ProgramError`, nothing else."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeflow.digest import unsealed_json
from edgeflow.errors import ProgramError
from edgeflow.program import Program
from edgeflow.program.onnx_file import to_onnx
from edgeflow.program.onnx_forms import Form, as_form
from tests.random_programs import random_program, samples

MANY = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
CELLS = ["gru", "lif", "lstm", "sum"]
PROGRAM = random_program(2, 3, [5, 4, 3, 3], 2, 12, 12, cells=CELLS, delta=True)
FORMS = [Form(*flags) for flags in itertools.product([False, True], repeat=3)]
STEP = to_onnx(PROGRAM)
MODELS = [STEP, *(as_form(STEP, PROGRAM, form) for form in FORMS)]
FILES = [model.SerializeToString() for model in MODELS]
X = samples(PROGRAM, 2, windows=2, time=5)
Y = PROGRAM.run(X)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "model.onnx"


def check(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    try:
        read = Program.load(file)
    except ProgramError as error:
        assert str(file) in str(error) and "\n" not in str(error)
        return
    assert read.hash == PROGRAM.hash
    np.testing.assert_array_equal(read.run(X), Y)


def paths(value: Any) -> list[list[Any]]:
    """Return the paths of all parts of a JSON value."""
    if not isinstance(value, dict | list):
        return [[]]
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    inner = [[key, *rest] for key, part in parts for rest in paths(part)]
    return [[], *inner]


@MANY
@given(data=st.data(), content=st.sampled_from(FILES))
def test_bytes(data: st.DataObject, content: bytes, file: Path) -> None:
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(damaged)))
        end = start + data.draw(st.integers(0, 9))
        damaged[start:end] = data.draw(st.binary(max_size=9))
    check(file, bytes(damaged))


@MANY
@given(data=st.data(), model=st.sampled_from(MODELS))
def test_header(data: st.DataObject, model: onnx.ModelProto, file: Path) -> None:
    """Any part of the header replaced by any JSON value, or left out."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    entry = next(p for p in changed.metadata_props if p.key == "edgeflow")
    whole = {"": unsealed_json(entry.value)}  # the digest would refuse all but spaces
    *path, last = data.draw(st.sampled_from(paths(whole)[1:]))
    owner: Any = whole
    for key in path:
        owner = owner[key]
    if data.draw(st.booleans()):
        owner[last] = data.draw(JSON)
    elif path:
        del owner[last]
    entry.value = json.dumps(whole[""])
    check(file, changed.SerializeToString())


@MANY
@given(data=st.data(), model=st.sampled_from(MODELS))
def test_tensors_and_nodes(data: st.DataObject, model: onnx.ModelProto, file: Path) -> None:
    """Shapes, types and places of tensors; names, operators and attributes of nodes."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    tensor = data.draw(st.sampled_from(list(graph.initializer)))
    node = data.draw(st.sampled_from(list(graph.node)))
    kind = data.draw(st.integers(0, 6))
    if kind == 0:
        tensor.dims[:] = data.draw(st.lists(st.integers(-1, 2**62), max_size=3))
    elif kind == 1:
        tensor.data_type = data.draw(st.integers(0, 40))
    elif kind == 2:
        tensor.data_location = onnx.TensorProto.EXTERNAL
        place = data.draw(st.sampled_from(["", "none.bin", "/dev/null", "../up", file.name]))
        tensor.external_data.add(key="location", value=place)
    elif kind == 3:
        tensor.name = data.draw(st.sampled_from([t.name for t in graph.initializer] + [""]))
    elif kind == 4:
        node.name = data.draw(st.text(max_size=5))
        node.domain = data.draw(st.sampled_from(["", "edgeflow", "other"]))
    elif kind == 5:
        node.op_type = data.draw(st.sampled_from(["GRU", "LSTM", "GRU_x", "Clamp", "", "Add"]))
    else:
        del node.attribute[:]
        node.attribute.add(name="input_shift", type=data.draw(st.sampled_from([1, 2, 3, 4])))
    check(file, changed.SerializeToString())
