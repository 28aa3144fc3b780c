"""The Swift package for Apple Watch (tier parity): its C target compiles for this machine and
macOS and gives the oracle's bits through the header that Swift imports. No test compiles the Swift.

It alone would catch a C target that Swift's files do not fit: a function or a folder that is not there.
"""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edgeflow
from edgeflow.exporting import android
from edgeflow.program import Program
from tests.parity.export.machines import ECOSYSTEMS, tell
from tests.parity.export.watch_programs import movement, stream, watch_program

FLAGS = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror")


@pytest.fixture(scope="module")
def program() -> Program:
    return watch_program(gyroscope=True)


@pytest.fixture(scope="module")
def package(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("apple") / "package"
    edgeflow.export(program, "apple", folder, name="gait")
    return folder


def test_c_target_gives_the_oracles_bits(program: Program, package: Path, tmp_path: Path) -> None:
    target = package / "Sources" / "CGaitKit"
    sources = [*target.glob("*.c"), ECOSYSTEMS / "apple.c"]
    tell(["gcc", *FLAGS, f"-I{target / 'include'}", *sources, "-o", tmp_path / "drive"])
    samples = np.zeros(400, [("micros", "<u4"), ("values", "<f4", 6)])
    samples["micros"] = np.arange(400) * 10_000
    # CoreMotion: -1 g along z at rest face up; radians per second
    values = movement(400, 6, seed=9) / np.array([*[-9.80665] * 3, *[57.29578] * 3])
    samples["values"] = values
    done = subprocess.run([tmp_path / "drive"], input=samples.tobytes(), capture_output=True)
    assert done.returncode == 0, done.stderr
    factors = np.array([*[-9.80665] * 3, *[57.29577951308232] * 3]).astype(np.float32)
    wanted = stream(program, samples["values"] * factors, samples["micros"].astype(np.int64))
    rows = [line.split() for line in done.stdout.decode().splitlines()]
    assert [tuple(map(int, row[2:])) for row in rows] == wanted and len(wanted) == 10
    assert [row[0] for row in rows] == [program.classes[int(np.argmax(y))] for y in wanted]
    assert all(0 < int(row[1]) <= 32768 for row in rows)


def test_c_target_compiles_with_clang_for_arm64(package: Path, tmp_path: Path) -> None:
    """For macOS, whose headers the compiler has; those of watchOS come with Xcode alone."""
    if not android.can_build():
        pytest.skip("ziglang is not installed: pip install ziglang")
    for source in (package / "Sources" / "CGaitKit").glob("gait*.c"):
        tell([sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-macos", *FLAGS,
              "-c", source, "-o", tmp_path / "out.o"])  # fmt: skip


def test_swift_calls_what_the_header_declares(package: Path) -> None:
    """Names of targets, folders and C functions agree; it is no compiler."""
    manifest = (package / "Package.swift").read_text()
    targets = re.findall(r'\.target\(name: "(\w+)"', manifest)
    assert targets == ["CGaitKit", "GaitKit"]
    assert all((package / "Sources" / target).is_dir() for target in targets)
    header = (package / "Sources" / "CGaitKit" / "include" / "CGaitKit.h").read_text()
    swift = "".join(file.read_text() for file in (package / "Sources" / "GaitKit").glob("*.swift"))
    declared = set(re.findall(r"\b(gait_app_\w+)\(", header))
    assert set(re.findall(r"\b(gait_app_\w+)\(", swift)) == declared and len(declared) == 7
    module = (package / "Sources" / "CGaitKit" / "include" / "module.modulemap").read_text()
    assert 'header "CGaitKit.h"' in module and "module CGaitKit" in module
