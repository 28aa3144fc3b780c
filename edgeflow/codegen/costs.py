"""Costs of a call of a matvec kernel by the shape of its matrix: ``calibration/costs/kernels``.

The files are fitted to counts on emulated boards: ``edgeflow bench kernels --fit``.
"""

from functools import lru_cache
from typing import Annotated

from pydantic import Field

from edgeflow.calibration import Data, load_of_core
from edgeflow.codegen.schedules import TvmCost

#: Kernels step through rows and columns in blocks of a power of two, up to this.
MAX_BLOCK = 16

Count = Annotated[float, Field(allow_inf_nan=False)]
Block = Annotated[int, Field(ge=1, le=MAX_BLOCK)]
Share = Annotated[float, Field(ge=0, le=1)]


class Formula(Data):
    """What a call of a kernel takes: ``a + b rows + c R + d C + e R C + f F``.

    R and C are the numbers of blocks of rows and of columns; with a block-sparse kernel the items
    stored (``edgeflow.codegen.layouts.block_format``) take the place of R C, with a delta kernel
    R F, where F columns are updated, and with one that is both, the items of these.

    Attributes
    ----------
    block
        Rows and columns of a block; parts of one count as whole ones.
    half
        What up to half of a block's columns count as instead.
    base, per_row, per_row_block, per_column_block, per_block
        a to e.
    per_fired
        f: what it takes to find and list a column that is updated; 0 for other than delta kernels.
    error_percent
        Largest error over the shapes measured.
    """

    block: tuple[Block, Block]
    base: Count
    per_row: Count
    per_row_block: Count
    per_column_block: Count
    per_block: Count
    per_fired: Count = 0.0
    half: Annotated[float, Field(gt=0, le=1)] = 1.0
    error_percent: Annotated[float, Field(ge=0)]

    def count(
        self, rows: int, cols: int, items: float | None = None, updated: float | None = None
    ) -> float:
        """Return what is expected of a call, requantization included.

        Parameters
        ----------
        rows, cols : int
        items : float, optional
            Stored, with a block-sparse kernel.
        updated : float, optional
            Columns that are updated per step, with a delta kernel.
        """
        R, C = -(-rows // self.block[0]), column_blocks(cols, self.block[1], self.half)
        blocks = R * C if items is None else items
        if updated is not None:
            blocks = R * updated if items is None else items * updated / cols
        around = self.base + self.per_row * rows + self.per_row_block * R
        around += self.per_fired * (updated or 0.0)
        return around + self.per_column_block * C + self.per_block * blocks


class KernelCost(Formula):
    """Instructions of a call.

    Attributes
    ----------
    cycles
        Those of the core's cycle model, memories without wait states; None: there is no model.
    """

    cycles: Formula | None = None


def column_blocks(cols: int, width: int, half: float) -> float:
    """Return the blocks of this many columns: see `Formula`."""
    whole, rest = divmod(cols, width)
    return whole + (half if 2 * rest <= width else 1.0) * (rest > 0)


#: Cost of a call of a kernel by the shape of its matrix.
Cost = KernelCost | TvmCost


class KernelCosts(Data):
    """The kernels of a core.

    Attributes
    ----------
    core, board
        What was measured.
    compiler, emulator
        Versions.
    spike_rate
        Share of an input of spikes that is not zero.
    kernels
        By name.
    break_even
        Of block-sparse kernels, by name: `edgeflow.codegen.sparse.break_even`.
    delta_break_even
        Of delta kernels, by name: `edgeflow.codegen.delta.break_evens`.
    """

    core: str
    board: str
    compiler: str
    emulator: str
    spike_rate: Share
    kernels: dict[str, KernelCost]
    break_even: dict[str, Share] = Field({})
    delta_break_even: dict[str, Share] = Field({})


@lru_cache
def load_costs(core: str) -> KernelCosts | None:
    """Return the known costs of a core's kernels, or None; a TargetError if the file is wrong."""
    return load_of_core(KernelCosts, "kernels", core)
