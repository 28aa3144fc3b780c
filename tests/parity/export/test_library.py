"""Library packages are built by what their ecosystems build with, and print the oracle's class."""

import json
import os
import re
import subprocess
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import edgeflow
from edgeflow.data import Dataset, Recording
from edgeflow.errors import ExportError, OutputError, TargetError
from edgeflow.exporting import FORMATS, Options
from edgeflow.exporting.window import example_window
from edgeflow.program import Program
from edgeflow.program.nodes import Cutoff
from edgeflow.targets.core import load_core
from tests.parity.export.machines import ECOSYSTEMS, HOST, Machine, cortex_m4, tell
from tests.random_nodes.adaptive import LEARNERS, random_learner
from tests.random_nodes.draw import DRAW
from tests.random_programs import random_program

ON_M4 = pytest.mark.board
# the kernels of a library, and the machine that it is built and run on
PLACES = [
    pytest.param("c", HOST, id="host"),
    pytest.param("c", cortex_m4(), id="m4-plain-c", marks=ON_M4),
    pytest.param("cortex-m4", cortex_m4(), id="m4", marks=ON_M4),
]


@pytest.fixture(scope="session")
def program(trained_gru: Path) -> Program:
    return Program.load(trained_gru / "model.onnx")


@pytest.fixture(scope="session")
def expected(program: Program, seglearn: Dataset) -> str:
    """What the examples must print: the class of a recorded window, by the oracle, and rightly so."""
    x = example_window(program, seglearn).x
    windows = seglearn.windows("test", length=program.window)
    (number,) = np.flatnonzero((windows.x == x).all(axis=(1, 2)))
    outputs = program.run(program.quantize_input(x[None]))[0, -1]
    label = program.classes[int(outputs.argmax())]
    assert label == seglearn.classes[windows.y[number]]
    return f"class: {label}\noutputs: as at export\n"


def noise(program: Program) -> Dataset:
    """Return recordings of a test person for a program with random parameters."""
    rng = np.random.default_rng(0)
    x = rng.normal(0, 500, (4, 20, program.inputs)).astype(np.float32)
    return Dataset(
        "noise", list(program.classes), list(program.input.channels), ["1"] * program.inputs, 20.0,
        [Recording(part, label, "1") for label, part in enumerate(x)],
        {"train": [], "val": [], "test": ["1"]}, window=10,
    )  # fmt: skip


def sources(folder: Path) -> list[Path]:
    return [path for path in sorted((folder / "src").iterdir()) if path.suffix in (".c", ".S")]


@pytest.mark.parametrize(("core", "machine"), PLACES)
def test_cmake(
    core: str, machine: Machine, program: Program, seglearn: Dataset, expected: str, tmp_path: Path
) -> None:
    package = tmp_path / "gait-cmake"
    edgeflow.export(program, "cmake", package, name="gait", core=core, data=seglearn)
    build = machine.cmake(package, tmp_path / "build")
    assert machine.run(build / "gait-example") == expected
    assert (core == "c") != any(path.suffix == ".S" for path in sources(package))


def test_cmake_package_is_tested_installed_found_and_added(
    program: Program, seglearn: Dataset, expected: str, tmp_path: Path
) -> None:
    package = tmp_path / "gait-cmake"
    edgeflow.export(program, "cmake", package, name="gait", data=seglearn)
    build = HOST.cmake(package, tmp_path / "build")
    assert "100% tests passed" in tell(["ctest", "--test-dir", build])
    tell(["cmake", "--install", build, "--prefix", tmp_path / "prefix"])
    installed = [p.name for p in (tmp_path / "prefix" / "include").iterdir()]
    assert sorted(installed) == ["gait.h", "gait_labels.h"]
    for how in ("find_package(gait 1.0 REQUIRED)", "add_subdirectory(../gait-cmake gait)"):
        user = tmp_path / how.partition("(")[0]
        user.mkdir()
        (user / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.15)\nproject(user C)\n"
            f"{how}\nadd_executable(user ../gait-cmake/example/main.c)\n"
            "target_link_libraries(user PRIVATE gait::gait)\n"
        )
        prefix = f"-DCMAKE_PREFIX_PATH={tmp_path / 'prefix'}"
        built = HOST.cmake(user, user / "build", *([prefix] if "find" in how else []))
        assert HOST.run(built / "user") == expected


@pytest.mark.parametrize(("core", "machine"), PLACES)
def test_arduino(
    core: str, machine: Machine, program: Program, seglearn: Dataset, expected: str, tmp_path: Path
) -> None:
    """All of src/ compiles as it stands, the sketch in C++ after Arduino.h."""
    package = tmp_path / "gait"
    edgeflow.export(program, "arduino", package, name="gait", core=core, data=seglearn)
    main = tmp_path / "main.ino"
    main.write_text("SerialPort Serial;\nint main() { setup(); loop(); return 0; }\n")
    sketch = package / "examples" / "classify" / "classify.ino"
    include = [f"-I{package / 'src'}", f"-I{ECOSYSTEMS / 'arduino'}"]
    objects = [
        machine.compile(path, tmp_path, *include) for path in (*sources(package), sketch, main)
    ]
    assert machine.run(machine.link(objects, tmp_path / "sketch")) == expected


def test_arduino_properties(program: Program, tmp_path: Path) -> None:
    """As the library specification 1.5 asks for, and the IDE's list of categories."""
    edgeflow.export(program, "arduino", tmp_path / "gait", name="gait")
    lines = (tmp_path / "gait" / "library.properties").read_text().splitlines()
    values = dict(line.split("=", maxsplit=1) for line in lines)
    required = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category",
                "url", "architectures"}  # fmt: skip
    assert required <= values.keys()
    assert re.fullmatch(r"[A-Za-z0-9][ A-Za-z0-9_.-]{0,62}", values["name"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", values["version"])
    assert values["category"] == "Data Processing" and values["architectures"] == "*"
    assert (tmp_path / "gait" / "src" / values["includes"]).is_file()


@pytest.mark.parametrize(("core", "machine"), PLACES)
def test_zephyr(
    core: str, machine: Machine, program: Program, seglearn: Dataset, expected: str, tmp_path: Path
) -> None:
    """The sample's own CMake files, and the module's, with a stand-in for Zephyr's functions.

    It proves that the files name each other rightly and that what they list builds; not that
    Zephyr's tools accept the module.
    """
    package = tmp_path / "gait-zephyr"
    edgeflow.export(program, "zephyr", package, name="gait", core=core, data=seglearn)
    stand_in = f"-DZephyr_DIR={ECOSYSTEMS / 'zephyr'}"
    build = machine.cmake(package / "samples" / "classify", tmp_path / "build", stand_in)
    assert machine.run(build / "app") == expected


@pytest.mark.parametrize(("core", "machine"), PLACES)
def test_esp_idf(
    core: str, machine: Machine, program: Program, seglearn: Dataset, expected: str, tmp_path: Path
) -> None:
    """The example's own CMake files, and the component's, with a stand-in for ESP-IDF's functions."""
    package = tmp_path / "gait-esp-idf"
    edgeflow.export(program, "esp-idf", package, name="gait", core=core, data=seglearn)
    environment = {**os.environ, "IDF_PATH": str(ECOSYSTEMS / "esp-idf")}
    build = machine.cmake(package / "examples" / "classify", tmp_path / "build", env=environment)
    assert machine.run(build / "app") == expected


@pytest.mark.parametrize(("core", "machine"), PLACES)
def test_platformio(
    core: str, machine: Machine, program: Program, seglearn: Dataset, expected: str, tmp_path: Path
) -> None:
    """The manifest names what is there; what it says to build, builds."""
    package = tmp_path / "gait-platformio"
    edgeflow.export(program, "platformio", package, name="gait", core=core, data=seglearn)
    manifest = json.loads((package / "library.json").read_text())
    assert {"name", "version", "description", "keywords", "license"} <= manifest.keys()
    assert manifest["name"] == "gait" and re.fullmatch(r"\d+\.\d+\.\d+", manifest["version"])
    include = package / manifest["build"]["includeDir"]
    assert all((include / header).is_file() for header in manifest["headers"])
    (example,) = manifest["examples"]
    files = [package / example["base"] / name for name in example["files"]]
    assert all(file.is_file() for file in files)
    source_dir = package / manifest["build"]["srcDir"]
    built = [p for p in (*source_dir.iterdir(), *files) if p.suffix in (".c", ".S")]
    objects = [machine.compile(path, tmp_path, f"-I{include}") for path in built]
    assert machine.run(machine.link(objects, tmp_path / "example")) == expected


@pytest.mark.parametrize(("core", "machine"), PLACES)
def test_two_libraries_in_one_firmware(core: str, machine: Machine, tmp_path: Path) -> None:
    """Linked from all objects of both, no archive that would hide a name defined twice."""
    objects, calls, headers, wanted = [], [], [], []
    for name, seed in (("first", 1), ("second", 2)):
        program = random_program(seed, 3, [9], 4, 12, 12)
        package = tmp_path / name
        edgeflow.export(program, "cmake", package, name=name, core=core)
        include = f"-I{package / 'src'}"
        objects += [machine.compile(path, package, include) for path in sources(package)]
        headers.append(f'#include "{package}/src/{name}.h"')
        calls.append(
            f"    static {name}_t {name};\n    int16_t x_{name}[{name.upper()}_INPUTS] = {{1, 2, 3}};\n"
            f"    int16_t y_{name}[{name.upper()}_OUTPUTS];\n    {name}_init(&{name});\n"
            f"    {name}_step(&{name}, x_{name}, y_{name});\n"
            f'    printf("%d %d\\n", y_{name}[0], y_{name}[3]);\n'
        )
        y = program.run(np.array([[[1, 2, 3]]], np.int16))[0, 0]
        wanted.append(f"{y[0]} {y[3]}\n")
    assert wanted[0] != wanted[1]
    main = tmp_path / "main.c"
    main.write_text(
        "\n".join(
            ["#include <stdio.h>", *headers, "int main(void) {", *calls, "    return 0;\n}\n"]
        )
    )
    objects.append(machine.compile(main, tmp_path))
    assert machine.run(machine.link(objects, tmp_path / "both")) == "".join(wanted)


@cache
def all_layers() -> Program:
    """One program for all places, whose steps TVM translates once."""
    program = random_program(3, 3, [6] * len(DRAW), 4, 12, 12, cells=list(DRAW), delta=True)
    return classifier(program)


def classifier(program: Program) -> Program:
    return replace(program, classes=("a", "b", "c", "d"), window=9)


@pytest.mark.parametrize(
    ("core", "machine", "backend"),
    [
        pytest.param(*place.values, backend, id=f"{place.id}-{backend}",
                     # the same functions by TVM, called by other code
                     marks=[*place.marks, pytest.mark.slow] if slow else place.marks)
        for place in PLACES
        for backend in ("c", "tvm")
        for slow in [backend == "tvm" and place.id != "m4"]
    ],
)  # fmt: skip
def test_every_layer(core: str, machine: Machine, backend: str, tmp_path: Path) -> None:
    """Outputs of all kinds of layers are those of the oracle; the README's bytes of RAM are true."""
    if backend == "tvm":
        pytest.importorskip("tvm", reason="apache-tvm is not installed")
    check_example(all_layers(), core, machine, backend, tmp_path)


@pytest.mark.parametrize(("core", "machine"), PLACES)
@pytest.mark.parametrize("kind", LEARNERS)
def test_every_layer_that_learns(kind: str, core: str, machine: Machine, tmp_path: Path) -> None:
    """They are last, so that a stack has none of them."""
    check_example(classifier(random_learner(1, kind, 9, 4)), core, machine, "c", tmp_path)


def check_example(
    program: Program, core: str, machine: Machine, backend: str, tmp_path: Path
) -> None:
    """Export a program, and run the example on a machine."""
    package = tmp_path / "any"
    options = {"name": "any", "core": core, "backend": backend, "data": noise(program)}
    edgeflow.export(program, "cmake", package, **options)
    include = [f"-I{package / folder}" for folder in ("src", "example")]
    files = [*sources(package), package / "example" / "main.c"]
    (ram,) = re.findall(r"([\d,]+) bytes of RAM", (package / "README.md").read_text())
    size = tmp_path / "size.c"
    size.write_text(
        f'#include "any.h"\nextern char size[sizeof(any_t) == {ram.replace(",", "")} ? 1 : -1];\n'
    )
    objects = [machine.compile(path, tmp_path, *include) for path in (*files, size)]
    assert "outputs: as at export\n" in machine.run(machine.link(objects, tmp_path / "example"))


def test_example_stops_when_a_cutoff_has_decided(
    program: Program, seglearn: Dataset, tmp_path: Path
) -> None:
    cut = replace(program, nodes=(*program.nodes, Cutoff("cutoff", program.outputs, 0, start=9)))
    package = tmp_path / "gait"
    edgeflow.export(cut, "cmake", package, name="gait", data=seglearn)
    main = package / "example" / "main.c"
    # counts the samples that were read
    text = main.read_text().replace("break;", '{ printf("%d samples\\n", t + 1); break; }')
    main.write_text(text)
    build = HOST.cmake(package, tmp_path / "build")
    y = cut.run(cut.quantize_input(example_window(cut, seglearn).x[None]))[0, -1]
    label = cut.classes[int(y.argmax())]
    assert HOST.run(build / "gait-example") == f"9 samples\nclass: {label}\noutputs: as at export\n"


LABELS = ('say "walk"', "a\\b", "what??/", "naïve – 中", "100 %s", "*/ // /*", "two\nlines", "0")


@pytest.mark.parametrize("to", ["cmake", "arduino", "platformio", "zephyr", "esp-idf"])
def test_any_class_name_is_printed_as_it_is(to: str, tmp_path: Path) -> None:
    program = replace(random_program(1, 3, [5], 8, 12, 12), classes=LABELS)
    package = tmp_path / "odd"
    edgeflow.export(program, to, package, name="odd", data=noise(program))
    main = tmp_path / "main.c"
    main.write_text(
        '#include "odd_labels.h"\n#include "odd.h"\n#include <stdio.h>\nint main(void) {\n'
        "    for (int i = 0; i < ODD_OUTPUTS; i++)\n        puts(odd_labels[i]);\n    return 0;\n}\n"
    )
    include = f"-I{package / 'src'}"
    objects = [HOST.compile(path, tmp_path, include) for path in (*sources(package), main)]
    assert HOST.run(HOST.link(objects, tmp_path / "labels")) == "\n".join(LABELS) + "\n"
    if to == "arduino":
        lines = (package / "library.properties").read_text().splitlines()
        assert all("=" in line for line in lines)


def test_program_without_classes_prints_its_largest_output(tmp_path: Path) -> None:
    program = random_program(1, 3, [5], 4, 12, 12)
    edgeflow.export(program, "cmake", tmp_path / "plain", name="plain")
    build = HOST.cmake(tmp_path / "plain", tmp_path / "build")
    y = program.run(np.zeros((1, 16, 3), np.int16))[0, -1]
    assert HOST.run(build / "plain-example") == (
        f"largest output: {y.argmax()}\noutputs: as at export\n"
    )
    assert "no recording" in (tmp_path / "plain" / "README.md").read_text()


def test_wrong_outputs_are_told(program: Program, seglearn: Dataset, tmp_path: Path) -> None:
    package = tmp_path / "gait"
    edgeflow.export(program, "cmake", package, name="gait", data=seglearn)
    code = package / "src" / "gait.c"
    weights = re.search(r"head_matrix_bias\[\d+\] = \{\n    (-?\d+)", code.read_text())
    assert weights is not None
    start, stop = weights.span(1)
    text = code.read_text()
    code.write_text(f"{text[:start]}{int(weights[1]) ^ 0xFFFF}{text[stop:]}")
    build = HOST.cmake(package, tmp_path / "build")
    done = subprocess.run([build / "gait-example"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout.endswith("outputs: NOT as at export\n")


@ON_M4
@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m55", "rv32imc"])
def test_header_refuses_other_cores(core: str, program: Program, tmp_path: Path) -> None:
    edgeflow.export(program, "cmake", tmp_path / "gait", name="gait", core=core)
    source = tmp_path / "gait" / "src" / "gait.c"
    right, wrong = load_core(core), load_core("cortex-m3")
    for spec in (right, wrong):
        done = subprocess.run(
            [f"{spec.prefix}gcc", *spec.flags, *([f"--specs={spec.specs}"] if spec.specs else []),
             "-std=c99", "-c", source, "-o", tmp_path / "gait.o"],
            capture_output=True, text=True,
        )  # fmt: skip
        assert (done.returncode == 0) == (spec is right), done.stderr
    assert f'"gait has kernels of {core}: export it with --core for this processor"' in done.stderr


@ON_M4
def test_kernels_of_a_core_with_a_float_unit_do_without_one(
    program: Program, seglearn: Dataset, expected: str, tmp_path: Path
) -> None:
    package = tmp_path / "gait"
    edgeflow.export(program, "cmake", package, name="gait", core="cortex-m4", data=seglearn)
    machine = replace(cortex_m4(), flags=("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=soft"))
    build = machine.cmake(package, tmp_path / "build")
    assert machine.run(build / "gait-example") == expected


@pytest.mark.parametrize(
    "name",
    ["", "Gait", "1st", "my-lib", "a__b", "_a", "a_", "é", "string", "size", "x" * 41, "a\n"],
)
def test_names_that_cannot_be(name: str, program: Program, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="name"):
        edgeflow.export(program, "arduino", tmp_path / "out", name=name)
    assert not (tmp_path / "out").exists()


def test_name_that_the_model_has_already(tmp_path: Path) -> None:
    program = random_program(1, 3, [5], 4, 12, 12)
    program = replace(program, nodes=(replace(program.nodes[0], name="net_ef_x"), program.nodes[1]))
    with pytest.raises(ExportError, match="'net_ef_x.*' is in the model itself"):
        edgeflow.export(program, "cmake", tmp_path / "out", name="net")


def test_an_export_replaces_an_earlier_one_and_nothing_else(
    program: Program, tmp_path: Path
) -> None:
    folder = tmp_path / "gait"
    edgeflow.export(program, "arduino", folder, name="gait", core="cortex-m4")
    (folder / "mine.txt").write_text("mine")
    files = edgeflow.export(program, "arduino", folder, name="walk")
    left = [path for path in folder.rglob("*") if path.is_file()]
    assert sorted(left) == sorted([folder / ".edgeflow" / "made.json", *files, folder / "mine.txt"])
    again = {path: path.read_bytes() for path in files}
    edgeflow.export(program, "arduino", folder, name="walk")
    assert {path: path.read_bytes() for path in files} == again

    other = tmp_path / "other"
    other.mkdir()
    (other / "edgeflow.json").write_text('{"files": ["../gait/mine.txt"]}')
    edgeflow.export(program, "cmake", other, name="walk")
    assert (folder / "mine.txt").read_text() == "mine"
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("")
    with pytest.raises(OutputError, match=r"EdgeFlow did not make \(thesis.tex\)"):
        edgeflow.export(program, "cmake", foreign)
    with pytest.raises(OutputError, match="a file is in the way"):
        edgeflow.export(program, "cmake", foreign / "thesis.tex")


def test_options_are_checked(program: Program, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no format 'keil': use one of onnx, "):
        edgeflow.export(program, "keil", tmp_path / "out")
    with pytest.raises(ExportError, match="onnx has no option 'core'; it is for cmake, arduino, "):
        edgeflow.export(program, "onnx", tmp_path / "out", core="cortex-m4")
    with pytest.raises(TargetError, match="no core 'cortex-m5'; did you mean"):
        edgeflow.export(program, "cmake", tmp_path / "out", core="cortex-m5")
    with pytest.raises(TargetError, match="there are speed, cycles, balanced, size"):
        edgeflow.export(program, "cmake", tmp_path / "out", optimize="fast")


def test_every_format_names_a_module_and_options_that_there_are() -> None:
    fields = set(Options.__dataclass_fields__) - {"to"}
    for form in FORMATS.values():
        assert callable(import_module(form.module).write)
        assert set(form.options) <= fields
    assert fields == {option for form in FORMATS.values() for option in form.options}
