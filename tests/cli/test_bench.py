"""``edgeflow bench`` on an emulated board, and the choice that ``edgeflow compile`` prints."""

import dataclasses
import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from edgeflow.bench.cells import random_cell
from edgeflow.cli import app, console
from edgeflow.codegen.kernels import KERNEL_SETS, kernel_named
from edgeflow.codegen.layouts.dense import Rows
from edgeflow.codegen.layouts.layout import Packed
from edgeflow.errors import CheckFailed, EdgeFlowError, TargetError
from edgeflow.program import Matrix

SMALL = ["bench", "kernels", "--shape", "9x5", "--steps", "4"]


@pytest.mark.board
def test_rows_are_exact_and_the_same_each_time() -> None:
    first, second = (CliRunner().invoke(app, [*SMALL, "--json"]) for _ in range(2))
    assert first.exit_code == 0, first.output
    assert first.stdout == second.stdout
    rows = json.loads(first.stdout)
    assert len(rows) == len({row["kernel"] for row in rows}) > 2
    for row in rows:
        assert (row["core"], row["format"], row["cols"], row["rows"]) == (
            "cortex-m4",
            "w8a12",
            9,
            5,
        )
        assert row["mismatches"] == 0 and row["text_bytes"] > 50
        assert row["instructions"] / 45 == row["instructions_per_mac"] > 1
    plain = next(row for row in rows if row["kernel"] == "ef_matvec_s8_s16")
    assert all(row["instructions"] < plain["instructions"] for row in rows if row is not plain)


@pytest.mark.board
def test_blocks_of_zeros() -> None:
    arguments = ["--kernel", "ef_matvec_sparse_4x2_pair_s8_s16_dsp", "--kernel", "ef_matvec_s8_s16"]
    densities = ["--density", "0.5", "--density", "0"]
    done = CliRunner().invoke(app, [*SMALL, *arguments, *densities, "--json"])
    assert done.exit_code == 0, done.output
    sparse, empty, plain, same = json.loads(done.stdout)
    assert [row["density"] for row in (sparse, empty, plain, same)] == [0.5, 0, 0.5, 0]
    assert sparse["block"] == [4, 2] and plain["block"] == [4, 4]
    assert empty["instructions"] < sparse["instructions"] < plain["instructions"]
    assert same["instructions"] == plain["instructions"]
    table = CliRunner().invoke(app, [*SMALL, *arguments, *densities, "--block", "1x2"])
    assert table.exit_code == 0 and "blocks of 1 x 2" in " ".join(table.stdout.split())


@pytest.mark.board
def test_a_kernel_that_is_wrong_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = kernel_named("ef_matvec_s8_s16")

    class OtherWeights(Rows):
        def pack(self, matrix: Matrix) -> Packed:
            return super().pack(dataclasses.replace(matrix, weight=np.abs(matrix.weight)))

    wrong = dataclasses.replace(plain, layout=OtherWeights())
    portable = tuple(wrong if k is plain else k for k in KERNEL_SETS["c"])
    monkeypatch.setattr("edgeflow.codegen.kernels.MATVEC_KERNELS", portable)
    monkeypatch.setattr("edgeflow.codegen.kernels.KERNEL_SETS", {"c": portable})
    done = CliRunner().invoke(app, [*SMALL, "--kernel", plain.name])
    assert isinstance(done.exception, CheckFailed)
    assert "9 columns x 5 rows" in str(done.exception)
    assert "ef_matvec_s8_s16" in done.stdout  # the table is there all the same


@pytest.mark.parametrize(
    "arguments,message",
    [
        (["--shape", "9"], "columns x rows"),
        (["--shape", "0x4"], "columns x rows"),
        (["--format", "w3a9"], "w8a12"),
        (["--kernel", "ef_matvec"], "ef_matvec_s8_s16"),
        (["--board", "host"], "emulator"),
        (["--fit", "costs.toml"], "leave others out"),
        (["--block", "4"], "rows x columns"),
    ],
)
def test_bad_input(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(app, [*SMALL, *arguments])
    assert isinstance(done.exception, EdgeFlowError)
    assert message in str(done.exception) and "\n" not in str(done.exception)


@pytest.mark.board
def test_cells_are_exact_and_layers_add_up() -> None:
    arguments = ["bench", "cells", "--cell", "gru", "--cell", "lif", "--hidden", "9", "--json"]
    done = CliRunner().invoke(app, [*arguments, "--inputs", "3", "--steps", "20"])
    assert done.exit_code == 0, done.output
    gru, lif = json.loads(done.stdout)
    for row, cell in ((gru, "gru"), (lif, "lif")):
        assert (row["cell"], row["core"], row["inputs"], row["hidden"]) == (
            cell,
            "cortex-m4",
            3,
            9,
        )
        assert row["mismatches"] == 0
        assert row["instructions"] == pytest.approx(sum(row["layers"].values()))
        assert row["flash_bytes"] > 5000 and row["ram_bytes"] > 500
    assert gru["layers"]["rnn"] > gru["layers"]["head"] > 100


@pytest.mark.parametrize(
    "arguments,message",
    [
        (["--cell", "gruu"], "gruu"),
        (["--board", "host"], "emulator"),
        (["--optimize", "fast"], "balanced"),
    ],
)
def test_bad_input_for_cells(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(app, ["bench", "cells", "--hidden", "4", *arguments])
    assert isinstance(done.exception, EdgeFlowError)
    assert message in str(done.exception) and "\n" not in str(done.exception)


@pytest.mark.board
def test_compile_says_what_it_chose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.out, "width", 200)
    random_cell("gru", 6, 16).save(tmp_path / "model.onnx")
    arguments = ["compile", str(tmp_path / "model.onnx"), "-o", str(tmp_path / "build")]
    shown = CliRunner().invoke(app, arguments)
    assert "rnn.recurrent 48 x 16" in shown.stdout
    assert "'balanced' does not allow it" in shown.stdout
    chosen = {}
    for extra in ([], ["--optimize", "speed"], ["--kernel", "c"]):
        done = CliRunner().invoke(app, [*arguments, "--backend", "c", *extra, "--json"])
        assert done.exit_code == 0, done.output
        content = json.loads(done.stdout)
        stored = json.loads((tmp_path / "build" / "build.json").read_text())
        assert content["choices"] == stored["choices"]
        assert content["optimize"] == stored["optimize"]
        assert content["board"] == "qemu-m4"  # the default, as the help and the docs say
        rows = {row["matrix"]: row for row in content["choices"]}
        assert {row["kernel"] for row in rows.values()} == {
            Path(file).stem for file in content["kernels"] if "matvec" in file
        }
        chosen[" ".join(extra)] = rows["recurrent"]
    assert chosen[""]["kernel"] == "ef_matvec_pair_s8_s16_dsp"
    assert chosen["--optimize speed"]["kernel"] == "ef_matvec_s16_s16_dsp"
    assert chosen["--optimize speed"]["instructions"] < chosen[""]["instructions"]
    assert chosen["--kernel c"]["why"] == "asked for"


@pytest.mark.board
@pytest.mark.skipif(find_spec("tvm") is None, reason="apache-tvm is not installed")
def test_schedules_are_tried_and_the_best_is_marked(tmp_path: Path) -> None:
    kernel = "ef_matvec_s16_s16_tvm_dsp"
    arguments = ["bench", "schedules", "--board", "qemu-m4", "--kernel", kernel, "--shape", "40x8"]
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert [row["unroll"] for row in rows] == [1, 2, 4, 8, 16]
    counts = [row["instructions"]["40x8"] for row in rows]
    (best,) = [row for row in rows if row["chosen"]]
    assert best["instructions"]["40x8"] == min(counts) < max(counts)
    refused = CliRunner().invoke(app, [*arguments, "-o", str(tmp_path / "x.toml")])
    assert isinstance(refused.exception, TargetError) and "leave out --kernel" in str(
        refused.exception
    )
