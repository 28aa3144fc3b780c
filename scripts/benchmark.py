"""Trains, compresses and profiles the models of docs/benchmarks.md and prints its tables.

    python scripts/benchmark.py accuracy -o runs/bench [--root DIR]
    python scripts/benchmark.py boards -o runs/bench [--root DIR]
    python scripts/benchmark.py cells -o runs/bench [--root DIR]

What is trained or compressed already in the folder is used again.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from edgeflow.codegen.build import compile_program
from edgeflow.compression.evaluate import compress_model
from edgeflow.data import load_dataset
from edgeflow.files import write_atomic
from edgeflow.profiling.run import profile
from edgeflow.program import Program
from edgeflow.targets.board import list_boards
from edgeflow.training import train

MODELS = (("seglearn-watch", 32), ("seglearn-watch", 64), ("wisdm-watch-hand", 64))
#: Longer trainings gain nothing on the validation people of the larger set.
EPOCHS = {"seglearn-watch": 30, "wisdm-watch-hand": 20}
SEEDS = (0, 1, 2)


#: Models of the table of cells.
CELL_MODELS: dict[str, dict[str, Any]] = {
    "gru": {"hidden": 64},
    "lstm": {"hidden": 64},
    "mingru": {"hidden": 64, "layers": 2},
    "lmu": {"hidden": 64},
    "lmuformer": {"hidden": 32},
    "cfc": {"hidden": 64},
    "ltc": {"hidden": 32},
    "lif": {"hidden": 64, "epochs": 30},
    "cuba-lif": {"hidden": 64, "epochs": 30},
    "l2mu": {"hidden": 64},
}
#: Data sets of that table.
CELL_DATA = ("wisdm-watch-hand", "seglearn-watch")


def _name(cell: str, options: dict[str, Any]) -> str:
    sizes = [str(options[key]) for key in ("layers", "hidden") if key in options]
    return f"{cell}-{'x'.join(sizes)}"


def compressed(
    data: str, seed: int, folder: Path, root: Path | None, cell: str = "gru", **options: Any
) -> Path:
    """Return the program file of a model, trained if need be; its scores stand beside it."""
    directory = folder / f"{data}-{_name(cell, options)}-s{seed}"
    options = {"epochs": EPOCHS[data], **options}
    file = directory / "model.onnx"
    if not file.exists():
        dataset = load_dataset(data, root=root)
        train(dataset, cell, out=directory, seed=seed, **options)
        result = compress_model(directory, dataset)
        write_atomic(directory / "scores.json", json.dumps(result.scores, indent=2))
        result.program.save(file)
    return file


def accuracy(folder: Path, root: Path | None) -> None:
    """Print float and integer accuracy on unseen people, three seeds a model."""
    print("| data | model | parameters | seed | float % | integer % | difference, points |")
    print("|---|---|---|---|---|---|---|")
    for data, hidden in MODELS:
        pairs = []
        for seed in SEEDS:
            directory = compressed(data, seed, folder, root, hidden=hidden).parent
            scores = json.loads((directory / "scores.json").read_text())
            metrics = json.loads((directory / "metrics.json").read_text())
            before, after = 100 * scores["accuracy_float"], 100 * scores["accuracy_int"]
            pairs.append((before, after))
            print(
                f"| {data} | GRU-{hidden} | {metrics['parameters']} | {seed} | {before:.2f} | "
                f"{after:.2f} | {after - before:+.2f} |"
            )
        mean = np.mean(pairs, axis=0)
        print(f"| | mean | | | {mean[0]:.2f} | {mean[1]:.2f} | {mean[1] - mean[0]:+.2f} |")


def boards(folder: Path, root: Path | None) -> None:
    """Print instructions, flash and RAM of each model (seed 0) on each board."""
    print("| model | board | instructions a step | mismatches | steps | flash B | RAM B | stack |")
    print("|---|---|---|---|---|---|---|---|")
    for data, hidden in MODELS:
        file = compressed(data, SEEDS[0], folder, root, hidden=hidden)
        dataset = load_dataset(data, root=root)
        for spec in list_boards():
            build = compile_program(Program.load(file), spec, file.parent / spec.name)
            result = profile(build, dataset, steps=2000).to_json()
            counted = result["instructions_per_step"]
            count = f"{counted['mean']:,.0f}" if counted else "not counted"
            stack = result["ram"]["stack"] or "unknown"
            print(
                f"| {data} GRU-{hidden} | {spec.name} | {count} | {result['mismatches']} | "
                f"{result['steps']} | {result['flash_bytes']:,} | {result['ram_bytes']:,} | "
                f"{stack} |"
            )


def cells(folder: Path, root: Path | None) -> None:
    """Print accuracy and cost of every cell; the cost is that of the first seed."""
    print(
        "| data | cell | parameters | float % | seeds | people | integer % | worst drop | "
        "M4 instr. | M55 instr. | mismatches | flash B | RAM B |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    for data in CELL_DATA:
        dataset = load_dataset(data, root=root)
        for cell, options in CELL_MODELS.items():
            files = [compressed(data, seed, folder, root, cell, **options) for seed in SEEDS]
            scores = [json.loads((file.parent / "scores.json").read_text()) for file in files]
            metrics = json.loads((files[0].parent / "metrics.json").read_text())
            before, after = (
                100 * np.array([score[f"accuracy_{kind}"] for score in scores])
                for kind in ("float", "int")
            )
            people = 100 * np.mean(
                [[person["float"] for person in score["people"].values()] for score in scores], 0
            )
            counts, result = [], {}
            for board in ("qemu-m55", "qemu-m4"):
                build = compile_program(Program.load(files[0]), board, files[0].parent / board)
                result = profile(build, dataset, steps=2000).to_json()
                counts.append(f"{result['instructions_per_step']['mean']:,.0f}")
            print(
                f"| {data} | {_name(cell, options)} | {metrics['parameters']} | "
                f"{before.mean():.1f} | {before.min():.1f}-{before.max():.1f} | "
                f"{people.min():.0f}-{people.max():.0f} | "
                f"{after.mean():.1f} | {(before - after).max():+.2f} | {counts[1]} | {counts[0]} | "
                f"{result['mismatches']} | {result['flash_bytes']:,} | {result['ram_bytes']:,} |",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=["accuracy", "boards", "cells"])
    parser.add_argument("-o", "--out", type=Path, default=Path("runs/bench"))
    parser.add_argument("--root", type=Path)
    arguments = parser.parse_args()
    table = {"accuracy": accuracy, "boards": boards, "cells": cells}[arguments.table]
    table(arguments.out, arguments.root)


if __name__ == "__main__":
    main()
