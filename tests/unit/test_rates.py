"""Layers behind a `Decimate` run at its steps alone: as if the others were not there.

Only here is the clock of nested dividers compared with slices of sequences, for whole programs and
for streams that were not reset at the same time; unlike rates are refused here.
"""

from dataclasses import replace

import numpy as np
import pytest

from edgeflow.errors import ImcError, ProgramError
from edgeflow.imc import ArrayOptions
from edgeflow.imc.placement import place
from edgeflow.overlap import Overlap
from edgeflow.program import Program
from edgeflow.program.clocks import Clock
from edgeflow.program.firing import fired_shares
from edgeflow.program.nodes import GRU, Decimate, MovingMax, ReLU, Taps, ZeroOrderHold
from edgeflow.program.onnx_file import OnnxProgram
from tests.random_programs import random_program, samples

CHAIN = ["taps", "decimate", "gru", "moving_max", "decimate", "lstm"]


def chain(seed: int = 1) -> Program:
    program = random_program(seed, 3, [4, 4, 5, 5, 5, 6], 3, 12, 12, cells=CHAIN)
    first, second = (
        replace(program.nodes[k], first=f, stride=s) for k, f, s in ((1, 2, 2), (4, 1, 3))
    )
    nodes = (program.nodes[0], first, *program.nodes[2:4], second, *program.nodes[5:])
    return replace(program, nodes=nodes)


def part(program: Program, nodes: slice, x: np.ndarray) -> np.ndarray:
    """Return the outputs of some of the nodes alone, from a reset, for what the first reads."""
    state = program.initial_state(len(x))[nodes]
    y = []
    for t in range(x.shape[1]):
        value = x[:, t].astype(np.int64)
        for k, node in enumerate(program.nodes[nodes]):
            value, state[k] = node.advance(value, state[k])
        y.append(value)
    return np.stack(y, axis=1)


def test_a_chain_computes_slices() -> None:
    program = chain()
    assert program.clocks[2] == Clock(2, 2, 1) and program.clocks[5] == Clock(4, 6, 4)
    x = samples(program, 5, windows=3, time=31)
    level = np.clip(x, -2047, 2047)
    value = part(program, slice(0, 1), level)[:, 2::2]
    value = part(program, slice(2, 4), value)[:, 1::3]
    value = part(program, slice(5, 7), value)
    at = (np.arange(31) - 4) // 6
    assert program.clocks[5].ticks(31) == value.shape[1] == at[-1] + 1
    expected = np.where((at >= 0)[:, None], value[:, np.maximum(at, 0)], 0)
    np.testing.assert_array_equal(program.run(x), expected)


def test_an_output_that_is_part_of_a_state_stays() -> None:
    """The motor neurons of an LTC are the first of its neurons."""
    program = random_program(4, 3, [3, 3, 2], 2, 12, 12, cells=["gru", "decimate", "ltc"])
    ltc = program.nodes[2]
    assert ltc.outputs < ltc.states["v"].size
    x = samples(program, 1, windows=2, time=12)
    y = program.run(x)
    assert len({tuple(row) for row in y[0].tolist()}) > 1
    np.testing.assert_array_equal(OnnxProgram(program).run(x), y)


def test_streams_need_not_be_reset_together() -> None:
    program = chain()
    x = samples(program, 5, windows=1, time=31)
    _, state = program.run_on(x[:, :7])
    both = [
        {name: np.concatenate([value, start[name]]) for name, value in layer.items()}
        for layer, start in zip(state, program.initial_state(1), strict=True)
    ]
    y = program.run(np.concatenate([x[:, 7:], x[:, :24]]), both)
    whole = program.run(x)
    np.testing.assert_array_equal(y, np.concatenate([whole[:, 7:], whole[:, :24]]))


def test_onnx_keeps_the_states_in_between() -> None:
    program = chain(2)
    x = samples(program, 5, windows=3, time=31)
    np.testing.assert_array_equal(OnnxProgram(program).run(x), program.run(x))


def test_windows_that_overlap_begin_with_their_first_sample() -> None:
    program = replace(chain(), window=14, hop=7)
    x = samples(program, 5, windows=2, time=35)
    y = Overlap(14, 7).run(program.run, x)
    for end in range(14, 36, 7):
        expected = program.run(x[:, end - 14 : end])[:, -1]
        np.testing.assert_array_equal(y[:, end - 1], expected)


def test_branches_of_the_same_rate_join() -> None:
    program = chain()
    size = program.inputs
    twice = (
        Taps("taps", size, 12, 2), Decimate("a", 2 * size, 12, 1, 2),
        Decimate("b", size, 12, 1, 2), MovingMax("most", 3 * size, 12, 2),
        ZeroOrderHold("hold", 3 * size, 12),
    )  # fmt: skip
    joined = replace(
        program, nodes=twice, sources=((0,), (1,), (0,), (2, 3), (4,), (5,)), classes=()
    )
    assert {clock.gate for clock in joined.clocks} == {None, 1}
    x = samples(joined, 5, windows=2, time=9)
    level = np.clip(x, -2047, 2047)
    expected = np.concatenate([level[:, 4:7:2], level[:, 5:8:2], level[:, 5:8:2]], axis=-1).max(1)
    np.testing.assert_array_equal(joined.run(x)[:, -1], expected)


def test_shares_of_columns_are_of_the_steps_that_run() -> None:
    program = chain()
    gru = program.nodes[2]
    assert isinstance(gru, GRU)
    delta = replace(gru, input=replace(gru.input, threshold=1))
    program = replace(program, nodes=(*program.nodes[:2], delta, *program.nodes[3:]))
    x = samples(program, 5, windows=6, time=31)[1::2]  # within the width of the input
    assert 0.9 < fired_shares(program, x)[f"{gru.name}.input"] <= 1


def test_analog_arrays_are_for_every_sample() -> None:
    with pytest.raises(ImcError, match=r"layer gru2 does not run at every sample"):
        place(chain(), ArrayOptions())


@pytest.mark.parametrize(
    ("nodes", "sources", "message"),
    [
        ([Decimate("a", 3, 12, 0, 2)], [(0,), (1,)], "the output is made at the steps 0, 2, ...: "),
        (
            [Decimate("a", 3, 12, 0, 2), ReLU("r", 6, 12, 12, 0), ZeroOrderHold("h", 6, 12)],
            [(0,), (0, 1), (2,), (3,)],
            r"layer r joins values of unlike rates \(input at every step, a at the steps 0, 2, ...",
        ),
        (
            [Decimate("a", 3, 12, 0, 2), ZeroOrderHold("h", 3, 12), Decimate("b", 3, 12, 0, 2)],
            [(0,), (1,), (0,), (2, 3)],
            r"the output joins values of unlike rates \(h at every step, b at the steps 0, 2, ...",
        ),
    ],
)  # fmt: skip
def test_what_is_no_program(
    nodes: list[Decimate], sources: list[tuple[int, ...]], message: str
) -> None:
    program = chain()
    with pytest.raises(ProgramError, match=message):
        replace(program, nodes=tuple(nodes), sources=tuple(sources), classes=())
