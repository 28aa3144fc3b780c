"""``edgeflow compress``: a trained model becomes an integer program."""

from pathlib import Path
from typing import Any

import typer

from edgeflow.cli import console
from edgeflow.cli.options import DATA, JSON, PEOPLE, RATE, ROOT
from edgeflow.errors import CheckFailed, CompressError

_BITS = {"int16": 12, "int8": 8}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(compress)


def compress(
    model: str = typer.Argument(
        ...,
        help="A folder of 'edgeflow train', mymodel.py:Net, or an .onnx, .pt2 or .nir file.",
    ),
    data: str = DATA,
    out: Path = typer.Option(Path("model.onnx"), "--out", "-o", help="File of the program."),
    root: Path | None = ROOT,
    people: Path | None = PEOPLE,
    rate: float | None = RATE,
    window: int | None = typer.Option(None, "--window", help="Samples a decision of mymodel.py."),
    checkpoint: Path | None = typer.Option(
        None, "--checkpoint", help="state_dict with the weights of mymodel.py:Net."
    ),
    weights: str = typer.Option("int8", "--weights", help="Width of the weights: int8."),
    activations: str = typer.Option(
        "int16", "--activations", help="int16 (12 bits in int16) or int8 inputs and states."
    ),
    max_drop: float | None = typer.Option(
        None, "--max-drop", help="Exit with 1 if accuracy falls by more points than this."
    ),
    json_: bool = JSON,
) -> None:
    """Quantize a trained model into one ONNX file of integer operations.

    Scales come from the training people, accuracy before and after from the
    test people.

    Examples:
      edgeflow compress runs/gru32 --data seglearn-watch -o model.onnx
      edgeflow compress mymodel.py:Net --checkpoint net.pt --data mine.npz
      edgeflow compress exported.onnx --data mine.npz -o model.onnx
    """
    from edgeflow.compress.convert import Widths
    from edgeflow.compress.evaluate import compress_model
    from edgeflow.data import load_dataset

    if weights != "int8":
        raise CompressError(f"--weights {weights}: there is int8")
    if activations not in _BITS:
        raise CompressError(f"--activations {activations}: there are {', '.join(_BITS)}")
    if out.exists() and Path(model).exists() and out.samefile(model):
        raise CompressError(f"{out}: the result would replace the model: choose another --out")
    dataset = load_dataset(data, root=root, people=people, rate_hz=rate, window=window)
    bits = _BITS[activations]
    result = compress_model(model, dataset, checkpoint=checkpoint, widths=Widths(bits, bits))
    result.program.save(out)
    scores = result.scores
    drop = 100 * (scores["accuracy_float"] - scores["accuracy_int"])
    if json_:
        console.print_json(
            {"model": str(out), "hash": result.program.hash.hex(), "drop_points": drop, **scores}
        )
    else:
        console.table(
            f"{out}: program {result.program.hash.hex()}",
            ["", "float", "integer"],
            [
                [
                    f"accuracy on {scores['windows']} windows of {scores['split']} people",
                    f"{scores['accuracy_float']:.2%}",
                    f"{scores['accuracy_int']:.2%}",
                ],
                ["the lowest of a person", *_lowest(scores["people"])],
                ["same decision as float", "", f"{scores['agreement']:.2%}"],
                [
                    "weights",
                    f"{4 * sum(_parameters(n) for n in result.program.nodes)} B",
                    f"{sum(n.weight_bytes() for n in result.program.nodes)} B",
                ],
            ],
        )
    for values, share in result.program.metadata["saturation"].items():
        if share > 1e-3:
            console.note(
                f"{values}: {share:.1%} of the values in calibration saturate in their format",
                label="note: ",
            )
    if max_drop is not None and drop > max_drop:
        raise CheckFailed(f"accuracy fell by {drop:.2f} points, more than --max-drop {max_drop}")


def _lowest(people: dict[str, dict[str, float]]) -> list[str]:
    return [f"{min(person[kind] for person in people.values()):.2%}" for kind in ("float", "int")]


def _parameters(node: Any) -> int:
    return sum(matrix.weight.size + matrix.rows for matrix in node.matrices().values())
