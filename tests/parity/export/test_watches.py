"""Apps of watches (tier parity): their tools' flags compile them, and on a stand-in of each watch's
public API they show what the oracle says of the same movements.

It alone would catch a resampler, an axis, a unit or a call of a watch's API that is wrong.
"""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgeflow
from edgeflow.program import Program
from tests.conftest import ROOT
from tests.parity.export.machines import ECOSYSTEMS, HOST, tell
from tests.parity.export.watch_builds import (
    INFINITIME,
    PEBBLE,
    compiled,
    infinitime_bytes,
    pebble_bytes,
)
from tests.parity.export.watch_programs import WINDOW, movement, stream, watch_program

G = np.float32(9.80665)
#: The app, the model and what they need of the compiler's library fit into the smallest Pebble.
LIMIT = 24_000


def run(program: Path, samples: bytes) -> list[str]:
    done = subprocess.run([program], input=samples, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().splitlines()


def texts(program: Program, decisions: list[tuple[int, ...]]) -> list[str]:
    """Return the classes and shares that an app shows: softmax, to a hundredth."""
    found = []
    for y in decisions:
        x = np.exp((np.array(y) - max(y)) * program.output_scale)
        found += [program.classes[int(np.argmax(y))], f"{100 / x.sum():.0f} %"]
    return found


def steps_of(text: str) -> float:
    return float(text.removesuffix(" %"))


@pytest.fixture(scope="module")
def stream_binary(tmp_path_factory: pytest.TempPathFactory) -> dict[float, Path]:
    """The resampler of a watch that has both sensors, by the model's rate."""
    made = {}
    for rate in (50.0, 12.5, 33.3):
        folder = tmp_path_factory.mktemp("stream")
        program = replace(watch_program(), rate_hz=rate)
        edgeflow.export(program, "pebble", folder / "app", name="gait")
        sources = [p for p in (folder / "app" / "src" / "c").glob("*.c") if p.name != "main.c"]
        include = f"-I{folder / 'app' / 'src' / 'c'}"
        objects = [HOST.compile(p, folder, include) for p in (*sources, ECOSYSTEMS / "stream.c")]
        made[rate] = HOST.link(objects, folder / "stream")
    return made


CLOCKS = {
    "same": lambda rate, n: np.arange(n) * 1e6 / rate,
    "twice": lambda rate, n: np.arange(n) * 1e6 / (2 * rate),
    "half": lambda rate, n: np.arange(n) * 2e6 / rate,
    "12.5 Hz": lambda rate, n: np.arange(n) * 80_000,
    "irregular": lambda rate, n: np.cumsum(np.random.default_rng(1).uniform(1, 60_000, n)),
}


@pytest.mark.parametrize("rate", [50.0, 12.5, 33.3])
@pytest.mark.parametrize("clock", CLOCKS)
def test_resampled_streams_equal_the_oracle(
    rate: float, clock: str, stream_binary: dict[float, Path]
) -> None:
    program = watch_program(rate_hz=rate)
    time = CLOCKS[clock](rate, 800).astype(np.int64) + 2**32 - 5_000_000  # wraps around
    mg = (movement(800, 3) / -G * 1000).astype(np.float32)
    factor = np.float32(-9.80665 / 1000)
    expected = stream(program, mg * factor, time)
    record = np.dtype([("time", "<u4"), ("x", "<f4", 3)])
    samples = np.zeros(800, record)
    samples["time"], samples["x"] = time.astype(np.uint32), mg
    lines = run(stream_binary[rate], samples.tobytes())
    found = [tuple(map(int, line.split())) for line in lines if "at once" not in line]
    assert len(expected) >= 5 and len(set(expected)) > 3
    assert found == expected


def test_a_gap_starts_anew(stream_binary: dict[float, Path]) -> None:
    program = watch_program()
    mg = (movement(2 * WINDOW, 3) / -G * 1000).astype(np.float32)
    time = np.arange(2 * WINDOW) * 20_000
    time[5:] += 600_000  # the first five samples are forgotten
    record = np.dtype([("time", "<u4"), ("x", "<f4", 3)])
    samples = np.zeros(len(mg), record)
    samples["time"], samples["x"] = time, mg
    (line,) = run(stream_binary[50.0], samples.tobytes())
    assert [tuple(map(int, line.split()))] == stream(
        program, (mg * np.float32(-9.80665 / 1000))[5:], time[5:].astype(np.int64)
    )


@pytest.mark.board
@pytest.mark.parametrize("cpu", ["cortex-m3", "cortex-m4"])
def test_pebble_app_compiles_and_fits(cpu: str, tmp_path: Path) -> None:
    """With the SDK's flags; a linker that leaves the SDK's functions open counts the rest."""
    folder = tmp_path / "app"
    edgeflow.export(watch_program(int4=True), "pebble", folder, name="gait")
    assert 8_000 < pebble_bytes(folder, tmp_path, cpu) <= LIMIT


def test_pebble_app_shows_the_oracles_classes(tmp_path: Path) -> None:
    program = watch_program()
    folder = tmp_path / "app"
    edgeflow.export(program, "pebble", folder, name="gait")
    include = [f"-I{folder / 'src' / 'c'}", f"-I{PEBBLE}"]
    sources = [*(folder / "src" / "c").glob("*.c"), PEBBLE / "pebble.c"]
    flags = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror"]
    tell(["gcc", *flags, *include, *sources, "-o", tmp_path / "app-host"])
    mg = np.clip(np.rint(movement(600, 3, seed=3) / -G * 1000), -4000, 4000).astype("<i2")
    shown = run(tmp_path / "app-host", mg.tobytes())
    raw = mg.astype(np.float32) * np.float32(-9.80665 / 1000)
    # batches of half a second, of which each shows its last decision
    decided = stream(program, raw, np.arange(600, dtype=np.int64) * 20_000)
    last = [decided[min(len(decided), 25 * (b + 1) // WINDOW) - 1] for b in range(600 // 25)]
    expected = texts(program, last)
    assert shown[:2] == ["...", ""]
    assert shown[2::2] == expected[0::2] and len(set(expected[0::2])) > 1
    for found, wanted in zip(shown[3::2], expected[1::2], strict=True):
        assert abs(steps_of(found) - steps_of(wanted)) <= 1  # the board's polynomial, rounded


@pytest.mark.board
def test_sizes_of_the_page_are_true(tmp_path: Path) -> None:
    """Within 3 %, as other versions of the compiler make a few bytes more or less."""
    stated = json.loads((ROOT / "benchmarks" / "watches.json").read_text())["int4"]
    for to in ("pebble", "infinitime"):
        edgeflow.export(watch_program(int4=True), to, tmp_path / to, name="gait", optimize="size")
    found = pebble_bytes(tmp_path / "pebble", tmp_path)
    assert abs(found / stated["pebble"] - 1) < 0.03
    found = infinitime_bytes(tmp_path / "infinitime", "gait", tmp_path)
    assert abs(found / stated["infinitime"] - 1) < 0.03


@pytest.mark.board
def test_infinitime_app_compiles_and_fits(tmp_path: Path) -> None:
    app = tmp_path / "app"
    edgeflow.export(watch_program(int4=True), "infinitime", app, name="gait")
    assert 5_000 < infinitime_bytes(app, "gait", tmp_path) <= LIMIT


def test_infinitime_app_shows_the_oracles_classes(tmp_path: Path) -> None:
    """The plain kernels take the place of those that only a Cortex-M has."""
    program = watch_program(rate_hz=10.0)
    app, plain = tmp_path / "app", tmp_path / "plain"
    edgeflow.export(program, "infinitime", app, name="gait")
    edgeflow.export(program, "cmake", plain, name="gait")
    for old in (app / "src" / "components" / "gait").glob("ef_*"):
        old.unlink()
    for file in (plain / "src").iterdir():
        (app / "src" / "components" / "gait" / file.name).write_bytes(file.read_bytes())
    sources = [p for p in (app / "src").rglob("*") if p.suffix in (".c", ".cpp")]
    flags = ["-O1", "-Wall", "-Wextra", "-Werror", f"-I{app / 'src'}", f"-I{INFINITIME}"]
    objects = compiled("", [*sources, INFINITIME / "infinitime.cpp"], flags, tmp_path)
    tell(["g++", *objects, "-o", tmp_path / "watch"])

    counts = np.clip(np.rint(movement(400, 3, seed=4) / -G * 1024), -2048, 2047).astype("<i2")
    shown = run(tmp_path / "watch", counts.tobytes())
    raw = counts.astype(np.float32) * np.float32(-9.80665 / 1024)
    # the first refresh that sees a value, in ticks of 1/1024 s
    ticks = -(-np.arange(400, dtype=np.int64) * 102 // 20) * 20
    expected = texts(program, stream(program, raw, ticks * 10**6 // 1024))
    assert shown[:2] == ["...", ""]
    assert len(expected) >= 2 * 15 and len(set(expected[0::2])) > 1
    assert shown[2::2] == expected[0::2]
    counts[:] = counts[0]  # at rest: nothing changes, and yet there are samples
    still = run(tmp_path / "watch", counts.tobytes())
    assert len(still) >= len(expected) - 2 and len(set(still[2::2])) == 1


# C and C++ of each app, and the folders of headers that a host's compiler takes for them
HOSTED = {
    "pebble": (["src/c/*.c"], ["src/c"], PEBBLE),
    "infinitime": (["src/displayapp/screens/*.cpp"], ["src"], INFINITIME),
    "wearos": (["app/src/main/cpp/*.c"], ["app/src/main/cpp"], None),
    "apple": (["Sources/CGaitKit/*.c"], ["Sources/CGaitKit"], None),
}


@pytest.mark.parametrize("to", HOSTED)
def test_models_without_classes_and_windows_compile(to: str, tmp_path: Path) -> None:
    program = replace(watch_program(), classes=(), window=0)
    edgeflow.export(program, to, tmp_path / "app", name="gait")
    patterns, folders, stand_in = HOSTED[to]
    flags = ["-O1", "-Wall", "-Wextra", "-Werror", *(f"-I{tmp_path / 'app' / f}" for f in folders)]
    flags += [f"-I{stand_in}"] if stand_in else []
    # kernels of a Cortex-M4 are not for a host: only what the header refuses is left out
    flags += ["-D__ARM_ARCH_7EM__", "-D__ARM_FEATURE_DSP", "-D__ARM_FEATURE_SAT"]
    sources = [path for pattern in patterns for path in (tmp_path / "app").glob(pattern)]
    own = [path for path in sources if not path.name.startswith("ef_")]
    assert own and compiled("", own, flags, tmp_path)
    readme = (tmp_path / "app" / "README.md").read_text()
    assert "7 outputs" in readme and "at every sample" in readme


@pytest.mark.parametrize("form", [{"window": 0}, {"hop": 7}])
def test_a_model_decides_at_every_sample_or_hop(form: dict[str, int], tmp_path: Path) -> None:
    program = replace(watch_program(), **form)
    folder = tmp_path / "app"
    edgeflow.export(program, "pebble", folder, name="gait")
    sources = [p for p in (folder / "src" / "c").glob("*.c") if p.name != "main.c"]
    include = f"-I{folder / 'src' / 'c'}"
    objects = [HOST.compile(p, tmp_path, include) for p in (*sources, ECOSYSTEMS / "stream.c")]
    mg = (movement(100, 3) / -G * 1000).astype(np.float32)
    samples = np.zeros(100, [("time", "<u4"), ("x", "<f4", 3)])
    samples["time"], samples["x"] = np.arange(100) * 20_000, mg
    lines = run(HOST.link(objects, tmp_path / "stream"), samples.tobytes())
    found = [tuple(map(int, line.split())) for line in lines]
    time = np.arange(100, dtype=np.int64) * 20_000
    assert found == stream(program, mg * np.float32(-9.80665 / 1000), time)
