"""Measures a trained GRU with delta matrices against the dense one: instructions and sparsity.

    python scripts/delta_gru.py runs/cells/wisdm-watch-hand-gru-64-s0/model.onnx \
        --data wisdm-watch-hand --board qemu-m4 --board qemu-m55 [--prune 0.75 --block 4x2]

Thresholds are put into the matrices of a program that was trained without, such that the wanted
share of columns is not updated on validation subjects: that is the cost at this sparsity, not the
accuracy that training with thresholds reaches. Every output is compared with the reference.
With --prune a share of the blocks of the recurrent matrix, the smallest, becomes zero as well, in
programs beside the others.
"""

import argparse
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.bench.measure import run_program
from edgeflow.compression.prune.mask import Block, keep_largest
from edgeflow.data import load_dataset
from edgeflow.program import Program
from edgeflow.program.firing import fired_shares, sparsity
from edgeflow.program.fixedpoint import largest_magnitude
from edgeflow.targets.board import load_board

SPARSITY = {"x": 0.5, "h": 0.8}
WINDOWS, BOARD_WINDOWS, HALVINGS = 128, 25, 12


def with_thresholds(program: Program, thresholds: Mapping[str, int], group: int) -> Program:
    """Return the program with delta matrices in its first layer."""
    node = program.nodes[0]
    changes: dict[str, Any] = {
        field: dataclasses.replace(
            node.matrices()[field], threshold=threshold, group=group if threshold else 1
        )
        for field, threshold in thresholds.items()
    }
    nodes = (dataclasses.replace(node, **changes), *program.nodes[1:])
    return dataclasses.replace(program, nodes=nodes, metadata={})


def without_blocks(program: Program, share: float, block: Block) -> Program:
    """Return the program with a share of the blocks zero, in what reads the first layer's state."""
    node = program.nodes[0]
    changes: dict[str, Any] = {}
    for field, source in node.delta_sources.items():
        matrix = node.matrices()[field]
        if source == "h":
            size = matrix.weight.astype(np.float64) * matrix.multiplier[:, None]
            kept = keep_largest(size, share, block)
            changes[field] = dataclasses.replace(matrix, weight=matrix.weight * kept)
    nodes = (dataclasses.replace(node, **changes), *program.nodes[1:])
    return dataclasses.replace(program, nodes=nodes, metadata={})


def silence(program: Program, x: NDArray[np.int16], group: int) -> Program:
    """Return the program with the smallest thresholds that reach `SPARSITY` on x."""
    node = program.nodes[0]
    found: dict[str, int] = {}
    for field, source in node.delta_sources.items():
        low, high = 1, 2 * largest_magnitude(node.matrices()[field].input_bits)
        for _ in range(HALVINGS):
            middle = (low + high) // 2
            trial = with_thresholds(program, {**found, field: middle}, group)
            fired = fired_shares(trial, x)[f"{node.name}.{field}"]
            low, high = (low, middle) if 1 - fired >= SPARSITY[source] else (middle + 1, high)
        found[field] = high
    return with_thresholds(program, found, group)


def main() -> None:
    """Print a row of a table for each program, board and goal."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--board", action="append")
    parser.add_argument("--group", type=int, action="append")
    parser.add_argument("--prune", type=float, help="share of blocks that are zero")
    parser.add_argument("--block", type=Block.parse, default=Block(4, 2), help="rows x columns")
    args = parser.parse_args()
    dense = Program.load(args.model)
    dataset = load_dataset(args.data)
    x = {
        split: dense.quantize_input(dataset.windows(split, length=dense.window).x)
        for split in ("val", "test")
    }
    rng = np.random.default_rng(0)
    val, test = (x[split][rng.permutation(len(x[split]))] for split in ("val", "test"))
    programs = {"dense": dense}
    if args.prune:
        programs[f"{args.block} blocks"] = without_blocks(dense, args.prune, args.block)
    for name, still in list(programs.items()):
        for group in args.group or (1, 2, 4):
            programs[f"{name}, delta, groups of {group}"] = silence(still, val[:WINDOWS], group)
    labels = dataset.windows("test", length=dense.window).y
    stream = test[:BOARD_WINDOWS].reshape(-1, dense.inputs)
    head = (
        "program",
        "sparsity, inputs / states",
        "accuracy",
        "board",
        "goal",
        "layer",
        "bytes",
        "wrong",
    )
    print(f"| {' | '.join(head)} |\n{'|---' * len(head)}|")
    for name, program in programs.items():
        fired = fired_shares(program, stream[None])
        program = dataclasses.replace(program, metadata={"fired": fired})
        shares = sparsity(program, fired)
        sparse = " / ".join("-" if s is None else f"{s:.0%}" for s in shares.values())
        accuracy = (program.run(x["test"])[:, -1].argmax(axis=1) == labels).mean()
        for board in args.board or ("qemu-m4", "qemu-m55"):
            for goal in ("balanced", "speed"):
                with TemporaryDirectory(prefix="edgeflow-delta-") as folder:
                    build, counts, y = run_program(
                        program, load_board(board), Path(folder), stream, optimize=goal
                    )
                wrong = int((y != program.run(stream[None])[0]).any(axis=1).sum())
                layer = counts.layers[:, 0].mean()
                size = sum(choice.weight_bytes for choice in build.choices[:2])
                kernels = " + ".join(choice.kernel for choice in build.choices[:2])
                print(
                    f"| {name} | {sparse} | {accuracy:.1%} | {board} | {goal}: {kernels} "
                    f"| {layer:,.0f} | {size:,} | {wrong} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
