"""``edgeflow compile``: a program becomes a C library and a firmware image."""

from pathlib import Path

import typer

from edgeflow.cli import console
from edgeflow.cli.options import JSON
from edgeflow.errors import TargetError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compile")(compile_)


def compile_(
    model: Path = typer.Argument(..., help="A program: model.onnx of 'edgeflow compress'."),
    board: str = typer.Option("qemu-m4", "--board", help="See 'edgeflow boards', or a .toml file."),
    out: Path = typer.Option(Path("build"), "--out", "-o", help="Build folder."),
    backend: str = typer.Option("auto", "--backend", help="Who makes the code: auto or c."),
    kernel: str | None = typer.Option(
        None, "--kernel", help="Kernel set instead of the core's best, e.g. c for plain C."
    ),
    json_: bool = JSON,
) -> None:
    """Write model.c, model.h and the kernels, and link a firmware image for a board.

    Examples:
      edgeflow compile model.onnx --board qemu-m4 -o build
      edgeflow compile model.onnx --board ./my-board.toml -o build-mine
      edgeflow compile model.onnx --kernel c -o build-plain
    """
    import json

    from edgeflow.codegen.build import compile_program
    from edgeflow.program import Program

    if backend not in ("auto", "c"):
        raise TargetError(f"--backend {backend}: there are auto and c")
    program = Program.load(model)
    build = compile_program(program, board, out, kernel_sets=[kernel] if kernel else None)
    size = json.loads((out / "size.json").read_text(encoding="utf-8"))
    if json_:
        console.print_json(
            {
                "directory": str(out),
                "board": build.board,
                "core": build.core,
                "model_hash": build.model_hash,
                "layers": build.layers,
                "kernels": build.kernels,
                "size": size,
            }
        )
        return
    rows = [[part, value, size["ram"].get(part)] for part, value in size["flash"].items()]
    rows += [[k, None, v] for k, v in size["ram"].items() if v and k not in size["flash"]]
    rows.append(["total", size["flash_bytes"], size["ram_bytes"]])
    console.table(
        f"{out}: {build.board} ({build.core}), program {build.model_hash}",
        ["bytes", "flash", "RAM (stack: see profile)"],
        rows,
    )
    names = ", ".join(Path(k).stem for k in build.kernels if "table" not in k)
    console.out.print(f"kernels: {names}", soft_wrap=True)
