"""The MODEL argument of ``edgeflow compress``: the kinds of files that it can be."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgeflow.cells import SequenceClassifier, load_model
from edgeflow.cells.chain import FloatChain
from edgeflow.errors import CompressError, EdgeFlowError
from edgeflow.importers.assembly import Description
from edgeflow.importers.check import one_line
from edgeflow.importers.exported import from_exported
from edgeflow.importers.keras_model import from_keras
from edgeflow.importers.nir_graph import from_nir_file
from edgeflow.importers.onnx_model import from_onnx
from edgeflow.importers.torch_module import from_module

_Importer = Callable[[Path, NDArray[np.float32], Description], FloatChain]

#: By a file's suffix.
_IMPORTERS: dict[str, _Importer] = {
    ".onnx": from_onnx,
    ".pt2": from_exported,
    ".nir": from_nir_file,
    **dict.fromkeys((".keras", ".h5", ".hdf5"), from_keras),
}


def load_float_model(
    model: nn.Module | str | Path,
    example: NDArray[np.float32],
    *,
    checkpoint: str | Path | None = None,
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
        ``file.py:Name`` where Name is a module class that needs no arguments, or a function that
        returns a module.
    example : float32 array [n, time, channels]
        Real samples that the import is checked on.
    checkpoint : path, optional
        Weights for ``file.py:Name``: a state_dict saved by ``torch.save``.
    channels, classes, window, rate_hz
        Of the data; a checkpoint of ``edgeflow train`` brings its own.

    Raises
    ------
    CompressError, TrainError
        If the model cannot be loaded or has unsupported layers.
    """
    text, trained = model_text(model), model if isinstance(model, SequenceClassifier) else None
    if ".py:" in text:
        model = load_module(text, checkpoint)
    elif not isinstance(model, nn.Module) and not Path(text).exists():
        raise CompressError(
            f"{text}: no such file: give a folder of 'edgeflow train', mymodel.py:Net, or a file "
            f"with the suffix {', '.join(_IMPORTERS)}"
        )
    elif checkpoint is not None:
        raise CompressError(f"{text} holds its weights: leave the checkpoint out")
    if trained is None and isinstance(model, nn.Module):
        return from_module(
            model, example, channels=channels, classes=classes, window=window, rate_hz=rate_hz
        )
    if trained is None:
        path = Path(text)
        if importer := _IMPORTERS.get(path.suffix.lower()):
            return importer(path, example, Description(channels, classes, window, rate_hz))
        trained = load_model(path)
    if channels and trained.channels != list(channels):
        raise CompressError(
            f"{text}: the model reads {len(trained.channels)} channels "
            f"({', '.join(trained.channels)}), the data has {len(channels)} ({', '.join(channels)})"
        )
    chain = from_module(
        trained,
        example,
        channels=trained.channels,
        classes=trained.classes,
        window=trained.window,
        rate_hz=trained.rate_hz,
    )
    chain.data, chain.task = trained.data, trained.target
    return chain


def model_text(model: nn.Module | str | Path) -> str:
    """Return the name of a model in messages and records."""
    return type(model).__name__ if isinstance(model, nn.Module) else str(model)


def load_module(text: str, checkpoint: str | Path | None = None) -> nn.Module:
    """Return the module that ``file.py:Name`` stands for, with the weights of a checkpoint.

    Raises
    ------
    CompressError
        If there is no such file or name, its code fails, or the weights are not its own.
    """
    file, _, name = text.rpartition(":")
    path = Path(file)
    if not path.is_file():
        raise CompressError(f"{path}: no such file")
    spec = importlib.util.spec_from_file_location(f"edgeflow_user_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    python = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = python
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(python)
        if not hasattr(python, name):
            raise CompressError(f"{path}: there is no '{name}' in it")
        module = getattr(python, name)()
    except EdgeFlowError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        raise CompressError(f"{text}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    if not isinstance(module, nn.Module):
        raise CompressError(f"{text} gives a {type(module).__name__}, not a torch.nn.Module")
    if checkpoint is not None:
        _load_weights(module, Path(checkpoint))
    return module


def _load_weights(module: nn.Module, path: Path) -> None:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        state = state.get("state_dict", state) if isinstance(state, dict) else state
        module.load_state_dict(state)
    except OSError as error:
        raise CompressError(f"{path}: cannot be read: {error.strerror}") from error
    except Exception as error:  # torch raises several unrelated types
        reason = one_line(error) or type(error).__name__
        raise CompressError(
            f"{path}: not a state_dict that fits {type(module).__name__}: {reason}"
        ) from error
