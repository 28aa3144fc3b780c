"""Writes the tables of README and docs that are made of registries and data files.

    python scripts/docs_tables.py            writes them
    python scripts/docs_tables.py --check    exits with 1 if a page differs
    python scripts/docs_tables.py --demo edgeflow-demo/qemu-m4/profile.json    new figures first

Tables, and what the pages of the reference list, stand between ``<!-- generated: NAME -->`` and
``<!-- end: NAME -->``, with NAME from `TABLES`. Sources: the names of ``edgeflow``, the registries
of cells and kernels, the forms of models that tests try, the schemas of options, the cores in
``targets/cores``, the files of ``firmware/kernels``, and ``benchmarks/*.json``.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from edgeflow.bench.cells import random_cell  # noqa: E402
from edgeflow.bench.fit import DENSITIES  # noqa: E402
from edgeflow.calibration import read_data  # noqa: E402
from edgeflow.cells import CELLS  # noqa: E402
from edgeflow.codegen.kernels import KERNEL_SETS, MATVEC_KERNELS, MatvecKernel, kernels_of  # noqa: E402
from edgeflow.codegen.sources import source_file  # noqa: E402
from edgeflow.codegen.sparse import DENSITY  # noqa: E402
from edgeflow.model_options import ModelOptions  # noqa: E402
from edgeflow.profiling.models import CycleModel  # noqa: E402
from edgeflow.recipes.limits import Limits  # noqa: E402
from edgeflow.recipes.recipe import Recipe  # noqa: E402
from edgeflow.resources import resource  # noqa: E402
from edgeflow.targets.board import list_boards  # noqa: E402
from edgeflow.targets.core import CoreSpec  # noqa: E402
from edgeflow.training.options import TrainOptions  # noqa: E402
from scripts import imc_curve, instruction_counts, spike_curve  # noqa: E402
from scripts.docs_forms import forms  # noqa: E402
from scripts.docs_reference import (  # noqa: E402
    api_classes,
    api_functions,
    cells_reference,
    delta_parts,
    flash_options,
    flash_tools,
    imc_parts,
    layers,
    markdown,
    options_of,
    part_energies,
    power_consumers,
    real_boards,
    recipe_entries,
)

BENCHMARKS = ROOT / "benchmarks"
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
BLOCK = re.compile(
    r"(?P<head><!-- generated: (?P<name>[\w-]+) -->\n)"
    r"(?P<text>.*?)(?P<tail><!-- end: (?P=name) -->)",
    re.S,
)
#: What is kept of a profile of ``edgeflow demo``.
DEMO_KEYS = (
    "board", "model", "dataset", "steps", "windows", "window", "rate_hz",
    "accuracy_float", "accuracy_oracle", "accuracy_device", "mismatches", "instructions_per_step",
    "cycles_per_step", "latency_us", "energy_uj", "flash_bytes", "ram_bytes",
)  # fmt: skip
#: Sizes of the cells whose functions are listed; the list does not depend on them.
INPUTS, HIDDEN = 3, 8
ASM, TUNED, PORTABLE = "asm", "tuned", "C"


def read(name: str) -> Any:
    return json.loads((BENCHMARKS / name).read_text())


# ---------------------------------------------------------------- cells and kernels by core


def core_groups() -> list[tuple[str, CoreSpec]]:
    """Return the cores, those with the same kernel sets as one, with their names."""
    groups: dict[tuple[str, ...], list[CoreSpec]] = {}
    for board in list_boards():
        cores = groups.setdefault(tuple(board.core.kernels), [])
        if board.core not in cores:
            cores.append(board.core)
    named = [(short_names(cores), cores[0]) for cores in groups.values()]
    order = ["M0", "M3", "M4", "M55", "RV32IMC", "A53", "A55"]
    first = {name: i for i, name in enumerate(order)}
    return sorted(named, key=lambda pair: first.get(re.split(r"\W", pair[0])[0], len(order)))


def short_names(cores: Sequence[CoreSpec]) -> str:
    """Return ``M4, M7, M33`` of ``cortex-m4`` and others."""
    names = sorted(core.name.removeprefix("cortex-") for core in cores)
    names.sort(key=lambda name: (len(name), name))
    names = [n if n == "host" else n.upper().replace("_ZBB", " + Zbb") for n in names]
    return ", ".join(n.replace(f"{names[0]} +", "+") for n in names)


def written(function: str, core: CoreSpec) -> str:
    """Return how a function is written for a core."""
    file = Path(source_file(function, core.kernels))
    if file.parent == Path():
        return PORTABLE
    return ASM if file.suffix == ".S" else TUNED


@cache
def functions_of(cell: str) -> tuple[str, ...]:
    """Return the C functions of a cell's step, products apart."""
    *layers, _head = random_cell(cell, INPUTS, HIDDEN, readout="last").nodes
    names = [name for node in layers for name in (node.c_function, *node.c_helpers) if name]
    return tuple(dict.fromkeys(names))


def step_of(cell: str, core: CoreSpec) -> str:
    """Return how the step of a cell is written for a core."""
    ways = {written(function, core) for function in functions_of(cell)}
    if len(ways) == 1:
        return ways.pop()
    return TUNED if PORTABLE not in ways else f"{TUNED} in part"


def best_of(core: CoreSpec, wanted: Callable[[MatvecKernel], bool]) -> str:
    """Return how the kernel is written that the first of a core's sets has for a product."""
    for kernel_set in core.kernels:
        names = [k.name for k in kernels_of([kernel_set]) if wanted(k)]
        if names:
            ways = {written(name, core) for name in names}
            return next(way for way in (ASM, TUNED, PORTABLE) if way in ways)
    return "–"


PRODUCTS: dict[str, Callable[[MatvecKernel], bool]] = {
    "weights in 8 bits": lambda k: (
        not k.delta and not k.sparse and k.weight_bits == 8 and "add_columns" not in k.name
    ),
    "in 4 bits": lambda k: not k.delta and not k.sparse and k.weight_bits == 4,
    "columns of spikes": lambda k: "add_columns" in k.name,
    "zeros in blocks": lambda k: (
        not k.delta and k.sparse is not None and k.sparse.rows * k.sparse.cols > 1
    ),
    "single zeros": lambda k: (
        not k.delta and k.sparse is not None and k.sparse.rows * k.sparse.cols == 1
    ),
    "delta": lambda k: k.delta and not k.sparse,
    "delta, zeros in blocks": lambda k: k.delta and k.sparse is not None,
}


def support() -> str:
    """Cells, and kinds of products, by core: how their code is written."""
    groups = core_groups()
    head = ["", *(name for name, _ in groups)]
    rows = [[f"`{cell}`", *(step_of(cell, core) for _, core in groups)] for cell in CELLS]
    rows += [
        [f"*product:* {name}", *(best_of(core, wanted) for _, core in groups)]
        for name, wanted in PRODUCTS.items()
    ]
    return markdown(head, rows)


def compression() -> str:
    """Methods of compression of each cell, by its hooks and its node's declarations."""
    rows = []
    for name, cell in CELLS.items():
        *nodes, _head = random_cell(name, INPUTS, HIDDEN, readout="last").nodes
        reads = {source for node in nodes for source in node.delta_sources.values()}
        found = {"input": "x" in reads, "state": bool(cell.recur and reads - {"x"})}
        deltas = [kind for kind, has in found.items() if has]
        hooks = ["yes" if hook else "–" for hook in (cell.load_dequantized, cell.prune_units)]
        rows.append([f"`{name}`", *hooks, ", ".join(deltas) or "–"])
    return markdown(["cell", "fine-tuned as integers", "units pruned", "deltas of"], rows)


# ---------------------------------------------------------------- measured figures


def products() -> str:
    return instruction_counts.products_table(instruction_counts.read())


def cells() -> str:
    return instruction_counts.cells_table(instruction_counts.read())


def spikes() -> str:
    return spike_curve.table(spike_curve.read(ROOT / "docs"))


def chips() -> str:
    return imc_curve.table(imc_curve.read())


def rtl_cycles() -> str:
    """What steps take on the RTL of a core, and by its cycle model."""
    rows = []
    for path in sorted((resource("calibration") / "costs" / "cycles").glob("*.toml")):
        model = read_data(CycleModel, path)
        checks = model.rtl_checks
        rows += [
            [f"`{model.name}`", c.workload, f"{c.published:,.0f}", f"{c.estimated:,.0f}",
             f"{c.error_percent:+.2f} %", c.conditions.split(", ", 1)[0]]
            for c in checks
        ]  # fmt: skip
        if checks:
            mean = sum(abs(c.error_percent) for c in checks) / len(checks)
            rows.append(
                [
                    "",
                    "mean and largest error",
                    "",
                    "",
                    f"{mean:.2f} %, {model.error_percent:.2f} %",
                    "",
                ]
            )
    head = ["cycle model", "model", "cycles a step on the RTL", "estimated", "error", "of"]
    return markdown(head, rows)


def accuracy() -> str:
    """Accuracy before and after quantization, and means over the seeds."""
    rows: list[list[str]] = []

    def add(data: str, model: str, parameters: str, seed: str, before: float, after: float) -> None:
        figures = f"{before:.2f}", f"{after:.2f}", f"{after - before:+.2f}"
        rows.append([data, model, parameters, seed, *figures])

    runs = read("accuracy.json")
    for data, hidden in dict.fromkeys((run["data"], run["hidden"]) for run in runs):
        part = [run for run in runs if (run["data"], run["hidden"]) == (data, hidden)]
        for r in part:
            model, seed = f"GRU-{hidden}", str(r["seed"])
            add(data, model, str(r["parameters"]), seed, r["float"], r["integer"])
        means = [sum(run[key] for run in part) / len(part) for key in ("float", "integer")]
        add("", "mean", "", "", *means)
    return markdown(
        ["data", "model", "parameters", "seed", "float %", "integer %", "difference, points"], rows
    )


def _or(value: int | None, otherwise: str) -> str:
    return otherwise if value is None else f"{value:,}"


def boards() -> str:
    """Instructions and memory on every board."""
    rows = [
        [f"{r['data']} GRU-{r['hidden']}", r["board"], _or(r["instructions"], "not counted"),
         str(r["mismatches"]), str(r["steps"]), f"{r['flash']:,}", f"{r['ram']:,}",
         _or(r["stack"], "unknown")]
        for r in read("boards.json")
    ]  # fmt: skip
    head = ["model", "board", "instructions per step", "mismatches", "steps", "flash B", "RAM B"]
    return markdown([*head, "stack"], rows)


def cells_of(data: str) -> Callable[[], str]:
    """Return the table of every cell on a data set."""
    head = [
        "cell", "parameters", "float %", "seeds", "subjects", "integer %", "worst drop",
        "instructions, M4", "instructions, M55", "mismatches", "flash B", "RAM B",
    ]  # fmt: skip

    def table() -> str:
        rows = []
        for r in read("cells.json"):
            if r["data"] != data:
                continue
            low, high = r["seeds"]
            worst, best = r["people"]
            rows.append([
                r["cell"], str(r["parameters"]), f"{r['float']:.1f}", f"{low:.1f}-{high:.1f}",
                f"{worst:.0f}-{best:.0f}", f"{r['integer']:.1f}", f"{r['worst_drop']:+.2f}",
                f"{r['instructions']['qemu-m4']:,}", f"{r['instructions']['qemu-m55']:,}",
                str(r["mismatches"]), f"{r['flash']:,}", f"{r['ram']:,}",
            ])  # fmt: skip
        return markdown(head, rows)

    return table


def home_boards() -> dict[str, str]:
    """Return, by kernel set, the board whose counts stand for it."""
    boards = {board.name: board for board in list_boards()}
    homes: dict[str, str] = {}
    for name in ("qemu-m3", *instruction_counts.DRAWN):
        core = boards[name].core
        for kernel_set in (core.kernels[0], *core.tvm.kernels[:1]):
            homes.setdefault(kernel_set, name)
    return {**homes, "c": "qemu-m3"}


def _counts(wanted: Callable[[MatvecKernel], bool], suffix: str = "") -> list[list[str]]:
    stored, homes = instruction_counts.read(), home_boards()
    rows = []
    of_sets = [(name, k) for name, members in KERNEL_SETS.items() for k in members if wanted(k)]
    for kernel_set, kernel in of_sets:
        if kernel_set not in homes:  # its boards count no instructions
            continue
        board = stored[homes[kernel_set]]
        counts = [
            board["instructions"].get(f"{kernel.name} {cols}x{rows}{suffix}")
            for cols, rows in instruction_counts.SHAPES
        ]
        cells_ = [f"{count:,.0f}" if count is not None else "" for count in counts]
        row = [f"`{kernel.name}`", board["core"], *cells_]
        if row not in rows and any(cells_):
            rows.append(row)
    return rows


def _shapes(also: str = "") -> list[str]:
    return [f"{cols} x {rows}{also}" for cols, rows in instruction_counts.SHAPES]


def kernels() -> str:
    """All kernels: what each reads, what it is about, and on which matrices it is exact."""
    rows = [
        [f"`{k.name}`", f"`{type(k.layout).__name__}`", k.about, k.is_exact_for.about or "all"]
        for k in MATVEC_KERNELS
    ]
    return markdown(["kernel", "layout", "about", "exact on"], rows)


def kernels_dense() -> str:
    """Kernels of all weights, on the core that they are for; portable C on a Cortex-M3."""
    dense = _counts(lambda k: not k.delta and not k.sparse)
    return markdown(["kernel", "core", *_shapes()], dense)


def kernels_sparse() -> str:
    """Kernels of some weights."""
    stored = [
        f"{cols} x {rows}, {100 * DENSITIES[(rows + cols) % len(DENSITIES)]:.0f} % stored"
        for cols, rows in instruction_counts.SHAPES
    ]
    sparse = _counts(lambda k: not k.delta and k.sparse is not None)
    return markdown(["kernel", "core", *stored], sparse)


def kernels_delta() -> str:
    """Delta kernels."""
    fired = f", {instruction_counts.FIRED:.0%} fire"
    rows = _counts(lambda k: k.delta, fired)
    for row in rows:
        if "_sparse_" in row[0]:
            row[1] += f", {100 * DENSITY:.0f} % stored"
    return markdown(["kernel", "core", *_shapes()], rows)


def demo() -> str:
    """Measurements of ``edgeflow demo``."""
    d = read("demo.json")
    quantiles = ("mean", "p50", "p99", "max")

    def of(key: str, digits: int) -> str:
        return " / ".join(f"{d[key][q]:,.{digits}f}" for q in quantiles)

    def error(key: str) -> str:
        return f"estimated, ±{d[key]['error_percent']:.0f} %"

    accuracies = (d[f"accuracy_{kind}"] for kind in ("float", "oracle", "device"))
    share = d["latency_us"]["mean"] * d["rate_hz"] / 1e4
    rows = [
        ["steps", f"{d['steps']:,} ({d['windows']} windows of {d['window']} samples)", ""],
        ["accuracy before compression / of the bit-exact reference / on the board",
         " / ".join(f"{100 * a:.2f} %" for a in accuracies), "measured"],
        ["mismatches with the reference", str(d["mismatches"]), "measured"],
        ["instructions per step, mean / p50 / p99 / max", of("instructions_per_step", 0), "exact"],
        ["cycles per step, mean / p50 / p99 / max", of("cycles_per_step", 0),
         error("cycles_per_step")],
        ["latency per step, mean / p50 / p99 / max", of("latency_us", 2) + " µs",
         error("latency_us")],
        ["energy per step, mean", f"{d['energy_uj']['mean']:.2f} µJ", error("energy_uj")],
        ["share of the time between samples", f"{share:.2f} % at {d['rate_hz']:g} Hz",
         error("latency_us")],
        ["flash, with serial protocol and start-up", f"{d['flash_bytes']:,} bytes", "exact"],
        ["RAM, with the most stack used", f"{d['ram_bytes']:,} bytes", "exact"],
    ]  # fmt: skip
    return markdown(["quantity", "value", "kind"], rows)


def store_demo(profile: Path) -> None:
    """Keep the figures of a profile of ``edgeflow demo``."""
    found = json.loads(profile.read_text())
    kept = {key: found[key] for key in DEMO_KEYS}
    (BENCHMARKS / "demo.json").write_text(json.dumps(kept, indent=1) + "\n")


def _others(core: str, cell: str) -> list[list[str]]:
    data = read("others.json")
    chosen = [row for row in data["steps"] if (row["core"], row["cell"]) == (core, cell)]
    ours = min(
        row["instructions"]
        for row in chosen
        if row["library"] == "EdgeFlow" and row["numbers"] == "int8 weights, 12-bit activations"
    )
    rows = []
    for row in sorted(chosen, key=lambda r: -r["instructions"]):
        source = data["sources"].get(row["library"].split(",")[0])
        is_ours = row["library"] == "EdgeFlow"
        name = "**EdgeFlow**" if is_ours else f"[{row['library']}]({source})"
        count = f"{row['instructions']:,}"
        times = "" if is_ours else f"{row['instructions'] / ours:.1f}"
        rows.append([name, row["numbers"], f"**{count}**" if is_ours else count, times])
    return rows


def others(core: str, cell: str) -> Callable[[], str]:
    """Return the table of one step on a core, ours and other libraries'."""
    head = ["library", "numbers", "instructions per step", "times ours"]
    return lambda: markdown(head, _others(core, cell))


def others_best() -> str:
    """The best of the others beside ours, one line for each core and cell."""
    data = read("others.json")
    rows = []
    for core, cell in dict.fromkeys((r["core"], r["cell"]) for r in data["steps"]):
        part = [r for r in data["steps"] if (r["core"], r["cell"]) == (core, cell)]
        ours = min(
            (r for r in part if r["library"] == "EdgeFlow" and "12-bit" in r["numbers"]),
            key=lambda r: r["instructions"],
        )
        best = min((r for r in part if r["library"] != "EdgeFlow"), key=lambda r: r["instructions"])
        source = data["sources"][best["library"].split(",")[0]]
        rows.append([
            f"{cell}, {core.replace('cortex-m', 'Cortex-M')}",
            f"**{ours['instructions']:,}**",
            f"{best['instructions']:,}, [{best['library']}]({source}), {best['numbers']}",
            f"{best['instructions'] / ours['instructions']:.1f}",
        ])  # fmt: skip
    return markdown(
        ["one step, 6 inputs", "EdgeFlow, instructions", "best of the others", "times ours"], rows
    )


def watches() -> str:
    """Return the bytes of apps of watches."""
    found = json.loads((BENCHMARKS / "watches.json").read_text(encoding="utf-8"))
    names = {
        "pebble": "Pebble, the whole app in memory, but for stack and heap",
        "infinitime": "PineTime, what the app adds to the firmware",
        "banglejs": "Bangle.js 2, machine code and places",
        "arm64-v8a": "Wear OS, `libNAME.so` for arm64-v8a",
        "armeabi-v7a": "Wear OS, `libNAME.so` for armeabi-v7a",
    }
    rows = [
        [name, f"{found['int8'][key]:,}", f"{found['int4'][key]:,}"] for key, name in names.items()
    ]
    return markdown(["bytes", "int8", "int4, `--optimize size`"], rows)


def watch_rates() -> str:
    """Return what a model loses at the rates of watches."""
    found = json.loads((BENCHMARKS / "watch_rates.json").read_text(encoding="utf-8"))
    rows = [
        [f"{row['rate_hz']:g} Hz", f"{row['accuracy']:.1%}", f"{row['same']:.1%}"]
        for row in found["rates"]
    ]
    return markdown(["the watch samples at", "accuracy", "decisions as at the model's rate"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "api-functions": api_functions,
    "api-classes": api_classes,
    "cells-reference": cells_reference,
    "support": support,
    "compression": compression,
    "demo": demo,
    "forms": forms,
    "layers": layers,
    "others-best": others_best,
    "others-gru-m4": others("cortex-m4", "GRU-64"),
    "others-gru-m55": others("cortex-m55", "GRU-64"),
    "others-lstm-m4": others("cortex-m4", "LSTM-64"),
    "others-lstm-m55": others("cortex-m55", "LSTM-64"),
    "compress-options": options_of("compress", Recipe, Limits, ModelOptions),
    "train-options": options_of("train", TrainOptions),
    "recipe-entries": recipe_entries,
    "delta-parts": delta_parts,
    "imc-parts": imc_parts,
    "part-energies": part_energies,
    "power-consumers": power_consumers,
    "flash-tools": flash_tools,
    "flash-options": flash_options,
    "real-boards": real_boards,
    "products": products,
    "cells": cells,
    "spikes": spikes,
    "chips": chips,
    "accuracy": accuracy,
    "boards": boards,
    "rtl-cycles": rtl_cycles,
    "cells-wisdm-watch-hand": cells_of("wisdm-watch-hand"),
    "cells-seglearn-watch": cells_of("seglearn-watch"),
    "kernels": kernels,
    "kernels-dense": kernels_dense,
    "kernels-sparse": kernels_sparse,
    "kernels-delta": kernels_delta,
    "watches": watches,
    "watch-rates": watch_rates,
}


def renewed(page: str) -> str:
    """Return the text of a page with its tables made anew.

    Raises
    ------
    KeyError
        If a marker names no table.
    """
    return BLOCK.sub(lambda m: f"{m['head']}\n{TABLES[m['name']]()}\n\n{m['tail']}", page)


def names_in(page: str) -> list[str]:
    """Return the names of the tables of a page."""
    return [m["name"] for m in BLOCK.finditer(page)]


def stale() -> list[Path]:
    """Return the pages whose tables differ from what they are made of."""
    return [page for page in PAGES if renewed(page.read_text()) != page.read_text()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if stale")
    parser.add_argument("--demo", type=Path, metavar="PROFILE.JSON", help="figures of a new demo")
    arguments = parser.parse_args()
    if arguments.demo:
        store_demo(arguments.demo)
    pages = stale()
    for page in pages:
        print(page.relative_to(ROOT))
        if not arguments.check:
            page.write_text(renewed(page.read_text()))
    if pages and arguments.check:
        sys.exit("stale: run python scripts/docs_tables.py")


if __name__ == "__main__":
    main()
