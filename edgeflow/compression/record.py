"""The manifest of a compression, beside its program: its options and its results."""

import errno
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeflow import __version__
from edgeflow.compression.stored import check_record
from edgeflow.compression.tuning import Tuning
from edgeflow.digest import ChangedError, read_json, sealed_json
from edgeflow.errors import CompressError, OutputError
from edgeflow.files import atomic_path, synced, write_atomic

if TYPE_CHECKING:
    from edgeflow.compression.evaluate import Compressed
    from edgeflow.program import Program

FORMAT = 1
_TRAINING = ("seconds", "best_epoch", "history", "arguments")


def record_path(out: str | Path) -> Path:
    """Return where the record of a program stands: ``model.json`` beside ``model.onnx``."""
    return Path(out).with_suffix(".json")


def run_folder(out: str | Path) -> Path:
    """Return the folder of a program's fine-tuning: ``model.run`` beside ``model.onnx``."""
    return Path(out).with_suffix(".run")


def make_record(
    out: str | Path,
    model: str,
    compressed: "Compressed",
    command: Mapping[str, Any],
    tuning: Tuning | None = None,
) -> dict[str, Any]:
    """Return the record of the program at `out`.

    Parameters
    ----------
    out : path
        The program.
    model : str
        What it was made of.
    command : mapping
        The options of the command, JSON values.

    Returns
    -------
    dict
        "format" (1), "edgeflow" (version), "model", "program" (file name), "hash" (hex), "data",
        "rate_hz" (null: not known), "window" (0: none), "command" (its options),
        "scores" (of the test subjects, as in `Compressed.scores`), "size" ("macs",
        "weight_bytes": weights packed in their bits, biases, multipliers, arrays), "matrices" (for
        each "name", "rows", "cols", "bits", "zeros": share of weights that are 0, "fired": share
        of columns updated per step, null for a dense one), "spikes" (share of neurons that spike
        per step, by layer and state), "cost" (null: not measured yet),
        "sensitivities" (as `Sensitivity`, [] if not asked for), "training" (null without
        fine-tuning, else "seconds", "best_epoch", "history", "arguments").
    """
    program = compressed.program
    fired = program.metadata.get("fired", {})
    matrices: list[dict[str, Any]] = [
        {
            "name": f"{node.name}.{field}",
            "rows": matrix.rows,
            "cols": matrix.cols,
            "bits": matrix.weight_bits,
            "zeros": float((matrix.weight == 0).mean()),
            "fired": fired.get(f"{node.name}.{field}"),
        }
        for node in program.nodes
        for field, matrix in node.products().items()
    ]
    tuned = None if tuning is None else tuning.tuned
    return {
        "format": FORMAT,
        "edgeflow": __version__,
        "model": model,
        "program": Path(out).name,
        "hash": program.hash.hex(),
        "data": program.metadata["data"],
        "rate_hz": program.rate_hz or None,
        "window": program.window,
        "command": dict(command),
        "scores": compressed.scores,
        "size": {"macs": program.macs, "weight_bytes": program.weight_bytes},
        "cost": None,
        "matrices": matrices,
        "spikes": program.metadata.get("spikes", {}),
        "sensitivities": [] if tuning is None else [asdict(s) for s in tuning.sensitivities],
        "training": None if tuned is None else {key: getattr(tuned, key) for key in _TRAINING},
    }


def check_place(out: str | Path) -> None:
    """Refuse a place for a program where its record would replace something else.

    Raises
    ------
    OutputError
        If the program and its record would have one name, or another file has the record's.
    IsADirectoryError
        If it is a folder.
    """
    out, record = Path(out), record_path(out)
    if out.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(out))
    if out.name in (record.name, run_folder(out).name):
        raise OutputError(f"{out}: its record gets this name: choose one that ends in .onnx")
    if os.path.lexists(record):
        try:
            read_record(record)
        except CompressError:
            raise OutputError(
                f"{record}: not a record of 'edgeflow compress', and would be replaced by that of "
                f"{out.name}: move it, or choose another --out"
            ) from None


def save_both(program: "Program", out: str | Path, record: Mapping[str, Any]) -> None:
    """Write a program and its record: both, or neither."""
    with atomic_path(record_path(out)) as text, atomic_path(out) as file:
        program.save(file)
        text.write_text(sealed_json(record, 1), encoding="utf-8")
        synced(text)  # both are on the disk before one has its name


def save_record(out: str | Path, record: Mapping[str, Any]) -> None:
    """Write a record beside the program at `out`."""
    write_atomic(record_path(out), sealed_json(record, 1))


def read_record(path: str | Path) -> dict[str, Any]:
    """Return the content of a record's file.

    Raises
    ------
    CompressError
        If it is missing, damaged, or no record.
    """
    try:
        record: dict[str, Any] = read_json(path)
        if record["format"] != FORMAT:
            raise ValueError("format: not that of this version")
        check_record(record)
    except OSError as error:
        raise CompressError(f"{path}: cannot be read ({error.strerror})") from None
    except ChangedError as error:
        raise CompressError(f"{path}: {error}: compress the model again") from None
    except (ValueError, KeyError, TypeError) as error:
        why = f" ({error})" if type(error) is ValueError else ""
        raise CompressError(f"{path}: not a record of 'edgeflow compress'{why}") from None
    return record
