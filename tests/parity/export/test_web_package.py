"""The package of ``edgeflow export --to web``, as Node.js, npm and TypeScript use it (tier: parity).

Alone they would catch a model.js that quantizes, decides or keeps streams apart otherwise than the
oracle does, and a package that its tools do not take.
"""

import functools
import http.server
import importlib.util
import json
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgeflow
from edgeflow.data import Dataset
from edgeflow.errors import ExportError, ToolMissingError
from edgeflow.exporting import wasm
from edgeflow.program import Program
from edgeflow.program.nodes import Cutoff
from edgeflow.tasks.output import OutputFormat, real_values
from tests.parity.export.machines import ECOSYSTEMS, tell
from tests.random_programs import random_program
from tests.unit.test_names import ODD, RAW

SCRIPTS = ECOSYSTEMS / "web"
FILES = {
    "LICENSE", "README.md", "example/index.html", "example/run.js", "example/window.js",
    "model-plain.wasm", "model.d.ts", "model.js", "model.wasm", "package.json",
}  # fmt: skip

#: No part of what npm packs.
PAGE = {"index.html", "record.html", "recordings.json"}

if importlib.util.find_spec("ziglang") is None:
    pytest.skip("the PyPI package ziglang is missing", allow_module_level=True)
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="nodejs is missing")


@pytest.fixture(scope="session")
def program(trained_gru: Path) -> Program:
    return Program.load(trained_gru / "model.onnx")


@pytest.fixture(scope="session")
def package(program: Program, seglearn: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("web") / "gait"
    edgeflow.export(program, "web", folder, name="@me/gait", data=seglearn)
    return folder


@pytest.fixture
def url(package: Path) -> Iterator[str]:
    """Where a server of files has the package."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *words: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=package)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def in_node(package: Path, raw: np.ndarray, kind: str) -> dict:
    """Return what model.js finds in windows raw [n, time, channels]."""
    file = package.with_name("samples.f32")
    file.write_bytes(raw.astype("<f4").tobytes())
    return json.loads(tell(["node", SCRIPTS / "steps.mjs", package, file, kind]))


def check_found(found: dict, program: Program, raw: np.ndarray) -> None:
    """Compare inputs, outputs, decisions and confidences of every step with the oracle's."""
    x = program.quantize_input(raw)
    y = program.run(x)
    xs, ys, decided, confidence, _ = zip(*found["steps"], strict=True)
    np.testing.assert_array_equal(np.reshape(xs, x.shape), x)
    np.testing.assert_array_equal(np.reshape(ys, y.shape), y)
    np.testing.assert_array_equal(np.reshape(decided, y.shape[:2]), y.argmax(axis=-1))
    np.testing.assert_array_equal(np.reshape(confidence, y.shape[:2]), program.confidence(y))
    labels = [program.classes[i] for i in found["classes"]]
    assert labels == program.predict(raw).tolist()


@needs_node
@pytest.mark.parametrize("kind", ["simd", "plain"])
def test_500_steps_of_a_test_subject(
    kind: str, package: Path, program: Program, seglearn: Dataset
) -> None:
    windows = seglearn.windows("test")
    subject = windows.x[windows.person == seglearn.people["test"][0]]
    raw = subject[:: len(subject) // 5][:5]
    assert raw.shape[0] * raw.shape[1] == 500
    found = in_node(package, raw, kind)
    check_found(found, program, raw)
    info = found["info"]
    assert info["hash"] == program.hash.hex() and info["name"] == "@me/gait"
    assert info["classes"] == list(program.classes)
    assert info["channels"] == list(program.input.channels)
    assert info["units"] == list(seglearn.units)
    assert (info["rateHz"], info["window"]) == (program.rate_hz, program.window)
    assert (info["inputs"], info["outputs"]) == (program.inputs, program.outputs)
    assert info["outputScale"] == program.output_scale and info["earlyExit"] is None


@needs_node
def test_usage_and_errors(package: Path, url: str) -> None:
    assert tell(["node", SCRIPTS / "usage.mjs", package, url]) == "ok\n"


@needs_node
def test_example_classifies_a_recorded_window(package: Path) -> None:
    found = tell(["node", "example/run.js"], package)
    (recorded,) = [
        line
        for line in (package / "example/window.js").read_text().splitlines()
        if "recorded" in line
    ]
    label = recorded.split("'")[1]
    assert found == f"class: {label}\noutputs: as at export\n"


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is missing")
def test_example_in_a_browser(package: Path, url: str, tmp_path: Path) -> None:
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
    page = tell(
        ["chromium", *options, "--virtual-time-budget=60000", "--dump-dom", f"{url}/example/"]
    )
    assert re.search(r"sample (\d+) of \1: outputs as at export</p>", page)
    assert len(re.findall(r'<label class="first">', page)) == 1


@needs_node
def test_early_exit(tmp_path: Path) -> None:
    """`decided` from the exit on, the outputs stand, and `run` gives the same class."""
    program = random_program(2, 5, [19], 4, 12, 12)
    y = program.run(program.quantize_input(np.random.default_rng(0).normal(0, 500, (6, 12, 5))))
    top = np.sort(y.astype(int), axis=-1)
    threshold = int(np.median(top[..., -1] - top[..., -2]))
    program = replace(
        program, nodes=(*program.nodes, Cutoff("exit", 4, threshold, 3)), window=12,
        classes=("a", "b", "c", "d"),
    )  # fmt: skip
    edgeflow.export(program, "web", tmp_path / "exit")
    raw = np.random.default_rng(0).normal(0, 500, (6, 12, 5)).astype(np.float32)
    found = in_node(tmp_path / "exit", raw, "simd")
    check_found(found, program, raw)
    assert found["info"]["earlyExit"] == {"threshold": threshold, "start": 3}
    flags = np.reshape([step[4] for step in found["steps"]], (6, 12))
    assert flags.any() and not flags[:, :2].any()
    assert (np.diff(flags.astype(int), axis=1) >= 0).all()  # until the reset


@needs_node
def test_odd_names(tmp_path: Path) -> None:
    """They reach `info` as they are, and no text of the package raw or as code."""
    classes = (f"{ODD}1", "*/ throw 1; /*", "${1}`", "</script>", "ß")
    program = random_program(4, 2, [5], len(classes), 8, 12)
    form = replace(program.input, channels=(f"{ODD}x", "*/ y"))
    program = replace(program, classes=classes, input=form)
    edgeflow.export(program, "web", tmp_path / "odd")
    script = "import { load } from './model.js'; console.log(JSON.stringify((await load()).info));"
    info = json.loads(tell(["node", "--input-type=module", "-e", script], tmp_path / "odd"))
    assert (info["classes"], info["channels"]) == (list(classes), list(form.channels))
    tell(["node", "example/run.js"], tmp_path / "odd")
    for file in (tmp_path / "odd").rglob("*"):
        if file.is_file() and file.suffix != ".wasm":
            assert not RAW.search(file.read_text(encoding="utf-8")), file
    for line in (tmp_path / "odd/model.d.ts").read_text().splitlines():
        assert line.count("*/") <= line.count("/*") or line.strip() == "*/", line


@needs_node
@pytest.mark.parametrize("formed", [False, True])
def test_values_without_classes(tmp_path: Path, formed: bool) -> None:
    form = OutputFormat((1.5, -20.0), (0.5, 3.0), ("m", "degC")) if formed else None
    program = replace(random_program(4, 3, [9], 2, 8, 16), output=form)
    edgeflow.export(program, "web", tmp_path / "values")
    script = (
        "import { load } from './model.js'; const m = await load();"
        "const v = [...m.run(Float32Array.from({ length: 30 }, (_, i) => (i * 37) % 101 - 50))];"
        "let error; try { m.decide([1, 2]); } catch (e) { error = `${e.name}: ${e.message}`; }"
        "let length; try { m.run([1, 2, 3, 4]); } catch (e) { length = `${e.name}: ${e.message}`; }"
        "console.log(JSON.stringify({ v, error, length }));"
    )
    found = json.loads(tell(["node", "--input-type=module", "-e", script], tmp_path / "values"))
    raw = np.array([(i * 37) % 101 - 50 for i in range(30)], np.float32).reshape(1, 10, 3)
    y = program.run(program.quantize_input(raw))[0, -1]
    assert np.allclose(found["v"], real_values(y, program.scaling), rtol=1e-12)
    assert (
        found["error"] == "TypeError: decide: this model has no classes: values(y) has its outputs"
    )
    assert found["length"] == "RangeError: run takes 6 numbers, not 4"


def test_files_of_the_package(package: Path, program: Program) -> None:
    files = {p.relative_to(package).as_posix() for p in package.rglob("*") if p.is_file()}
    assert {name for name in files if not name.startswith((".edgeflow/", "page/"))} == FILES | PAGE
    manifest = json.loads((package / "package.json").read_text())
    assert manifest["name"] == "@me/gait" and program.hash.hex() in manifest["description"]
    readme = (package / "README.md").read_text()
    assert "subject" in readme and program.hash.hex() in readme
    for name in ("model.wasm", "model-plain.wasm"):
        assert f"| `{name}` | {(package / name).stat().st_size:,} bytes" in readme


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is missing")
def test_npm_packs_what_is_needed_and_no_more(package: Path) -> None:
    (packed,) = json.loads(tell(["npm", "pack", "--dry-run", "--json", "--offline"], package))
    assert {file["path"] for file in packed["files"]} == FILES


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("tsc") is None, reason="TypeScript (npm) is missing")
def test_typescript_takes_the_declarations(package: Path, tmp_path: Path) -> None:
    (tmp_path / "gait").symlink_to(package)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "user.ts").write_text(
        'import { load, type Model } from "./gait/model.js";\n'
        "const model: Model = await load({ simd: false });\n"
        "const y: Int16Array = model.step([1, 2, 3, 4, 5, 6]);\n"
        "const index: number = model.run(new Float32Array(600));\n"
        "const name: string = model.info.classes[index]!;\n"
        "// @ts-expect-error: a class is a number\n"
        "const wrong: string = model.decide(y);\n"
        "console.log(name, model.confidence(y), (await load(new URL('x:y'))).clone().decided);\n"
    )
    options = [
        "--strict",
        "--noEmit",
        "--target",
        "es2022",
        "--module",
        "nodenext",
        "--lib",
        "es2022,dom",
    ]
    tell(["tsc", *options, "user.ts"], tmp_path)


def test_names_that_npm_takes(program: Program, tmp_path: Path) -> None:
    for name in ("Gait", "a b", "../x", "@me", "@me/", ".gait", "node_modules", "a" * 215, ""):
        with pytest.raises(ExportError, match="cannot name an npm package"):
            edgeflow.export(program, "web", tmp_path / "out", name=name)
    assert not (tmp_path / "out").exists()


def test_without_the_compiler(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *more: None if name == "ziglang" else found(name, *more),
    )
    with pytest.raises(ToolMissingError, match=r"pip install edgeflow\[web\]$"):
        edgeflow.export(program, "web", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_compiler_that_fails(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wasm, "_FLAGS", ("-no-such-option",))
    with pytest.raises(
        ExportError, match=r"^ziglang cannot compile the model \(.*-no-such-option"
    ) as e:
        edgeflow.export(program, "web", tmp_path / "out")
    assert "\n" not in str(e.value)
    assert not (tmp_path / "out").exists()


def test_a_second_export_replaces_the_first(
    package: Path, program: Program, tmp_path: Path
) -> None:
    shutil.copytree(package, tmp_path / "gait")
    (tmp_path / "gait" / "mine.html").write_text("mine")
    edgeflow.export(program, "web", tmp_path / "gait", name="other")
    assert (tmp_path / "gait" / "mine.html").read_text() == "mine"
    assert json.loads((tmp_path / "gait" / "package.json").read_text())["name"] == "other"
