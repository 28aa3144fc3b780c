"""``edgeflow inspect``: the content of a program, and what it should cost on each board."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

from edgeflow.cli import console
from edgeflow.cli.options import JSON

if TYPE_CHECKING:
    from edgeflow.codegen.expected import Expected
    from edgeflow.program import Program


def command(
    model: Path = typer.Argument(..., help="A program: model.onnx of 'edgeflow compress'."),
    json_: bool = JSON,
) -> None:
    """Show a program's layers, formats, bytes, MACs, sparsity and expected costs.

    Costs are those of EdgeFlow's own kernels on the boards whose cores were measured, by formulas:
    nothing is compiled. 'edgeflow profile' measures.

    Examples:
      edgeflow inspect model.onnx
      edgeflow inspect model.onnx --json
    """
    from edgeflow.program import Program
    from edgeflow.program.show import decides
    from edgeflow.program.sources import names_of

    program = Program.load(model)
    layers = [
        {**_layer(node), "reads": names_of(program.nodes, reads)}
        for node, reads in zip(program.nodes, program.reads[:-1], strict=True)
    ]
    costs = _expected(program)
    summary: dict[str, Any] = {
        "model": str(model),
        "hash": program.hash.hex(),
        "inputs": program.inputs,
        "channels": list(program.input.channels),
        "input_bits": program.input.bits,
        "input_scale": program.input.scale.tolist(),
        "input_offset": program.input.offset.tolist(),
        "outputs": program.outputs,
        "output_reads": names_of(program.nodes, program.reads[-1]),
        "output_scale": program.output_scale,
        "classes": list(program.classes),
        "window": program.window,
        "hop": program.hop,
        "rate_hz": program.rate_hz,
        "macs": program.macs,
        "weight_bytes": sum(layer["weight_bytes"] for layer in layers),
        "state_bytes": sum(layer["state_bytes"] for layer in layers),
        "layers": layers,
        "expected": [asdict(row) for row in costs],
        "metadata": dict(program.metadata),
    }
    if json_:
        console.print_json(summary)
        return
    console.table(
        f"{model}: program {summary['hash']}, weights and state in bytes",
        ["layer", "type", "in", "out", "bits", "MACs", "weights", "state", "zeros", "acc. bits"],
        [
            [
                layer["name"], layer["type"], layer["inputs"], layer["outputs"],
                layer["output_bits"], layer["macs"], layer["weight_bytes"], layer["state_bytes"],
                f"{layer['sparsity']:.1%}", layer["accumulator_bits"],
            ]
            for layer in layers
        ],
        text=("type",),
    )  # fmt: skip
    if program.sources:
        console.table(
            "a graph: what is read side by side",
            ["layer", "reads"],
            [
                *([layer["name"], ", ".join(layer["reads"])] for layer in layers),
                ["(output)", ", ".join(summary["output_reads"])],
            ],
            text=("reads",),
        )
    console.table(
        f"input: {program.input.bits} bits, real = offset + scale * integer",
        ["channel", "offset", "scale"],
        [
            [name, f"{offset:.6g}", f"{scale:.6g}"]
            for name, offset, scale in zip(
                program.input.channels, program.input.offset, program.input.scale, strict=True
            )
        ],
    )
    _show_costs(costs)
    between = f" between {', '.join(program.classes)}" if program.classes else ""
    console.out.print(f"{program.macs} MACs per step; decides {decides(program)}{between}")


def _layer(node: Any) -> dict[str, Any]:
    matrices = node.products().values()
    weights = np.concatenate([matrix.weight.reshape(-1) for matrix in matrices] or [np.ones(1)])
    bound = max((int((m.accumulator_bound() << m.shift).max()) for m in matrices), default=0)
    return {
        "name": node.name,
        "type": node.op_type,
        "inputs": node.inputs,
        "outputs": node.outputs,
        "output_bits": node.output_bits,
        "macs": node.macs(),
        "weight_bytes": node.weight_bytes(),
        "state_bytes": sum(vector.nbytes for vector in node.states.values()),
        "sparsity": float((weights == 0).mean()),
        "accumulator_bits": bound.bit_length() + 1,
    }


def _expected(program: "Program") -> "list[Expected]":
    """Return the costs on the boards whose cores were measured."""
    from edgeflow.codegen.expected import expected
    from edgeflow.codegen.node_costs import load_node_costs
    from edgeflow.targets.board import list_boards

    boards = [board for board in list_boards() if load_node_costs(board.core.name) is not None]
    return [expected(program, board) for board in boards]


def _show_costs(costs: "list[Expected]") -> None:
    console.table(
        "expected costs of a step, cycles and energy on the board's part; image without its stack",
        ["board", "instructions", "cycles", "energy (uJ)", "flash", "RAM"],
        [
            [
                row.board,
                _about(row.instructions, row.error_percent),
                _about(row.cycles, row.cycle_error_percent),
                "-" if row.energy_uj is None else f"{row.energy_uj:.3g}",
                "-" if row.flash_bytes is None else f"{row.flash_bytes:,}",
                "-" if row.ram_bytes is None else f"{row.ram_bytes:,}",
            ]
            for row in costs
        ],
    )
    unknown = sorted({kind for row in costs for kind in row.unknown})
    if unknown:
        console.out.print(
            f"what {', '.join(unknown)} costs was not measured: 'edgeflow profile' tells"
        )


def _about(value: float | None, error: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if error is None else f"{value:,.0f} ±{error:.0f} %"
