"""Compiled C gives the bits of numpy: a wrong interval, slot, order of copies or vector of it.

Layers are drawn as for the parity of kernels. By default the C is hardly optimised, to be built
sooner; the slow tests build what users run, and what it is on processors with fewer vectors.
"""

import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeflow.errors import ProgramError
from edgeflow.program import GRU, Program
from edgeflow.program.lanes import library, simulator
from edgeflow.program.lanes.simulator import VARIABLE, simulator_of
from edgeflow.program.nodes.base import State
from tests.random_nodes.adaptive import ALL, random_learner
from tests.random_nodes.draw import DRAW
from tests.random_programs import graphs, programs, random_graph, random_program, samples

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")

FAST = (*library.FLAGS, "-O1")
#: Flags of processors with fewer vectors.
VARIANTS = {
    "native": (),
    "avx-vnni": ("-mno-avx512f",),
    "avx2": ("-mno-avx512f", "-mno-avxvnni"),
    "plain": ("-mno-avx2",),
}
CELLS = list(DRAW)
TOGETHER = 6


@pytest.fixture(autouse=True)
def lanes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compile whatever runs, into a cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(VARIABLE, "lanes")
    monkeypatch.setattr(library, "FLAGS", FAST)
    monkeypatch.setattr(simulator, "_spent", {})
    monkeypatch.setattr(simulator, "_failed", set())
    yield


def libraries(folder: Path) -> list[Path]:
    return sorted((folder / "cache" / "edgeflow" / "lanes").glob("*.so"))


def drawn(monkeypatch: pytest.MonkeyPatch, *args: object, graph: bool = False) -> Program:
    """Return a random program; it is drawn by running parts of it, which need no C."""
    with monkeypatch.context() as patch:
        patch.setenv(VARIABLE, "numpy")
        return (random_graph if graph else random_program)(*args)  # type: ignore[operator]


def check(
    program: Program, seed: int, windows: int, time: int = 24, start: list[State] | None = None
) -> None:
    """Compare outputs, and states in the middle and at the end."""
    x, start = samples(program, seed, windows, time), start or program.initial_state(windows)
    expected, state = program.step_through(x, start)
    half = time // 2
    first, between = program.run_on(x[:, :half], start)
    second, end = program.run_on(x[:, half:], between)
    np.testing.assert_array_equal(np.concatenate([first, second], axis=1), expected)
    for own, other in zip(end, state, strict=True):
        assert own.keys() == other.keys()
        for name, value in own.items():
            np.testing.assert_array_equal(value, other[name])


def gru(monkeypatch: pytest.MonkeyPatch, seed: int = 1, hidden: int = 17) -> Program:
    return drawn(monkeypatch, seed, 5, [hidden], 6, 12, 12)


@pytest.mark.parametrize("first", range(0, len(CELLS), TOGETHER))
@pytest.mark.parametrize("special", [False, True], ids=["dense", "delta"])
def test_layers(monkeypatch: pytest.MonkeyPatch, first: int, special: bool) -> None:
    cells = CELLS[first : first + TOGETHER]
    sizes = [9, 12, 5, 17, 8, 3][: len(cells)]
    program = drawn(
        monkeypatch, first, 5, sizes, 6, 12, 10 + special, special, cells, special, special
    )
    check(program, first, windows=35)


@pytest.mark.parametrize("kind", ALL)
def test_layers_that_learn(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """They are last or read several values, so that stacks have none; with what labels changed, too."""
    with monkeypatch.context() as patch:
        patch.setenv(VARIABLE, "numpy")
        program = random_learner(3, kind, 9, 5)
        _, learned = program.run_on(samples(program, 2, 35, 24))
    check(program, 1, windows=35)
    if program.learns:
        learned = program.learn(learned, np.arange(35) % 6 - 1)
    check(program, 3, windows=35, start=program.reset(learned))


@pytest.mark.parametrize("seed", range(3))
def test_graphs(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    cells = [["taps", "decimate", "gru"], ["decimate", "lstm", "add"], ["cfc", "lif", "taps"]]
    check(drawn(monkeypatch, seed, 4, [8, 8, 17], 3, 12, 12, False, cells[seed], graph=True), 1, 3)


@pytest.mark.parametrize("windows", [1, 32, 33])
def test_blocks(monkeypatch: pytest.MonkeyPatch, windows: int) -> None:
    """Few windows, whole vectors of them, and calls that take windows and steps in parts."""
    monkeypatch.setattr(simulator, "_WINDOWS", 8)
    monkeypatch.setattr(simulator, "_STEPS", 5)
    check(gru(monkeypatch), 1, windows)


def test_numpy_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """numpy takes many windows by parts, with the same states."""
    program = gru(monkeypatch)
    x = samples(program, 1, 11, 6)
    expected = program.step_through(x, program.initial_state(11))
    monkeypatch.setenv(VARIABLE, "numpy")
    monkeypatch.setattr("edgeflow.program.program.SIDE_BY_SIDE", 4)
    y, state = program.run_on(x)
    np.testing.assert_array_equal(y, expected[0])
    np.testing.assert_array_equal(state[0]["h"], expected[1][0]["h"])


def test_states_beyond_their_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """A state that no step gives is numpy's, as the C takes its width for granted."""
    program = gru(monkeypatch)
    state = program.initial_state(3)
    state[0]["h"] += 5000
    x = samples(program, 1, 3, 6)
    expected = program.step_through(x, state)[0]
    np.testing.assert_array_equal(program.run_on(x, state)[0], expected)


def test_one_library_for_all_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What fine-tuning changes at every batch compiles nothing."""
    for seed in (1, 2, 3):
        check(gru(monkeypatch, seed), seed, 3)
    assert len(libraries(tmp_path)) == 1


def test_small_work_compiles_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Short commands do not wait for a compiler; work that adds up does, once."""
    monkeypatch.setenv(VARIABLE, "auto")
    program = gru(monkeypatch, hidden=64)
    program.run(samples(program, 1, 4, 20))
    assert libraries(tmp_path) == []
    x = samples(program, 1, 600, 100)
    for _ in range(12):
        program.run(x)
    assert len(libraries(tmp_path)) == 1


def test_without_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = gru(monkeypatch)
    monkeypatch.setenv("CC", str(tmp_path / "no-compiler"))
    x = samples(program, 1, 3, 6)
    with pytest.raises(ProgramError, match="there is no C compiler"):
        program.run(x)
    for problem in (str(tmp_path / "none"), "false"):  # none, and one that fails
        monkeypatch.setenv("CC", problem)
        monkeypatch.setenv(VARIABLE, "auto")
        monkeypatch.setattr(simulator, "_TRACE", 0.0)
        monkeypatch.setattr(simulator, "_BUILD", 0.0)
        monkeypatch.setattr(simulator, "_failed", set())
        expected = program.step_through(x, program.initial_state(3))[0]
        np.testing.assert_array_equal(program.run(x), expected)
        assert simulator._failed


def test_without_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cache that is no folder is no reason to stop."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    program = gru(monkeypatch)
    x = samples(program, 1, 3, 6)
    with pytest.raises(ProgramError, match=VARIABLE):
        program.run(x)
    monkeypatch.setenv(VARIABLE, "auto")
    monkeypatch.setattr(simulator, "_TRACE", 0.0)
    monkeypatch.setattr(simulator, "_BUILD", 0.0)
    assert program.run(x).any()


def test_damaged_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A library that was cut is built again, and never loaded."""
    program = gru(monkeypatch)
    check(program, 1, 3)
    (path,) = libraries(tmp_path)
    content = path.read_bytes()
    monkeypatch.setattr(library, "_loaded", {})
    path.unlink()  # it is mapped: another file, not a change of this one
    path.write_bytes(content[:1000])
    check(program, 2, 3)
    assert path.read_bytes() == content


def test_threads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Programs are built and run by several threads at once."""
    program = gru(monkeypatch)
    x = samples(program, 1, 40, 30)
    expected = program.step_through(x, program.initial_state(40))[0]
    results: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: results.append(replace(program).run(x))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for y in results:
        np.testing.assert_array_equal(y, expected)


def test_unknown_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "fast")
    program = gru(monkeypatch)
    with pytest.raises(ProgramError, match="auto, numpy, lanes"):
        program.run(samples(program, 1, 1, 1))


def test_layers_of_others_stay_with_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sub-class may mean anything: that of an analog array does."""

    class Other(GRU):
        pass

    program = gru(monkeypatch)
    node = program.nodes[0]
    other = Other(**{name: getattr(node, name) for name in ("name", "input", "recurrent",
                                                            "state_bits")})  # fmt: skip
    found = simulator_of(replace(program, nodes=(other, *program.nodes[1:])))
    assert found == f"layer {node.name} is of a class that only numpy runs"


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
@settings(
    max_examples=60, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(data=st.data())
def test_any_program(
    variant: str, data: st.DataObject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(library, "FLAGS", tuple(f for f in FAST if f != "-O1") + VARIANTS[variant])
    with monkeypatch.context() as patch:
        patch.setenv(VARIABLE, "numpy")
        program = data.draw(st.one_of(programs(), graphs()))
    check(program, data.draw(st.integers(0, 99)), data.draw(st.integers(1, 70)))
