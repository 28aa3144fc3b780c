"""Keras's files of whole models: ``.keras`` archives, and ``.h5`` of Keras 2 and 3.

They are read as data: JSON and HDF5. Nothing in them is run, and neither Keras nor TensorFlow is
needed.
"""

import importlib
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgeflow.errors import CompressError, EdgeFlowError, ToolMissingError
from edgeflow.importers.hdf5_heap import check_heaps
from edgeflow.importers.keras_weights import (
    LONGEST_TEXT,
    MOST_BYTES,
    NamedWeights,
    NumberedWeights,
    Reader,
    Weights,
    child,
    texts,
)
from edgeflow.importers.messages import one_line

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_SAVE = "save the whole model, with model.save('model.keras')"


@contextmanager
def open_model(path: Path) -> Iterator[tuple[dict[str, Any], Weights]]:
    """Yield a model's configuration and weights, which the file is open for.

    What kind of file it is follows from its content: Keras 2 wrote HDF5 for either suffix.

    Raises
    ------
    CompressError
        If it is not a file of a whole model.
    ToolMissingError
        If the package ``h5py`` is not installed.
    """
    try:
        h5py = importlib.import_module("h5py")
    except ImportError as error:
        raise ToolMissingError(
            f"{path}: reading Keras's files needs the package h5py ({error}): pip install h5py"
        ) from error
    try:
        if zipfile.is_zipfile(path):
            config: bytes | None
            config, source = _archive(path)
        else:
            config, source = None, io.BytesIO(path.read_bytes())
        check_heaps(source.getvalue())
        with h5py.File(source, "r") as file:
            if config is not None:
                yield _parsed(config), NumberedWeights(Reader(), file)
            else:
                yield _whole_model(file)
    except EdgeFlowError:
        raise
    except Exception as error:  # zipfile, json and h5py raise many unrelated types
        raise CompressError(
            f"not a file of a Keras model, or a damaged one ({type(error).__name__}: "
            f"{one_line(error)}): {_SAVE}"
        ) from error


def _archive(path: Path) -> tuple[bytes, io.BytesIO]:
    """Return the configuration, and the weights for h5py."""
    with zipfile.ZipFile(path) as archive:
        _check_members({info.filename: info.file_size for info in archive.infolist()})
        # a member yields at most the size that the archive's list gives it
        return archive.read(_CONFIG), io.BytesIO(archive.read(_WEIGHTS))


def _check_members(sizes: dict[str, int]) -> None:
    if _CONFIG not in sizes:
        raise CompressError(f"an archive without {_CONFIG}, so no Keras model: {_SAVE}")
    if _WEIGHTS not in sizes:
        raise CompressError(
            f"there is no {_WEIGHTS} in it, but {', '.join(sorted(sizes)[:5])}: {_SAVE} and its "
            "default weights_format, in one shard"
        )
    for name, limit in ((_CONFIG, LONGEST_TEXT), (_WEIGHTS, MOST_BYTES)):
        if sizes[name] > limit:
            raise CompressError(f"its {name} has {sizes[name]:,} bytes, more than {limit:,}")


def _whole_model(file: Any) -> tuple[dict[str, Any], Weights]:
    """Return configuration and weights of an .h5 file."""
    text = "".join(texts(file, "model_config"))
    weights = child(file, "model_weights")
    if not text or weights is None:
        holds = [key for key in ("layer_names", "nb_layers") if key in file.attrs]
        if holds or "layers" in file or "_layer_checkpoint_dependencies" in file:
            raise CompressError(f"it holds weights only, no layers that they are of: {_SAVE}")
        raise CompressError(f"an HDF5 file, but not of a Keras model: {_SAVE}")
    version = "".join(texts(file, "keras_version")) or "".join(texts(weights, "keras_version"))
    if not version or version.startswith(("0.", "1.")):
        raise CompressError("Keras 1 saved it: load and save it with Keras 2")
    return _parsed(text), NamedWeights(Reader(), weights)


def _parsed(text: str | bytes) -> dict[str, Any]:
    config = json.loads(text)
    if not isinstance(config, dict) or not isinstance(config.get("class_name"), str):
        raise CompressError("its configuration describes no model: save the model again")
    return config
