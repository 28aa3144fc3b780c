"""``edgeflow float``: layers without an integer form become C code beside the integer part."""

import re
from dataclasses import asdict
from pathlib import Path

import typer

from edgeflow.cli import console
from edgeflow.cli.options import JSON, TRUST_BOARD
from edgeflow.errors import TargetError


def command(
    module: str = typer.Argument(
        ..., help="mymodel.py:Head, a torch.nn.Module without arguments, or what returns one."
    ),
    input_: str = typer.Option(..., "--input", help="Shape of x, such as 1x64."),
    states: list[str] = typer.Option(
        [], "--state", help="Shape of a state of forward(x, *states) -> (y, *states); repeat it."
    ),
    checkpoint: Path | None = typer.Option(
        None, "--checkpoint", help="Weights: a state_dict saved by torch.save."
    ),
    board: str = typer.Option("qemu-m4", "--board", help="See 'edgeflow boards', or a .toml file."),
    core: str | None = typer.Option(
        None, "--core", help="Instead of a board: a core such as cortex-m55."
    ),
    name: str | None = typer.Option(
        None, "--name", help="Functions and macros begin with it. Default: the module's name."
    ),
    out: Path = typer.Option(Path("float"), "--out", "-o", help="Folder."),
    trust_board: bool = TRUST_BOARD,
    json_: bool = JSON,
) -> None:
    """Write float layers as C code that runs beside the integer part of a model.

    For layers that 'edgeflow compress' does not take: attention, convolutions over windows,
    activations. Writes NAME.h, NAME.c and NAME_tvm.S (or .c), which need libm and no heap. Shapes
    are fixed, and all values float32.

    Examples:
      edgeflow float mymodel.py:Head --input 1x64 --checkpoint head.pt
      edgeflow float mymodel.py:Pool --input 1x16 --state 1x8x16 --board qemu-m55
    """
    from edgeflow.codegen.backends.tvm import require_tvm
    from edgeflow.importers.user_module import load_module
    from edgeflow.targets.board import load_board
    from edgeflow.targets.core import load_core

    shapes = [_shape("--input", input_), *(_shape("--state", state) for state in states)]
    spec = load_core(core) if core is not None else load_board(board, trusted=trust_board).core
    require_tvm()
    import torch

    from edgeflow.codegen.tvm.floating import FOLDER, float_library

    FOLDER.check(out, {"MODULE": module, "--checkpoint": checkpoint, "--board": board})
    if ".py:" not in module:
        raise TargetError(f"{module}: name a module in a Python file: mymodel.py:Head")
    net, notes = load_module(module, checkpoint)
    console.notes(notes)
    chosen = _name(module.rpartition(":")[2]) if name is None else name
    library = float_library(net, [torch.zeros(shape) for shape in shapes], spec, out, chosen)
    if json_:
        console.print_json({"core": spec.name, "name": chosen, **asdict(library)})
        return
    console.out.print(
        f"{out}: {chosen}_step for {spec.name}, {library.inputs} values in, {library.outputs} out, "
        f"{library.kernels} kernels; {library.constant_bytes:,} bytes of parameters, "
        f"sizeof({chosen}_t) = {library.memory_bytes:,}",
        soft_wrap=True,
    )
    console.note(f"compile {', '.join(file.name for file in library.files[1:])}, link with -lm")


def _shape(option: str, text: str) -> tuple[int, ...]:
    sizes = [int(size) for size in text.split("x")] if re.fullmatch(r"\d+(x\d+)*", text) else []
    if not sizes or min(sizes) < 1:
        raise TargetError(f"{option} {text}: write a shape as 64, 1x64 or 1x8x20")
    return tuple(sizes)


def _name(module: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", module).lower()
    return words if words != "model" else "float_model"
