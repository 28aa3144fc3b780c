"""Several programs in one library: names of their own, kernels and tables in common."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import edgeflow
from edgeflow.errors import ExportError
from edgeflow.program import Program
from tests.command import edgeflow as command
from tests.parity.export.machines import HOST, Machine, cortex_m4, tell
from tests.parity.export.test_library import PLACES, sources
from tests.random_programs import random_program, samples


@cache
def programs() -> Mapping[str, Program]:
    """Return two GRUs of unlike sizes, and an LSTM, which needs a kernel of its own."""
    walk = random_program(1, 3, [9], 4, 12, 12, cells=["gru"])
    fall = random_program(2, 5, [7, 6], 3, 12, 12, cells=["gru", "gru"])
    tilt = random_program(3, 3, [6], 2, 12, 12, cells=["lstm"])
    return {"walk": replace(walk, classes=("a", "b", "c", "d")), "fall": fall, "tilt": tilt}


def some(*names: str) -> dict[str, Program]:
    return {name: programs()[name] for name in names}


# Two streams of each, step by step in turns; all outputs go to stdout.
STREAM = """    static {name}_t {name}[2];
    for (int i = 0; i < 2; i++)
        {name}_init(&{name}[i]);
"""
STEP = """        for (int i = 0; i < 2; i++) {{
            int16_t y[{NAME}_OUTPUTS];
            {name}_step(&{name}[i], {name}_x[i][t], y);
            for (int k = 0; k < {NAME}_OUTPUTS; k++)
                printf("%d ", y[k]);
        }}
"""


def interleaved(names: list[str], x: Mapping[str, np.ndarray], steps: int) -> str:
    lines = ["#include <stdio.h>", *(f'#include "{name}.h"' for name in names)]
    for name in names:
        numbers = ", ".join(map(str, x[name].reshape(-1)))
        shape = f"[2][{steps}][{name.upper()}_INPUTS]"
        lines.append(f"static const union {{ int16_t flat[{x[name].size}]; int16_t x{shape}; }} "
                     f"in_{name} = {{{{{numbers}}}}};\n#define {name}_x in_{name}.x")  # fmt: skip
    fields = [{"name": name, "NAME": name.upper()} for name in names]
    lines += ["int main(void) {", *(STREAM.format(**field) for field in fields)]
    lines += [f"    for (int t = 0; t < {steps}; t++) {{", *(STEP.format(**f) for f in fields)]
    return "\n".join([*lines, "    }\n    return 0;\n}\n"])


@pytest.mark.parametrize(("core", "machine"), PLACES)
def test_outputs_of_interleaved_models_are_the_reference_s(
    core: str, machine: Machine, tmp_path: Path
) -> None:
    package, names = tmp_path / "lib", ["walk", "fall", "tilt"]
    edgeflow.export(programs(), "cmake", package, name="lib", core=core)
    x = {name: samples(programs()[name], 4, windows=2, time=12) for name in names}
    (tmp_path / "main.c").write_text(interleaved(names, x, 12))
    include = f"-I{package / 'src'}"
    objects = [
        machine.compile(path, tmp_path, include)
        for path in (*sources(package), tmp_path / "main.c")
    ]
    printed = machine.run(machine.link(objects, tmp_path / "main")).split()
    wanted = np.concatenate(
        [programs()[name].run(x[name]).transpose(1, 0, 2).reshape(12, -1) for name in names], axis=1
    )
    assert list(map(int, printed)) == wanted.reshape(-1).tolist()


def flash(machine: Machine, folder: Path) -> dict[str, int]:
    """Return the bytes of code and constants of each object of a package."""
    (folder / "objects").mkdir()
    found = {}
    for path in sources(folder):
        made = machine.compile(path, folder / "objects", f"-I{folder / 'src'}")
        text, data, *_ = tell([f"{machine.prefix}size", made]).splitlines()[1].split()
        found[path.name] = int(text) + int(data)
    return found


@pytest.mark.board
def test_a_further_model_costs_its_weights_and_its_step(tmp_path: Path) -> None:
    machine = cortex_m4()
    sizes = {}
    for label, which in (("walk", ["walk"]), ("fall", ["fall"]), ("both", ["walk", "fall"])):
        name = label if len(which) == 1 else "lib"
        edgeflow.export(some(*which), "cmake", tmp_path / label, name=name, core="cortex-m4")
        sizes[label] = flash(machine, tmp_path / label)
    one, other, both = sizes["walk"], sizes["fall"], sizes["both"]
    assert set(both) == set(one) | set(other)
    assert {**other, **one} == both
    kernels = sum(size for file, size in other.items() if file.startswith("ef_"))
    assert sum(both.values()) == sum(one.values()) + other["fall.c"] + sum(
        size for file, size in other.items() if file.startswith("ef_") and file not in one
    )
    assert sum(both.values()) < sum(one.values()) + sum(other.values()) - 0.9 * kernels


def test_no_global_name_lacks_a_prefix(tmp_path: Path) -> None:
    edgeflow.export(programs(), "cmake", tmp_path / "lib", name="lib")
    for path in sources(tmp_path / "lib"):
        made = HOST.compile(path, tmp_path, f"-I{tmp_path / 'lib' / 'src'}")
        for line in tell(["nm", "-g", "--defined-only", made]).splitlines():
            first = line.split()[-1].partition("_")[0]
            assert first == (path.stem if path.stem in programs() else "lib")


@pytest.mark.parametrize("to", ["cmake", "esp-idf"])
def test_the_example_checks_each(to: str, tmp_path: Path) -> None:
    package = tmp_path / "lib"
    edgeflow.export(programs(), to, package, name="lib")
    folder = package / ("example" if to == "cmake" else "examples/classify/main")
    text = (folder / "main.c").read_text().replace("void app_main(void)", "int main(void)")
    (folder / "main.c").write_text(text)
    include = [f"-I{path}" for path in (package / "src", folder)]
    objects = [HOST.compile(p, tmp_path, *include) for p in (*sources(package), folder / "main.c")]
    printed = HOST.run(HOST.link(objects, tmp_path / "example")).splitlines()
    assert [line for line in printed if "outputs" in line] == [
        f"{name} outputs: as at export" for name in programs()
    ]
    assert printed[0].startswith("walk class: ") and printed[2].startswith("fall largest output: ")
    assert "each further one costs" in (package / "README.md").read_text()


def test_command_takes_several_files(tmp_path: Path) -> None:
    for name, program in some("walk", "fall").items():
        program.save(tmp_path / f"{name}.onnx")
    done = command(
        "export", "walk.onnx", "fall.onnx", "--to", "cmake", "-o", "lib", folder=tmp_path
    )
    assert done.returncode == 0, done.stderr
    build = HOST.cmake(tmp_path / "lib", tmp_path / "build")
    assert HOST.run(build / "lib-example").count("outputs: as at export") == 2
    names = {path.name for path in (tmp_path / "lib" / "src").iterdir()}
    assert {"walk.c", "walk.h", "fall.c", "fall.h"} <= names
    files = edgeflow.export(
        [tmp_path / "walk.onnx", tmp_path / "fall.onnx"], "zephyr", tmp_path / "z"
    )
    assert {"walk.c", "fall.c"} <= {file.name for file in files}


def test_what_cannot_be_shared_is_refused(tmp_path: Path) -> None:
    two = some("walk", "fall")
    with pytest.raises(ExportError, match="onnx takes one program; cmake, "):
        edgeflow.export(two, "onnx", tmp_path / "m.onnx")
    with pytest.raises(ExportError, match="several programs need names: give a mapping"):
        edgeflow.export(list(two.values()), "cmake", tmp_path / "m")
    with pytest.raises(ExportError, match="both would be called 'walk': rename a file"):
        edgeflow.export(["a/walk.onnx", "b/Walk.onnx"], "cmake", tmp_path / "m")
    with pytest.raises(ExportError, match="'Walk' cannot name a library"):
        edgeflow.export({"Walk": two["walk"]}, "cmake", tmp_path / "m")
    with pytest.raises(ExportError, match="in the way of another file"):
        edgeflow.export({"a": two["walk"], "a_labels": two["fall"]}, "cmake", tmp_path / "m")
    with pytest.raises(ExportError, match="there is no program to export"):
        edgeflow.export({}, "cmake", tmp_path / "m")
    assert not (tmp_path / "m").exists()


@pytest.mark.slow
def test_tvm_writes_for_one_program(tmp_path: Path) -> None:
    pytest.importorskip("tvm", reason="apache-tvm is not installed")
    with pytest.raises(ExportError, match="which others cannot share: leave --backend out"):
        edgeflow.export(some("walk", "fall"), "cmake", tmp_path / "m", backend="tvm")
