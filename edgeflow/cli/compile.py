"""``edgeflow compile``: a program becomes a C library and a firmware image."""

import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgeflow.cli import console
from edgeflow.cli.options import JSON, TRUST_BOARD
from edgeflow.errors import TargetError

if TYPE_CHECKING:
    from edgeflow.codegen.choice import Choice


#: Fields of a build that are JSON values.
_SHOWN = ("board", "core", "model_hash", "layers", "kernels", "tvm_layers", "optimize", "name",
          "any_part", "notes", "baud", "counts")  # fmt: skip


def command(
    model: Path = typer.Argument(..., help="A program: model.onnx of 'edgeflow compress'."),
    board: str = typer.Option("qemu-m4", "--board", help="See 'edgeflow boards', or a .toml file."),
    out: Path = typer.Option(Path("build"), "--out", "-o", help="Build folder."),
    backend: str = typer.Option(
        "auto",
        "--backend",
        help="Backend that writes the code: c, tvm, or auto, which takes "
        "the cheaper of both for each kernel and layer.",
    ),
    optimize: str = typer.Option(
        "balanced",
        "--optimize",
        help="balanced: the fewest cycles of the board's part with weights of up to 8 bits; "
        "cycles: of any width; speed: the fewest instructions; size: weights of 4 bits where they "
        "fit.",
    ),
    kernel: str | None = typer.Option(
        None, "--kernel", help="A kernel or kernel set whatever it costs, e.g. c for plain C."
    ),
    weights_in: str | None = typer.Option(
        None,
        "--weights-in",
        help="Memory of the board that weights and tables are copied to at start, such as ram. "
        "Default: the board's own, usually flash.",
    ),
    kernels_in: str | None = typer.Option(
        None,
        "--kernels-in",
        help="Memory of the board that the code of a step is copied to at start.",
    ),
    any_part: bool = typer.Option(
        False,
        "--any-part",
        help="Compile also what the part that figures are estimated for has no memory or time for, "
        "as an emulated board may have more.",
    ),
    name: str | None = typer.Option(
        None,
        "--name",
        help="Of the library: NAME.c, NAME.h, and all its global names begin with it, those of the "
        "kernels too. Default: model.c, for a firmware without another such library.",
    ),
    mlperf: str | None = typer.Option(
        None,
        "--mlperf",
        metavar="MODEL",
        help="A model's name in the MLPerf Tiny benchmark, such as kws01: the firmware also speaks "
        "the protocol of the benchmark's runner, as that model.",
    ),
    mlperf_mode: str | None = typer.Option(
        None,
        "--mlperf-mode",
        help="performance (default), or energy: edges of a pin of the board mark the time.",
    ),
    baud: int | None = typer.Option(
        None,
        "--baud",
        help="Of the serial port; default: the board's, in MLPerf Tiny's energy mode 9600.",
    ),
    counts: str | None = typer.Option(
        None,
        "--counts",
        metavar="UNIT=N,...",
        help="Int16 counts of one unit of the sensors, such as g=8192,°/s=16.4: the library then "
        "also quantizes counts, without a float. Default: the board file's.",
    ),
    trust_board: bool = TRUST_BOARD,
    json_: bool = JSON,
) -> None:
    """Write model.c, model.h and the kernels, and link a firmware image for a board.

    Each matrix gets the kernel with the fewest expected instructions on the board's core, as
    measured before (docs/benchmarks.md); the table shows what the others would cost.
    An image that its board has no room for is an error, and so is one that the real
    part that figures are estimated for cannot hold or run in time.

    Examples:
      edgeflow compile model.onnx --board qemu-m4 -o build
      edgeflow compile model.onnx --board ./my-board.toml -o build-mine
      edgeflow compile model.onnx --optimize speed -o build-fast
      edgeflow compile model.onnx --kernel c -o build-plain
      edgeflow compile model.onnx --backend tvm -o build-tvm
      edgeflow compile model.onnx --weights-in ram -o build-ram
      edgeflow compile model.onnx --name gait -o build-gait
      edgeflow compile model.onnx --mlperf kws01 -o build-mlperf
      edgeflow compile model.onnx --counts m/s2=835.1 -o build-counts
    """
    from edgeflow import api

    # its notes are printed below
    with console.progress() as bar, warnings.catch_warnings(action="ignore"):
        build = api.compile(
            model,
            board,
            out,
            backend=backend,
            optimize=optimize,
            kernel_sets=[kernel] if kernel else None,
            weights_in=weights_in,
            kernels_in=kernels_in,
            any_part=any_part,
            name=name,
            mlperf=mlperf,
            mlperf_mode=mlperf_mode,
            baud=baud,
            counts=None if counts is None else parse_counts(counts),
            trust_board=trust_board,
            progress=console.stages(bar),
        )
    console.notes(build.notes)
    size = asdict(build.size)
    if json_:
        console.print_json(
            {
                "directory": str(out),
                **{key: getattr(build, key) for key in _SHOWN},
                "placement": build.placement.model_dump(),
                "mlperf": None if build.mlperf is None else build.mlperf.model_dump(),
                "choices": [asdict(choice) for choice in build.choices],
                "size": size,
            }
        )
        return
    rows = [[part, value, size["ram"].get(part) or None] for part, value in size["flash"].items()]
    rows += [[k, None, v] for k, v in size["ram"].items() if v and k not in size["flash"]]
    rows.append(["total", size["flash_bytes"], size["ram_bytes"]])
    console.table(
        f"{out}: {build.board} ({build.core}), program {build.model_hash}",
        ["bytes", "flash", "RAM (stack: see profile)"],
        rows,
    )
    if build.choices:
        show_choices(build.choices, build.optimize)
    names = ", ".join(Path(k).stem for k in build.kernels if "table" not in k)
    console.out.print(f"kernels: {names}", soft_wrap=True)
    if build.tvm_layers:
        console.out.print(f"steps by TVM: {', '.join(build.tvm_layers)}", soft_wrap=True)


def parse_counts(text: str) -> dict[str, float]:
    """Return counts of one unit by unit, of a text such as ``g=8192,°/s=16.4``.

    Raises
    ------
    TargetError
        If it is written otherwise.
    """
    found = {}
    for part in text.split(","):
        unit, equals, value = part.rpartition("=")
        try:
            found[unit.strip()] = float(value)
        except ValueError:
            equals = ""
        if not equals or not unit.strip():
            raise TargetError(f"--counts {text}: write UNIT=N, like g=8192 or g=8192,°/s=16.4")
    return found


def show_choices(choices: "Sequence[Choice]", optimize: str) -> None:
    """Print the kernel of each matrix, and below it the costs of others."""
    rows: list[list[Any]] = []
    for choice in choices:
        shape = f"{choice.layer}.{choice.matrix} {choice.rows} x {choice.cols}"
        rows.append([shape, choice.kernel, _count(choice.instructions),
                     _count(choice.cycles), choice.weight_bytes,
                     choice.why + _density(choice)])  # fmt: skip
        for other in choice.alternatives:
            why = "" if other.allowed else f"'{optimize}' does not allow it"
            rows.append(["", f"  {other.kernel}", _count(other.instructions),
                         _count(other.cycles), other.weight_bytes, why])  # fmt: skip
    console.table(
        "products: the kernel chosen, then the others that are exact",
        ["matrix", "kernel", "instructions", "cycles", "bytes", "why"],
        rows,
        text=("kernel", "why"),
    )


def _density(choice: "Choice") -> str:
    """Return the expected density of a delta matrix, and the density up to which that pays."""
    if choice.fired is None:
        return ""
    limit = "" if choice.break_even is None else f", delta pays up to {choice.break_even:.0%}"
    return f"; {choice.fired:.0%} of columns updated{limit}"


def _count(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.0f}"
