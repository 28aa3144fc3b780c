"""Random programs are worth comparing: what they give changes over time."""

import numpy as np
import pytest

from edgeflow.program import Program
from tests.random_nodes.draw import DRAW
from tests.random_programs import random_program, samples

DRAWS = 50


def draws(cell: str, extreme: bool) -> list[Program]:
    return [
        random_program(seed, 5, [17], 6, 12, 8 + seed % 9, extreme, [cell]) for seed in range(DRAWS)
    ]


@pytest.mark.parametrize("extreme,least", [(False, 0.7), (True, 0.3)])
@pytest.mark.parametrize("cell", DRAW)
def test_outputs_change(cell: str, extreme: bool, least: float) -> None:
    """The median share of outputs that are not constant over a window of random samples."""
    share = [
        (np.ptp(program.run(samples(program, 1, windows=3, time=30)[1:]), axis=1) > 0).mean()
        for program in draws(cell, extreme)
    ]
    assert np.median(share) >= least


@pytest.mark.parametrize("extreme,least", [(False, 0.6), (True, 0.4)])
@pytest.mark.parametrize("cell", ["lif", "l2mu"])
def test_neurons_spike_and_rest(cell: str, extreme: bool, least: float) -> None:
    """The median share of neurons that fire in 2 to 98 % of the steps; some layers are extreme."""
    share, all_silent, all_firing = [], 0, 0
    for program in draws(cell, extreme):
        x = samples(program, 1, windows=4, time=50)
        spikes = Program(program.nodes[:1], program.input, 1.0).run(x)
        rate = spikes.mean(axis=(0, 1))
        share.append(((rate > 0.02) & (rate < 0.98)).mean())
        all_silent += bool((rate < 0.02).all())
        all_firing += bool((rate > 0.98).any())
    assert np.median(share) >= least
    assert all_silent or all_firing
