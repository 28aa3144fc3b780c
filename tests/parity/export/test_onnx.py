"""ONNX exports: valid, equal bits in other runtimes, readable by anybody, and the way back."""

import dataclasses
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

import edgeflow
from edgeflow.data import Dataset
from edgeflow.errors import ExportError, ProgramError
from edgeflow.program import InputFormat, Program
from edgeflow.program.fixedpoint import symmetric_max
from edgeflow.program.nodes import Cutoff
from edgeflow.program.onnx_file import to_onnx
from edgeflow.program.onnx_forms import Form, as_form
from tests.conftest import ROOT
from tests.docs.test_docs import blocks
from tests.onnx_consumer import Consumer
from tests.random_nodes.adaptive import ALL, random_learner
from tests.random_nodes.draw import DRAW
from tests.random_programs import programs, random_program, samples, with_start

FORMS = [Form(*flags) for flags in itertools.product([False, True], repeat=3)]
WINDOW = 7


def classifier(program: Program, cutoff: bool = False) -> Program:
    """Return the program with class names, one of them not ASCII, and maybe a cut-off."""
    names = tuple(f"class {i} é" for i in range(program.outputs))
    nodes = program.nodes
    if cutoff and program.outputs > 1:
        nodes = (*nodes, Cutoff("cutoff", program.outputs, 4000, 2))
    return dataclasses.replace(program, nodes=nodes, classes=names, window=WINDOW, rate_hz=12.5)


def exported(program: Program, form: Form) -> onnx.ModelProto:
    model = as_form(to_onnx(program), program, form)
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    return model


def check_bits(program: Program, form: Form, x: np.ndarray, engine: str) -> None:
    """Compare all outputs of a form with the oracle's, on x int16 or on samples float32."""
    model = exported(program, form)
    found = Consumer(model, engine).run(x)
    y = program.run(program.quantize_input(x) if form.raw else x)
    np.testing.assert_array_equal(found["y"], y)
    if form.scan:
        np.testing.assert_array_equal(found["last"], y[:, -1])
    if form.raw:
        scores = y[:, -1].astype(np.float32) * np.float32(program.output_scale)
        np.testing.assert_array_equal(found["scores"], scores)
        assert ("label" in found) == bool(program.classes)
    if form.raw and program.classes:
        chosen = y[:, -1].argmax(axis=1)
        np.testing.assert_array_equal(found["class_index"], chosen)
        assert list(found["label"]) == [program.classes[i] for i in chosen]


def inputs(program: Program, form: Form, seed: int, windows: int, time: int) -> np.ndarray:
    x = samples(program, seed, windows, time)
    if not form.raw:
        return x
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, x.shape)
    return ((x + noise) * program.input.scale + program.input.offset).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(
    program=programs(),
    form=st.sampled_from(FORMS),
    classes=st.booleans(),
    cutoff=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_onnxruntime_equals_oracle(
    program: Program, form: Form, classes: bool, cutoff: bool, seed: int
) -> None:
    program = classifier(program, cutoff) if classes else program
    check_bits(program, form, inputs(program, form, seed, windows=4, time=9), "onnxruntime")


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_first_states_are_those_that_were_learned(form: Form) -> None:
    cells = ["gru", "wide_lstm", "rnn"]
    program = with_start(random_program(3, 5, [9, 6, 4], 4, 12, 12, cells=cells, delta=True), 2)
    check_bits(program, form, inputs(program, form, 3, windows=3, time=4), "onnxruntime")


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("cell", DRAW)
def test_reference_evaluator_equals_oracle(cell: str, form: Form) -> None:
    program = classifier(random_program(3, 5, [9], 4, 12, 12, cells=[cell], delta=True), True)
    check_bits(program, form, inputs(program, form, 3, windows=3, time=4), "reference")


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("kind", ALL)
def test_what_learns_equals_oracle(kind: str, form: Form) -> None:
    """They are last or read several values, so that stacks have none."""
    program = classifier(random_learner(3, kind, 9, 4))
    for engine in ("reference", "onnxruntime"):
        check_bits(program, form, inputs(program, form, 3, windows=3, time=14), engine)


@settings(max_examples=100, deadline=None)
@given(
    bits=st.integers(2, 16),
    offset=st.floats(-(2.0**100), 2.0**100, width=32),
    scale=st.floats(2.0**-120, 2.0**120, width=32),
    raw=st.lists(st.floats(width=32), min_size=1, max_size=20),
    halves=st.lists(st.integers(-70000, 70000), min_size=1, max_size=20),
    engine=st.sampled_from(["onnxruntime", "reference"]),
)
def test_samples_are_rounded_as_the_oracle_does(
    bits: int, offset: float, scale: float, raw: list[float], halves: list[int], engine: str
) -> None:
    """Halves, their neighbours, NaN and infinities of both signs, denormals, overflow."""
    program = random_program(1, 1, [3], 2, 16, 16, cells=["taps"])
    form = InputFormat(np.float32([offset]), np.float32([scale]), bits, ("a",))
    program = dataclasses.replace(program, input=form)
    with np.errstate(over="ignore", invalid="ignore"):
        near = (np.array(halves) / 2 * form.scale + form.offset).astype(np.float32)
        values = np.concatenate([
            raw, near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, -np.float32(np.inf)),
            np.float32([0.0, -0.0, np.nan, np.inf, -np.inf, 0.49999997, -0.49999997]),
        ]).astype(np.float32)[:, None]  # fmt: skip
        expected = form.quantize(values)
    assert np.abs(expected).max() <= symmetric_max(bits)
    model = exported(program, Form(raw=True))
    model.graph.output.append(helper.make_tensor_value_info("x", TensorProto.INT16, ["n", 1]))
    consumer = Consumer(model, engine)
    with np.errstate(over="ignore", invalid="ignore"):
        found = consumer.run(values[:, None])
    np.testing.assert_array_equal(found["x"], expected)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_signature(form: Form) -> None:
    program = classifier(random_program(1, 6, [9, 5], 4, 12, 12, cells=["gru", "lstm"]))
    model = exported(program, form)
    states = [] if form.scan else ["gru0_h", "lstm1_h", "lstm1_c"]
    assert [i.name for i in model.graph.input] == ["samples" if form.raw else "x", *states]
    assert [o.name for o in model.graph.output] == [
        "y",
        *(["last"] if form.scan else [f"{s}_next" for s in states]),
        *(["scores", "class_index", "label"] if form.raw else []),
    ]
    assert bool(model.functions) == (not form.inline)
    domains = {o.domain for o in model.opset_import}
    assert domains == ({""} if form.inline else {"", "edgeflow"})


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_metadata_tells_a_consumer_all_it_needs(form: Form) -> None:
    program = classifier(random_program(1, 2, [5], 3, 12, 12, cells=["gru"], delta=True))
    offset, scale = np.float32([0.1, -9.81]), np.float32([0.3, 1e-4])
    input_format = dataclasses.replace(program.input, offset=offset, scale=scale)
    program = dataclasses.replace(program, input=input_format)
    model = exported(program, form)
    found = {p.key: p.value for p in model.metadata_props}
    assert json.loads(found["labels"]) == list(program.classes)
    assert float(found["sample_rate_hz"]) == 12.5
    assert int(found["window"]) == WINDOW
    assert json.loads(found["input_channels"]) == ["x0", "x1"]
    assert int(found["input_bits"]) == 12
    for key, exact in (("input_offset", offset), ("input_scale", scale)):
        np.testing.assert_array_equal(np.float32(json.loads(found[key])), exact)
    assert float(found["output_scale"]) == program.output_scale
    assert found["state_start"] == "zeros"
    assert found["program_hash"] == program.hash.hex()
    names = {i.name for i in model.graph.input} | {o.name for o in model.graph.output}
    states = json.loads(found["states"])
    assert {*states, *states.values()} == {n for n in names if n.startswith(("gru0_", "head_"))}
    assert all(later == f"{state}_next" for state, later in states.items())
    assert len(states) == len(model.graph.input) - 1


@pytest.mark.parametrize("form", FORMS, ids=str)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(program=programs(), cutoff=st.booleans())
def test_round_trip_gives_the_same_program(
    form: Form, program: Program, cutoff: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    program = classifier(program, cutoff)
    program = dataclasses.replace(program, metadata={"accuracy": 0.5})
    file = tmp_path_factory.mktemp("trip") / "m.onnx"
    to = "onnx-scan" if form.scan else "onnx"
    files = edgeflow.export(program, to, file, inline=form.inline, raw=form.raw)
    assert files == [file]
    read = Program.load(file)
    assert read.hash == program.hash
    assert to_onnx(read) == to_onnx(program)  # states, names and metadata besides


@pytest.mark.parametrize("form", FORMS[1:], ids=str)
def test_a_changed_graph_is_refused(form: Form, tmp_path: Path) -> None:
    program = classifier(random_program(1, 6, [9, 5], 4, 12, 12))
    model = exported(program, form)
    model.graph.node[-1].name += "_changed"
    onnx.save(model, tmp_path / "c.onnx")
    with pytest.raises(ProgramError, match="it was changed.*load the file that was exported"):
        Program.load(tmp_path / "c.onnx")


@pytest.mark.parametrize("cell", ["gru", "rnn", "lstm", "mingru", "minlstm", "cfc", "lif"])
def test_tvm_imports_the_inlined_step(cell: str) -> None:
    tvm = pytest.importorskip("tvm")
    frontend = pytest.importorskip("tvm.relax.frontend.onnx")
    program = random_program(3, 5, [9], 4, 12, 12, cells=[cell])
    model = exported(program, Form(inline=True))
    consumer = Consumer(model)
    names = [i.name for i in model.graph.input]
    shapes = {"x": [1, program.inputs]} | {k: [1, n] for k, (n, _) in consumer.states.items()}
    module = frontend.from_onnx(model, shape_dict=shapes, keep_params_in_input=False)
    machine = tvm.relax.VirtualMachine(tvm.compile(module, target="llvm"), tvm.cpu())

    class Session:
        def run(self, _: None, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
            return [
                y.numpy() for y in machine["main"](*(tvm.runtime.tensor(feed[n]) for n in names))
            ]

    consumer.session = Session()
    x = samples(program, 3, windows=1, time=6)
    np.testing.assert_array_equal(consumer.run(x)["y"], program.run(x))


def test_options_are_refused_where_they_mean_nothing(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="onnx has no option 'core'"):
        edgeflow.export(random_program(1, 2, [3], 2, 12, 12), "onnx", tmp_path / "m", core="c")


@pytest.fixture(scope="module")
def real(seglearn: Dataset, trained_gru: Path) -> tuple[Program, np.ndarray]:
    """A trained program, and raw windows of the test people."""
    return Program.load(trained_gru / "model.onnx"), seglearn.windows("test").x[::80]


@pytest.mark.parametrize("script", ["stream.py", "windows.py"])
def test_the_page_works_without_edgeflow(
    script: str, real: tuple[Program, np.ndarray], tmp_path: Path
) -> None:
    """The consumers of docs/export.md, where edgeflow cannot be imported, find the classes."""
    program, windows = real
    texts = {file: text for file, _, text in blocks(ROOT / "docs" / "export.md") if file}
    assert "edgeflow" not in "".join(re.findall(r"import.*", texts[script]))
    (tmp_path / script).write_text(texts[script])
    edgeflow.export(program, "onnx", tmp_path / "step.onnx")
    edgeflow.export(program, "onnx-scan", tmp_path / "windows.onnx", raw=True, inline=True)
    expected = program.run(program.quantize_input(windows))[:, -1].argmax(axis=1)
    assert len(windows) >= 5 and len(set(expected)) > 1
    blocked = f"import sys, runpy; sys.modules['edgeflow'] = None; runpy.run_path({script!r})"
    for window, chosen in zip(windows, expected, strict=True):
        np.savetxt(tmp_path / "window.csv", window, delimiter=",")
        done = subprocess.run(
            [sys.executable, "-I", "-c", blocked], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.split()[-1] == program.classes[chosen]
