"""Trains, compresses and profiles the models of docs/benchmarks.md; writes benchmarks/*.json.

    python scripts/benchmark.py accuracy -o runs/bench [--root DIR]
    python scripts/benchmark.py boards -o runs/bench [--root DIR]
    python scripts/benchmark.py cells -o runs/bench [--root DIR]
    python scripts/benchmark.py imc -o runs/bench [--root DIR]

What is trained or compressed already in the folder is used again. ``scripts/docs_tables.py`` then
writes the tables of the page.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgeflow.codegen.build import compile_program
from edgeflow.compression.evaluate import compress_model
from edgeflow.data import Dataset, load_dataset
from edgeflow.files import write_atomic
from edgeflow.imc import ArrayOptions, simulate
from edgeflow.profiling.run import profile
from edgeflow.program import Program
from edgeflow.recipes.apply import compress_by_recipe
from edgeflow.recipes.recipe import make_recipe
from edgeflow.targets.board import list_boards
from edgeflow.training import train

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
MODELS = (("seglearn-watch", 32), ("seglearn-watch", 64), ("wisdm-watch-hand", 64))
#: Longer trainings gain nothing on the validation subjects of the larger set.
EPOCHS = {"seglearn-watch": 30, "wisdm-watch-hand": 20}
SEEDS = (0, 1, 2)

Row = dict[str, Any]


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
#: Cells of the table of analog chips, and their number.
IMC_CELLS, CHIPS = ("gru", "lstm", "lmu", "cfc", "l2mu", "lif"), 10
#: Of their training: GRU and LSTM gain nothing on validation subjects by more.
IMC_EPOCHS = 10
#: Of their fine-tuning.
IMC_TUNING = 8
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


def accuracy(folder: Path, root: Path | None) -> Iterator[Row]:
    """Measure float and integer accuracy on unseen subjects, three seeds for each model."""
    for data, hidden in MODELS:
        for seed in SEEDS:
            directory = compressed(data, seed, folder, root, hidden=hidden).parent
            scores = json.loads((directory / "scores.json").read_text())
            metrics = json.loads((directory / "metrics.json").read_text())
            yield {
                "data": data,
                "hidden": hidden,
                "parameters": metrics["parameters"],
                "seed": seed,
                "float": round(100 * scores["accuracy_float"], 4),
                "integer": round(100 * scores["accuracy_int"], 4),
            }


def boards(folder: Path, root: Path | None) -> Iterator[Row]:
    """Measure instructions, flash and RAM of each model (seed 0) on each board."""
    for data, hidden in MODELS:
        file = compressed(data, SEEDS[0], folder, root, hidden=hidden)
        dataset = load_dataset(data, root=root)
        for spec in (board for board in list_boards() if board.emulated or board.soc is None):
            build = compile_program(Program.load(file), spec, file.parent / spec.name)
            result = profile(build, dataset, steps=2000).to_json()
            counted = result["instructions_per_step"]
            yield {
                "data": data,
                "hidden": hidden,
                "board": spec.name,
                "instructions": round(counted["mean"]) if counted else None,
                "mismatches": result["mismatches"],
                "steps": result["steps"],
                "flash": result["flash_bytes"],
                "ram": result["ram_bytes"],
                "stack": result["ram"]["stack"] or None,
            }


def cells(folder: Path, root: Path | None) -> Iterator[Row]:
    """Measure accuracy and cost of every cell; the cost is that of the first seed."""
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
            counts, result = {}, {}
            for board in ("qemu-m55", "qemu-m4"):  # flash and RAM are the last one's
                build = compile_program(Program.load(files[0]), board, files[0].parent / board)
                result = profile(build, dataset, steps=2000).to_json()
                counts[board] = round(result["instructions_per_step"]["mean"])
            yield {
                "data": data,
                "cell": _name(cell, options),
                "parameters": metrics["parameters"],
                "float": round(float(before.mean()), 1),
                "seeds": [round(float(before.min()), 1), round(float(before.max()), 1)],
                "people": [round(float(people.min())), round(float(people.max()))],
                "integer": round(float(after.mean()), 1),
                "worst_drop": round(float((before - after).max()), 2),
                "instructions": counts,
                "mismatches": result["mismatches"],
                "flash": result["flash_bytes"],
                "ram": result["ram_bytes"],
            }


def imc(folder: Path, root: Path | None) -> Iterator[Row]:
    """Measure cells on analog chips over time, as trained and fine-tuned for chips; three seeds."""
    data = "wisdm-watch-hand"
    dataset = load_dataset(data, root=root)
    for cell in IMC_CELLS:
        options = CELL_MODELS[cell] | {"epochs": IMC_EPOCHS}
        plain = [compressed(data, seed, folder, root, cell, **options) for seed in SEEDS]
        build = compile_program(Program.load(plain[0]), "qemu-m4", plain[0].parent / "qemu-m4")
        energy = profile(build, dataset, steps=2000).to_json()["energy_uj"]
        digital = [Program.load(file) for file in plain]
        for tuned in (False, True):
            programs = digital
            if tuned:
                pairs = zip(plain, SEEDS, strict=True)
                programs = [Program.load(for_chips(f, dataset, seed)) for f, seed in pairs]
            runs = [
                simulate(p, dataset, chips=CHIPS, options=ArrayOptions(seed=seed))
                for p, seed in zip(programs, SEEDS, strict=True)
            ]
            means = 100 * np.array([[row["mean"] for row in run.times] for run in runs])
            spreads = 100 * np.array([[row["sd"] for row in run.times] for run in runs])
            ideal = 100 * np.array([run.ideal["overall"]["accuracy"] for run in runs])
            measured = [one for one in runs[0].costs["models"] if one["measured"]]
            yield {
                "cell": _name(cell, CELL_MODELS[cell]),
                "tuned": tuned,
                "weights": sum(node.macs() for node in programs[0].nodes),
                "digital": [round(float(v), 2) for v in (ideal.mean(), ideal.std(ddof=1))],
                "seconds": [row["seconds"] for row in runs[0].times],
                "mean": [round(float(v), 2) for v in means.mean(axis=0)],
                "sd_seeds": [round(float(v), 2) for v in means.std(axis=0, ddof=1)],
                "sd_chips": [round(float(v), 2) for v in spreads.mean(axis=0)],
                "energy_uj": round(energy["mean"], 3),
                "analog_nj": [
                    round(1e9 * edge(one["energy_j"][end] for one in measured), 2)
                    for edge, end in ((min, "low"), (max, "high"))
                ],
            }


def for_chips(file: Path, dataset: Dataset, seed: int) -> Path:
    """Return the program of a model that was fine-tuned for chips, made if need be."""
    out = file.with_name("chips.onnx")
    if not out.exists():
        train = {"epochs": IMC_TUNING, "lr": 3e-3, "seed": seed}
        recipe = make_recipe({"imc": {"device": "pcm"}, "train": train})
        compress_by_recipe(file.parent, dataset, recipe, out=out)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=["accuracy", "boards", "cells", "imc"])
    parser.add_argument("-o", "--out", type=Path, default=Path("runs/bench"))
    parser.add_argument("--root", type=Path)
    arguments = parser.parse_args()
    measure = {"accuracy": accuracy, "boards": boards, "cells": cells, "imc": imc}[arguments.table]
    rows = []
    for row in measure(arguments.out, arguments.root):
        rows.append(json.dumps(row))
        print(rows[-1], flush=True)
    lines = ",\n ".join(rows)
    write_atomic(BENCHMARKS / f"{arguments.table}.json", f"[\n {lines}\n]\n")


if __name__ == "__main__":
    main()
