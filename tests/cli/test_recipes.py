"""Recipes, delta products, search by limits and comparison from the command line, on real data."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from edgeflow.program import Program
from edgeflow.program.program import Program as Whole
from tests.cli.test_pipeline import DATA, environment, fails, run
from tests.command import PROGRAM
from tests.conftest import ROOT

__all__ = ["environment"]

HALF = """
about = "half of the units"
[prune]
structured = 0.5
[train]
epochs = 2
lr = 0.01
"""
TUNED = "[train]\nepochs = 3\n"


def record_of(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(out.with_suffix(".json").read_text())
    return content


def thresholds(program: Whole) -> dict[str, int]:
    return {
        f"{node.name}.{field}": matrix.threshold
        for node in program.nodes
        for field, matrix in node.delta_matrices().items()
    }


def test_delta_without_training_and_what_fires(
    environment: dict[str, str], trained_gru: Path, tmp_path: Path
) -> None:
    out = tmp_path / "delta.onnx"
    command = ["compress", trained_gru / "model", *DATA, "-o", out, "--json"]
    shown = json.loads(run(environment, *command, "--delta", "state=0.6,group=2").stdout)
    program = Program.load(out)
    assert set(thresholds(program)) == {"rnn.recurrent"}, "an input share of 0 is dense"
    assert program.nodes[0].delta_matrices()["recurrent"].group == 2
    fired = shown["fired"]
    assert fired == program.metadata["fired"] and set(fired) == {"rnn.recurrent"}
    assert fired["rnn.recurrent"] == pytest.approx(0.4, abs=0.05)
    assert shown["accuracy_int"] > 0.6
    record = record_of(out)
    assert {m["name"]: m["fired"] for m in record["matrices"]}["rnn.recurrent"] == fired[
        "rnn.recurrent"
    ]
    assert record["command"]["delta"]["state"] == 0.6 and record["cost"] is None


@pytest.mark.board
def test_a_recipe_file_an_option_over_it_and_its_cost(
    environment: dict[str, str], trained_gru: Path, tmp_path: Path
) -> None:
    recipe, out = tmp_path / "r.toml", tmp_path / "small.onnx"
    recipe.write_text(
        HALF + "tail = 1.0\n[delta]\nstate = 0.5\ninput = 0.3\n[cutoff]\nmax_drop = 5\n"
    )
    command = ["compress", trained_gru / "model", *DATA, "--recipe", recipe, "-o", out]
    shown = run(environment, *command, "--epochs", "1", "--board", "qemu-m4", "--json").stdout
    record = record_of(out)
    assert json.loads(shown)["cost"] == record["cost"]
    assert record["command"]["recipe"] == str(recipe) and record["command"]["epochs"] == 1
    training = record["training"]["arguments"]
    assert training["epochs"] == 1 and training["tail"] == 1.0 and training["lr"] == 0.01
    # units go first, then thresholds
    assert [m["method"] for m in training["methods"]] == ["qat", "unit pruning", "delta"]
    program = Program.load(out)
    assert set(thresholds(program)) == {"rnn.input", "rnn.recurrent"} and program.cutoff is not None
    assert program.nodes[0].outputs == 16
    cost = record["cost"]
    assert (cost["board"], cost["split"], cost["steps"]) == ("qemu-m4", "test", 10_000)
    assert (
        0
        < cost["instructions"]["mean"]
        < cost["instructions"]["p99"]
        <= cost["instructions"]["max"]
    )
    assert (
        cost["flash_bytes"] > cost["weight_bytes"] > 0 and cost["energy_uj"]["kind"] == "estimated"
    )


@pytest.mark.slow
@pytest.mark.board
def test_a_search_stopped_goes_on_and_takes_what_fits(
    environment: dict[str, str], trained_gru: Path, tmp_path: Path
) -> None:
    (tmp_path / "half.toml").write_text(HALF)
    (tmp_path / "tuned.toml").write_text(TUNED)
    ladder, out = tmp_path / "ladder.toml", tmp_path / "fits.onnx"
    ladder.write_text('recipes = ["int8", "tuned.toml", "half.toml"]')
    folder = tmp_path / "fits.target"
    command = ["compress", trained_gru / "model", *DATA, "--ladder", ladder, "-o", out, "--json",
               "--max-instructions", "4000", "--max-flash", "16k", "--max-drop", "100"]  # fmt: skip
    process = subprocess.Popen(
        [*PROGRAM, *map(str, command)], env=environment, stdout=subprocess.DEVNULL
    )
    while not (folder / "half" / "model.run" / "resume.pt").exists():
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    process.wait()
    assert not out.exists()
    before = (folder / "int8" / "model.onnx").stat().st_mtime_ns
    shown = json.loads(run(environment, *command).stdout)
    assert (folder / "int8" / "model.onnx").stat().st_mtime_ns == before
    rows = {row["recipe"]: row for row in shown["candidates"]}
    assert {name: row["state"] for name, row in rows.items()} == {
        "half": "met", "int8": "missed", "tuned": "skipped",
    }  # fmt: skip
    assert shown["candidates"][0]["recipe"] == shown["recipe"] == "half"
    assert rows["int8"]["why"] == "instructions" and rows["tuned"]["accuracy"] is None
    # nothing of it was trained or compiled: its figures are the formula's, of the same shapes
    assert not (folder / "tuned" / "model.run").exists()
    assert rows["int8"]["instructions"] > 4000
    assert rows["tuned"]["instructions"] == pytest.approx(rows["int8"]["instructions"], rel=0.05)
    assert rows["tuned"]["flash"] == pytest.approx(rows["int8"]["flash"], rel=0.03)
    assert rows["half"]["instructions"] <= 4000 and rows["half"]["flash"] <= 16_000
    record = record_of(out)
    assert record["hash"] == shown["hash"] == Program.load(out).hash.hex()
    assert record["scores"]["split"] == record["cost"]["split"] == "test"
    assert record_of(folder / "half" / "model.onnx")["scores"]["split"] == "val"
    assert (folder / "build" / "firmware.elf").exists()

    # a run that nobody stopped ends with the same bits
    whole = tmp_path / "whole.onnx"
    run(environment, "compress", trained_gru / "model", *DATA, "--recipe", tmp_path / "half.toml",
        "-o", whole)  # fmt: skip
    assert Program.load(whole).hash == Program.load(out).hash

    # other limits: what is known is not found out again
    started = time.perf_counter()
    limits = ["--max-instructions", "300", "--ladder", ladder, "-o", out]
    done = run(environment, "compress", trained_gru / "model", *DATA, *limits, code=1)
    assert time.perf_counter() - started < 60
    assert "none of 3 recipes meets all constraints" in done.stderr
    assert re.search(r"half .*too much: instructions", done.stdout)
    assert "holds a training with epochs 3, not 1" in fails(
        environment, "compress", trained_gru / "model", *DATA, *limits, "--epochs", "1"
    )

    # its candidates side by side
    page = tmp_path / "page.html"
    found = run(environment, "compare", folder, out, whole, "-o", page)
    for name in ("int8", "half", "fits", "whole"):
        assert name in found.stdout
    runs = json.loads(run(environment, "compare", folder, "-o", page, "--json").stdout)
    by_name = {row["name"]: row for row in runs}
    assert set(by_name) == {"int8", "half"}
    # as the last search, which asked for fewer instructions, found it compiled for speed
    cost = record_of(folder / "half" / "model.onnx")["cost"]
    assert by_name["half"]["instructions"] == cost["instructions"]["mean"]
    assert (
        cost["optimize"] == "speed" and cost["instructions"]["mean"] < rows["half"]["instructions"]
    )
    assert "instructions" in by_name["half"]["front"]
    assert by_name["half"]["drop"] == rows["half"]["drop"]
    html = page.read_text()
    assert html.count("<svg") == 4 and "half" in html
    assert not re.search(r"(?:src|href)=[\"']https?:", html), "the page must be readable offline"


@pytest.mark.board
def test_a_search_without_training(
    environment: dict[str, str], trained_gru: Path, tmp_path: Path
) -> None:
    ladder, out = tmp_path / "ladder.toml", tmp_path / "fits.onnx"
    (tmp_path / "int4.toml").write_text('[widths]\nweights = "int4"\n[compile]\noptimize = "size"')
    ladder.write_text('recipes = ["int8", "int4.toml"]')
    command = ["compress", trained_gru / "model", *DATA, "--ladder", ladder, "-o", out]
    small = json.loads(run(environment, *command, "--max-flash", "100k", "--json").stdout)
    flash = {row["recipe"]: row["flash"] for row in small["candidates"]}
    assert flash["int4"] < flash["int8"]
    best = max(small["candidates"], key=lambda row: row["accuracy"])
    assert small["recipe"] == small["candidates"][0]["recipe"] == best["recipe"]
    # validation subjects choose; test subjects are looked at once
    for name in flash:
        record = record_of(tmp_path / "fits.target" / name / "model.onnx")
        assert record["scores"]["split"] == record["cost"]["split"] == "val"
    record = record_of(out)
    assert record["scores"]["split"] == record["cost"]["split"] == "test"
    limit = ["--max-flash", str(flash["int4"]), "--teacher", trained_gru / "model"]
    tight = json.loads(run(environment, *command, *limit, "--json").stdout)
    assert tight["recipe"] == "int4" and tight["cost"]["optimize"] == "size"
    assert tight["cost"]["flash_bytes"] == flash["int4"]
    assert {row["state"] for row in tight["candidates"]} == {"met", "missed"}


@pytest.mark.board
def test_compare_takes_costs_from_profiles(
    environment: dict[str, str], trained_gru: Path, tmp_path: Path
) -> None:
    out, build = tmp_path / "plain.onnx", tmp_path / "build"
    run(environment, "compress", trained_gru / "model", *DATA, "-o", out)
    assert "no record" in fails(environment, "compare", trained_gru / "model", "-o", tmp_path / "c")
    command = ["compare", out, build, "-o", tmp_path / "c.html", "--json"]
    assert "no such file" in fails(environment, *command)
    run(environment, "compile", out, "-o", build)
    run(environment, "profile", build, *DATA, "--steps", "300")
    (row,) = json.loads(run(environment, *command).stdout)
    profile = json.loads((build / "profile.json").read_text())
    assert row["accuracy"] == record_of(out)["scores"]["accuracy_int"]
    assert row["instructions"] == profile["instructions_per_step"]["mean"]
    assert row["flash"] == profile["flash_bytes"] and row["bytes"] == profile["flash"]["weights"]
    assert "not a record" in fails(
        environment, "compare", build / "size.json", "-o", tmp_path / "c"
    )


def test_bad_options_are_one_line(
    environment: dict[str, str], trained_gru: Path, tmp_path: Path
) -> None:
    model, out = trained_gru / "model", ["-o", tmp_path / "model.onnx"]
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[train]\nepoch = 1")
    cases: list[tuple[list[Any], str]] = [
        (["--recipe", "nix"], "there is no recipe 'nix'"),
        (["--recipe", wrong], f"{wrong}: train.epoch: there is no such entry"),
        (["--delta", "0.8"], "use NAME=NUMBER"),
        (["--max-flash", "much"], "--max-flash much: use bytes"),
        (["--max-ram", "4k", "--recipe", "int8"], "a search tries several"),
        (["--max-ram", "4k", "--prune", "0.5"], "--prune: a search takes it from its recipes"),
        (["--max-ram", "4k", "--board", "host"], "no emulator counts its instructions"),
        (["--ladder", wrong], "it needs --max-flash"),
    ]
    for options, message in cases:
        assert message in fails(environment, "compress", model, *DATA, *options, *out), options
    assert not (tmp_path / "model.onnx").exists() and not (tmp_path / "model.target").exists()


@pytest.mark.slow
@pytest.mark.board
def test_a_search_ranks_by_what_a_layer_decides(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """Alone catches a search that compares phases where repetitions are counted."""
    page = (ROOT / "docs" / "decisions.md").read_text()
    code = page.partition("`curls.py`:\n\n```python\n")[2].partition("```")[0]
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    data = ["--data", tmp_path / "curls.csv"]
    run(environment, "train", *data, "--task", "phase", "--mode", "streaming", "--hidden", "8",
        "--epochs", "4", "--batch", "4", "-o", tmp_path / "run")  # fmt: skip
    (tmp_path / "early.toml").write_text("[cutoff]\nmax_drop = 5\n")
    ladder, out = tmp_path / "ladder.toml", tmp_path / "fits.onnx"
    ladder.write_text('recipes = ["early.toml", "int8", "int4"]')
    command = ["compress", tmp_path / "run", *data, "--ladder", ladder, "-o", out, "--json",
               "--max-instructions", "4000"]  # fmt: skip
    shown = json.loads(run(environment, *command, "--count").stdout)
    # an early exit would leave out samples that are counted
    assert sorted(row["recipe"] for row in shown["candidates"]) == ["int4", "int8"]
    program = Program.load(out)
    counted = [row["within_one"] for row in shown["candidates"]]
    assert counted[0] == max(counted) and program.task.name == "counting"
    assert shown["scores"]["task"]["name"] == "phase" and shown["scores"]["split"] == "test"
    assert set(program.metadata["count"]["people"]) == {"g", "h"}
    assert shown["cost"]["split"] == "test" and shown["cost"]["instructions"]["mean"] <= 4000
    (tmp_path / "counts.toml").write_text("[decide]\ncount = true\n")
    ladder.write_text('recipes = ["counts.toml", "int8"]')
    refused = run(environment, *command, code=2).stderr
    assert "error: a search compares decisions of one kind" in refused
