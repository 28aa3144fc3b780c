"""Measures the estimated cycles per instruction of whole steps: calibration/costs/steps.

    python scripts/step_costs.py [--board qemu-m4 ...]

Cells with random weights run on the emulated boards, and the cycle model of the core gives each
instruction its cycles; wait states of flash are not in it. `edgeflow compile` tells by these files
that a program cannot keep up with its samples.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgeflow.bench.cells import random_cell, random_walks
from edgeflow.bench.measure import run_program
from edgeflow.calibration import write_data
from edgeflow.codegen.step_costs import StepCosts, expected_cycles
from edgeflow.profiling.models import estimate_cycles, load_cycle_model
from edgeflow.program import Program
from edgeflow.resources import resource
from edgeflow.targets.board import BoardSpec, list_boards
from edgeflow.targets.part import estimated_part

HIDDEN, INPUTS, STEPS = 48, 6, 30
#: Cells whose steps differ most: products alone, many gates, iterations, spikes.
CELLS = ("gru", "lstm", "cfc", "mingru", "lif")
#: What the first is also compiled with.
MORE = ({"optimize": "speed"}, {"optimize": "size"}, {"kernel_sets": ["c"]})
ABOUT = """Estimated cycles per instruction of steps, wait states of flash apart, as
`python scripts/step_costs.py` measures them: cells with random weights, 48 units and 6 inputs."""


def measure(board: BoardSpec, programs: dict[str, Program]) -> StepCosts:
    """Return the costs of a board's core, and print each program's."""
    model, part = load_cycle_model(board.core.name), estimated_part(board)
    assert model is not None and part is not None and model.error_percent is not None
    jobs: list[tuple[str, dict[str, Any]]] = [(cell, {}) for cell in programs]
    jobs += [(CELLS[0], option) for option in MORE]
    found = []
    for cell, option in jobs:
        program = programs[cell]
        x = program.quantize_input(random_walks(INPUTS, 1, STEPS, seed=1)[0])
        with TemporaryDirectory() as folder:
            build, counts, _ = run_program(
                program, board, Path(folder), x, data_cache=part.data_cache, **option
            )
        alone, whole = (estimate_cycles(counts, model, one) for one in (None, part))
        assert alone is not None and whole is not None
        found.append(float(alone.sum(axis=1).mean() / counts.instructions.mean()))
        known = StepCosts(
            core=board.core.name, board=board.name, programs=1, lowest=found[-1], mean=found[-1],
            highest=found[-1], error_percent=0,
        )  # fmt: skip
        cycles = whole.sum(axis=1).mean()
        shares = [some / cycles for some in expected_cycles(build.choices, known, part)]
        figures = (f"{value:.3f}" for value in (found[-1], *shares))
        print(board.name, cell, *option.values(), *figures, flush=True)
        assert shares[0] <= 1, "a step takes less than is taken to be the least"
    return StepCosts(
        core=board.core.name, board=board.name, programs=len(found),
        lowest=round(min(found), 3), mean=round(sum(found) / len(found), 3),
        highest=round(max(found), 3), error_percent=round(model.error_percent, 1),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", nargs="+")
    wanted = parser.parse_args().board
    programs = {cell: random_cell(cell, INPUTS, HIDDEN) for cell in CELLS}
    for board in list_boards():
        if (
            board.emulated
            and board.estimate is not None
            and (wanted is None or board.name in wanted)
        ):
            path = resource("calibration") / "costs" / "steps" / f"{board.core.name}.toml"
            write_data(measure(board, programs), path, ABOUT)


if __name__ == "__main__":
    main()
