"""Fine-tuning from the command line: int4 weights, teachers, the record, going on after a stop."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeflow.data import Dataset
from edgeflow.program import Program
from tests.cli.test_pipeline import DATA, environment, fails, run
from tests.command import PROGRAM

__all__ = ["environment"]


def largest(program: Program) -> dict[str, int]:
    return {
        f"{node.name}.{field}": int(np.abs(matrix.weight.astype(int)).max())
        for node in program.nodes
        for field, matrix in node.matrices().items()
    }


def test_int4_with_a_teacher_and_its_record(
    environment: dict[str, str], trained_gru: Path, tmp_path: Path
) -> None:
    model, out = trained_gru / "model", tmp_path / "small.onnx"
    command: list[Any] = ["compress", model, *DATA, "--weights", "int4", "--epochs", "2",
                          "--teacher", model, "-o", out, "--json"]  # fmt: skip
    shown = json.loads(run(environment, *command).stdout)
    program = Program.load(out)
    assert set(largest(program).values()) == {7}
    record = json.loads((tmp_path / "small.json").read_text())
    assert record["hash"] == shown["hash"] == program.hash.hex()
    assert record["scores"]["accuracy_int"] == shown["accuracy_int"]
    assert record["command"]["weights"] == "int4" and record["command"]["epochs"] == 2
    assert [row["epoch"] for row in record["training"]["history"]] == [1, 2]
    methods = record["training"]["arguments"]["methods"]
    assert [method["method"] for method in methods] == ["qat", "distillation"]
    assert {m["name"]: m["bits"] for m in record["matrices"]} == dict.fromkeys(largest(program), 4)
    whole = sum(node.weight_bytes() for node in program.nodes)
    weights = sum(m.weight.size for node in program.nodes for m in node.matrices().values())
    assert record["size"]["weight_bytes"] == whole - weights // 2
    assert not (tmp_path / "small.run" / "resume.pt").exists()
    # the second time there is nothing left to train
    started = time.perf_counter()
    again = json.loads(run(environment, *command).stdout)
    assert again == shown and time.perf_counter() - started < 60
    assert "holds a training with" in fails(environment, *command, "--seed", "1")


def test_a_stopped_run_goes_on(
    environment: dict[str, str], trained_gru: Path, tmp_path: Path
) -> None:
    def command(name: str) -> list[str]:
        out = str(tmp_path / f"{name}.onnx")
        return ["compress", str(trained_gru / "model"), *DATA, "--epochs", "2", "-o", out]

    state = tmp_path / "parts.run" / "resume.pt"
    process = subprocess.Popen([*PROGRAM, *command("parts")], env=environment)
    while not state.exists():
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    process.wait()
    assert not (tmp_path / "parts.onnx").exists()
    run(environment, *command("parts"))
    run(environment, *command("whole"))
    hashes = [Program.load(tmp_path / f"{name}.onnx").hash for name in ("parts", "whole")]
    assert hashes[0] == hashes[1]


def test_mixed_widths_and_their_bound(
    environment: dict[str, str], trained_gru: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mixed.onnx"
    command = ["compress", trained_gru / "model", *DATA, "--weights", "mixed", "-o", out, "--json"]
    run(environment, *command, "--max-drop", "100")
    assert set(largest(Program.load(out)).values()) == {7}
    record = json.loads((tmp_path / "mixed.json").read_text())
    assert {s["matrix"] for s in record["sensitivities"]} == set(largest(Program.load(out)))
    assert record["training"] is None


def test_for_analog_chips(environment: dict[str, str], trained_gru: Path, tmp_path: Path) -> None:
    """The record has the chips, the device's data with them, and both scores of each epoch."""
    model, out = trained_gru / "model", tmp_path / "pcm.onnx"
    noisy = "pcm,chips=2,adc=8,output_noise=0.04"
    run(environment, "compress", model, *DATA, "--imc", noisy, "--epochs", "1", "-o", out)
    record = json.loads((tmp_path / "pcm.json").read_text())
    assert record["command"]["imc"]["device"] == "pcm" and record["command"]["imc"]["adc"] == 8
    training = record["training"]
    assert {"val_accuracy", "ideal_accuracy"} <= set(training["history"][0])
    names = [method["method"] for method in training["arguments"]["methods"]]
    assert names == ["qat", "weight noise", "sum noise"]
    assert training["arguments"]["methods"][1]["device"]["g_max"] == 25


def test_bad_options_are_one_line(
    environment: dict[str, str], seglearn: Dataset, trained_gru: Path, tmp_path: Path
) -> None:
    model, out = trained_gru / "model", ["-o", tmp_path / "model.onnx"]
    cases: list[tuple[list[Any], str]] = [
        (["--weights", "int3"], "--weights int3: there are int8, int4, mixed"),
        (["--epochs", "-1"], "--epochs -1: use 0 or more"),
        (["--teacher", model], "a teacher needs fine-tuning: use --epochs"),
        (["--epochs", "1", "--teacher", tmp_path / "none"], "no such file"),
        (["--epochs", "1", "--lr", "0"], "lr is 0"),
        (["--imc", "pcm"], "training for analog chips: use --epochs"),
        (["--epochs", "1", "--imc", "pcx"], "no device 'pcx'; did you mean 'pcm'"),
    ]
    for options, message in cases:
        assert message in fails(environment, "compress", model, *DATA, *options, *out)
    assert not (tmp_path / "model.onnx").exists() and not (tmp_path / "model.json").exists()


@pytest.mark.slow
def test_train_with_a_teacher(
    environment: dict[str, str], trained_gru: Path, tmp_path: Path
) -> None:
    command = ["train", *DATA, "--cell", "mingru", "--hidden", "8", "--epochs", "2", "-o", tmp_path]
    shown = run(environment, *command, "--teacher", trained_gru / "model", "--json").stdout
    (method,) = json.loads(shown)["arguments"]["methods"]
    assert method["teachers"] == [str(trained_gru / "model")]
