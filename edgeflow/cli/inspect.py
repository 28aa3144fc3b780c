"""``edgeflow inspect``: the content of a program."""

from pathlib import Path
from typing import Any

import numpy as np
import typer

from edgeflow.cli import console
from edgeflow.cli.options import JSON


def command(
    model: Path = typer.Argument(..., help="A program: model.onnx of 'edgeflow compress'."),
    json_: bool = JSON,
) -> None:
    """Show a program's layers, formats, bytes, MACs and sparsity.

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
