"""`compile --name`: a library whose every global name is its own, in the same image."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgeflow
from edgeflow.codegen.build import Build
from edgeflow.errors import ExportError
from edgeflow.program import Program
from edgeflow.targets.board import load_board
from edgeflow.targets.size import layer_bytes
from tests.random_nodes.draw import DRAW
from tests.random_programs import random_program, samples

CELLS = list(DRAW)


@pytest.fixture(scope="module")
def program() -> Program:
    """A layer of each kind, so that most kernels are there."""
    drawn = random_program(3, 3, [6] * len(CELLS), 4, 12, 12, cells=CELLS, delta=True)
    return replace(drawn, classes=("a", "b", "c", "d"), window=9)


def globals_of(build: Build) -> Iterator[tuple[str, str]]:
    """Give kind and name of the global symbols of the library's objects."""
    nm = f"{load_board(build.board).core.prefix}nm"
    for group in ("model", "kernels"):
        for path in sorted((build.objects / group).glob("*.o")):
            text = subprocess.run([nm, "-g", path], capture_output=True, text=True, check=True)
            for line in text.stdout.splitlines():
                *_, kind, name = line.split()
                yield kind, name


# beside libc's: the profiler's marks of the firmware, and what a compiler calls by itself
OTHERS = ("mem", "ef_profile_", "__aeabi_", "__gnu_thumb1_case_", "_GLOBAL_OFFSET_TABLE_")


@pytest.mark.parametrize(
    "board",
    ["host", "qemu-m4", *(pytest.param(f"qemu-{b}", marks=pytest.mark.slow)
                          for b in ("m0", "m55", "rv32"))],
)  # fmt: skip
def test_every_global_name_begins_with_the_library_s(
    board: str, program: Program, tmp_path: Path
) -> None:
    build = edgeflow.compile(program, board, tmp_path / "b", name="gait", backend="c")
    found = set(globals_of(build))
    defined = {name for kind, name in found if kind not in "Uw"}
    assert {"gait_init", "gait_step", "gait_quantize"} < defined
    assert any(name.startswith("gait_ef_table_") for name in defined)
    assert [name for name in defined if not name.startswith("gait_")] == []
    asked = {name for kind, name in found if kind == "U"} - defined
    soft = {name for name in asked if name.startswith("__") and board == "qemu-rv32"}
    assert [name for name in asked - soft if not name.startswith(OTHERS)] == []


def test_a_named_build_is_the_same_image(program: Program, tmp_path: Path) -> None:
    """Names change no byte that runs; the folder has no sources of an earlier name."""
    plain = edgeflow.compile(program, "qemu-m4", tmp_path / "b", backend="c")
    bytes_of_plain, size = plain.elf.with_suffix(".bin").read_bytes(), plain.size
    build = edgeflow.compile(program, "qemu-m4", tmp_path / "b", name="gait", backend="c")
    assert len(build.elf.with_suffix(".bin").read_bytes()) == len(bytes_of_plain)
    assert build.size == size
    assert all(layer_bytes(build.elf, ["gru0", "head"], build.source).values())
    assert {path.name for path in build.directory.glob("*.[ch]")} == {"gait.c", "gait.h"}
    assert Build.load(build.directory).name == "gait"
    x = samples(program, 5, windows=2, time=9).astype(np.float32)
    x = x * program.input.scale + program.input.offset
    np.testing.assert_array_equal(Build.load(build.directory).predict(x), program.predict(x))
    again = edgeflow.compile(program, "qemu-m4", tmp_path / "b", backend="c")
    assert {path.name for path in build.directory.glob("*.[ch]")} == {"model.c", "model.h"}
    assert again.elf.with_suffix(".bin").read_bytes() == bytes_of_plain


def test_two_builds_are_in_one_program(tmp_path: Path) -> None:
    """All their sources at once, with the folders of both among those of headers."""
    lines, calls, wanted, sources = ["#include <stdio.h>"], [], [], []
    for name, seed in (("walk", 1), ("fall", 2)):
        drawn = random_program(seed, 3, [9], 4, 12, 12)
        build = edgeflow.compile(
            drawn, "host", tmp_path / name, name=name, backend="c", kernel_sets=["c"]
        )
        sources += [build.directory / build.source]
        sources += [build.directory / file for file in build.kernels]
        lines.append(f'#include "{build.directory}/{name}.h"')
        calls.append(
            f"    static {name}_t {name};\n    int16_t x_{name}[3] = {{1, 2, 3}}, y_{name}[4];\n"
            f"    {name}_init(&{name});\n    {name}_step(&{name}, x_{name}, y_{name});\n"
            f'    printf("%d %d\\n", y_{name}[0], y_{name}[3]);\n'
        )
        y = drawn.run(np.array([[[1, 2, 3]]], np.int16))[0, 0]
        wanted.append(f"{y[0]} {y[3]}\n")
    (tmp_path / "main.c").write_text(
        "\n".join([*lines, "int main(void) {", *calls, "    return 0;\n}\n"])
    )
    folders = [f"-I{tmp_path / name}/kernels" for name in ("walk", "fall")]
    command = ["gcc", "-std=c99", "-O1", *folders, "main.c", *sources, "-o", "both"]
    subprocess.run(command, cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "both"], capture_output=True, text=True, check=True)
    assert done.stdout == "".join(wanted)


@pytest.mark.parametrize("name", ["Gait", "my-lib", "string", "ef"])
def test_names_that_cannot_be_are_refused(name: str, program: Program, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="--name"):
        edgeflow.compile(program, "host", tmp_path / "b", name=name)
    assert not (tmp_path / "b").exists()
