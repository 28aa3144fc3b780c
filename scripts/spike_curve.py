"""Measures what a spiking layer costs at each rate of spikes; writes spike-curve.json and .svg.

    python scripts/spike_curve.py -o docs

A layer of 64 recurrent neurons reads 64 spikes. Its biases are set such that as many of its neurons
fire in a step as of its inputs do. The compiled image runs on the emulated board; every output is
compared with the reference. ``--plot`` only draws the file of an earlier run.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from edgeflow.bench.measure import measure_layer
from edgeflow.files import write_atomic
from edgeflow.program import Matrix
from edgeflow.program.nodes import LIF
from edgeflow.targets.board import load_board

UNITS = 64
STEPS = 100
RATES = [0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
#: Boards with the kernel that products without spikes would have.
DENSE = {"qemu-m4": "ef_matvec_pair_s8_s16_dsp", "qemu-m3": "ef_matvec_s8_s16_armv7m"}
#: Whether the neurons have a synaptic current.
CELLS = {"LIF-64": False, "CuBa-LIF-64": True}
#: In units of the membrane.
THRESHOLD = 32


@dataclass(frozen=True)
class Point:
    """Mean instructions of the layer per step, at a rate of spikes among its inputs and neurons."""

    cell: str
    board: str
    dense: bool
    rate: float
    instructions: float


def matrix(weight: np.ndarray, bias: np.ndarray) -> Matrix:
    """Return the matrix whose accumulator counts quarters of the membrane's unit."""
    multiplier = np.full(len(weight), 1 << 22, np.int32)
    return Matrix(weight, bias.astype(np.int32), multiplier, 8, 2)


def layer(synapse: bool, bias: np.ndarray) -> LIF:
    """Return the neurons; a spike subtracts their threshold."""
    rng = np.random.default_rng(0)
    weights = rng.integers(-80, 81, (2, UNITS, UNITS)).astype(np.int8)
    return LIF(
        "lif",
        matrix(weights[0], bias),
        beta=rng.integers(20000, 32000, UNITS).astype(np.int16),
        threshold=np.full(UNITS, THRESHOLD, np.int16),
        recurrent=matrix(weights[1], 0 * bias),
        alpha=rng.integers(10000, 28000, UNITS).astype(np.int16) if synapse else None,
    )


def run(node: LIF, x: np.ndarray) -> np.ndarray:
    """Return the spikes [STEPS, UNITS] that the reference gives for x."""
    state = {name: np.zeros((1, UNITS), np.int64) for name in node.states}
    spikes = []
    for values in x.astype(np.int64):
        y, state = node.step(values[None], state)
        spikes.append(y[0])
    return np.array(spikes)


def layer_at(rate: float, synapse: bool, x: np.ndarray) -> LIF:
    """Return neurons that fire at `rate` on x: their biases follow what is missing."""
    bias = np.zeros(UNITS)
    for k in range(60):
        node = layer(synapse, np.round(bias))
        missing = rate - run(node, x).mean(axis=0)
        if rate in (0.0, 1.0):
            missing = np.sign(missing)
        bias = np.clip(bias + 1600 / (1 + k / 4) * missing, -4000, 4000)
    return node


def measure(cell: str, board: str, rate: float) -> list[Point]:
    """Return the points of columns of spikes and of the dense kernel.

    Raises
    ------
    SystemExit
        If an output differs from the reference's.
    """
    x = (np.random.default_rng(1).random((STEPS, UNITS)) < rate).astype(np.int16)
    node = layer_at(rate, CELLS[cell], x)
    # a spike of a neuron costs in the step after it
    seen = float((x.mean() + run(node, x)[:-1].sum() / x.size) / 2)
    points = []
    for kernel in (None, DENSE[board]):
        result = measure_layer(node, load_board(board), x, kernel and [kernel])
        if result.mismatches:
            raise SystemExit(f"{cell} on {board}: outputs differ from the reference's")
        points.append(Point(cell, board, kernel is not None, seen, result.instructions))
    return points


def read(folder: Path) -> list[Point]:
    """Return what was measured before."""
    return [Point(**point) for point in json.loads((folder / "spike-curve.json").read_text())]


def curve(points: Sequence[Point], cell: str, board: str, dense: bool) -> list[Point]:
    return [p for p in points if (p.cell, p.board, p.dense) == (cell, board, dense)]


def table(points: Sequence[Point]) -> str:
    """Return the curves side by side, a row per rate."""
    kinds = [(cell, board, dense) for board in DENSE for cell in CELLS for dense in (False, True)]
    names = [f"{c}, {b}{', dense' if dense else ''}" for c, b, dense in kinds]
    lines = [f"| spikes % | {' | '.join(names)} |", "|---" * (len(kinds) + 1) + "|"]
    for row in zip(*(curve(points, *kind) for kind in kinds), strict=True):
        rates = "/".join(dict.fromkeys(f"{100 * p.rate:.0f}" for p in row))
        lines.append(f"| {rates} | " + " | ".join(f"{p.instructions:,.0f}" for p in row) + " |")
    return "\n".join(lines)


def draw(points: Sequence[Point], path: Path) -> None:
    """Draw a panel a board: solid with columns of spikes, dashed with the dense kernel."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "edgeflow"  # the same file from the same numbers
    figure, axes = plt.subplots(1, len(DENSE), figsize=(9, 3.6), layout="constrained")
    for axis, board in zip(axes, DENSE, strict=True):
        for number, cell in enumerate(CELLS):
            for dense in (False, True):
                part = curve(points, cell, board, dense)
                axis.plot(
                    [100 * p.rate for p in part],
                    [p.instructions for p in part],
                    "--" if dense else "-",
                    color=f"C{number}",
                    label=f"{cell}, dense" if dense else cell,
                )
        axis.set(title=board, xlabel="spikes among inputs and neurons, %", ylim=(0, None))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("instructions per step")
    axes[0].legend()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, default=Path("docs"))
    parser.add_argument("--plot", action="store_true", help="draw what was measured before")
    arguments = parser.parse_args()
    data = arguments.out / "spike-curve.json"
    if not arguments.plot:
        points = [p for b in DENSE for c in CELLS for rate in RATES for p in measure(c, b, rate)]
        rows = ",\n".join(json.dumps(asdict(point)) for point in points)
        write_atomic(data, f"[\n{rows}\n]\n")
    points = read(arguments.out)
    draw(points, arguments.out / "spike-curve.svg")
    print(table(points))


if __name__ == "__main__":
    main()
