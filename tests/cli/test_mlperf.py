"""``edgeflow compile --mlperf`` and ``edgeflow mlperf`` as a user runs them."""

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from edgeflow.codegen.build import Build
from edgeflow.data import Dataset, choose_windows
from edgeflow.program import Program
from tests.command import edgeflow


@pytest.fixture(scope="module")
def build(trained_gru: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mlperf") / "build"
    model = trained_gru / "model.onnx"
    done = edgeflow("compile", model, "--board", "host", "--mlperf", "har01", "-o", folder)
    assert done.returncode == 0, done.stderr
    return folder


def refused(*arguments: str | Path) -> str:
    done = edgeflow(*arguments)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def test_folder_for_the_runner(build: Path, seglearn: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "bench"
    done = edgeflow("mlperf", build, "--data", "seglearn-watch", "--windows", "40", "-o", out,
                    "--inferences", "70", "--usb", "1366:1051", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    there = {str(file.relative_to(out)) for file in out.rglob("*") if file.is_file()}
    assert {name for name in there if not name.startswith(".edgeflow")} == set(made["files"])
    program = Program.load(build / "model.onnx")
    windows = choose_windows(program, seglearn, "test", 40 * program.window)
    folder = out / "datasets" / "har01"
    rows = list(csv.reader((folder / "y_labels.csv").open()))
    size = program.window * program.inputs * 2
    right = 0
    for row, x, y in zip(rows, windows.x, windows.y, strict=True):
        assert row[1:] == [str(program.outputs), str(y), str(size), str(size)]
        data = (folder / row[0]).read_bytes()
        samples = np.frombuffer(data, "<i2").reshape(program.window, program.inputs)
        assert (samples == program.quantize_input(x)).all()
        right += program.predict(x[None])[0] == program.classes[y]
    assert made["windows"] == 40 and made["accuracy"] == right / 40
    devices = yaml.safe_load((out / "devices.yaml").read_text())
    assert [(d["type"], d["usb"]) for d in devices] == [("dut", {0x1366: 0x1051})]
    script = yaml.safe_load((out / "tests_performance.yaml").read_text())["har01"]
    assert script["script"] == [{"loop 5": ["download", "infer 70 10"]}]
    script = yaml.safe_load((out / "tests_accuracy.yaml").read_text())["har01"]
    assert script["script"] == [{"loop": ["download", "infer 1 0"]}]


def test_the_build_remembers(build: Path) -> None:
    loaded = Build.load(build)
    assert loaded.mlperf is not None
    assert (loaded.mlperf.model, loaded.mlperf.mode) == ("har01", "performance")
    assert loaded.baud is None  # the host has no serial port


def test_a_plain_image_has_nothing_of_it(trained_gru: Path, tmp_path: Path) -> None:
    done = edgeflow("compile", trained_gru / "model.onnx", "--board", "host", "-o", tmp_path / "b")
    assert done.returncode == 0, done.stderr
    assert b"m-ready" not in (tmp_path / "b" / "firmware.elf").read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mlperf", "k w s"], "'k w s' is no name of a model"),
        (["--mlperf", "kws01", "--mlperf-mode", "fast"], "'fast' is no mode of MLPerf Tiny"),
        (["--mlperf-mode", "energy"], "name its model, too"),
        (["--mlperf", "kws01", "--mlperf-mode", "energy"], "needs a pin that marks the time"),
        (["--baud", "12"], "qemu-m4: 12 baud"),
        (["--board", "host", "--baud", "9600"], "host: standard input and output"),
    ],
)
def test_what_cannot_be_is_one_line(
    options: list[str], message: str, trained_gru: Path, tmp_path: Path
) -> None:
    model = trained_gru / "model.onnx"
    assert message in refused("compile", model, *options, "-o", tmp_path / "build")


def test_programs_without_classes_or_windows(trained_gru: Path, tmp_path: Path) -> None:
    program = Program.load(trained_gru / "model.onnx")
    for name, changes in (("classes", {"classes": ()}), ("windows", {"window": 0})):
        dataclasses.replace(program, **changes).save(tmp_path / f"{name}.onnx")  # type: ignore[arg-type]
        arguments = ("--board", "host", "--mlperf", "kws01", "-o", tmp_path / "build")
        said = refused("compile", tmp_path / f"{name}.onnx", *arguments)
        assert f"the program has no {name}" in said


def test_the_runner_needs_all_classes(build: Path, tmp_path: Path) -> None:
    data = ("--data", "seglearn-watch", "-o", tmp_path / "bench")
    assert "benchmark's runner needs one of each" in refused(
        "mlperf", build, *data, "--windows", "5", "--inferences", "1"
    )
    assert "give --inferences" in refused("mlperf", build, *data)
    assert "--usb x" in refused("mlperf", build, *data, "--usb", "x")
