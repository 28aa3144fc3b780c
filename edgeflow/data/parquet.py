"""Parquet files, with pyarrow or pandas where one of them is installed."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.data.columns import Roles
from edgeflow.data.table import Table
from edgeflow.data.wording import shown
from edgeflow.errors import DataError

_LARGEST = float(np.finfo(np.float32).max)


class ParquetTable:
    """A Parquet file; its rows count from 1 in messages."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.where = f"{path}: its schema"
        self.key = str(path)
        if importlib.util.find_spec("pyarrow") is None:
            raise DataError(
                f"{path}: Parquet files need pyarrow: pip install pyarrow, or export it as CSV"
            )
        import pyarrow.parquet

        try:
            self._table: Any = pyarrow.parquet.read_table(path)
        except (OSError, ValueError, TypeError) as error:
            reason = shown(str(error).splitlines()[0])
            raise DataError(f"{path}: no readable Parquet file ({reason})") from None
        self.names = [str(name) for name in self._table.column_names]

    def read(self, roles: Roles) -> Table:
        """Return the columns.

        Raises
        ------
        DataError
            Naming column and row.
        """
        rows = self._table.num_rows
        if not rows:
            raise DataError(f"{self.path}: holds no recordings: it has no rows")
        names = {name: _codes(self._column(name)) for name in roles.text}
        numbers = np.stack([self._numbers(name) for name in roles.numbers], axis=1)
        return Table(np.arange(1, rows + 1), names, numbers, {})

    def _column(self, name: str) -> NDArray[Any]:
        return np.asarray(self._table.column(name).to_numpy())

    def _numbers(self, name: str) -> NDArray[np.float64]:
        values = self._column(name)
        if values.dtype.kind == "M":
            return values.astype("datetime64[ns]").astype(np.int64) / 1e9
        try:
            found = values.astype(np.float64)
        except (ValueError, TypeError):
            raise DataError(
                f"{self.path}: the column '{shown(name)}' holds no numbers: if it is no channel, "
                "name those that are with --channels"
            ) from None
        wrong = np.flatnonzero(~(np.abs(found) <= _LARGEST))
        if len(wrong):
            raise DataError(
                f"{self.path}: line {wrong[0] + 1}: {shown(name)} is {found[wrong[0]]}, not a "
                "finite number (of float32): leave out the row and begin a new recording after it"
            )
        return found


def _codes(column: NDArray[Any]) -> tuple[list[str], NDArray[np.int32]]:
    known: dict[str, int] = {}
    cells = ["" if cell is None else str(cell).strip() for cell in column.tolist()]
    codes = [known.setdefault(cell, len(known)) for cell in cells]
    return list(known), np.array(codes, np.int32)
