"""Cuts programs off at several losses and prints the table of docs/benchmarks.md.

    python scripts/anytime.py MODEL.onnx [MODEL.onnx ...] --data wisdm-watch-hand [--steps 4000]

Accuracy and samples are of all test windows, by the reference. The board runs `--steps`, with all
outputs compared; the mean of all windows follows from its means of steps that read, and of others.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from edgeflow.codegen.build import compile_program
from edgeflow.compression.anytime import decide, with_cutoff
from edgeflow.data import Dataset, load_dataset
from edgeflow.profiling.run import profile
from edgeflow.program import Program

POINTS = (None, 0.0, 0.3, 0.5, 1.0)


def row(program: Program, dataset: Dataset, board: str, steps: int) -> list[str]:
    """Return the cells of one program: validation subjects, test subjects, board."""
    windows = dataset.windows("test", length=program.window)
    outputs = program.without_cutoff().run(program.quantize_input(windows.x))
    decided, read = decide(program, outputs)
    right = decided.argmax(axis=1) == windows.y
    drop = 100 * float((outputs[:, -1].argmax(axis=1) == windows.y).mean() - right.mean())
    found = program.metadata.get("cutoff", {}).get("chosen")
    promised = f"{found['drop_points']:.2f} ± {found['error_points']:.2f}" if found else ""
    with TemporaryDirectory() as folder:
        result = profile(compile_program(program, board, folder), dataset, steps=steps).to_json()
    counts, cutoff = result["instructions_per_step"], result["cutoff"]
    mean = counts["mean"]
    if cutoff and cutoff["instructions_per_skipped_step"]:
        idle, short = cutoff["steps_skipped"], cutoff["instructions_per_skipped_step"]
        reading, share = (mean - idle * short) / (1 - idle), np.mean(read) / program.window
        mean = share * reading + (1 - share) * short
    return [
        promised,
        f"{100 * right.mean():.2f}",
        f"{drop:+.2f}",
        f"{np.mean(read):.1f}",
        f"{mean:,.0f}",
        *(f"{counts[key]:,.0f}" for key in ("p99", "max")),
        str(result["mismatches"]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs", nargs="+", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--board", default="qemu-m4")
    parser.add_argument("--steps", type=int, default=4_000)
    arguments = parser.parse_args()
    print(
        "| model | `--cutoff` | loss, validation | test % | loss | samples | instructions, mean | "
        "p99 | max | mismatches |\n" + "|---" * 10 + "|"
    )
    for path in arguments.programs:
        program = Program.load(path)
        dataset = load_dataset(arguments.data, root=arguments.root)
        for points in POINTS:
            cut = program if points is None else with_cutoff(program, dataset, points)
            cells = row(cut, dataset, arguments.board, arguments.steps)
            name = "–" if points is None else f"{points:g}"
            print("|", " | ".join([path.parent.name, name, *cells]), "|", flush=True)


if __name__ == "__main__":
    main()
