"""Prunes a model in several ways and prints the table of docs/benchmarks.md.

    python scripts/pruning.py MODEL --data wisdm-watch-hand -o FOLDER [--only NAME ...] [--seed 0]

Float fine-tuning, then int8 weights; the board runs `--steps`, every output compared. Stopped, the
same command goes on.
"""

import argparse
from pathlib import Path

from edgeflow.codegen.build import compile_program
from edgeflow.codegen.choice import choose_kernels
from edgeflow.compression.evaluate import load_chain, score
from edgeflow.compression.finetune import FineTuneOptions, finetune
from edgeflow.compression.prune import PruneOptions, pruning
from edgeflow.compression.prune.mask import Block
from edgeflow.compression.prune.options import Ranks
from edgeflow.compression.quantize import quantize
from edgeflow.data import load_dataset
from edgeflow.profiling.run import profile
from edgeflow.program import Program
from edgeflow.targets.board import load_board
from edgeflow.training.method import Method

#: Shares of the recurrent matrix that go, blocks that they go in, shares of units, and ranks.
ROWS = {
    "none": PruneOptions(),
    **{
        f"{block} {share:.0%}": PruneOptions(matrices={"recurrent": share}, block=block)
        for block in (Block(1, 1), Block(4, 4), Block(4, 2))
        for share in (0.5, 0.75, 0.9)
    },
    "4x4 75% all": PruneOptions(0.75, block=Block(4, 4)),
    "units 25%": PruneOptions(units=0.25),
    "units 50%": PruneOptions(units=0.5),
    "units 25%, 4x4 50%": PruneOptions(matrices={"recurrent": 0.5}, block=Block(4, 4), units=0.25),
    **{f"rank {rank}": PruneOptions(low_rank=Ranks(rank)) for rank in (20, 16, 12, 8)},
    "units 25%, rank 12": PruneOptions(units=0.25, low_rank=Ranks(12)),
}


def board_figures(program: Program, board: str, folder: Path, data: str, steps: int) -> list[str]:
    """Return instructions per step, bytes of weights as stored, bytes of flash and mismatches."""
    build = compile_program(program, board, folder)
    result = profile(build, load_dataset(data), steps=steps).to_json()
    stored = sum(c.weight_bytes for c in choose_kernels(program, load_board(board).core))
    counts = (result["instructions_per_step"]["mean"], stored, result["flash_bytes"])
    return [*(f"{count:,.0f}" for count in counts), str(result["mismatches"])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--board", default="qemu-m4")
    parser.add_argument("--steps", type=int, default=2_000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    dataset = load_dataset(arguments.data)
    chain, calibration = load_chain(arguments.model, dataset)
    head = ("pruned", "float %", "integer %", "instructions", "weights B", "flash B", "mismatches")
    print("|", " | ".join(head), "|\n" + "|---" * len(head) + "|")
    for name in arguments.only:
        methods: list[Method] = pruning(calibration, ROWS[name], arguments.epochs)
        found = chain
        folder = arguments.out / name.replace(" ", "-").replace("%", "").replace(",", "")
        if methods:
            options = FineTuneOptions(epochs=arguments.epochs, lr=arguments.lr, seed=arguments.seed)
            found = finetune(
                chain, dataset, calibration, folder=folder / "run", methods=methods, options=options
            ).chain
        program = quantize(found, calibration)
        scores = score(found, program, dataset, "test")
        figures = board_figures(
            program, arguments.board, folder / "build", arguments.data, arguments.steps
        )
        accuracies = [f"{100 * scores[key]:.2f}" for key in ("accuracy_float", "accuracy_int")]
        print("|", " | ".join([name, *accuracies, *figures]), "|", flush=True)


if __name__ == "__main__":
    main()
