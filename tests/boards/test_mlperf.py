"""The MLPerf Tiny protocol of the firmware, by transcripts of its rules (``tests/boards/mlperf``).

``> `` is what the host sends, ``< `` a line that must come back; words in braces stand for what
depends on the board, the window or the time. The benchmark's own runner is in
``tests/testbeds/test_mlperf_runner.py``.
"""

import dataclasses
import re
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from edgeflow import __version__, api
from edgeflow.codegen.build import Build
from edgeflow.codegen.plan import plan_library
from edgeflow.codegen.render import render, write
from edgeflow.device import open_board
from edgeflow.device.transport import Transport
from edgeflow.program import Program
from edgeflow.resources import resource
from edgeflow.targets.core import load_core
from tests.random_programs import random_program, samples

TRANSCRIPTS = sorted((Path(__file__).parent / "mlperf").glob("*.txt"))
CLASSES = ("a", "b", "c", "d")
BOARDS = ["host", pytest.param("qemu-m4", marks=pytest.mark.board)]
#: Bytes of a window that a command brings, as the benchmark's runner sends them.
CHUNK = 31
GREETING = ["m-timestamp-mode-performance", "m-init-done", "m-ready"]


class Host:
    """Reads lines, which must end as the rules say."""

    def __init__(self, line: Transport) -> None:
        self.line, self._rest = line, b""

    def say(self, text: str) -> None:
        self.line.write(text.encode())

    def hear(self, timeout: float = 10.0) -> str:
        """Return the next line."""
        until = time.monotonic() + timeout
        while b"\n" not in self._rest:
            assert time.monotonic() < until, f"no line after {self._rest!r}"
            self._rest += self.line.read(0.1)
        line, _, self._rest = self._rest.partition(b"\n")
        assert line.endswith(b"\r"), line
        return line[:-1].decode("ascii")

    def greeted(self) -> "Host":
        """Read what the board says when it starts."""
        self.greeting = self.hear()
        assert [self.hear() for _ in GREETING] == GREETING
        return self

    def ask(self, command: str) -> list[str]:
        """Return the lines of an answer."""
        self.say(f"{command}%")
        lines = [self.hear()]
        while lines[-1] != "m-ready":
            lines.append(self.hear(30.0))
        return lines

    def load(self, window: np.ndarray) -> None:
        data = window.astype("<i2").tobytes()
        assert self.ask(f"db load {len(data)}") == [f"m-[Expecting {len(data)} bytes]", "m-ready"]
        for command in commands(data):
            answer = self.ask(command)
        assert answer == ["m-load-done", "m-ready"]


def commands(data: bytes) -> list[str]:
    return [f"db {data[i : i + CHUNK].hex()}" for i in range(0, len(data), CHUNK)]


def classifier(scale: float = 1 / 700) -> Program:
    program = random_program(3, 3, [5], len(CLASSES), 12, 12)
    return dataclasses.replace(program, classes=CLASSES, output_scale=scale, window=8)


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Build]:
    return {}


def build_for(
    board: str, builds: dict[str, Build], factory: pytest.TempPathFactory, **options: str
) -> Build:
    """Return a build of the test's program, made once."""
    key = f"{board} {options}"
    if key not in builds:
        folder = factory.mktemp(board)
        builds[key] = api.compile(classifier(), board, folder, mlperf="test01", **options)
    return builds[key]


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript(
    transcript: Path, board: str, builds: dict[str, Build], tmp_path_factory: pytest.TempPathFactory
) -> None:
    build = build_for(board, builds, tmp_path_factory)
    program = build.program()
    window = samples(program, 5, windows=1, time=program.window)[0]
    data = window.astype("<i2").tobytes()
    name = "EdgeFlow host"
    if board == "qemu-m4":  # its time is an estimate, and its name says so
        name = "EdgeFlow qemu-m4, time estimated for nucleo-l4r5zi"
    words = {
        "name": re.escape(name), "board": board, "bytes": str(len(data)), "newline": "\n",
        "more": str(len(data) + 1), "number": "[0-9]+", "results": expected(program, window),
    }  # fmt: skip
    with open_board(build.spec(), image=build.elf) as opened:
        opened.flash()
        host = Host(opened._open()).greeted()
        assert host.greeting == f"EdgeFlow {__version__} {board} model {build.model_hash}"
        for number, line in enumerate(transcript.read_text().splitlines(), 1):
            where = f"{transcript.name}, line {number}"
            if line == "> {window}":
                host.load(window)
            elif line.startswith("> "):
                host.say(filled(line[2:], words, plain=True))
            elif line.startswith("< "):
                pattern, heard = filled(line[2:], words), host.hear()
                assert re.fullmatch(pattern, heard), f"{where}: {heard!r} is not {pattern!r}"
            else:
                assert line.startswith("#"), where


def filled(line: str, words: dict[str, str], plain: bool = False) -> str:
    """Return a line of a transcript as a pattern, or as it is."""
    parts = re.split(r"\{(\w+)\}", line)
    literal = (lambda text: text) if plain else re.escape
    return "".join(words[p] if i % 2 else literal(p) for i, p in enumerate(parts))


def expected(program: Program, window: np.ndarray) -> str:
    """Return the pattern of the results: the softmax within two thousandths."""
    y = program.run(window[None])[0, -1] * program.output_scale
    share = np.exp(y - y.max()) / np.exp(y - y.max()).sum()
    near = [{round(p * 1000) + d for d in range(-4, 5)} for p in share]
    texts = [[f"{t / 1000:.3f}" for t in sorted(each) if 0 <= t <= 1000] for each in near]
    return ",".join(f"(?:{'|'.join(map(re.escape, each))})" for each in texts)


@pytest.mark.parametrize("scale", [1e-9, 1 / 3000, 3.0])
def test_the_largest_result_is_the_class(scale: float, tmp_path: Path) -> None:
    """Also where the outputs are equal or nearly so; thousandths add up to one."""
    program = classifier(scale)
    build = api.compile(program, "host", tmp_path / "build", mlperf="test01")
    windows = samples(program, 11, windows=40, time=program.window)
    windows[0] = 0
    y = program.run(windows)[:, -1]
    with open_board(build.spec(), image=build.elf) as opened:
        opened.flash()
        host = Host(opened._open()).greeted()
        for window, outputs in zip(windows, y, strict=True):
            host.load(window)
            results = next(line for line in host.ask("infer 1 0") if "results" in line)
            found = [float(value) for value in results[len("m-results-[") : -1].split(",")]
            assert np.argmax(found) == np.argmax(outputs)
            assert round(1000 * sum(found)) == 1000


def laps(lines: list[str]) -> tuple[int, int]:
    first, last = (int(line.rpartition("-")[2]) for line in lines if line.startswith("m-lap-us-"))
    return first, last


def test_time_of_this_machine(
    builds: dict[str, Build], tmp_path_factory: pytest.TempPathFactory
) -> None:
    build = build_for("host", builds, tmp_path_factory)
    with open_board(build.spec(), image=build.elf) as opened:
        opened.flash()
        host = Host(opened._open()).greeted()
        host.load(samples(build.program(), 5, windows=1, time=8)[0])
        started = time.monotonic()
        first, last = laps(host.ask("infer 3000 0"))
        assert 0 < last - first < 1e6 * (time.monotonic() - started)


#: A board whose counter goes on by three seconds at each look, and wraps after 4.3 of them.
SLOW_BOARD = r"""
#include "ef_hal.h"
#include "ef_mlperf.h"
#include <stdio.h>
uint32_t ef_hal_cycles(void) { static uint32_t now; return now += 3000000000u; }
uint32_t ef_hal_cycles_hz(void) { return 1000000000u; }
void ef_hal_write(const uint8_t *data, size_t size) { fwrite(data, size, 1, stdout); }
int main(void) {
    static model_t model;
    char lines[][200] = {"db load 48", "db 0102030405060708090a0b0c0d0e0f101112131415161718",
                         "db 0102030405060708090a0b0c0d0e0f101112131415161718", "infer 2 0"};
    model_init(&model);
    for (int i = 0; i < 4; i++)
        ef_mlperf_command(&model, lines[i]);
    return 0;
}
"""


def test_time_goes_on_when_the_counter_wraps(tmp_path: Path) -> None:
    plan = plan_library(classifier(), load_core("host"), kernel_sets=["c"])
    write(render(plan), tmp_path)
    (tmp_path / "slow.c").write_text(SLOW_BOARD)
    firmware = resource("firmware")
    sources = ["slow.c", "model.c", *plan.kernel_files, firmware / "runtime" / "ef_mlperf.c"]
    folders = [".", "kernels", firmware / "hal", firmware / "runtime"]
    command = ["gcc", "-std=c99", '-DEF_MLPERF="x"', *(f"-I{f}" for f in folders), *sources]
    subprocess.run([*map(str, command), "-o", "slow"], cwd=tmp_path, check=True)
    said = subprocess.run([tmp_path / "slow"], capture_output=True, text=True, check=True).stdout
    first, last = laps(said.splitlines())
    assert last - first == 3_000_000 * (2 * 8 + 1)


@pytest.mark.board
def test_time_of_an_emulated_board_is_the_estimate(
    builds: dict[str, Build], tmp_path_factory: pytest.TempPathFactory
) -> None:
    build = build_for("qemu-m4", builds, tmp_path_factory)
    assert build.mlperf is not None and build.mlperf.step_cycles is not None
    with open_board(build.spec(), image=build.elf) as opened:
        opened.flash()
        host = Host(opened._open()).greeted()
        host.load(samples(build.program(), 5, windows=1, time=8)[0])
        first, last = laps(host.ask("infer 50 3"))
    clock = 120e6  # of the NUCLEO-L4R5ZI
    assert last - first == pytest.approx(50 * 8 * build.mlperf.step_cycles / clock * 1e6, abs=1)


def test_noise_is_no_command(
    builds: dict[str, Build], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """After any bytes the next command is answered."""
    build = build_for("host", builds, tmp_path_factory)
    noise = np.random.default_rng(0).integers(0, 256, 3000).astype(np.uint8).tobytes()
    noise = noise.replace(b"\0", b"\1")
    with open_board(build.spec(), image=build.elf) as opened:
        opened.flash()
        host = Host(opened._open()).greeted()
        host.line.write(noise + b"%results%")
        while host.hear() != "e-[No inference has run]":
            pass
        assert host.hear() == "m-ready"
