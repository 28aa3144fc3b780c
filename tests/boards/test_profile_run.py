"""Profiling a build of a random program, on this machine and on an emulated Cortex-M4."""

import dataclasses
import html.parser
import json
import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

from edgeflow.codegen.build import Build, compile_program
from edgeflow.data import choose_windows, load_dataset
from edgeflow.digest import read_json
from edgeflow.errors import CheckFailed, DataError, DeviceError, EdgeFlowError, TargetError
from edgeflow.metrics import accuracy, confusion, macro_f1, mcc, recall
from edgeflow.profiling.report import render, table_rows, write_report
from edgeflow.profiling.result import ProfileResult, histogram, summarize
from edgeflow.profiling.run import profile
from edgeflow.program import Program
from edgeflow.program.firing import fired_shares, sparsity
from edgeflow.program.nodes.cutoff import Cutoff, lead, samples_until_clear
from edgeflow.targets.elf import Image
from tests.command import edgeflow
from tests.parity.test_delta import changed
from tests.random_programs import random_program

CONTRACT = {
    "board", "core", "model", "steps", "windows", "accuracy_float", "accuracy_oracle",
    "accuracy_device", "mismatches", "instructions_per_step", "cycles_per_step", "latency_us",
    "energy_uj", "flash_bytes", "ram_bytes", "layers", "delta", "task", "metrics",
    "samples_per_step", "date", "versions",
}  # fmt: skip
WINDOW, PEOPLE, EACH = 10, 5, 6


@pytest.fixture(scope="module")
def program() -> Program:
    program = random_program(3, 3, [8], 3, 12, 12)
    metadata = {"accuracy_float": 0.5, "windows": 6, "data": "mine", "split": "test"}
    return dataclasses.replace(
        program, classes=("run", "sit", "walk"), window=WINDOW, rate_hz=20.0, metadata=metadata
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random recordings of one window each, six of each of five people; one is the test split."""
    rng = np.random.default_rng(0)
    count = PEOPLE * EACH
    path = tmp_path_factory.mktemp("data") / "mine.npz"
    np.savez(
        path,
        x=rng.normal(0, 200, (count, WINDOW, 3)).astype(np.float32),
        y=np.arange(count) % 3,
        person=np.repeat([f"p{i}" for i in range(PEOPLE)], EACH),
        classes=np.array(["run", "sit", "walk"]),
        channels=np.array(["x0", "x1", "x2"]),
        rate_hz=20.0,
    )
    return path


@pytest.fixture(scope="module")
def host_build(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Build:
    return compile_program(program, "host", tmp_path_factory.mktemp("host"))


@pytest.fixture(scope="module")
def m4_build(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Build:
    return compile_program(program, "qemu-m4", tmp_path_factory.mktemp("m4"))


def test_statistics() -> None:
    values = np.array([10] * 50 + [20] * 49 + [1000])
    assert summarize(values) == {"mean": 24.8, "p50": 10, "p99": 20, "max": 1000}
    with pytest.raises(EdgeFlowError, match="no step"):
        summarize(np.array([]))


def test_histogram_covers_all_values() -> None:
    values = np.random.default_rng(0).integers(0, 1000, 500)
    found = histogram(values)
    assert sum(found["counts"]) == 500
    assert found["edges"][0] == values.min() and found["edges"][-1] == values.max()
    assert histogram(np.array([7, 7])) == {"edges": [7, 7], "counts": [2]}


def test_confusion_matrix() -> None:
    matrix = confusion(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), 3)
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_host_measures_latency_only(
    host_build: Build, program: Program, data: Path, tmp_path: Path
) -> None:
    dataset = load_dataset(data)
    seen: list[tuple[int, int]] = []
    result = profile(
        host_build, dataset, out=tmp_path, progress=lambda done, total: seen.append((done, total))
    )
    assert set(result.to_json()) >= CONTRACT
    assert (result.windows, result.steps, result.mismatches) == (EACH, EACH * WINDOW, 0)
    assert result.complete
    assert seen[0] == (0, 60) and seen[-1] == (60, 60)
    assert result.latency_us is not None and result.latency_us["kind"] == "measured"
    # microseconds: a step takes more than ten nanoseconds, and less than ten milliseconds
    assert 0.01 < result.latency_us["p50"] < 10_000
    assert result.latency_us["p50"] <= result.latency_us["p99"] <= result.latency_us["max"]
    assert result.instructions_per_step is None
    assert result.cycles_per_step is None and result.energy_uj is None
    windows = dataset.windows("test", length=WINDOW)
    decided = program.run(program.quantize_input(windows.x))[:, -1].argmax(axis=1)
    assert result.accuracy_device == result.accuracy_oracle == (decided == windows.y).mean()
    assert np.array(result.confusion).sum() == EACH
    assert np.trace(result.confusion) == round(result.accuracy_device * EACH)
    assert result.accuracy_float == 0.5
    assert sum(result.flash.values()) == result.flash_bytes
    assert ProfileResult.load(tmp_path / "profile.json") == result


def test_metrics_are_those_of_the_device(host_build: Build, data: Path, tmp_path: Path) -> None:
    dataset = load_dataset(data)
    result = profile(host_build, dataset, split="train", out=tmp_path)
    assert result.metrics is not None and result.task == "classification"
    assert result.accuracy_float is None  # that of the test people is stored
    overall, subjects = result.metrics["overall"], result.metrics["subjects"]
    matrix = np.array(result.confusion)
    assert overall["accuracy"] == result.accuracy_device == accuracy(matrix)
    assert overall["macro_f1"] == macro_f1(matrix) and overall["mcc"] == mcc(matrix)
    assert list(overall["recall"]) == result.classes
    assert list(overall["recall"].values()) == pytest.approx(recall(matrix).tolist())
    assert list(subjects) == sorted(dataset.people["train"])
    assert {one["windows"] for one in subjects.values()} == {EACH}
    shares = [one["accuracy"] for one in subjects.values()]
    assert sum(shares) / len(shares) == pytest.approx(result.accuracy_device)


def test_what_ran_and_when_is_told(host_build: Build, data: Path, tmp_path: Path) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    result = profile(host_build, load_dataset(data), out=tmp_path)
    assert result.date is not None
    assert before <= datetime.fromisoformat(result.date) <= datetime.now(UTC)
    assert result.versions.keys() == {"edgeflow", "python", "compiler"}
    assert result.versions["compiler"].startswith("GCC ")
    assert [(row["name"], row["type"], row["inputs"], row["outputs"]) for row in result.layers] == [
        ("gru0", "GRU", 3, 8), ("head", "Linear", 8, 3),
    ]  # fmt: skip
    assert all(row["bytes"] >= row["inputs"] * row["outputs"] for row in result.layers)
    left = result.flash["weights"] - sum(row["bytes"] for row in result.layers)
    assert 0 <= left <= 2 * 4 * 3, "scales and offsets of the input"


def test_files_of_older_versions_are_read(host_build: Build, data: Path, tmp_path: Path) -> None:
    content = profile(host_build, load_dataset(data), out=tmp_path).to_json()
    for name in ("task", "metrics", "samples_per_step", "date", "versions"):
        del content[name]
    content["layers"] = [
        {"name": row["name"], "instructions_mean": None} for row in content["layers"]
    ]
    (tmp_path / "old.json").write_text(json.dumps(content))
    old = ProfileResult.load(tmp_path / "old.json")
    assert old.metrics is None and old.samples_per_step == 1
    assert "Profile of host" in render(old)


def test_delta_sparsity_is_that_of_the_windows(
    program: Program, data: Path, tmp_path: Path
) -> None:
    delta = changed(program, threshold=300)
    dataset = load_dataset(data)
    build = compile_program(delta, "host", tmp_path / "build")
    result = profile(build, dataset, out=tmp_path / "run")
    x = delta.quantize_input(dataset.windows("test", length=WINDOW).x)
    assert result.mismatches == 0
    assert result.delta == sparsity(delta, fired_shares(delta, x))
    shares = {key: f"{100 * (share or 0):.2f} %" for key, share in result.delta.items()}
    assert shares["input_sparsity"] != shares["state_sparsity"] != "0.00 %"
    page = render(result)
    for key, name in (("input_sparsity", "inputs"), ("state_sparsity", "states")):
        assert f"columns of {name} not updated" in page and shares[key] in page


def test_dense_programs_have_no_delta_sparsity(
    host_build: Build, data: Path, tmp_path: Path
) -> None:
    result = profile(host_build, load_dataset(data), out=tmp_path)
    assert result.delta == {"input_sparsity": None, "state_sparsity": None}
    assert "not updated" not in render(result)


def test_steps_are_whole_windows_from_the_whole_split(program: Program, data: Path) -> None:
    dataset = load_dataset(data)
    everything = choose_windows(program, dataset, "train")
    some = choose_windows(program, dataset, "train", 39)
    assert len(some.x) == 3
    assert np.array_equal(some.x[0], everything.x[0])
    assert np.array_equal(some.x[-1], everything.x[-1])
    assert len(choose_windows(program, dataset, "train", 1).x) == 1
    assert len(choose_windows(program, dataset, "train", 10**9).x) == len(everything.x)


def test_classes_may_come_in_another_order(program: Program, data: Path) -> None:
    dataset = load_dataset(data)
    turned = dataclasses.replace(program, classes=("walk", "sit", "run"))
    ours = choose_windows(program, dataset, "test").y
    assert np.array_equal(choose_windows(turned, dataset, "test").y, 2 - ours)


def test_outputs_without_classes_run_unscored(program: Program, data: Path, tmp_path: Path) -> None:
    """It alone would catch a profile or report that needs something to score."""
    build = compile_program(dataclasses.replace(program, classes=()), "host", tmp_path)
    result = profile(build, load_dataset(data))
    assert result.mismatches == 0 and result.steps == EACH * WINDOW
    assert result.task == "values" and result.metrics is None and result.warmup is None
    assert result.accuracy_float is result.accuracy_oracle is result.accuracy_device is None
    assert ProfileResult.load(tmp_path / "profile.json") == result
    page = render(result)
    assert "ccuracy" not in page and "mismatches with the reference" in page


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": ["x0", "x2", "x1"]}, "trained on x0, x1, x2"),
        ({"classes": ["run", "sit", "swim"]}, "class 'swim'"),
    ],
)
def test_foreign_data_is_refused(
    program: Program, data: Path, change: dict[str, list[str]], message: str
) -> None:
    dataset = dataclasses.replace(load_dataset(data), **change)
    with pytest.raises(DataError, match=message):
        choose_windows(program, dataset, "test")


def test_another_core_is_refused(host_build: Build, data: Path) -> None:
    with pytest.raises(TargetError, match="compiled for host"):
        profile(host_build, load_dataset(data), board="qemu-m4")


def test_an_interrupt_keeps_what_is_there(host_build: Build, data: Path, tmp_path: Path) -> None:
    """A complete result stays beside what an interrupted run collected, which goes after it."""

    def interrupt(done: int, total: int) -> None:
        if done == 3 * WINDOW:
            raise KeyboardInterrupt

    dataset = load_dataset(data)
    whole = profile(host_build, dataset, out=tmp_path, report=True)
    with pytest.raises(KeyboardInterrupt):
        profile(host_build, dataset, out=tmp_path, progress=interrupt)
    assert ProfileResult.load(tmp_path / "profile.json") == whole
    result = ProfileResult.load(tmp_path / "profile.partial.json")
    assert not result.complete
    assert (result.windows, result.steps, result.mismatches) == (3, 3 * WINDOW, 0)
    with pytest.raises(KeyboardInterrupt):
        profile(host_build, dataset, out=tmp_path, report=True, progress=interrupt)
    names = {"profile.json", "report.html", "profile.partial.json", "report.partial.html"}
    assert {path.name for path in tmp_path.iterdir()} == {".edgeflow", *names}
    profile(host_build, dataset, out=tmp_path, report=True)
    assert {path.name for path in tmp_path.iterdir()} == {
        ".edgeflow", "profile.json", "report.html"
    }  # fmt: skip
    assert [path.name for path in (tmp_path / ".edgeflow").iterdir()] == ["made.json"]


@pytest.mark.board
def test_a_board_that_dies_keeps_what_is_there(m4_build: Build, data: Path, tmp_path: Path) -> None:
    def kill(done: int, total: int) -> None:
        if done == 4 * WINDOW:
            elf = str(m4_build.elf).encode()
            for folder in Path("/proc").iterdir():
                if folder.name.isdigit() and elf in _command(folder):
                    os.kill(int(folder.name), signal.SIGKILL)

    with pytest.raises(DeviceError):
        profile(m4_build, load_dataset(data), out=tmp_path, progress=kill)
    result = ProfileResult.load(tmp_path / "profile.json")
    assert (result.complete, result.windows, result.mismatches) == (False, 4, 0)
    assert result.instructions_per_step is not None


def _command(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.board
def test_emulated_board_counts_and_estimates(m4_build: Build, data: Path, tmp_path: Path) -> None:
    dataset = load_dataset(data)
    first = profile(m4_build, dataset, out=tmp_path)
    again = profile(m4_build, dataset, out=tmp_path)
    assert first == again
    assert first.mismatches == 0
    assert first.instructions_per_step is not None and first.latency_us is not None
    assert first.cycles_per_step is not None and first.energy_uj is not None
    assert [layer["name"] for layer in first.layers] == ["gru0", "head", "(rest)"]
    assert first.versions["qemu"][0].isdigit() and first.versions["compiler"].startswith("GCC ")
    assert sum(layer["bytes"] for layer in first.layers) == first.flash["weights"]
    layers = sum(layer["instructions_mean"] for layer in first.layers)
    assert layers == pytest.approx(first.instructions_per_step["mean"])
    assert sum(first.instruction_mix.values()) == pytest.approx(layers)
    # no instruction of the kernels is left without a class
    assert first.instruction_mix.get("other", 0) == 0
    for quantity in (first.cycles_per_step, first.latency_us, first.energy_uj):
        assert quantity["kind"] == "estimated" and "nucleo-l4r5zi" in quantity["model"]
    assert first.latency_us["mean"] == pytest.approx(first.cycles_per_step["mean"] / 120)
    assert first.energy_uj["mean"] == pytest.approx(first.cycles_per_step["mean"] * 357e-6)
    assert first.stack_bytes and first.ram["stack"] == first.stack_bytes
    assert sum(first.ram.values()) == first.ram_bytes


def test_cutoff_on_the_host(program: Program, data: Path, tmp_path: Path) -> None:
    dataset = load_dataset(data)
    cut = dataclasses.replace(program, nodes=(*program.nodes, Cutoff("cutoff", 3, 0, 4)))
    result = profile(compile_program(cut, "host", tmp_path), dataset)
    assert result.mismatches == 0 and result.cutoff is not None and result.warmup is not None
    assert result.cutoff["samples_read"] == {"mean": 4, "p50": 4, "p99": 4, "max": 4}
    assert result.cutoff["steps_skipped"] == pytest.approx(1 - 4 / WINDOW)
    assert result.cutoff["instructions_per_skipped_step"] is None
    # what a window says after 4 samples stands
    assert result.warmup["accuracy"][3:] == [result.accuracy_device] * (WINDOW - 3)
    assert 1 <= result.warmup["samples"] <= 4
    assert "4 of 10" in render(result) and "Warm-up" in render(result)


@pytest.mark.board
def test_cutoff_skips_steps(program: Program, m4_build: Build, data: Path, tmp_path: Path) -> None:
    dataset = load_dataset(data)
    windows = choose_windows(program, dataset, "test")
    leads = lead(program.run(program.quantize_input(windows.x)))
    cutoff = Cutoff("cutoff", 3, int(np.quantile(leads, 0.8)), 2)
    cut = dataclasses.replace(program, nodes=(*program.nodes, cutoff))
    result = profile(compile_program(cut, "qemu-m4", tmp_path), dataset)
    dense = profile(m4_build, dataset, out=tmp_path / "dense")
    assert result.mismatches == 0 and result.cutoff is not None
    read = samples_until_clear(leads, cutoff.threshold, cutoff.start)
    assert WINDOW > result.cutoff["samples_read"]["mean"] == read.mean() > 2
    skipped = result.cutoff["steps_skipped"]
    assert skipped == pytest.approx(1 - read.mean() / WINDOW)
    short = result.cutoff["instructions_per_skipped_step"]
    assert 0 < short < 40
    assert result.instructions_per_step is not None and dense.instructions_per_step is not None
    # what is left of the mean is that of the steps that ran, and the early exit's own
    ran = (result.instructions_per_step["mean"] - skipped * short) / (1 - skipped)
    assert 0 < ran - dense.instructions_per_step["mean"] < 120
    assert [layer["name"] for layer in result.layers] == ["gru0", "head", "cutoff", "(rest)"]
    layers = [layer["instructions_mean"] for layer in result.layers]
    assert sum(layers) == pytest.approx(result.instructions_per_step["mean"])
    assert layers[0] == pytest.approx(
        (1 - skipped) * dense.layers[0]["instructions_mean"], rel=0.02
    )


class Page(html.parser.HTMLParser):
    """Collects what a page would load, its ids, and tags that are not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name in ("src", "href", "xlink:href", "data") and not (value or "").startswith("#"):
                self.loads.append(f"{tag} {value}")
            if name == "id":
                self.ids.append(value or "")
        assert tag != "script"


def test_report_needs_nothing_else(host_build: Build, data: Path, tmp_path: Path) -> None:
    result = profile(host_build, load_dataset(data), out=tmp_path)
    strange = dataclasses.replace(result, classes=["<b>", "a & b", "“quoted”"], complete=False)
    write_report(strange, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    checker = Page()
    checker.feed(page)
    assert checker.loads == []
    assert len(checker.ids) == len(set(checker.ids))
    assert "url(http" not in page and "@import" not in page
    assert "<b>," not in page and "interrupted" in page
    assert f"{100 * result.accuracy_device:.2f} %" in page


def test_report_compares_runs(host_build: Build, data: Path, tmp_path: Path) -> None:
    result = profile(host_build, load_dataset(data), out=tmp_path)
    page = render([result, dataclasses.replace(result, board="other", mismatches=3)])
    checker = Page()
    checker.feed(page)
    assert len(checker.ids) == len(set(checker.ids))
    assert "2 runs side by side" in page
    assert "other: 3 steps gave outputs unlike" in page


def command(*arguments: str | int | Path) -> CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "160"}
    return edgeflow("profile", *map(str, arguments), environment=environment)


def test_command_prints_json_and_writes_files(
    host_build: Build, data: Path, tmp_path: Path
) -> None:
    done = command(host_build.directory, "--data", data, "--steps", 25, "--json", "-o", tmp_path)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert set(printed) >= CONTRACT and printed["windows"] == 2
    assert read_json(tmp_path / "profile.json") == printed
    assert (tmp_path / "report.html").is_file()
    table = command(host_build.directory, "--data", data, "--steps", 25, "-o", tmp_path)
    assert "accuracy on the board" in table.stdout and "measured" in table.stdout


def test_command_fails_on_mismatches(program: Program, data: Path, tmp_path: Path) -> None:
    build = compile_program(program, "host", tmp_path / "build")
    _damage_weights(build)
    done = command(build.directory, "--data", data)
    assert done.returncode == 1
    assert "differ from the reference" in done.stderr and "Traceback" not in done.stderr
    assert ProfileResult.load(build.directory / "profile.json").mismatches > 0


def _damage_weights(build: Build) -> None:
    """Zero the largest array of the model in the image."""
    model = next((build.objects / "model").glob("*.o"))
    arrays = [s for s in Image(model).symbols if s.kind == "STT_OBJECT"]
    name = max(arrays, key=lambda s: s.size).name
    image = Image(build.elf)
    symbol = image.by_name[name]
    section = next(s for s in image.sections if s.address <= symbol.address < s.end)
    at = symbol.address - section.address
    old = section.data[at : at + symbol.size]
    content = build.elf.read_bytes()
    assert content.count(old) == 1
    build.elf.write_bytes(content.replace(old, bytes(len(old))))


def test_command_says_what_is_wrong(tmp_path: Path, data: Path) -> None:
    done = command(tmp_path, "--data", data)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "edgeflow compile" in done.stderr


def test_the_package_is_callable(host_build: Build, data: Path, tmp_path: Path) -> None:
    import edgeflow

    result = edgeflow.profile(host_build.directory, load_dataset(data), steps=10, out=tmp_path)
    assert result.windows == 1


@pytest.mark.parametrize("board", ["qemu-m4", "qemu-m0"])
def test_the_quantizer_s_cost_is_told(
    board: str, program: Program, data: Path, tmp_path: Path
) -> None:
    """Counted on the board's own code of it, beside the steps, whose counts it does not change."""
    build = compile_program(program, board, tmp_path / "build")
    dataset = load_dataset(data)
    result = profile(build, dataset, steps=20)
    found = result.quantizer
    assert found is not None and found["mismatches"] == 0 and found["samples"] == 20
    # a float operation takes an instruction with a float unit, without one some dozens
    low, high = (20, 45) if board == "qemu-m4" else (150, 600)
    assert low * program.inputs < found["instructions_mean"] < high * program.inputs
    assert (found["cycles_mean"] is None) == (result.cycles_per_step is None)
    text = " ".join(row["name"] for row in table_rows([result.to_json()]))
    assert "quantizing a sample of floats, instructions, in addition" in text
    assert "quantizing a sample of floats" in render(result)
    with pytest.raises(CheckFailed, match="1 of 20 samples are quantized on"):
        dataclasses.replace(result, quantizer={**found, "mismatches": 1}).check()


def test_no_quantizer_where_nothing_counts(program: Program, data: Path, tmp_path: Path) -> None:
    build = compile_program(program, "host", tmp_path / "build")
    assert profile(build, load_dataset(data), steps=10).quantizer is None


def test_an_interrupt_of_the_quantizer_s_run_keeps_the_steps(
    program: Program, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    build = compile_program(program, "qemu-m4", tmp_path / "build")
    monkeypatch.setattr("edgeflow.profiling.run.quantizer_cost", interrupted)
    with pytest.raises(KeyboardInterrupt):
        profile(build, load_dataset(data), steps=20)
    kept = ProfileResult.load(tmp_path / "build" / "profile.json")
    assert (kept.steps, kept.complete, kept.quantizer) == (20, False, None)
