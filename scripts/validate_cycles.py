"""Compares the cycle models with published figures of real cores.

    python scripts/validate_cycles.py --coremark PATH [--board qemu-m4 ...] [--flags "-O3"]
    python scripts/validate_cycles.py --cmsis-nn PATH [--board qemu-m4 ...]

PATH is a copy of https://github.com/eembc/coremark or https://github.com/ARM-software/CMSIS-NN.
The program is built with the start-up code and the serial port of an emulated board; the
instructions of its timed part are counted by class, and the board's cycle model makes cycles of
them. What is published is in the model's file (``calibration/costs/cycles``).
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from edgeflow.device.board import plugin_option
from edgeflow.errors import EdgeFlowError
from edgeflow.profiling.classes import describe
from edgeflow.profiling.counts import Counts, read_counts
from edgeflow.profiling.models import CycleModel, estimate_cycles, load_cycle_model
from edgeflow.profiling.trace import prepare_trace
from edgeflow.resources import resource
from edgeflow.targets.board import BoardSpec, load_board
from edgeflow.targets.part import Part, load_part
from edgeflow.targets.runner import QemuRunner
from edgeflow.targets.toolchain import (
    board_defines,
    board_include_dirs,
    board_sources,
    compile_sources,
    link,
)
from edgeflow.targets.tools import find_tool

PORT = Path(__file__).resolve().parent / "validate_cycles"
BOARDS = ("qemu-m0", "qemu-m3", "qemu-m4", "qemu-m7", "qemu-m33", "qemu-m55", "qemu-rv32")
COREMARK = ("core_list_join.c", "core_main.c", "core_matrix.c", "core_state.c", "core_util.c")
CMSIS_NN = (
    "FullyConnectedFunctions/arm_fully_connected_s8.c",
    "FullyConnectedFunctions/arm_vector_sum_s8.c",
    "NNSupportFunctions/arm_nn_vec_mat_mult_t_s8.c",
)
ITERATIONS = 4
MACS = 264_192  # of the anomaly detection network
TIMEOUT = 300.0  # seconds


def build_coremark(board: BoardSpec, source: Path, flags: list[str], folder: Path) -> Path:
    """Build CoreMark with its 2,000 bytes of data for a board."""
    return _build(
        board, [source / name for name in COREMARK], PORT / "core_portme.c", [source], flags,
        {"ITERATIONS": str(ITERATIONS), "TOTAL_DATA_SIZE": "2000"}, folder,
    )  # fmt: skip


def build_cmsis_nn(board: BoardSpec, source: Path, flags: list[str], folder: Path) -> Path:
    """Build the fully connected layers of MLPerf Tiny's anomaly detection for a board."""
    return _build(
        board, [source / "Source" / name for name in CMSIS_NN], PORT / "fully_connected.c",
        [source / "Include"], flags, {}, folder,
    )  # fmt: skip


def _build(
    board: BoardSpec,
    sources: list[Path],
    main: Path,
    include: list[Path],
    flags: list[str],
    defines: dict[str, str],
    folder: Path,
) -> Path:
    absent = [path for path in sources if not path.is_file()]
    if absent:
        raise EdgeFlowError(f"{absent[0]}: missing: give the folder of the project's own copy")
    firmware = resource("firmware")
    include = [PORT, *include, firmware / "kernels", *board_include_dirs()]
    defines = {**board_defines(board), "EF_PROFILE": "1", **defines}
    objects: list[Path] = []
    for name, group, options in (
        # -w: the warnings of other people's code are not ours
        ("theirs", [*sources, main], ["-std=gnu99", "-w", *flags]),
        ("ours", [firmware / "runtime" / "ef_profile.c", *board_sources(board)], ["-Os"]),
    ):
        objects += compile_sources(
            board.core, group, folder / name, include_dirs=include, defines=defines,
            extra_flags=options,
        )  # fmt: skip
    return link(board, objects, folder / "firmware.elf")


def count(board: BoardSpec, elf: Path, part: Part | None) -> Counts:
    """Run an image until it says END; return the instructions of its only step."""
    if not isinstance(board.runner, QemuRunner):
        raise EdgeFlowError(f"{board.name}: instructions are counted by an emulator: take a qemu-…")
    cache = part.data_cache if part is not None else None
    trace = prepare_trace(elf, elf.parent, qemu=board.runner.emulator, data_cache=cache)
    command = [
        find_tool(board.runner.emulator), "-M", board.runner.machine, *board.runner.args,
        "-display", "none", "-monitor", "none", "-serial", "stdio",
        *plugin_option(trace.plugin), "-kernel", str(elf),
    ]  # fmt: skip
    said = ""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        watchdog = threading.Timer(TIMEOUT, process.kill)
        watchdog.start()
        try:
            for line in process.stdout:
                said += line
                if line.strip() == "END" or line.startswith("FAULT"):
                    break
        finally:
            watchdog.cancel()
            process.kill()
    if "validated" not in said:
        raise EdgeFlowError(f"{board.name}: the program did not validate its results:\n{said}")
    return read_counts(trace.out)


def estimate(
    board: BoardSpec, elf: Path, model: CycleModel, part: Part | None, unit: str
) -> tuple[float, dict[str, float]]:
    """Return the estimate in `unit` and the counts by class, of one iteration or inference."""
    counts = count(board, elf, part)
    cycles = estimate_cycles(counts, model, part)
    if cycles is None:
        raise EdgeFlowError(f"{board.name}: {model.name} lacks a class of these instructions")
    runs = ITERATIONS if unit == "CoreMark/MHz" else 1
    mix = {"taken": counts.taken.sum() / runs, "fetched": counts.fetched.sum() / runs}
    for number, executed in zip(counts.numbers, counts.total, strict=True):
        name = describe(int(number))[0]
        mix[name] = mix.get(name, 0.0) + executed / runs
    each = float(cycles.sum()) / runs
    return (1e6 / each if unit == "CoreMark/MHz" else each / MACS), mix


def validate(board: BoardSpec, sources: dict[str, Path], flags: list[str]) -> list[dict[str, Any]]:
    """Estimate what is published of a board's core, with the sources that are there."""
    model = load_cycle_model(board.core.name)
    if model is None:
        raise EdgeFlowError(f"{board.name}: no calibration/costs/cycles/{board.core.name}.toml")
    rows = []
    for check in model.validation:
        if check.unit not in sources:
            continue
        part = load_part(check.part) if check.part is not None else None
        build = build_coremark if check.unit == "CoreMark/MHz" else build_cmsis_nn
        with tempfile.TemporaryDirectory() as folder:
            elf = build(board, sources[check.unit].resolve(), flags, Path(folder))
            value, mix = estimate(board, elf, model, part, check.unit)
        now = check.model_copy(update={"estimated": value})
        rows.append(
            {
                "core": board.core.name,
                "model": model.name,
                **now.model_dump(),
                "error_percent": now.error_percent,
                "recorded": check.estimated,
                "instructions": mix,
            }
        )
    return rows


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--coremark", type=Path, metavar="PATH")
    parser.add_argument("--cmsis-nn", type=Path, metavar="PATH")
    parser.add_argument("--board", nargs="+", default=BOARDS, help="default: all with a model")
    parser.add_argument("--flags", default="-O3 -funroll-loops", help="of the compiler")
    parser.add_argument("--json", action="store_true", help="print all, with counts by class")
    args = parser.parse_args()
    paths = {"CoreMark/MHz": args.coremark, "cycles/MAC": args.cmsis_nn}
    sources = {unit: path for unit, path in paths.items() if path is not None}
    if not sources:
        parser.error("give --coremark PATH, --cmsis-nn PATH or both")
    try:
        boards = [load_board(name) for name in args.board]
        rows = [row for b in boards for row in validate(b, sources, shlex.split(args.flags))]
    except EdgeFlowError as error:
        sys.exit(f"error: {error}")
    if args.json:
        print(json.dumps(rows, indent=2))
        return
    print("| core | model | figure | part | published | estimated | error of the cycles |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        fitted = " (fitted)" if row["fitted"] else ""
        print(
            f"| {row['core']} | {row['model']} | {row['workload']}, {row['unit']} | "
            f"{row['part'] or 'no wait states'} | {row['published']:.2f} | "
            f"{row['estimated']:.2f} | {row['error_percent']:+.0f} %{fitted} |"
        )


if __name__ == "__main__":
    main()
