"""``edgeflow bench``: instruction counts on an emulated board, kernel by kernel, cell by cell."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgeflow.cli import console
from edgeflow.cli.options import JSON, TRUST_BOARD
from edgeflow.errors import CheckFailed, TargetError

if TYPE_CHECKING:
    from edgeflow.bench.cells import CellRow
    from edgeflow.bench.kernels import KernelRow
    from edgeflow.targets.board import BoardSpec


app = typer.Typer(
    name="bench",
    help="Count instructions of kernels and cells on an emulated board.",
    no_args_is_help=True,
)
BOARD: str = typer.Option("qemu-m4", "--board", help="An emulated board.")
SHAPE: list[str] | None = typer.Option(
    None, "--shape", help="Columns x rows, such as 64x192; may be repeated."
)
KERNEL: list[str] | None = typer.Option(None, "--kernel", help="Only this kernel; may be repeated.")


@app.command()
def kernels(
    board: str = BOARD,
    shape: list[str] | None = SHAPE,
    format_: list[str] = typer.Option(
        ["w8a12"], "--format", help="Bits of weights and activations: w8a12, w8a8, w4a12, ..."
    ),
    kernel: list[str] | None = KERNEL,
    density: list[float] = typer.Option(
        [1.0],
        "--density",
        min=0.0,
        max=1.0,
        help="Share of blocks of weights that are not zero; may be repeated.",
    ),
    block: str | None = typer.Option(
        None, "--block", help="Rows x columns of these blocks. Default: what the kernel stores."
    ),
    steps: int = typer.Option(16, "--steps", min=1, help="Calls of each; half with extremes."),
    fit: Path | None = typer.Option(
        None,
        "--fit",
        help="Measure a grid of shapes; write what 'compile' chooses by to this file.",
    ),
    trust_board: bool = TRUST_BOARD,
    json_: bool = JSON,
) -> None:
    """Count instructions per call and per multiply-accumulate of every kernel that a board can run.

    Each kernel computes random matrices of several shapes on random and extreme inputs; every
    output is compared with the bit-exact reference's. Exits with 1 if any differs.

    Examples:
      edgeflow bench kernels --board qemu-m4
      edgeflow bench kernels --board qemu-m4 --shape 64x192 --format w8a12 --json
      edgeflow bench kernels --board qemu-m33 --kernel ef_matvec_s8_s16_dsp
      edgeflow bench kernels --board qemu-m4 --density 0.25 --density 0.5
      edgeflow bench kernels --board qemu-m4 --fit m4.toml
    """
    from edgeflow.bench.kernels import SHAPES, bench_kernels
    from edgeflow.targets.board import load_board

    if fit is not None:
        if shape or kernel or block or format_ != ["w8a12"] or density != [1.0]:
            raise TargetError("--fit measures all kernels on shapes of its own: leave others out")
        _fit(load_board(board, trusted=trust_board), fit, json_)
        return
    shapes = [_shape(text) for text in shape] if shape else SHAPES
    blocks = _shape(block, "--block", "rows x columns") if block else None
    with console.counting(f"kernels on {board}") as on_progress:
        rows = bench_kernels(
            load_board(board, trusted=trust_board), shapes=shapes, formats=format_, kernels=kernel,
            densities=density, block=blocks, steps=steps, progress=on_progress,
        )  # fmt: skip
    if json_:
        console.print_json([asdict(row) for row in rows])
    else:
        for name in dict.fromkeys(row.kernel for row in rows):
            show([row for row in rows if row.kernel == name])
        show_side_by_side(rows)
    wrong = [row for row in rows if row.mismatches]
    if wrong:
        raise CheckFailed(
            f"{wrong[0].kernel} differs from the reference at {wrong[0].cols} columns x "
            f"{wrong[0].rows} rows, {wrong[0].format}"
        )


@app.command()
def schedules(
    board: str = BOARD,
    shape: list[str] | None = SHAPE,
    kernel: list[str] | None = KERNEL,
    out: Path | None = typer.Option(
        None,
        "--out",
        "-o",
        help="Write the best, and what 'compile' expects of them, to this file.",
    ),
    trust_board: bool = TRUST_BOARD,
    json_: bool = JSON,
) -> None:
    """Find how TVM should unroll and vectorize each of its kernels on a core.

    Counts the instructions of every schedule on the emulated board and keeps the one that needs the
    fewest. What 'compile' uses stands in calibration/costs/schedules.

    Examples:
      edgeflow bench schedules --board qemu-m4
      edgeflow bench schedules --board qemu-rv32 -o rv32imc.toml
    """
    from edgeflow.bench.schedules import (
        SHAPES,
        best_schedules,
        measure_schedules,
        search_schedules,
        write_schedules,
    )  # fmt: skip
    from edgeflow.targets.board import load_board

    if out is not None and kernel:
        raise TargetError("--out takes all kernels: leave out --kernel")
    spec = load_board(board, trusted=trust_board)
    shapes = [_shape(text) for text in shape] if shape else SHAPES
    with console.counting(f"schedules on {board}") as on_progress:
        counts = search_schedules(spec, shapes=shapes, kernels=kernel, progress=on_progress)
        best = best_schedules(counts)
        if out is not None:
            on_progress(None, None, "what the best cost")
            write_schedules(measure_schedules(spec, best), out)
    rows = [
        {
            "kernel": name,
            "core": spec.core.name,
            "unroll": schedule.unroll,
            "vectorize": schedule.vectorize,
            "chosen": schedule == best[name],
            "instructions": {f"{c}x{r}": n for (c, r), n in zip(shapes, numbers, strict=True)},
        }
        for name, tried in counts.items()
        for schedule, numbers in tried.items()
    ]
    if json_:
        console.print_json(rows)
        return
    for name, tried in counts.items():
        console.table(
            f"{name} on {spec.core.name}: instructions",
            ["unroll", "vectors", *(f"{cols} x {height}" for cols, height in shapes), "chosen"],
            [
                [s.unroll, s.vectorize, *numbers, "*" if s == best[name] else ""]
                for s, numbers in tried.items()
            ],
            text=("chosen",),
        )


def _fit(board: "BoardSpec", file: Path, json_: bool) -> None:
    from edgeflow.bench.fit import fit_kernels, write_costs
    from edgeflow.codegen.sparse import REFERENCE

    costs = fit_kernels(board)
    write_costs(costs, file)
    if json_:
        console.print_json(costs.model_dump())
        return
    columns = {
        "base": "base",
        "per_row": "row",
        "per_row_block": "row block",
        "per_column_block": "column block",
        "per_block": "block",
        "error_percent": "largest error %",
    }
    console.table(
        f"{file}: {costs.core}",
        ["kernel", "blocks", *columns.values()],
        [
            [name, f"{cost.block[0]} x {cost.block[1]}", *(getattr(cost, key) for key in columns)]
            for name, cost in costs.kernels.items()
        ],
    )
    rows, cols = REFERENCE
    for what, shares in (
        ("share of blocks up to which block-sparse", costs.break_even),
        ("share of columns updated up to which delta", costs.delta_break_even),
    ):
        if shares:
            title = f"{what} kernels cost less, {cols} x {rows}"
            console.table(title, ["kernel", "share"], shares.items())


@app.command()
def cells(
    board: str = BOARD,
    cell: list[str] | None = typer.Option(
        None, "--cell", help="Such as gru; may be repeated. Default: one of each family."
    ),
    hidden: list[int] | None = typer.Option(
        None, "--hidden", min=1, help="Units; may be repeated. Default: 32 and 64."
    ),
    inputs: int = typer.Option(6, "--inputs", min=1, help="Channels."),
    outputs: int = typer.Option(6, "--outputs", min=1, help="Of the linear layer."),
    optimize: str = typer.Option("balanced", "--optimize", help="As for 'edgeflow compile'."),
    backend: list[str] = typer.Option(
        ["auto"], "--backend", help="As for 'edgeflow compile'; may be repeated."
    ),
    weights: str = typer.Option("int8", "--weights", help="As for 'edgeflow compress'."),
    activations: str = typer.Option("int16", "--activations", help="As for 'edgeflow compress'."),
    weights_in: str | None = typer.Option(None, "--weights-in", help="As for 'edgeflow compile'."),
    kernels_in: str | None = typer.Option(None, "--kernels-in", help="As for 'edgeflow compile'."),
    steps: int = typer.Option(100, "--steps", min=1, help="Samples of each, one stream."),
    trust_board: bool = TRUST_BOARD,
    json_: bool = JSON,
) -> None:
    """Count the instructions of a step of recurrent cells with random weights.

    Each cell, with a linear layer behind it, is calibrated on random walks, compressed, compiled
    and run; every output is compared with the bit-exact reference's. Exits with 1 if any differs.

    Examples:
      edgeflow bench cells --board qemu-m4
      edgeflow bench cells --board qemu-m55 --cell gru --cell lstm --hidden 64
      edgeflow bench cells --board qemu-m4 --cell gru --hidden 64 --weights-in ram
      edgeflow bench cells --board qemu-m55 --backend c --backend tvm
      edgeflow bench cells --board qemu-m3 --weights int4 --activations int8
    """
    from edgeflow.bench.cells import CELLS, HIDDEN, bench_cells
    from edgeflow.targets.board import load_board

    with console.counting(f"cells on {board}") as on_progress:
        rows = bench_cells(
            load_board(board, trusted=trust_board).placed(weights=weights_in, kernels=kernels_in),
            cells=cell or CELLS, hidden=hidden or HIDDEN, inputs=inputs, outputs=outputs,
            optimize=optimize, backends=backend, steps=steps, progress=on_progress,
            widths={"weights": weights, "activations": activations},
        )  # fmt: skip
    if json_:
        console.print_json([asdict(row) for row in rows])
    else:
        show_cells(rows)
    wrong = [row for row in rows if row.mismatches]
    if wrong:
        raise CheckFailed(f"{wrong[0].cell} of {wrong[0].hidden} units differs from the reference")


def show_cells(rows: "list[CellRow]") -> None:
    """Print cells as a table."""
    console.table(
        f"instructions per step on {rows[0].core}, {rows[0].inputs} inputs",
        ["cell", "units", "code", "layers", "total", "cycles", "flash", "RAM", "wrong"],
        [
            [
                row.cell,
                row.hidden,
                row.backend,
                ", ".join(f"{name} {count:,.0f}" for name, count in row.layers.items()),
                f"{row.instructions:,.0f}",
                None if row.cycles is None else f"{row.cycles:,.0f}",
                row.flash_bytes,
                row.ram_bytes,
                row.mismatches,
            ]
            for row in rows
        ],
        text=("code", "layers"),
    )
    if rows[0].cycles is not None and rows[0].clock_hz is not None:
        console.out.print(
            f"cycles: estimated for {rows[0].part} at {rows[0].clock_hz / 1e6:g} MHz "
            "(docs/profiling.md)"
        )


def show(rows: "list[KernelRow]") -> None:
    """Print the rows of one kernel as a table."""
    blocks = ""
    if any(row.density < 1 for row in rows):
        blocks = f", blocks of {rows[0].block[0]} x {rows[0].block[1]}"
    console.table(
        f"{rows[0].kernel} on {rows[0].core}: {rows[0].text_bytes} bytes of code{blocks}",
        ["format", "columns", "rows", "not 0", "instructions", "per MAC", "per MAC not 0", "wrong"],
        [
            [
                row.format,
                row.cols,
                row.rows,
                f"{row.density:.0%}",
                f"{row.instructions:,.0f}",
                f"{row.instructions_per_mac:.3f}",
                f"{row.instructions_per_mac / row.density:.3f}" if row.density else "",
                row.mismatches,
            ]
            for row in rows
        ],
    )


def show_side_by_side(rows: "list[KernelRow]") -> None:
    """Print the instructions of all kernels, a table per format and density, a column per shape."""
    from edgeflow.codegen.backends import OURS, owner
    from edgeflow.codegen.kernels import kernel_named

    for form, density in dict.fromkeys((row.format, row.density) for row in rows):
        these = [row for row in rows if (row.format, row.density) == (form, density)]
        shapes = list(dict.fromkeys((row.cols, row.rows) for row in these))
        found = {(row.kernel, row.cols, row.rows): row.instructions for row in these}
        lines: list[list[Any]] = []
        for name in dict.fromkeys(row.kernel for row in these):
            kernel = kernel_named(name)
            ours = "plain C" if kernel.kernel_set == "c" else "by hand"
            maker = ours if owner(kernel) is OURS else owner(kernel).name.upper()
            counts = [found.get((name, cols, height)) for cols, height in shapes]
            lines.append([name, maker, *(n if n is None else f"{n:,.0f}" for n in counts)])
        if len(lines) > 1:
            console.table(
                f"{form}, {density:.0%} not 0: instructions by columns x rows",
                ["kernel", "made", *(f"{cols} x {height}" for cols, height in shapes)],
                lines,
                text=("made",),
            )


def _shape(text: str, option: str = "--shape", sides: str = "columns x rows") -> tuple[int, int]:
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(p.isdecimal() and 0 < int(p) <= 4096 for p in parts):
        raise TargetError(f"{option} {text}: {sides}, each 1 to 4096, such as 4x4")
    return int(parts[0]), int(parts[1])
