"""Bytes of an image before it is made: ``calibration/costs/sizes``.

The files are measured with the core's compiler: ``python scripts/node_costs.py``.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated

from pydantic import Field

from edgeflow.calibration import Data, load_of_core
from edgeflow.codegen.image import frame_size
from edgeflow.codegen.plan import Plan
from edgeflow.program.nodes import Node
from edgeflow.targets.board import BoardSpec

Bytes = Annotated[float, Field(ge=0, allow_inf_nan=False)]
#: Of ``ef_matrix`` and ``ef_low_rank``, pointers apart, and the pointers in them.
_MATRIX, _MATRIX_POINTERS, _LOW_RANK_POINTERS = 12, 4, 2
#: Most values that are copied without a call.
_IN_PLACE = 32


class Around(Data):
    """Bytes of a board's image around a program's own: flash and RAM."""

    flash: Bytes
    ram: Bytes


class CodeSizes(Data):
    """The code of a core.

    Attributes
    ----------
    core, compiler
        What was measured, and the version of its compiler.
    pointer
        Bytes of an address.
    model, per_layer, per_product
        Code of ``model.c``: of all, by layers, and by their products.
    kernels
        Of each file of ``firmware/kernels``, with what it has of constants.
    library
        Of the functions of the C library that some kernels call, where the firmware has none.
    calls
        Those that a kernel calls.
    boards
        By name.
    """

    core: str
    compiler: str
    pointer: Annotated[int, Field(ge=2, le=8)]
    model: Bytes
    per_layer: Bytes
    per_product: Bytes
    kernels: dict[str, Bytes]
    library: dict[str, Bytes] = Field({})
    calls: dict[str, list[str]] = Field({})
    boards: dict[str, Around]

    def code(self, plan: Plan) -> float | None:
        """Return the bytes of a program's code; None: of a kernel they are not known."""
        if plan.generated or not self.kernels.keys() >= set(plan.sources):
            return None
        called = {name for source in plan.sources for name in self.calls.get(source, ())}
        called |= {"memcpy"} if _copies(plan) else set()
        code = self.model + self.per_layer * len(plan.program.nodes)
        code += self.per_product * len(plan.products)
        code += sum(self.kernels[source] for source in plan.sources)
        return code + sum(self.library.get(name, 0.0) for name in called)

    def constants(self, plan: Plan) -> int:
        """Return the bytes of a program's constants: weights, arrays and what describes them."""
        matrix = _MATRIX + _MATRIX_POINTERS * self.pointer
        total = plan.weight_bytes
        for product in plan.products:
            held = product.matrix.threshold > 0 and not product.kernel.delta
            low_rank = product.matrix.factor is not None
            total += matrix * (1 + held + low_rank) + _LOW_RANK_POINTERS * self.pointer * low_rank
        for node in plan.program.nodes:
            total += sum(array.nbytes for array in node.arrays().values())
            total += _padded(sum(self._members(node)), self.pointer)
        return total

    def _members(self, node: Node) -> Iterator[int]:
        if node.c_struct is not None:
            yield self.pointer * (len(node.matrix_fields) + len(node.array_fields))
            yield 2 * len(node.size_fields)
            for low, high in node.int_fields.values():
                yield 4 if low < 0 or high >= 1 << 16 else 2 if high >= 1 << 8 else 1


def _copies(plan: Plan) -> bool:
    """Tell whether ``model.c`` calls memcpy: short copies are compiled in place."""
    numbers = range(len(plan.program.nodes) + 1)
    values = max((copy.size for k in numbers for copy in plan.places.copies(k)), default=0)
    starts = any(product.packed.memory.size for product in plan.products)
    return starts or values > _IN_PLACE


def _padded(size: int, unit: int) -> int:
    return -(-size // unit) * unit


@lru_cache
def load_code_sizes(core: str) -> CodeSizes | None:
    """Return the known sizes of a core's code, or None; a TargetError if the file is wrong."""
    return load_of_core(CodeSizes, "sizes", core)


def expected_bytes(plan: Plan, board: BoardSpec) -> tuple[int, int] | None:
    """Return the expected bytes of flash and RAM of a board's image, without its stack.

    Returns
    -------
    flash, ram : int
        None: the core, the board or a kernel was not measured.
    """
    sizes = load_code_sizes(plan.core.name)
    around = None if sizes is None else sizes.boards.get(board.name)
    if sizes is None or around is None:
        return None
    code = sizes.code(plan)
    if code is None:
        return None
    program = plan.program
    constants = sizes.constants(plan)
    overlap = program.overlap
    ram = around.ram + plan.state_bytes * (1 if overlap is None else overlap.states)
    ram += 2 * (frame_size(board, program.inputs, program.outputs) - frame_size(board, 1, 1))
    flash = around.flash + code + constants
    if board.placement.weights == "ram":
        ram += constants
    return round(flash), round(ram)
