"""The app for Wear OS (tier parity): its libraries load on Android as far as their files say it, the
one for arm64 gives the oracle's bits in an emulator, and the Java class does on a real Java.

It alone would catch a name or a type that Java and C see apart, and a library that needs another.
"""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

import edgeflow
from edgeflow.exporting import android
from edgeflow.program import Program
from tests.parity.export.machines import ECOSYSTEMS, tell
from tests.parity.export.watch_programs import movement, stream, watch_program

DRIVERS = ECOSYSTEMS / "wearos"
SOURCES = "app/src/main/cpp"


@pytest.fixture(scope="module")
def program() -> Program:
    return watch_program(gyroscope=True)


@pytest.fixture(scope="module")
def app(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not android.can_build():
        pytest.skip("ziglang is not installed: pip install ziglang")
    folder = tmp_path_factory.mktemp("wear") / "app"
    edgeflow.export(program, "wearos", folder, name="gait")
    return folder


def events(samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Return times in nanoseconds, unevenly about 20 ms apart, and values in m/s² and rad/s."""
    rng = np.random.default_rng(7)
    nanos = np.cumsum(rng.integers(15_000_000, 25_000_000, samples)) + 3_000_000_000_000
    values = movement(samples, 6, seed=8)
    values[:, 3:] = np.deg2rad(values[:, 3:])
    return nanos, values.astype(np.float32)


def expected(program: Program, nanos: np.ndarray, values: np.ndarray) -> list[tuple[int, ...]]:
    per_second = np.float32(57.29577951308232)
    # what the app multiplies by: units of the model in one of Android's
    factors = np.array([1, 1, 1, *[per_second] * 3], np.float32)
    return stream(program, values * factors, nanos // 1000)


def test_libraries_need_nothing_and_have_pages_of_16_kib(app: Path) -> None:
    for kind, machine in {"arm64-v8a": "EM_AARCH64", "armeabi-v7a": "EM_ARM"}.items():
        with (app / "app/src/main/jniLibs" / kind / "libgait.so").open("rb") as file:
            elf = ELFFile(file)
            assert (elf["e_machine"], elf["e_type"]) == (machine, "ET_DYN")
            loads = [s for s in elf.iter_segments() if s["p_type"] == "PT_LOAD"]
            assert loads and all(segment["p_align"] == 16384 for segment in loads)
            tags = {tag.entry.d_tag for tag in elf.get_section_by_name(".dynamic").iter_tags()}
            assert "DT_NEEDED" not in tags and "DT_TEXTREL" not in tags and "DT_SONAME" in tags
            symbols = list(elf.get_section_by_name(".dynsym").iter_symbols())[1:]
            assert {symbol.name for symbol in symbols} == {
                f"Java_edgeflow_GaitModel_{name}" for name in ("bytes", "output", "run")
            }
            assert all(symbol["st_shndx"] != "SHN_UNDEF" for symbol in symbols)


@pytest.mark.board
def test_arm64_library_gives_the_oracles_bits(program: Program, app: Path, tmp_path: Path) -> None:
    for tool in ("aarch64-linux-gnu-gcc", "qemu-aarch64"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    drive = tmp_path / "drive"
    tell(["aarch64-linux-gnu-gcc", "-O1", "-Wall", "-Wextra", "-Werror", DRIVERS / "drive.c",
          "-o", drive, "-ldl"])  # fmt: skip
    nanos, values = events(400)
    samples = np.zeros(len(nanos), [("micros", "<i4"), ("values", "<f4", 6)])
    samples["micros"], samples["values"] = (nanos // 1000).astype(np.uint32).view("<i4"), values
    library = app / "app/src/main/jniLibs/arm64-v8a/libgait.so"
    done = subprocess.run(
        ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu", drive, library],
        input=samples.tobytes(), capture_output=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    found = [tuple(map(int, line.split())) for line in done.stdout.decode().splitlines()]
    wanted = expected(program, nanos, values)
    assert found == wanted and len(set(wanted)) > 5


def test_java_class_gives_the_oracles_bits(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tool in ("javac", "java"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed: apt-get install openjdk-17-jdk-headless")
    monkeypatch.setattr(android, "can_build", lambda: False)
    app = tmp_path / "app"
    edgeflow.export(program, "wearos", app, name="gait")
    sources = sorted((app / SOURCES).glob("*.c"))
    sources.remove(app / SOURCES / "gait_memory.c")  # as CMakeLists.txt has it
    tell(["gcc", "-std=c99", "-O2", "-ffp-contract=off", "-fvisibility=hidden", "-shared", "-fPIC",
          "-Wall", "-Wextra", "-Wconversion", "-Werror", *sources,
          "-o", tmp_path / "libgait.so"])  # fmt: skip
    tell(["javac", "-Xlint:all", "-Werror", "-d", tmp_path / "classes",
          app / "app/src/main/java/edgeflow/GaitModel.java", DRIVERS / "Drive.java"])  # fmt: skip
    nanos, values = events(300)
    lines = [
        " ".join([str(at), *(repr(float(value)) for value in row)])
        for at, row in zip(nanos, values, strict=True)
    ]
    done = subprocess.run(
        ["java", "-Xint", f"-Djava.library.path={tmp_path}", "-cp", tmp_path / "classes", "Drive"],
        input="\n".join(lines), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *shown, refused = [line.split(" ", 2) for line in done.stdout.splitlines()]
    wanted = expected(program, nanos, values)
    assert [tuple(map(int, outputs.split())) for _, _, outputs in shown] == wanted
    assert len(wanted) >= 10
    for (label, share, _), y in zip(shown, wanted, strict=True):
        odds = np.exp((np.array(y) - max(y)) * program.output_scale)
        assert label == program.classes[int(np.argmax(y))]
        assert abs(float(share) - 1 / odds.sum()) < 0.005
    assert " ".join(refused) == "1 values, not 6"


def test_without_the_compiler_the_ndk_builds_it(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(android, "can_build", lambda: False)
    app = tmp_path / "app"
    edgeflow.export(program, "wearos", app, name="gait")
    assert not (app / "app/src/main/jniLibs").exists()
    assert "externalNativeBuild" in (app / "app" / "build.gradle.kts").read_text()
    text = (app / SOURCES / "CMakeLists.txt").read_text()
    listed = text.partition("SHARED")[2].partition(")")[0].split()
    there = {path.name for path in (app / SOURCES).glob("*.c")}
    assert set(listed) == there - {"gait_memory.c"}


def test_prebuilt_libraries_are_not_built_again(app: Path) -> None:
    assert "externalNativeBuild" not in (app / "app" / "build.gradle.kts").read_text()
    assert "jniLibs" in (app / "README.md").read_text()
