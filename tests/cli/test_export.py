"""`edgeflow export` as a user types it."""

import json
import os
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from edgeflow.exporting import FORMATS
from edgeflow.program import Program
from tests.command import edgeflow
from tests.parity.export.machines import HOST
from tests.parity.export.watch_programs import watch_program


def run(folder: Path, *arguments: str, code: int = 0) -> CompletedProcess[str]:
    done = edgeflow(
        "export", *arguments, folder=folder, environment={**os.environ, "COLUMNS": "200"}
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def folder(trained_gru: Path, tmp_path: Path) -> Path:
    """A folder with ``My-Gait.v2.onnx``."""
    (tmp_path / "My-Gait.v2.onnx").write_bytes((trained_gru / "model.onnx").read_bytes())
    return tmp_path


def test_help_names_every_format(tmp_path: Path) -> None:
    text = " ".join(run(tmp_path, "--help").stdout.replace("│", " ").split())
    for name, form in FORMATS.items():
        assert f"{name}: {form.help}" in text
    for line in (
        "--to cmake --data seglearn-watch",
        "--to arduino --name gesture --core cortex-m4",
    ):
        assert f"edgeflow export model.onnx {line}" in text


def test_library_is_named_after_the_file(folder: Path) -> None:
    done = run(folder, "My-Gait.v2.onnx", "--to", "cmake")
    program = Program.load(folder / "My-Gait.v2.onnx")
    assert done.stdout.startswith(f"my_gait_v2-cmake: cmake of program {program.hash.hex()}, ")
    assert "my_gait_v2-cmake/README.md tells how to build it" in done.stderr
    build = HOST.cmake(folder / "my_gait_v2-cmake", folder / "build")
    assert HOST.run(build / "my_gait_v2-example").endswith("outputs: as at export\n")


def test_json_lists_the_files(folder: Path, seglearn: object) -> None:
    done = run(
        folder, "My-Gait.v2.onnx", "--to", "arduino", "--name", "gait", "--core", "cortex-m4",
        "--optimize", "speed", "--data", "seglearn-watch", "-o", "lib/gait", "--json",
    )  # fmt: skip
    value = json.loads(done.stdout)
    assert (value["to"], value["out"]) == ("arduino", "lib/gait")
    assert value["model_hash"] == Program.load(folder / "My-Gait.v2.onnx").hash.hex()
    inside = [path.relative_to(folder) for path in (folder / "lib").rglob("*") if path.is_file()]
    found = {str(path) for path in inside if ".edgeflow" not in path.parts}
    assert set(value["files"]) == found
    record = json.loads((folder / "lib/gait/edgeflow.json").read_text())
    assert (record["to"], record["name"], record["core"]) == ("arduino", "gait", "cortex-m4")
    assert "seglearn-watch" in (folder / "lib/gait/README.md").read_text()


def test_web_package(folder: Path, seglearn: object) -> None:
    pytest.importorskip("ziglang", reason="the PyPI package ziglang is missing")
    done = run(folder, "My-Gait.v2.onnx", "--to", "web", "--optimize", "size")
    program = Program.load(folder / "My-Gait.v2.onnx")
    assert done.stdout.startswith(f"my_gait_v2-web: web of program {program.hash.hex()}, ")
    assert not (folder / "my_gait_v2-web/recordings.json").exists()  # without data
    assert "my_gait_v2-web/README.md tells how to use it" in done.stderr
    again = run(
        folder, "My-Gait.v2.onnx", "--to", "web", "--name", "@me/gait", "--data", "seglearn-watch",
        "-o", "my_gait_v2-web", "--json",
    )  # fmt: skip
    value = json.loads(again.stdout)
    files = {f"my_gait_v2-web/{name}" for name in ("model.wasm", "index.html", "recordings.json")}
    assert value["to"] == "web" and files <= set(value["files"])
    assert "seglearn-watch" in (folder / "my_gait_v2-web/example/window.js").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "keil"], "error: --to keil: use one of onnx, "),
        (["--to", "onnx", "--core", "cortex-m4"], "error: onnx has no option 'core'; it is for cmake"),
        (["--to", "web", "--core", "cortex-m4"], "error: web has no option 'core'; it is for cmake"),
        (["--to", "web", "--name", "My Gait"], "error: 'My Gait' cannot name an npm package"),
        (["--to", "web", "-o", "."], "error: .: holds files that EdgeFlow did not make (My-Gait.v2.onnx)"),
        (["--to", "onnx", "-o", "My-Gait.v2.onnx"], "error: My-Gait.v2.onnx: is read (MODEL "),
        (["--to", "cmake", "--name", "size"], "error: 'size' already means something"),
        (["--to", "cmake", "--core", "m4"], "error: no core 'm4'"),
        (["--to", "cmake", "--rate", "20"], "error: --root, --people and --rate describe --data"),
        (["--to", "cmake", "--data", "none.csv"], "error: none.csv"),
        (["--to", "pebble"], "error: Pebble gives apps no gyroscope, which the model's channels gyr_x, gyr_y, gyr_z need"),
        (["--to", "wearos", "--axes", "acc_x=up"], "error: --axes acc_x=up: write --axes CHANNEL=AXIS"),
        (["--to", "onnx", "--axes", "acc_x=acc_y"], "error: onnx has no option 'axes'; it is for pebble, infinitime"),
        (["--to", "cmake", "-o", "."], "error: .: holds files that EdgeFlow did not make (My-Gait.v2.onnx)"),
    ],
)  # fmt: skip
def test_wrong_use_is_one_line_and_2(folder: Path, arguments: list[str], message: str) -> None:
    done = run(folder, "My-Gait.v2.onnx", *arguments, code=2)
    assert done.stderr.startswith(message)
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in folder.iterdir()] == ["My-Gait.v2.onnx"]


def test_an_app_of_a_watch_tells_what_the_watch_lacks(tmp_path: Path) -> None:
    program = replace(watch_program(), rate_hz=50.0, metadata={})
    program.save(tmp_path / "wrist.onnx")
    units = "acc_x=acc_x:g,acc_y=acc_y:g,acc_z=-acc_z:g"
    done = run(tmp_path, "wrist.onnx", "--to", "infinitime", "--axes", units, "--json")
    value = json.loads(done.stdout)
    assert (value["to"], value["out"]) == ("infinitime", "wrist-infinitime")
    assert all((tmp_path / file).is_file() for file in value["files"])
    (note,) = done.stderr.splitlines()
    assert note.startswith("note: PineTime with InfiniTime gives 10 samples per second, the model")
    text = (tmp_path / "wrist-infinitime" / "README.md").read_text()
    assert "| acc_z | -acc_z | g | 0.000976562 |" in text and note.removeprefix("note: ") in text
    refused = run(tmp_path, "wrist.onnx", "--to", "infinitime", code=2)
    assert refused.stderr.startswith("error: channel 'acc_x' has no unit")
    run(tmp_path, "wrist.onnx", "--to", "pebble", "--axes", units, "-o", "wrist-infinitime")
    assert not (tmp_path / "wrist-infinitime" / "src" / "displayapp").exists()
