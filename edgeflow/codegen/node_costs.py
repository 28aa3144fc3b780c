"""Costs of a layer's step around its products: ``calibration/costs/nodes``.

The files are fitted to counts on emulated boards: ``python scripts/node_costs.py``.
"""

from functools import lru_cache
from typing import Annotated

from pydantic import Field

from edgeflow.calibration import Data, load_of_core
from edgeflow.codegen.costs import Block, Count, KernelCost
from edgeflow.codegen.step_costs import Ratio
from edgeflow.program.firing import Active
from edgeflow.program.nodes import Node
from edgeflow.program.nodes.base import is_optional

#: Coefficients of `NodeCost`, in the order of what `features` gives.
TERMS = (
    "base", "per_output", "per_input", "per_state", "per_unfold", "per_odd", "per_row",
    "per_product", "per_mac", "per_taken", "per_vector", "per_chosen", "per_element",
    "per_block",
)  # fmt: skip
#: Flags that decide what a step does to each value.
FLAGS = ("relu", "change")
#: Fields by which a step is unrolled have forms of their own up to so many values; of others the
#: cost goes by the layer's sizes.
MOST_FUNCTIONS = 4
#: Columns whose spikes all kernels list once; of more, some list them for each so many rows.
MOST_LISTED, LISTING_ROWS = 128, 8


class NodeCost(Data):
    """Instructions of a step but for its matrix products: a sum over `TERMS`.

    Attributes
    ----------
    base
        Of a call.
    per_output, per_input
        By values that the layer gives and reads.
    per_state
        By values of its states.
    per_unfold
        By these again, in each iteration of a step that has several.
    per_odd
        By these again, of a layer that reads an odd number of values: what moves them does so by
        halfwords.
    per_row, per_product
        By rows of its products, and by the number of its matrices.
    per_mac
        By multiply-accumulates that no product takes.
    per_taken
        By those of them that a step does not leave out.
    per_vector
        By values of the states and the vectors of eight that a row of a memory of some order has.
    per_chosen
        By the values that a front end works on.
    per_element
        By elements of its arrays.
    per_block
        By blocks of `block` outputs, where parts of one count as whole.
    block
        Outputs that the step computes at once.
    cycles_per_instruction
        Estimated, wait states of flash apart; None: the core has no cycle model.
    layers
        How many were measured.
    error_percent
        Largest error over them, of the step with its products.
    """

    base: Count = 0.0
    per_output: Count = 0.0
    per_input: Count = 0.0
    per_state: Count = 0.0
    per_unfold: Count = 0.0
    per_odd: Count = 0.0
    per_row: Count = 0.0
    per_product: Count = 0.0
    per_mac: Count = 0.0
    per_taken: Count = 0.0
    per_vector: Count = 0.0
    per_chosen: Count = 0.0
    per_element: Count = 0.0
    per_block: Count = 0.0
    block: Block = 1
    cycles_per_instruction: Ratio | None = None
    layers: Annotated[int, Field(ge=1)]
    error_percent: Annotated[float, Field(ge=0)]

    def instructions(self, node: Node) -> float:
        """Return the expected instructions of a layer's step, its products apart."""
        values = features(node, self.block)
        total = sum(getattr(self, name) * v for name, v in zip(TERMS, values, strict=True))
        return max(total, 0.0)


class SpikeCost(Data):
    """Instructions of a kernel that reads spikes alone.

    Attributes
    ----------
    spikes
        By the columns that are not zero, as if these were what a delta kernel updates.
    silent
        Where all columns are zero.
    listed
        Share of `listing` that a matrix of more columns than `MOST_LISTED` takes.
    """

    spikes: KernelCost
    silent: KernelCost
    listed: Count = 0.0

    def instructions(self, rows: int, cols: int, active: Active) -> float:
        """Return the expected mean of a call."""
        result = active.silent * self.silent.count(rows, cols)
        if active.silent < 1:
            updated = active.share * cols / (1 - active.silent)
            spikes = self.spikes.count(rows, cols, updated=updated)
            result += (1 - active.silent) * spikes
        if cols > MOST_LISTED:
            result += self.listed * self.listing(rows, cols, active.share * cols)
        return result

    def listing(self, rows: int, cols: int, updated: float) -> float:
        """Return the instructions of listing the columns again for all rows but the first ones."""
        again = -(-rows // LISTING_ROWS) - 1
        return again * (self.spikes.per_column_block * cols + self.spikes.per_fired * updated)


class NodeCosts(Data):
    """The steps of a core.

    Attributes
    ----------
    core, board
        What was measured.
    step, per_clipped
        Instructions around the layers: of a step, and by the inputs that it clips.
    copy_base, per_copied
        Of a copy, such as of a state to the outputs, and by its values.
    low_rank
        That a product of low rank takes more than its two.
    forms
        By the `form` of a layer.
    kernels
        Estimated cycles per instruction of matvec kernels, by name.
    spikes
        Costs of the kernels that read spikes alone, by name.
    error_percent
        Largest error in percent over the programs that it was checked on.
    """

    core: str
    board: str
    step: Count
    per_clipped: Count
    copy_base: Count
    per_copied: Count
    low_rank: Count
    forms: dict[str, NodeCost]
    kernels: dict[str, Ratio] = Field({})
    spikes: dict[str, SpikeCost] = Field({})
    error_percent: Annotated[float, Field(ge=0)]


@lru_cache
def load_node_costs(core: str) -> NodeCosts | None:
    """Return the known costs of steps on a core, or None; a TargetError if the file is wrong."""
    return load_of_core(NodeCosts, "nodes", core)


def form(node: Node) -> str:
    """Return what a layer's cost is filed under: its kind, its function, the parts it has."""
    few = []
    for name, (low, high) in node.int_fields.items():
        function = name in node.unrolled_fields and high - low < MOST_FUNCTIONS
        if function or name in FLAGS:
            few.append(f"{name}{getattr(node, name)}")
    parts = [part for part in (*node.matrices(), *node.arrays()) if is_optional(node, part)]
    return "_".join([node.op_type, *few, *parts])


def features(node: Node, block: int = 1) -> tuple[float, ...]:
    """Return what the coefficients of `TERMS` are multiplied by."""
    products = [(matrix, node.calls(name)) for name, matrix in node.products().items()]
    states = sum(vector.size for vector in node.states.values())
    dense = sum(matrix.rows * matrix.cols * calls for matrix, calls in products)
    return (
        1,
        node.outputs,
        node.inputs,
        states,
        states * _number(node, "unfolds", 1),
        states * (node.inputs % 2),
        sum(matrix.rows * calls for matrix, calls in products),
        len(node.matrices()),
        node.macs() - dense,
        node.taken_macs() - dense,
        states * -(-_number(node, "order", 0) // 8),
        _number(node, "count", 0),
        sum(array.size for array in node.arrays().values()),
        -(-node.outputs // block) if block > 1 else 0,
    )


def _number(node: Node, name: str, default: int) -> int:
    """Return an option of some layers; others may have an array of that name."""
    value = getattr(node, name, default)
    return value if isinstance(value, int) else default
