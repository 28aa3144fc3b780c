"""Weights of a Keras model, in the two layouts of HDF5 that Keras writes."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from edgeflow.errors import CompressError
from edgeflow.quantization import Floats

#: Most bytes of all arrays of a model, and of a text: far above any model for a microcontroller.
MOST_BYTES, LONGEST_TEXT = 2**28, 2**24
#: What to do about missing arrays.
_BUILT = "save it when it is built, with model.save"
#: Groups of a model's layers: of Keras 3 and 2.15, and of earlier ones.
_CONTAINERS = ("layers", "_layer_checkpoint_dependencies", "_self_tracked_trackables", "cells")


class Weights(ABC):
    """What a file holds for a layer, or for a model and the layers inside."""

    @abstractmethod
    def member(self, kind: str, number: int, name: str) -> "Weights":
        """Return those of the layer of a model.

        Parameters
        ----------
        kind : str
            Its class.
        number : int
            How many layers of this class the model has before it.
        name : str
            Its own name.
        """

    @abstractmethod
    def part(self, attribute: str) -> "Weights":
        """Return those of the ``cell`` or ``layer`` that a layer wraps."""

    @abstractmethod
    def arrays(self, names: Sequence[str]) -> list[Floats]:
        """Return a layer's arrays of these names, which are in Keras's order.

        Raises
        ------
        CompressError
            If they are not there, or hold no finite numbers.
        """


def child(group: Any, name: str) -> Any:
    """Return what a group has under a name, None if nothing.

    Raises
    ------
    CompressError
        If it is a link to another place: into another file, for one.
    """
    import h5py

    for step in name.split("/"):
        link = group.get(step, getlink=True) if isinstance(group, h5py.Group) else None
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise CompressError(f"'{name}' is a link to another place: save the model again")
        group = group[step]
    return group


class Reader:
    """Reads arrays of a file, up to ``MOST_BYTES`` of them."""

    def __init__(self) -> None:
        self._left = MOST_BYTES

    def numbers(self, group: Any, key: str, name: str) -> Floats:
        """Return an array of floats that is all inside of the file."""
        import h5py

        array = child(group, key)
        if not isinstance(array, h5py.Dataset):
            raise CompressError(f"the file has no array '{key}': save the model again")
        if array.external or array.is_virtual:
            raise CompressError(f"its {name} lies in another file: save the model again")
        if array.dtype.kind != "f":
            raise CompressError(f"its {name} is {array.dtype}: save weights of float32")
        self._left -= array.nbytes
        if self._left < 0:
            raise CompressError(f"its arrays have more than {MOST_BYTES:,} bytes: too large")
        values = np.asarray(array[()], dtype=np.float64)
        if not np.isfinite(values).all():
            raise CompressError(f"its {name} holds NaN or infinite values")
        return values


class NumberedWeights(Weights):
    """Of a ``.keras`` file: groups by class and number, arrays by number alone.

    Parameters
    ----------
    group : h5py.Group, optional
        None: the file has none, which a layer without weights does not need.
    """

    def __init__(self, reader: Reader, group: Any) -> None:
        self._reader, self._group = reader, group

    def member(self, kind: str, number: int, name: str) -> Weights:
        container = next(filter(None, (child(self._group, key) for key in _CONTAINERS)), None)
        # numbers have gaps where Keras 2 counted a layer twice
        stem = re.escape(_snake_case(kind))
        found = [key for key in container or () if re.fullmatch(rf"{stem}(_\d+)?", key)]
        found.sort(key=lambda key: (len(key), key))
        group = child(container, found[number]) if number < len(found) else None
        return NumberedWeights(self._reader, group)

    def part(self, attribute: str) -> Weights:
        return NumberedWeights(self._reader, child(self._group, attribute))

    def arrays(self, names: Sequence[str]) -> list[Floats]:
        held = child(self._group, "vars")
        count = len(held or ())
        # behind them may be a count, or the state of a generator of random numbers
        rest = (child(held, str(k)) for k in range(len(names), count))
        if count < len(names) or any(array.dtype.kind == "f" for array in rest):
            raise CompressError(
                f"the file holds {count or 'no'} arrays of it, not {', '.join(names)}: {_BUILT}"
            )
        return [self._reader.numbers(held, str(k), name) for k, name in enumerate(names)]


class NamedWeights(Weights):
    """Of an ``.h5`` file: a group for each layer of the outermost model, arrays by their names.

    Parameters
    ----------
    model : h5py.Group, optional
        Of all layers of the outermost model; None: this is one of them.
    group : h5py.Group, optional
        Of that one.
    scopes : tuple of str
        Names of the layers inside of it that lead here.
    """

    def __init__(
        self, reader: Reader, model: Any, group: Any = None, scopes: tuple[str, ...] = ()
    ) -> None:
        self._reader, self._model, self._group, self._scopes = reader, model, group, scopes

    def member(self, kind: str, number: int, name: str) -> Weights:
        if self._model is not None:
            return NamedWeights(self._reader, None, child(self._model, name))
        return NamedWeights(self._reader, None, self._group, (*self._scopes, name))

    def part(self, attribute: str) -> Weights:
        return self

    def arrays(self, names: Sequence[str]) -> list[Floats]:
        paths = [] if self._group is None else texts(self._group, "weight_names")
        # names of models inside need not be in those of their arrays
        for scopes in (self._scopes, self._scopes[-1:]):
            mine = [path for path in paths if _within(path.split("/"), scopes)]
            found = [[path for path in mine if _leaf(path) == name] for name in names]
            if all(len(choice) == 1 for choice in found):
                return [
                    self._reader.numbers(self._group, path, name)
                    for name, (path,) in zip(names, found, strict=True)
                ]
        counts = ", ".join(f"{len(c)} of {n}" for n, c in zip(names, found, strict=True))
        raise CompressError(f"the file holds {counts}, not one of each: {_BUILT}")


def texts(group: Any, name: str) -> list[str]:
    """Return the texts of an attribute, which Keras splits where it is long."""
    values: list[Any] = []
    for key in _pieces(group.attrs, name):
        if group.attrs.get_id(key).get_storage_size() > LONGEST_TEXT:
            raise CompressError(f"its attribute {key} is longer than {LONGEST_TEXT} bytes")
        values += np.atleast_1d(group.attrs[key]).tolist()
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _pieces(attributes: Any, name: str) -> Iterator[str]:
    if name in attributes:
        yield name
    number = 0
    while f"{name}{number}" in attributes:
        yield f"{name}{number}"
        number += 1


def _snake_case(kind: str) -> str:
    """Return the name that Keras gives the group of a class."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", kind))
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _leaf(path: str) -> str:
    return path.rpartition("/")[2].partition(":")[0]


def _within(path: list[str], scopes: Sequence[str]) -> bool:
    """Tell whether a path passes all scopes in their order."""
    rest = iter(path)
    return all(scope in rest for scope in scopes)
