"""Expected cycles of products on a part: its core's cycle model, and what its flash adds."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgeflow.codegen.costs import Cost, Formula, KernelCost
from edgeflow.codegen.delta import HOLD, delta_count
from edgeflow.codegen.kernels import MatvecKernel
from edgeflow.codegen.step_costs import load_step_costs
from edgeflow.program.matrix import Matrix
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.part import Part, estimated_part


@dataclass(frozen=True)
class Place:
    """Where a program runs.

    Parameters
    ----------
    part : Part
    weights_in_flash : bool
        Whether they are read from there.
    """

    part: Part
    weights_in_flash: bool = True

    def waits(self, weight_bytes: float) -> float:
        """Return the cycles that the core waits for weights: all lines, as others take turns."""
        flash = self.part.flash
        if flash is None or not self.weights_in_flash:
            return 0.0
        return weight_bytes / flash.data_line_bytes * flash.line_cycles

    def cycles(
        self,
        kernel: MatvecKernel,
        matrix: Matrix,
        instructions: float | None,
        weight_bytes: int,
        known: Mapping[str, Cost],
        items: float | None,
        share: float | None,
    ) -> float | None:
        """Return the expected cycles of a call.

        Parameters
        ----------
        kernel : MatvecKernel
        matrix : Matrix
        instructions : float or None
            Expected of it, which the core's mean cycles per instruction stand in for where those of
            the kernel were not measured.
        weight_bytes : int
        known : mapping
            Costs of the core's kernels, by name.
        items : float or None
            Stored, with a block-sparse kernel.
        share : float or None
            Of columns that are updated, of a delta matrix.

        Returns
        -------
        float or None
            None if nothing is known.
        """
        names = {kernel.name} if share is None or kernel.delta else {kernel.name, HOLD}
        formulas: dict[str, Cost | Formula] = {}
        for name in names:
            cost = known.get(name)
            if isinstance(cost, KernelCost) and cost.cycles is not None:
                formulas[name] = cost.cycles
        if len(formulas) < len(names):
            mean = load_step_costs(self.part.core)
            if mean is None or instructions is None:
                return None
            cycles: float | None = instructions * mean.mean
        elif share is not None:
            cycles = delta_count(kernel, matrix, share, formulas, items)
        else:
            cycles = formulas[kernel.name].count(matrix.rows, matrix.cols, items)
        read = weight_bytes * (share if share is not None and kernel.delta else 1.0)
        return None if cycles is None else cycles + self.waits(read)


def place_of(board: BoardSpec) -> Place | None:
    """Return where programs for a board run; None if no part is named.

    Raises
    ------
    TargetError
        As :func:`edgeflow.targets.part.estimated_part`.
    """
    part = estimated_part(board)
    return None if part is None else Place(part, board.placement.weights == "flash")
