"""Any bytes on the line leave the firmware's memory as it should be (tier: faults).

The runtime's main loop, the protocol and a model in C run on this machine under the address and the
undefined-behaviour sanitizers, on mutated streams of text and frames with a right CRC. Tests that
speak to a board send what a host would; only here come frames that are well formed and wrong
inside, at any place of a stream.
"""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from edgeflow.codegen.plan import plan_library
from edgeflow.codegen.render import render, write
from edgeflow.resources import resource
from edgeflow.targets.core import load_core
from tests.random_programs import SANITIZE, random_program

FIRMWARE = resource("firmware")
DRIVER = Path(__file__).parent.parent / "firmware_fuzz" / "fuzz.c"


def build(
    folder: Path, protocol: Path = FIRMWARE / "protocol", runtime: Path = FIRMWARE / "runtime",
    extra: tuple[str, ...] = (),
) -> Path:  # fmt: skip
    """Compile the firmware around a small model, with the driver as its board."""
    program = replace(random_program(1, 3, [2], 2, 12, 12), classes=("a", "b"), window=4)
    plan = plan_library(program, load_core("host"), kernel_sets=["c"])
    write(render(plan), folder)
    flags = [*SANITIZE, "-std=c99", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    folders = [folder, folder / "kernels", FIRMWARE / "hal", runtime, protocol]
    # frames near their limit are then short, and frequent
    flags += ["-DEF_FRAME_MAX=160", *extra, *(f"-I{path}" for path in folders)]
    model = [folder / "model.c", *(folder / name for name in plan.kernel_files)]
    sources = [*model, *sorted(protocol.glob("*.c")), *sorted(runtime.glob("*.c"))]
    objects = []
    for source in sources:
        objects.append(folder / f"{source.stem}.o")
        main = ["-Dmain=firmware_main"] if source.name == "main.c" else []
        command = ["gcc", *flags, *main, "-c", source, "-o", objects[-1]]
        subprocess.run(list(map(str, command)), check=True)
    output = folder / "fuzz"
    subprocess.run(list(map(str, ["gcc", *flags, DRIVER, *objects, "-o", output])), check=True)
    return output


def fuzz(program: Path, count: int) -> dict[str, int]:
    """Run streams 0 to `count`, and return what the driver counted."""
    done = subprocess.run([str(program), "0", str(count)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    words = done.stdout.split()
    return dict(zip(words[1::2], map(int, words[::2]), strict=True))


@pytest.mark.parametrize("count", [100_000, pytest.param(10_000_000, marks=pytest.mark.slow)])
def test_firmware_withstands_any_bytes(count: int, tmp_path: Path) -> None:
    counts = fuzz(build(tmp_path), count)
    assert counts["streams"] == count
    # most streams come to frames that are answered
    assert counts["answers"] > count


#: The firmware speaks the protocol of MLPerf Tiny, too.
MLPERF = ('-DEF_MLPERF="test"',)


@pytest.mark.parametrize("count", [30_000, pytest.param(3_000_000, marks=pytest.mark.slow)])
def test_mlperf_withstands_any_bytes(count: int, tmp_path: Path) -> None:
    counts = fuzz(build(tmp_path, extra=MLPERF), count)
    assert counts["streams"] == count
    # many streams come to inferences with results
    assert counts["commas"] > count // 4


def with_fault(source: Path, name: str, right: str, wrong: str, folder: Path) -> Path:
    """Copy a folder of the firmware, with a fault in one file."""
    folder.mkdir()
    for file in source.iterdir():
        text = file.read_text(encoding="utf-8")
        if file.name == name:
            assert right in text
            text = text.replace(right, wrong)
        (folder / file.name).write_text(text, encoding="utf-8")
    return folder


def test_bytes_beyond_a_window_are_found(tmp_path: Path) -> None:
    """The driver's commands reach the end of the window."""
    fault = ("ef_mlperf.c", "count > BYTES", "count > BYTES + 1")
    runtime = with_fault(FIRMWARE / "runtime", *fault, tmp_path / "runtime")
    with pytest.raises(AssertionError, match=r"ef_mlperf.c:\d+:\d+: runtime error: index 24 out"):
        fuzz(build(tmp_path / "build", runtime=runtime, extra=MLPERF), 30_000)


def test_a_buffer_that_is_too_short_is_found(tmp_path: Path) -> None:
    """The driver can fail: its frames reach the end of the buffer."""
    fault = ("ef_cobs.c", "size >= capacity", "size >= capacity + 4")
    protocol = with_fault(FIRMWARE / "protocol", *fault, tmp_path / "protocol")
    with pytest.raises(AssertionError, match=r"fuzz: stream \d+(.|\n)*ef_cobs_feed"):
        fuzz(build(tmp_path / "build", protocol), 100_000)
