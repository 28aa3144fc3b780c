"""Instructions of an emulated board's steps, read while it runs."""

import contextlib
import os
from pathlib import Path

from edgeflow.errors import EdgeFlowError
from edgeflow.profiling.counts import Counts, CountsReader
from edgeflow.profiling.trace import prepare_trace
from edgeflow.targets.part import DataCache

#: Bytes of counts after which those that were read are given back to the disk.
_MOST = 4_000_000


class StepCounter:
    """Counts of the steps of one emulator at a time, as of ``edgeflow profile``.

    Parameters
    ----------
    elf : Path
        The linked firmware.
    folder : Path
        For its files.
    qemu : str
        Name of the emulator.
    data_cache : DataCache, optional
        Counts the lines that it fetches, too.
    overlap : bool
        Whether the program's windows overlap.

    Raises
    ------
    EdgeFlowError
        If the image or the emulator does not allow it (`prepare_trace`).
    """

    def __init__(
        self, elf: Path, folder: Path, qemu: str, data_cache: DataCache | None, *, overlap: bool
    ) -> None:
        self._overlap = overlap
        trace = prepare_trace(elf, folder, qemu=qemu, data_cache=data_cache)
        self._plugin, self._path = trace.plugin, trace.out
        self._forget()

    def start(self) -> list[str]:
        """Forget all counts; return the plugin for the emulator that is started next."""
        self._path.unlink(missing_ok=True)
        self._forget()
        return self._plugin

    def _forget(self) -> None:
        self._reader = CountsReader(self._path, overlap=self._overlap)
        self._read = self._freed = 0

    def take(self, steps: int) -> Counts | None:
        """Return the counts of the steps since the last call; None if they are not as many."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                data = file.read()
        except OSError:
            return None
        try:
            self._read += self._reader.feed(data)
            counts = self._reader.take()
        except EdgeFlowError:
            return None
        self._free()
        return counts if len(counts) == steps > 0 else None

    def _free(self) -> None:
        # no step runs between two calls; the emulator goes on writing at its place in the file
        if self._read - self._freed > _MOST:
            self._freed = self._read
            with contextlib.suppress(OSError):  # then it grows
                os.truncate(self._path, 0)
