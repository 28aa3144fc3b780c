"""Reading a ``.nir`` file: HDF5 that holds all of its data itself."""

import importlib
import io
from pathlib import Path
from typing import Any

from edgeflow.errors import CompressError, ToolMissingError
from edgeflow.importers.hdf5_heap import check_heaps
from edgeflow.importers.messages import clipped, one_line, plain

#: Most bytes of all arrays, unpacked; and depth of groups.
MAX_BYTES, MAX_DEPTH = 2**28, 32


def read_nir(path: str | Path) -> Any:
    """Return the graph of a file.

    Raises
    ------
    CompressError
        If the file cannot be read, or takes data from other files: HDF5 can name any file of the
        machine.
    ToolMissingError
        If the package ``nir`` is not installed.
    """
    try:
        nir = importlib.import_module("nir")
        h5py = importlib.import_module("h5py")
    except ImportError as error:
        raise ToolMissingError(
            f"{path}: reading NIR graphs needs the packages nir and h5py ({error}): "
            "pip install nir h5py"
        ) from error
    try:
        content = Path(path).read_bytes()
        check_heaps(content)
        with h5py.File(io.BytesIO(content), "r") as file:
            _check(h5py, file)
        # nir's check of sizes refuses neurons that share one value; the importer has its own
        return nir.read(io.BytesIO(content), type_check=False)
    except CompressError as error:
        raise CompressError(f"{path}: {error}") from error
    except Exception as error:  # h5py and nir raise several unrelated types
        raise CompressError(
            f"{path}: not a NIR graph ({type(error).__name__}: {one_line(error)})"
        ) from error


def _check(h5py: Any, file: Any) -> None:
    """Refuse data outside of the file, circles of groups, and more than a graph can have."""
    total, waiting = 0, [(file, "", 0)]
    while waiting:
        group, place, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise CompressError("its groups are nested too deep, or in a circle: no NIR graph")
        for key in group:
            name = clipped(plain(f"{place}/{key}"), 80)
            # a link inside of the file is none that nir writes
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise CompressError(f"{name} is a link, maybe to another file: not read")
            item = group[key]
            if isinstance(item, h5py.Group):
                waiting.append((item, f"{place}/{key}", depth + 1))
            elif isinstance(item, h5py.Dataset):
                if item.external or item.is_virtual:
                    raise CompressError(f"{name} takes its data from another file: not read")
                total += item.size * item.dtype.itemsize if item.shape is not None else 0
                if total > MAX_BYTES:
                    raise CompressError(
                        f"{name}: its arrays have more than {MAX_BYTES >> 20} MiB: too much for a "
                        "graph that runs on a microcontroller"
                    )
