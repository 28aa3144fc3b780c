"""The descriptor of a matvec kernel."""

from dataclasses import dataclass

from edgeflow.codegen.kernels.exact import ANY, Exact
from edgeflow.codegen.layouts.block_format import BlockFormat
from edgeflow.codegen.layouts.layout import Layout, Packed
from edgeflow.program.matrix import Matrix


@dataclass(frozen=True)
class MatvecKernel:
    """A C function with the prototype of ``ef_matvec``.

    A kernel of a delta layout takes delta matrices only; these also get any other kernel, which
    reads x_hat (``ef_hold_matvec``).

    Parameters
    ----------
    name : str
        Name of the function and of its file (``edgeflow.codegen.sources``).
    layout : Layout
        How it reads the weights.
    about : str
        Its purpose in one phrase, for the header and the table of the documentation.
    is_exact_for : Exact
        Whether it gives a matrix's results, bit for bit, for every input.
    kernel_set : str
        What a core must offer, as the ``kernels`` list of its file in ``targets/cores`` says; the
        name of the module that lists the kernel.
    """

    name: str
    layout: Layout
    about: str
    is_exact_for: Exact = ANY
    kernel_set: str = ""

    def pack(self, matrix: Matrix) -> Packed:
        """Return the weights of a matrix as the kernel reads them."""
        return self.layout.pack(matrix)

    @property
    def weight_bits(self) -> int:
        """Width in which a weight is stored; the goal of a compilation decides if it may be."""
        return self.layout.weight_bits

    @property
    def delta(self) -> bool:
        """True if it is for delta matrices only."""
        return self.layout.delta

    @property
    def sparse(self) -> BlockFormat | None:
        """The blocks that it stores; None: all weights."""
        return self.layout.blocks

    @property
    def by_tvm(self) -> bool:
        """True if TVM writes the kernel's body."""
        return self.kernel_set.startswith("tvm")
