"""``edgeflow mlperf``: what the runner of the MLPerf Tiny benchmark reads."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from edgeflow.cli import console, dataset
from edgeflow.cli.options import DATA, JSON
from edgeflow.cli.schema import with_options
from edgeflow.data.reading import DataOptions
from edgeflow.errors import TargetError


@with_options(reading=DataOptions)
def command(
    build: Path = typer.Argument(..., help="A build folder of 'edgeflow compile --mlperf'."),
    data: str = DATA,
    out: Path = typer.Option(Path("mlperf"), "--out", "-o", help="Folder for the runner."),
    split: str = typer.Option("test", "--split", help="Whose windows: train, val or test."),
    windows: int = typer.Option(200, "--windows", min=5, help="At most this many, taken evenly."),
    inferences: int | None = typer.Option(
        None,
        "--inferences",
        min=1,
        help="Of a measurement, which must take 10 s or longer; default: what should take 12.",
    ),
    usb: str | None = typer.Option(
        None,
        "--usb",
        help="Vendor and product of the board's serial port; default: of the board's file, else "
        "0483:374B, an ST-Link V2-1.",
    ),
    voltage: float = typer.Option(3.3, "--voltage", help="Supply in the energy mode.", min=0.1),
    json_: bool = JSON,
    *,
    reading: dict[str, Any],
) -> None:
    """Write devices, test scripts and windows for the MLPerf Tiny benchmark's runner.

    The runner is 'benchmark/runner' of github.com/mlcommons/tiny; docs/mlperf.md tells how
    the board and it are connected.

    Examples:
      edgeflow mlperf build-mlperf --data seglearn-watch
      edgeflow mlperf build-mlperf --data mine.csv --windows 50 --usb 1366:1051
    """
    from edgeflow.codegen.build import Build
    from edgeflow.exporting.mlperf import FOLDER, write_benchmark

    ids = None if usb is None else _numbers(usb)
    loaded = Build.load(build)
    FOLDER.check(out, {"BUILD": build, **dataset.inputs(data, reading)})
    samples = dataset.load(data, reading, loaded.program().window or None)
    made = write_benchmark(
        loaded, samples, out, split=split, windows=windows, inferences=inferences,
        usb=ids, voltage=voltage,
    )  # fmt: skip
    if json_:
        console.print_json({"directory": str(out), **asdict(made)})
        return
    console.out.print(
        f"{out}: {made.windows} windows as {made.model}, {made.accuracy:.1%} right by the "
        f"reference; {made.inferences:,} inferences a measurement",
        soft_wrap=True,
    )
    modes = ("energy",) if loaded.mlperf and loaded.mlperf.mode == "energy" else _MODES
    for mode in modes:
        console.out.print(
            f"python main.py --mode {mode[0]} --device_list {out.resolve()}/devices.yaml "
            f"--test_script {out.resolve()}/tests_{mode}.yaml "
            f"--dataset_path {out.resolve()}/datasets",
            soft_wrap=True,
        )


#: Of the runner, when the board answers it directly.
_MODES = ("accuracy", "performance")


def _numbers(usb: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9a-fA-F]{1,4}):([0-9a-fA-F]{1,4})", usb)
    if found is None:
        raise TargetError(f"--usb {usb}: two hexadecimal numbers, such as 0483:374B")
    return int(found[1], 16), int(found[2], 16)
