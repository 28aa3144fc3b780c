"""Random read-outs that learn, in the place of a linear one."""

from dataclasses import replace

import numpy as np

from edgeflow.compression.adapt import with_descent, with_prototypes
from edgeflow.program import Program
from edgeflow.program.fixedpoint import symmetric_max
from tests.random_programs import random_program

LEARNERS = ("prototypes", "head")


def random_learner(seed: int, kind: str, hidden: int, outputs: int, bits: int = 12,
                   extreme: bool = False, inputs: int = 3) -> Program:  # fmt: skip
    """Return a GRU and a read-out that learns, with parameters that its labels show with."""
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
