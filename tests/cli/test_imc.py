"""``edgeflow imc`` as a user runs it: real data, a trained GRU, devices, wrong input."""

import json
from dataclasses import replace
from pathlib import Path

from edgeflow.data import Dataset
from edgeflow.imc import ImcResult, device_names
from edgeflow.profiling.imc import PARTIAL, REPORT, RESULT
from edgeflow.program import Program
from tests.command import edgeflow


def refused(*arguments: str | Path) -> str:
    done = edgeflow("imc", *arguments)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def test_devices() -> None:
    done = edgeflow("imc", "devices", "--json")
    rows = json.loads(done.stdout)
    assert [row["name"] for row in rows] == device_names()
    assert all(row["sources"] for row in rows)
    table = edgeflow("imc", "devices").stdout
    assert "pcm" in table and "1 s, 1 d, 2 d" in " ".join(table.replace("│", " ").split())


def test_map(trained_gru: Path) -> None:
    model = trained_gru / "model.onnx"
    done = edgeflow("imc", "map", model, "--tile", "20x64", "--json")
    rows = json.loads(done.stdout)
    # 32 states on arrays of 20 rows, 96 rows of weights on 64 columns
    recurrent = [row for row in rows if row["matrix"].endswith("recurrent")]
    assert [(row["word_lines"], row["columns"]) for row in recurrent] == [
        (20, 64),
        (20, 32),
        (12, 64),
        (12, 32),
    ]
    assert "arrays of 20x64" in edgeflow("imc", "map", model, "--tile", "20x64").stdout


def test_profile(trained_gru: Path, seglearn: Dataset, tmp_path: Path) -> None:
    model, out = trained_gru / "model.onnx", tmp_path / "imc"
    command = (
        "imc",
        "profile",
        model,
        "--data",
        "seglearn-watch",
        "--chips",
        "2",
        "--time",
        "1s,1y",
    )
    done = edgeflow(*command, "--split", "val", "--adc", "8", "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    result = ImcResult.load(out / RESULT)
    assert json.loads(done.stdout) == result.to_json()
    assert result.chips == 2 and [row["seconds"] for row in result.times] == [1.0, 31536000.0]
    report = (out / REPORT).read_text()
    assert "<svg" in report and "adc 8" in report and result.sources[0][:40] in report
    assert not (out / PARTIAL).exists()
    # the same in two processes; a table for people
    again = edgeflow(
        *command, "--split", "val", "--adc", "8", "--out", tmp_path / "two", "--processes", "2"
    )
    assert again.returncode == 0 and "2 chips, accuracy on" in again.stdout
    assert (tmp_path / "two" / RESULT).read_bytes() == (out / RESULT).read_bytes()


def test_wrong_input(trained_gru: Path, seglearn: Dataset, tmp_path: Path) -> None:
    model = trained_gru / "model.onnx"
    data = ("--data", "seglearn-watch", "--out", tmp_path / "x")
    assert "did you mean 'pcm'" in refused("profile", model, *data, "--device", "pmc")
    assert "no data of 3600 s" in refused(
        "profile", model, *data, "--device", "rram-wan", "--time", "1h"
    )
    assert "--time soon: give numbers" in refused("profile", model, *data, "--time", "soon")
    assert "adc is 40" in refused("profile", model, *data, "--adc", "40")
    assert "takes 7 columns" in refused("map", model, "--tile", "8x6", "--cell-bits", "1")
    assert "no such file" in refused("map", tmp_path / "none.onnx").lower()
    mine = tmp_path / "mine.toml"
    mine.write_text('name = "mine"\nabout = "x"\ng_min = 0\ng_max = 25\n')
    assert "mine.toml: sources" in refused("profile", model, *data, "--device", mine)
    assert not (tmp_path / "x" / RESULT).exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    assert "did not make" in refused(
        "profile", model, "--data", "seglearn-watch", "-o", tmp_path / "full"
    )


def test_a_microcontroller_stands_beside(
    trained_gru: Path, seglearn: Dataset, tmp_path: Path
) -> None:
    model, build = trained_gru / "model.onnx", tmp_path / "build"
    data = ("--data", "seglearn-watch")
    assert edgeflow("compile", model, "--board", "host", "-o", build).returncode == 0
    assert edgeflow("profile", build, *data, "--steps", "400").returncode == 0
    command = ("imc", "profile", model, *data, "--split", "val", "--chips", "1", "--time", "1d")
    done = edgeflow(*command, "--beside", build, "-o", tmp_path / "imc", "--standby", "1e-6")
    assert done.returncode == 0, done.stderr
    result = ImcResult.load(tmp_path / "imc" / RESULT)
    assert result.beside is not None and result.beside["board"] == "host"
    assert result.beside["windows"] == 4 and result.beside["latency_us"]["kind"] == "measured"
    assert "on a microcontroller" in (tmp_path / "imc" / REPORT).read_text()
    powers = [one["power_w"] for one in result.costs["models"] if one["power_w"]]
    assert powers and all(one["low"] > 1e-6 for one in powers)
    other = tmp_path / "other.onnx"
    program = Program.load(model)
    replace(program, output_scale=2 * program.output_scale).save(other)
    words = refused("profile", other, *data, "--beside", build, "-o", tmp_path / "imc2")
    assert "is of program" in words
