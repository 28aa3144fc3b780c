"""The ways in which a module reaches the importers."""

import contextlib
import io
import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim

from tests.model_forms.form import CHANNELS, STEPS, Form, Made

DOORS = ("module", "pt2", "onnx", "dynamo")


def given(form: Form, n: int = 2) -> tuple[torch.Tensor, ...]:
    """Return what an exporter runs the module on."""
    generator = torch.Generator().manual_seed(3)
    return form.arguments(torch.randn(n, STEPS, CHANNELS, generator=generator))


def through(door: str, form: Form, net: nn.Module, folder: Path, *, free: bool = False) -> Any:
    """Return what `load_float_model` is given: the module, or the file that an exporter makes of it.

    `free` leaves the number of windows and steps open.
    """
    return net if door == "module" else exported(door, net, given(form), folder, free=free)


def exported(
    door: str, net: nn.Module, arguments: tuple[torch.Tensor, ...], folder: Path, *, free: bool
) -> Path:
    """Return the file that an exporter makes of a module, run on these arguments."""
    path = folder / f"m.{'pt2' if door == 'pt2' else 'onnx'}"
    with _quiet():
        if door == "onnx":
            names = [f"input{k}" for k in range(len(arguments))]
            axes = {name: _axes(a) for name, a in zip(names, arguments, strict=True)}
            torch.onnx.export(net, arguments, path, dynamo=False, input_names=names,
                              dynamic_axes=axes if free else None)  # fmt: skip
            return path
        shapes: Any = None
        if free:
            sizes = tuple(dict.fromkeys(_axes(a), Dim.AUTO) for a in arguments)
            shapes = (sizes,) if isinstance(net, Made) else sizes  # which takes *given
        program = torch.export.export(net, arguments, dynamic_shapes=shapes)
        if door == "pt2":
            torch.export.save(program, path)
        else:
            torch.onnx.export(program, arguments, path, dynamo=True, verbose=False)
    return path


def _axes(argument: torch.Tensor) -> dict[int, str]:
    """Return the axes of windows and steps of samples, or of the windows of something else."""
    if argument.ndim < 3:
        return {0: "n"} if len(argument) > 1 else {}
    return {0: "n", 1: "time"} if argument.shape[-1] == CHANNELS else {1: "n"}


@contextlib.contextmanager
def _quiet() -> Any:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")  # the exporters' own
        yield
