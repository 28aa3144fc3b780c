"""The MODEL argument of ``edgeflow compress``: the kinds of files that it can be."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edgeflow.cells import SequenceClassifier, load_model
from edgeflow.cells.chain import FloatChain
from edgeflow.data.matching import channels_remedy
from edgeflow.errors import CompressError
from edgeflow.importers.exported import from_exported
from edgeflow.importers.file_kinds import describe, kind_of, missing
from edgeflow.importers.finish import Description
from edgeflow.importers.keras_model import from_keras
from edgeflow.importers.nir_graph import from_nir_file
from edgeflow.importers.onnx_model import from_onnx
from edgeflow.importers.parametrised import without_parametrisations
from edgeflow.importers.torch_module import from_module
from edgeflow.importers.user_module import check_layers_show, load_module, split
from edgeflow.importers.weights_file import REMEDY, Foreign, read_weights_file

_Importer = Callable[[Path, NDArray[np.float32], Description], FloatChain]

#: By a file's suffix.
_IMPORTERS: dict[str, _Importer] = {
    ".onnx": from_onnx,
    ".pt2": from_exported,
    ".nir": from_nir_file,
    **dict.fromkeys((".keras", ".h5", ".hdf5"), from_keras),
}
#: Suffixes by what a file's content shows, where its own is another.
_BY_CONTENT = {"onnx": ".onnx", "pt2": ".pt2"}
#: What a file with any suffix can be instead of a model.
_NO_FILE = ("empty", "lfs", "web")


def load_float_model(
    model: nn.Module | str | Path,
    example: NDArray[np.float32],
    *,
    checkpoint: str | Path | None = None,
    untrained: bool = True,
    nir_reset: str | None = None,
    nir_dt: float | None = None,
    channels: tuple[str, ...] = (),
    classes: tuple[str, ...] = (),
    window: int = 0,
    rate_hz: float = 0.0,
) -> FloatChain:
    """Load a trained model.

    Parameters
    ----------
    model : nn.Module, str or Path
        A module; or a folder or ``model.pt`` of ``edgeflow train``; an ONNX file; a ``.pt2`` of
        ``torch.export.save``; a model of Keras (``.keras``, ``.h5``); a NIR graph (``.nir``); or
        ``file.py:Name`` where Name is a module class that needs no arguments, a function that
        returns a module, or a module.
    example : float32 array [n, time, channels]
        Real samples that the import is checked on.
    checkpoint : path, optional
        Weights for ``file.py:Name``: a state_dict saved by ``torch.save``, with or without others
        things around it, or ``.safetensors``.
    untrained : bool
        Whether ``file.py:Name`` may have random weights.
    nir_reset, nir_dt : optional
        Reset of the neurons and seconds per step of a NIR graph, instead of its metadata's.
    channels, classes, window, rate_hz
        Of the data; a checkpoint of ``edgeflow train`` brings its own.

    Raises
    ------
    CompressError, TrainError
        If the model cannot be loaded or has unsupported layers.
    """
    text, trained = model_text(model), model if isinstance(model, SequenceClassifier) else None
    if not isinstance(model, nn.Module) and Path(text).suffix != ".nir":
        for option, value in (("nir-reset", nir_reset), ("nir-dt", nir_dt)):
            if value is not None:
                raise CompressError(f"--{option}: {text} is no .nir file: leave the option out")
    notes: tuple[str, ...] = ()
    if not isinstance(model, nn.Module) and _is_python(text):
        model, notes = load_module(text, checkpoint, untrained=untrained)
    elif checkpoint is not None:
        raise CompressError(f"{text} holds its weights: leave the checkpoint out")
    if trained is None and isinstance(model, nn.Module):
        check_layers_show(text, model)
        chain = from_module(
            without_parametrisations(model),
            example, channels=channels, classes=classes, window=window, rate_hz=rate_hz,
        )  # fmt: skip
        chain.notes = (*notes, *chain.notes)
        return chain
    if trained is None:
        path = Path(text)
        if importer := _importer(path):
            if importer is from_nir_file:
                importer = partial(from_nir_file, reset=nir_reset, dt=nir_dt)
            return importer(path, example, Description(channels, classes, window, rate_hz))
        trained = load_model(path)
    if channels and trained.channels != list(channels):
        raise CompressError(
            f"{text}: the model reads {len(trained.channels)} channels "
            f"({', '.join(trained.channels)}), the data has {len(channels)} "
            f"({', '.join(channels)}): {channels_remedy(channels, trained.channels)}"
        )
    chain = from_module(
        trained,
        example,
        channels=trained.channels,
        classes=trained.classes,
        window=trained.window,
        rate_hz=trained.rate_hz,
    )
    chain.data, chain.task, chain.warmup = trained.data, trained.target, trained.warmup
    chain.units, chain.output = tuple(trained.units or ()), trained.output
    chain.hop = trained.hop
    return chain


def model_text(model: nn.Module | str | Path) -> str:
    """Return the name of a model in messages and records."""
    return type(model).__name__ if isinstance(model, nn.Module) else str(model)


def _is_python(text: str) -> bool:
    """Tell whether a text names a Python file, and what is in it."""
    if text.endswith((".py", ".py:")):
        split(text)  # tells what could be named
    return ".py:" in text


def _importer(path: Path) -> _Importer | None:
    """Return what reads a file; None for what ``edgeflow train`` wrote.

    Raises
    ------
    CompressError
        If it is neither: the message says what it is, and the way in.
    """
    try:
        if not path.exists():
            raise CompressError(f"{path}: {missing(path, _IMPORTERS)}")
        if path.is_dir() and any((path / f"{name}.pt").is_file() for name in ("model", "resume")):
            return None
        kind = kind_of(path)
        if kind == "torch":
            if _is_trained(path):
                return None
            raise CompressError(f"{path}: {_saved(path)}")
    except OSError as error:
        raise CompressError(f"{path}: cannot be read: {error.strerror or error}") from error
    suffix = path.suffix.lower()
    if not path.is_dir() and kind not in _NO_FILE and suffix in _IMPORTERS:
        return _IMPORTERS[suffix]
    if kind in _BY_CONTENT:
        return _IMPORTERS[_BY_CONTENT[kind]]
    raise CompressError(f"{path}: {describe(path, kind)}")


def _is_trained(path: Path) -> bool:
    """Tell whether a file of torch.save is a ``model.pt``; damaged ones count by their name."""
    try:
        content = read_weights_file(path)
    except CompressError:
        return path.name == "model.pt"
    return isinstance(content, dict) and {"format", "hyper", "cell"} <= content.keys()


def _saved(path: Path) -> str:
    """Return what a file of torch.save is, and the way in."""
    try:
        content = read_weights_file(path)
    except CompressError as error:
        return str(error).removeprefix(f"{path}: ")
    if isinstance(content, Foreign):
        return f"a pickled {content.name}, whose code is not run: {REMEDY}, and give " + (
            "mymodel.py:Net --checkpoint net.pt"
        )
    return describe(path, "torch")
