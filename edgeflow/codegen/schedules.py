"""Schedules of TVM's kernels on each core, and their costs: ``calibration/costs/schedules``.

The files are made by measuring on emulated boards: ``edgeflow bench schedules``.
"""

from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache

from pydantic import Field, model_validator

from edgeflow.calibration import Data, load_of_core
from edgeflow.targets.core import CoreSpec, Schedule

#: Groups of rows from which on each costs the same.
SEVERAL = 8


class TvmCost(Data):
    """Instructions of a call, given for some columns.

    Each shape has code of its own, so nothing between two numbers of columns is certain: few groups
    of rows are no loop, and of the rows behind the last whole group only those are computed that
    are there.

    Attributes
    ----------
    rows
        Of a group.
    cols
        In ascending order.
    single
        For each of `cols`: of one group.
    several
        For each of `cols`: of `SEVERAL` groups.
    group
        For each of `cols`: added by each group more than these.
    first, last
        For each of `cols`: added by one row behind the last group, by all but one of a group.
    """

    rows: int = Field(ge=1)
    cols: tuple[int, ...] = Field(min_length=2)
    single: tuple[float, ...]
    several: tuple[float, ...]
    group: tuple[float, ...]
    first: tuple[float, ...]
    last: tuple[float, ...]

    @model_validator(mode="after")
    def _same_length(self) -> "TvmCost":
        lists = (self.single, self.several, self.group, self.first, self.last)
        if any(len(values) != len(self.cols) for values in lists):
            raise ValueError("the lists differ in length")
        if list(self.cols) != sorted(set(self.cols)):
            raise ValueError("cols do not ascend")
        return self

    def count(
        self, rows: int, cols: int, items: float | None = None, updated: float | None = None
    ) -> float:
        """Return the instructions of a call, requantization included; see `Formula`."""
        groups, left = divmod(rows, self.rows)
        single, several = self._at(self.single, cols), self._at(self.several, cols)
        if groups > SEVERAL:
            count = several + (groups - SEVERAL) * self._at(self.group, cols)
        elif groups:
            count = single + (several - single) * (groups - 1) / (SEVERAL - 1)
        else:
            count = self._at(self.single, 1) / 2  # what a call takes at least
        if left:
            first, last = self._at(self.first, cols), self._at(self.last, cols)
            count += first + (last - first) * (left - 1) / max(1, self.rows - 2)
        return count

    def _at(self, values: tuple[float, ...], cols: int) -> float:
        return _between(self.cols, values, cols)


class StepSaving(Data):
    """Instructions that TVM's step of a kind of layer saves against that in C.

    Attributes
    ----------
    outputs
        Of the layers measured, in ascending order.
    saved
        For each of them; below 0 where C costs less.
    """

    outputs: tuple[int, ...] = Field(min_length=1)
    saved: tuple[float, ...] = Field(min_length=1)

    def instructions(self, outputs: int) -> float:
        """Return the instructions saved in a layer with this many outputs."""
        return _between(self.outputs, self.saved, outputs)


def _between(places: Sequence[int], values: Sequence[float], place: int) -> float:
    """Return a value between its neighbours, or in line with the last two."""
    if len(places) == 1:
        return values[0]
    i = min(max(bisect_left(places, place), 1), len(places) - 1)
    left, right = places[i - 1], places[i]
    share = (place - left) / (right - left)
    return values[i - 1] + share * (values[i] - values[i - 1])


class Schedules(Data):
    """The best schedules found for a core.

    Attributes
    ----------
    core, board
        What was measured.
    tvm, emulator
        Versions.
    kernels, costs
        By name.
    steps
        By kind of layer.
    """

    core: str
    board: str
    tvm: str
    emulator: str
    kernels: dict[str, Schedule]
    costs: dict[str, TvmCost] = Field({})
    steps: dict[str, StepSaving] = Field({})


def schedule(core: CoreSpec, kernel: str) -> Schedule:
    """Return the schedule of a kernel on a core: measured, or else the plain one."""
    assert core.tvm is not None
    known = core.tvm.schedules
    if known is None:
        measured = load_schedules(core.name)
        known = measured.kernels if measured else {}
    return known.get(kernel, Schedule())


@lru_cache
def load_schedules(core: str) -> Schedules | None:
    """Return the known schedules of a core, or None; a TargetError if the file is wrong."""
    return load_of_core(Schedules, "schedules", core)
