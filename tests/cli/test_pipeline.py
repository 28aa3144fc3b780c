"""The commands in a row, as a user types them, on real data; and what they say to bad input."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgeflow.data import Dataset
from edgeflow.program import Program
from tests.command import PROGRAM, edgeflow
from tests.conftest import ROOT

DATA = ["--data", "seglearn-watch"]


@pytest.fixture
def environment(seglearn: Dataset) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "200",
    }


def run(
    environment: dict[str, str], *arguments: str | Path, code: int = 0
) -> subprocess.CompletedProcess[str]:
    done = edgeflow(*arguments, environment=environment)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def fails(environment: dict[str, str], *arguments: str | Path) -> str:
    """Run a command that must exit with 2 and one line on stderr; return the line."""
    done = run(environment, *arguments, code=2)
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.fixture(scope="session")
def build(trained_gru: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from edgeflow.codegen.build import compile_program
    from edgeflow.program import Program

    folder = tmp_path_factory.mktemp("build")
    compile_program(Program.load(trained_gru / "model.onnx"), "qemu-m4", folder)
    return folder


@pytest.mark.board
def test_compress_compile_profile(
    environment: dict[str, str], trained_gru: Path, tmp_path: Path
) -> None:
    file, folder = tmp_path / "model.onnx", tmp_path / "build"
    scores = json.loads(
        run(environment, "compress", trained_gru / "model", *DATA, "-o", file, "--json").stdout
    )
    assert abs(scores["drop_points"]) <= 0.5
    gru = Program.load(file).nodes[0]  # 12 bits of inputs and states, 8 of weights by default
    assert (gru.input_bits, gru.output_bits) == (12, 12)
    assert all(abs(matrix.weight).max() == 127 for matrix in gru.matrices().values())
    assert scores["macro_f1"].keys() == {"float", "int"}
    assert all(0 <= one["int"] <= 1 for one in scores["recall"].values())
    shown = json.loads(run(environment, "inspect", file, "--json").stdout)
    assert shown["hash"] == scores["hash"]
    assert [layer["type"] for layer in shown["layers"]] == ["GRU", "Linear"]
    made = json.loads(run(environment, "compile", file, "-o", folder, "--json").stdout)
    assert made["model_hash"] == scores["hash"]
    for name in ("model.c", "model.h", "firmware.elf", "firmware.bin", "firmware.hex", "size.json"):
        assert (folder / name).stat().st_size > 0

    command = ["profile", folder, *DATA, "--steps", "1000", "--json"]
    first = json.loads(run(environment, *command).stdout)
    assert first["mismatches"] == 0
    assert first["steps"] == 1000
    assert first["accuracy_device"] == first["accuracy_oracle"]
    assert first["metrics"]["overall"]["accuracy"] == first["accuracy_device"]
    assert set(first["metrics"]["subjects"]) == set(scores["people"])
    assert list(first["metrics"]["overall"]["recall"]) == list(scores["recall"])
    assert sum(layer["bytes"] for layer in first["layers"]) == first["flash"]["weights"]
    counts = first["instructions_per_step"]
    assert 0 < counts["mean"] <= counts["max"] < 10_000
    assert sum(layer["instructions_mean"] for layer in first["layers"]) == pytest.approx(
        counts["mean"]
    )
    assert first["cycles_per_step"]["kind"] == first["energy_uj"]["kind"] == "estimated"
    assert first["flash_bytes"] < 40_000
    assert first["ram_bytes"] < 6_000
    html = (folder / "report.html").read_text()
    assert not re.search(r"(?:src|href)=[\"']https?:", html), "the report must be readable offline"
    assert html.count("<svg") >= 5

    second = json.loads(run(environment, *command).stdout)
    assert second["instructions_per_step"] == counts


@pytest.mark.board
def test_prune(environment: dict[str, str], trained_gru: Path, tmp_path: Path) -> None:
    """Blocks and units together, with int4; the record tells; the board gives the same bits."""
    file, folder = tmp_path / "model.onnx", tmp_path / "build"
    command = ["compress", trained_gru / "model", *DATA, "-o", file, "--epochs", "1", "--weights",
               "int4", "--structured", "0.5", "--prune", "recurrent=0.75", "--block"]  # fmt: skip
    made = json.loads(run(environment, *command, "qemu-m4", "--json").stdout)
    record = json.loads((tmp_path / "model.json").read_text())
    assert record["command"]["prune"] == "recurrent=0.75" and record["command"]["structured"] == 0.5
    assert [m["method"] for m in record["training"]["arguments"]["methods"]] == [
        "qat", "unit pruning", "magnitude pruning",
    ]  # fmt: skip
    recurrent = next(m for m in record["matrices"] if m["name"] == "rnn.recurrent")
    before = Program.load(trained_gru / "model.onnx")
    hidden = before.nodes[0].outputs // 2
    assert (recurrent["rows"], recurrent["cols"]) == (3 * hidden, hidden)
    assert recurrent["zeros"] >= 0.75 and made["accuracy_int"] > 0.3
    run(environment, "compile", file, "--board", "qemu-m4", "-o", folder)
    profile = run(environment, "profile", folder, *DATA, "--steps", "500", "--json")
    assert json.loads(profile.stdout)["mismatches"] == 0
    refused = fails(environment, *command[:6], "--prune", "0.5")
    assert "--epochs" in refused
    assert "no block" in fails(environment, *command, "4y4")
    assert "there is no matrix 'recurent'" in fails(
        environment, *command[:8], "--prune", "recurent=0.5", "--restart"
    )


@pytest.mark.board
def test_cutoff(environment: dict[str, str], trained_gru: Path, tmp_path: Path) -> None:
    file, folder = tmp_path / "model.onnx", tmp_path / "build"
    command = ["compress", trained_gru / "model", *DATA, "-o", file, "--cutoff", "2"]
    scores = json.loads(run(environment, *command, "--json").stdout)
    chosen = scores["cutoff"]["chosen"]
    assert chosen["drop_points"] <= 2
    warmup = scores["warmup"]["int"]
    assert warmup["accuracy"][-1] == scores["accuracy_int_whole"]
    window = len(warmup["accuracy"])
    assert 0 < warmup["samples"] <= window
    assert scores["samples_read"] < window
    assert "samples read of" in run(environment, *command).stdout
    shown = json.loads(run(environment, "inspect", file, "--json").stdout)
    assert [layer["type"] for layer in shown["layers"]] == ["GRU", "Linear", "Cutoff"]
    run(environment, "compile", file, "-o", folder)
    found = json.loads(
        run(environment, "profile", folder, *DATA, "--steps", "3000", "--json").stdout
    )
    assert found["mismatches"] == 0
    assert found["cutoff"]["steps_skipped"] > 0
    assert found["instructions_per_step"]["mean"] < 0.98 * found["instructions_per_step"]["max"]
    assert len(found["warmup"]["accuracy_float"]) == len(found["warmup"]["accuracy"]) == window


@pytest.mark.board
def test_demo(environment: dict[str, str], tmp_path: Path) -> None:
    done = run(environment, "demo", "-o", tmp_path, "--epochs", "1", "--json")
    result = json.loads(done.stdout)
    assert result["mismatches"] == 0
    assert result["steps"] == 50_600, "the whole test split"
    assert (tmp_path / "qemu-m4" / "report.html").exists()


def test_max_drop_is_a_failed_check(
    environment: dict[str, str], trained_gru: Path, tmp_path: Path
) -> None:
    done = run(
        environment, "compress", trained_gru / "model", *DATA, "-o", tmp_path / "m.onnx",
        "--max-drop", "-100", code=1,
    )  # fmt: skip
    assert "more than --max-drop" in done.stderr


class TestBadInput:
    def test_corrupt_program(self, environment: dict[str, str], tmp_path: Path) -> None:
        (tmp_path / "m.onnx").write_bytes(b"\x08\x07garbage")
        assert "not a valid ONNX file" in fails(environment, "compile", tmp_path / "m.onnx")

    def test_foreign_program(self, environment: dict[str, str], tmp_path: Path) -> None:
        x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in "xy")
        graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
        onnx.save(helper.make_model(graph), tmp_path / "m.onnx")
        assert "edgeflow compress" in fails(environment, "inspect", tmp_path / "m.onnx")

    def test_unknown_board(self, environment: dict[str, str], trained_gru: Path) -> None:
        line = fails(environment, "compile", trained_gru / "model.onnx", "--board", "qemu-m5")
        assert "qemu-m55" in line

    def test_unknown_kernel(
        self, environment: dict[str, str], trained_gru: Path, tmp_path: Path
    ) -> None:
        line = fails(
            environment, "compile", trained_gru / "model.onnx", "--board", "qemu-m0",
            "--kernel", "dsp", "-o", tmp_path,
        )  # fmt: skip
        assert "cortex-m0 has no kernels 'dsp'" in line

    def test_missing_toolchain(
        self, environment: dict[str, str], trained_gru: Path, tmp_path: Path
    ) -> None:
        line = fails(
            {**environment, "PATH": str(tmp_path)},
            "compile", trained_gru / "model.onnx", "-o", tmp_path / "b",
        )  # fmt: skip
        assert "sudo apt-get install gcc-arm-none-eabi" in line

    def test_not_a_build_folder(self, environment: dict[str, str], tmp_path: Path) -> None:
        assert "edgeflow compile" in fails(environment, "profile", tmp_path, *DATA)

    def test_a_compile_that_fails_leaves_the_older_build(
        self, environment: dict[str, str], trained_gru: Path, tmp_path: Path
    ) -> None:
        run(environment, "compile", trained_gru / "model.onnx", "-o", tmp_path / "b")
        fails(
            {**environment, "PATH": str(tmp_path)},
            "compile", trained_gru / "model.onnx", "-o", tmp_path / "b",
        )  # fmt: skip
        assert run(environment, "flash", tmp_path / "b").returncode == 0

    @pytest.mark.parametrize("bad,message", [("nan", "line 5"), ("text", "line 5")])
    def test_bad_samples(
        self, environment: dict[str, str], build: Path, tmp_path: Path, bad: str, message: str
    ) -> None:
        rows = ["# rate_hz: 50", "person,recording,label,a,b,c,d,e,f"]
        rows += [f"{p},{p},{label},1,2,3,4,5,6" for p in "abc" for label in ("PEN", "ABD")] * 200
        rows[4] = rows[4].replace(",6", f",{bad}")
        (tmp_path / "mine.csv").write_text("\n".join(rows))
        line = fails(environment, "profile", build, "--data", tmp_path / "mine.csv")
        assert "mine.csv" in line
        assert message in line

    def test_wrong_number_of_channels(
        self, environment: dict[str, str], build: Path, trained_gru: Path, tmp_path: Path
    ) -> None:
        n = 21
        np.savez(
            tmp_path / "mine.npz",
            x=np.random.default_rng(0).normal(size=(n, 100, 4)).astype(np.float32),
            y=np.arange(n) % 7,
            person=np.arange(n) // 7,
            rate_hz=50.0,
            classes=["PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW"],
        )
        line = fails(environment, "profile", build, "--data", tmp_path / "mine.npz")
        assert "channels" in line
        line = fails(
            environment, "compress", trained_gru / "model", "--data", tmp_path / "mine.npz"
        )
        assert "6 channels" in line
        assert "4" in line

    def test_result_over_its_source(self, environment: dict[str, str], trained_gru: Path) -> None:
        file = trained_gru / "model.onnx"
        line = fails(environment, "compress", file, *DATA, "-o", file)
        assert "is read (MODEL" in line and "choose another output" in line

    def test_checkpoint_for_a_model_that_has_its_weights(
        self, environment: dict[str, str], trained_gru: Path
    ) -> None:
        model = trained_gru / "model"
        line = fails(environment, "compress", model, *DATA, "--checkpoint", model / "model.pt")
        assert "leave the checkpoint out" in line

    def test_unknown_data_set(self, environment: dict[str, str], build: Path) -> None:
        assert "seglearn-watch" in fails(environment, "profile", build, "--data", "seglearn")


@pytest.mark.board
class TestPort:
    """A running board behind a port that is not its own process."""

    def start(self, environment: dict[str, str], build: Path) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [*PROGRAM, "flash", str(build), "--stay"],
            env={**environment, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        seen = ""
        for line in process.stdout:
            seen += line
            found = re.search(r"(/dev/\S+)", line)
            if found:
                return process, found[1].rstrip(".,:")
        raise AssertionError(seen)

    def test_profile_a_running_board(
        self, environment: dict[str, str], build: Path, tmp_path: Path
    ) -> None:
        process, port = self.start(environment, build)
        try:
            done = run(
                environment, "profile", build, *DATA, "--steps", "300", "--port", port,
                "--no-flash", "--json", "-o", tmp_path,
            )  # fmt: skip
            assert json.loads(done.stdout)["mismatches"] == 0
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=20)

    def test_other_image(
        self, environment: dict[str, str], build: Path, trained_gru: Path, tmp_path: Path
    ) -> None:
        other, folder = tmp_path / "other.onnx", tmp_path / "other"
        run(
            environment, "compress", trained_gru / "model", *DATA, "--activations", "int8",
            "-o", other,
        )  # fmt: skip
        run(environment, "compile", other, "-o", folder)
        process, port = self.start(environment, build)
        try:
            line = fails(
                environment,
                "profile",
                folder,
                *DATA,
                "--steps",
                "300",
                "--port",
                port,
                "--no-flash",
            )
            assert json.loads((build / "build.json").read_text())["model_hash"] in line
            assert json.loads((folder / "build.json").read_text())["model_hash"] in line
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=20)

    def test_port_that_disappears_keeps_what_was_collected(
        self, environment: dict[str, str], build: Path, tmp_path: Path
    ) -> None:
        process, port = self.start(environment, build)
        profile = subprocess.Popen(
            [*PROGRAM, "profile", str(build), *DATA, "--port", port, "--no-flash",
             "-o", str(tmp_path)],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        time.sleep(6)
        assert profile.poll() is None, "the profile must still be running"
        process.kill()
        _, err = profile.communicate(timeout=60)
        assert profile.returncode == 2
        assert "Traceback" not in err
        assert sum(line.startswith("error: ") for line in err.splitlines()) == 1
        kept = json.loads((tmp_path / "profile.json").read_text())
        assert kept["complete"] is False
        assert kept["steps"] > 0
        assert kept["mismatches"] == 0
