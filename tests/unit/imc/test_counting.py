"""Events of a step on arrays: alone, it would catch work that is counted twice or not at all.

Fast tier. Numbers are made here from the shapes of a program's matrices.
"""

from typing import Any

import numpy as np
import pytest

from edgeflow.imc import ArrayOptions, load_device
from edgeflow.imc.counting import counts_of
from edgeflow.imc.energy import Counts
from edgeflow.imc.ranges import placement
from edgeflow.program import Program
from edgeflow.program.firing import fired_shares, spike_rates
from tests.random_programs import random_program, samples


def counted(program: Program, **options: Any) -> Counts:
    x = samples(program, 1, 4, 20)
    return counts_of(placement(program, load_device("pcm"), ArrayOptions(**options), x), x)


def products(program: Program) -> dict[str, Any]:
    return {f"{n.name}.{f}": m for n in program.nodes for f, m in n.products().items()}


def test_a_dense_program() -> None:
    program = random_program(0, 5, [12], 4, 12, 12, cells=("gru",))
    matrices = products(program).values()
    counts = counted(program, adc=6, dac=5)
    assert counts.conversions == {6: sum(m.rows for m in matrices)}
    assert counts.dac_events == {5: sum(m.cols for m in matrices)}
    assert counts.cells_driven == 2 * sum(m.weight.size for m in matrices)
    assert counts.adds == 0 and counts.lookups == 36
    assert len(counts.stages) == 2  # the layer's two products at once, then the head


def test_tiles_and_slices_are_added_up() -> None:
    program = random_program(0, 5, [12], 4, 12, 12, cells=("gru",))
    counts = counted(program, adc=6, tile="6x64", cell_bits=4)
    gru, head = program.nodes
    parts = {36: (1, 2), 4: (2,)}  # arrays that a sum of so many rows is over
    conversions = 2 * sum(rows * n for rows, several in parts.items() for n in several)
    assert counts.conversions == {6: conversions}
    assert counts.adds == 36 * (2 - 1) + 36 * (4 - 1) + 4 * (4 - 1)
    assert (gru.outputs, head.outputs) == (12, 4)


@pytest.mark.parametrize("cell,sums,rest", [("lstm", 48, 0), ("gru", 24, 24), ("rnn", 12, 0)])
def test_sums_that_share_a_column_are_converted_once(cell: str, sums: int, rest: int) -> None:
    seed = next(
        s
        for s in range(9)
        if random_program(s, 5, [12], 4, 12, 12, cells=(cell,)).nodes[0].activated
    )
    program = random_program(seed, 5, [12], 4, 12, 12, cells=(cell,))
    ramps = counted(program, nl_adc=5, adc=8)
    assert ramps.ramp_conversions == {5: sums} and ramps.conversions == {8: rest + 4}
    fused = counted(program, fuse=True, adc=8)
    assert fused.conversions == {8: sums + rest + 4}
    matrices = products(program).values()
    assert ramps.cells_driven == 2 * sum(m.weight.size for m in matrices)
    assert ramps.lookups == counted(program).lookups - sums


def test_rows_of_delta_layers_and_spikes() -> None:
    program = random_program(1, 5, [12], 4, 12, 12, cells=("gru",), delta=True)
    x = samples(program, 1, 4, 20)
    shares = fired_shares(program, x)
    driven = sum(2 * m.weight.size * shares.get(name, 1.0) for name, m in products(program).items())
    assert shares and counted(program).cells_driven == pytest.approx(driven)
    spiking = random_program(2, 5, [12], 4, 12, 12, cells=("lif",))
    (rate,) = spike_rates(spiking, samples(spiking, 1, 4, 20)).values()
    counts = counted(spiking, dac=5)
    head = spiking.nodes[-1]
    assert head.input_bits == 2 and counts.dac_events == {5: 5}
    last = counts.reads[-1]
    assert last.input_bits == 0 and last.driven == pytest.approx(12 * rate)
    assert np.isfinite(counts.cells_driven)
