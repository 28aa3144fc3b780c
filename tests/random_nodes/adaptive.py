"""Random layers that learn: of labels, in the place of a linear read-out, or of what comes."""

from dataclasses import replace

import numpy as np

from edgeflow.compression.adapt import with_descent, with_prototypes
from edgeflow.compression.nlms import nlms
from edgeflow.program import Linear, Program
from edgeflow.program.fixedpoint import symmetric_max
from tests.random_nodes.matrices import random_matrix
from tests.random_programs import random_program, samples

#: Those of labels, and all.
LEARNERS = ("prototypes", "head")
ALL = (*LEARNERS, "nlms")


def random_learner(seed: int, kind: str, hidden: int, outputs: int, bits: int = 12,
                   extreme: bool = False, inputs: int = 3) -> Program:  # fmt: skip
    """Return a GRU and a read-out that learns, with parameters that its labels show with."""
    if kind == "nlms":
        return random_nlms(seed, hidden, bits=bits, extreme=extreme)
    rng = np.random.default_rng(seed)
    program = random_program(seed, inputs, [hidden], outputs, 12, bits, extreme)
    *body, head = program.nodes
    matrix = head.matrices()["matrix"]
    largest = symmetric_max(matrix.input_bits)
    if kind == "prototypes":
        means = rng.integers(-largest, largest + 1, (outputs, hidden))
        node = with_prototypes(
            "head", matrix, means, prior=float(rng.uniform(0.25, 3)),
            gain=float(10.0 ** rng.uniform(2, 5 if extreme else 4)),
        )  # fmt: skip
    else:
        node = with_descent(
            "head", matrix, program.output_scale * float(rng.uniform(0.01, 1)),
            keep=int(rng.integers(1, 5)), passes=int(rng.integers(1, 6)),
            rate=float(10.0 ** rng.uniform(-3, 2 if extreme else 0)),
        )  # fmt: skip
    return replace(program, nodes=(*body, node))


def random_nlms(seed: int, width: int = 5, series: int = 2, horizons: int = 3, bits: int = 12,
                extreme: bool = False) -> Program:  # fmt: skip
    """Return a GRU and a read-out whose forecasts a learner corrects as samples come.

    Ends with a linear layer, as the learner need not be the last one.
    """
    rng = np.random.default_rng(seed)
    program = random_program(seed, series, [width], series * horizons, 12, bits, extreme)
    node = nlms(
        "nlms", rng.uniform(0.5, 3.0, (horizons, series)) * 2.0 ** rng.uniform(0, 9 if extreme else 3),
        rng.integers(-9, 10, (horizons, series)),  stride=int(rng.integers(1, 6)), lags=int(rng.integers(1, 5)),
        every=int(rng.integers(1, 4)), read=width, down=int(rng.integers(3)) * (1 - extreme),
        lag_shift=int(rng.integers(3)) * (1 - extreme), wait=int(rng.integers(4)),
        step=float(10.0 ** rng.uniform(-2, 2 if extreme else 0)),
        ridge=float(10.0 ** rng.uniform(-4, -1)),
    )  # fmt: skip
    learned = program.then(node, (len(program.nodes), 1, 0))
    seen = learned.run(samples(learned, seed, windows=3, time=12)).reshape(-1, node.outputs)
    return learned.then(Linear("back", random_matrix(rng, 4, node.outputs, 16, False, seen)))
