"""One stored matrix of a program, the kernel that multiplies by it, and its weights as stored."""

from dataclasses import dataclass

from edgeflow.codegen.kernels import MatvecKernel
from edgeflow.codegen.layouts.layout import Packed
from edgeflow.program.matrix import Matrix, round_up
from edgeflow.program.nodes import Node


@dataclass(frozen=True, eq=False)
class Product:
    """A matrix-vector product of a layer.

    Parameters
    ----------
    node : Node
    field : str
        Of ``node.products()``.
    matrix : Matrix
    kernel : MatvecKernel
    packed : Packed
        The weights as `kernel` reads them.
    """

    node: Node
    field: str
    matrix: Matrix
    kernel: MatvecKernel
    packed: Packed

    @property
    def name(self) -> str:
        """Beginning of the names of its constants in C."""
        return f"{self.node.name}_{self.field}"

    @property
    def memory_words(self) -> int:
        """Words of 32 bits that a delta matrix keeps: the kernel's own, then x_hat."""
        return self.packed.memory.size + round_up(self.matrix.cols) // 2
