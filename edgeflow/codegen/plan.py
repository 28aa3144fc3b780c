"""The plan of a C library: kernels, steps, memory and files, before any text is made."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeflow.codegen.backends import ALL, OURS, backends_of, owner
from edgeflow.codegen.backends.backend import Backend, Code, StepCode
from edgeflow.codegen.choice import Choice, choose_kernels
from edgeflow.codegen.kernels import kernel_named
from edgeflow.codegen.product import Product
from edgeflow.codegen.sources import source_file
from edgeflow.program import Program
from edgeflow.program.matrix import round_up
from edgeflow.program.nodes import Node
from edgeflow.targets.board import CoreSpec


@dataclass(frozen=True)
class Member:
    """An array in ``model_t``; its size is a multiple of 8 bytes, so that all are aligned.

    Parameters
    ----------
    dtype : str
        "int16" or "int32".
    name : str
    size : int
        Number of values.
    """

    dtype: str
    name: str
    size: int

    @property
    def nbytes(self) -> int:
        return self.size * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, eq=False)
class Plan:
    """A program's C library for a core.

    Parameters
    ----------
    program : Program
    core : CoreSpec
    choices : tuple of Choice
        The kernel of each product, and why.
    products : tuple of Product
        In the order of `choices`.
    steps : mapping
        The code of each layer's step, by the layer's name.
    backends : mapping
        Names of the backends that wrote them, likewise.
    members : tuple of Member
        ``model_t`` in order; the first is the input.
    sources : tuple of str
        Files of ``firmware/kernels`` that are compiled.
    generated : mapping
        Text of the sources that backends wrote, by name.
    """

    program: Program
    core: CoreSpec
    choices: tuple[Choice, ...]
    products: tuple[Product, ...]
    steps: Mapping[str, StepCode]
    backends: Mapping[str, str]
    members: tuple[Member, ...]
    sources: tuple[str, ...]
    generated: Mapping[str, str]

    @property
    def state_bytes(self) -> int:
        """``sizeof(model_t)``."""
        return sum(member.nbytes for member in self.members)

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights, biases and multipliers as the kernels read them."""
        return sum(choice.weight_bytes for choice in self.choices)

    @property
    def kernel_files(self) -> tuple[str, ...]:
        """Sources beside ``model.c``, relative to the library's folder."""
        names = (*(Path(source).name for source in self.sources), *self.generated)
        return tuple(f"kernels/{name}" for name in names)

    def of(self, node: Node) -> list[Product]:
        """Return the products of a layer."""
        return [product for product in self.products if product.node is node]

    def layers_by(self, backend: str) -> tuple[str, ...]:
        """Return the layers whose step a backend writes."""
        return tuple(layer for layer, name in self.backends.items() if name == backend)


def plan_library(
    program: Program,
    core: CoreSpec,
    *,
    backend: str = "c",
    optimize: str = "balanced",
    kernel_sets: Sequence[str] | None = None,
    kernels: Mapping[str, str] | None = None,
    steps: Mapping[str, Collection[str]] | None = None,
) -> Plan:
    """Choose the kernels of a program, and who writes its steps.

    Parameters
    ----------
    program : Program
    core : CoreSpec
    backend : str
        "auto", "c" or "tvm" (``edgeflow.codegen.backends.BACKENDS``).
    optimize, kernel_sets, kernels
        As in :func:`edgeflow.codegen.choice.choose_kernels`.
    steps : mapping, optional
        By a backend's name, the layers whose step it writes, ours those that are in none; default:
        as `backend` chooses, but ours all if there are `kernel_sets`.

    Raises
    ------
    TargetError
        If no kernel fits, or the backend does not know the core or a layer.
    ToolMissingError
        If the backend is not installed.
    """
    choices = choose_kernels(
        program,
        core,
        backend=backend,
        optimize=optimize,
        kernel_sets=kernel_sets,
        kernels=kernels,
    )
    products = tuple(_products(program, choices))
    chosen = backends_of(core, backend) if kernel_sets is None else (OURS,)
    if steps is None:
        steps = {b.name: b.layers(program, core, optimize, len(chosen) == 1) for b in chosen}
    writers = {node.name: _writer(node, steps) for node in program.nodes}
    code = [
        each.write(
            [product for product in products if owner(product.kernel) is each],
            [node for node in program.nodes if writers[node.name] is each],
            core,
        )
        for each in ALL
    ]
    written = {name: step for part in code for name, step in part.steps.items()}
    from_sets = (
        kernel_sets
        if kernel_sets is not None
        else [name for each in chosen for name in each.kernel_sets(core)]
    )
    return Plan(
        program=program,
        core=core,
        choices=choices,
        products=products,
        steps=written,
        backends={layer: writer.name for layer, writer in writers.items()},
        members=tuple(_members(program, products, written)),
        sources=_sources(program, products, code, from_sets),
        generated={name: text for part in code for name, text in part.files.items()},
    )


def _products(program: Program, choices: Iterable[Choice]) -> Iterable[Product]:
    nodes = {node.name: node for node in program.nodes}
    for choice in choices:
        node, kernel = nodes[choice.layer], kernel_named(choice.kernel)
        matrix = node.products()[choice.matrix]
        yield Product(node, choice.matrix, matrix, kernel, kernel.pack(matrix))


def _writer(node: Node, steps: Mapping[str, Collection[str]]) -> Backend:
    """Return the last of the backends that writes the layer's step."""
    named = [each for each in ALL if node.name in steps.get(each.name, ())]
    return named[-1] if named else OURS


def _sources(
    program: Program, products: Sequence[Product], code: Iterable[Code], sets: Sequence[str]
) -> tuple[str, ...]:
    functions = {"ef_clamp_s16"}.union(*(part.functions for part in code))
    if any(product.matrix.threshold and not product.kernel.delta for product in products):
        functions.add("ef_hold_matvec")
    if any(product.matrix.factor for product in products):
        functions.add("ef_low_rank_matvec")
    functions |= {f"ef_table_{table}" for node in program.nodes for table in node.tables}
    return tuple(sorted(source_file(function, sets) for function in functions))


def output_member(node: Node) -> str:
    """Return the member of ``model_t`` that holds a layer's output."""
    return f"{node.name}_{node.output_state or 'y'}"


def _members(
    program: Program, products: Sequence[Product], steps: Mapping[str, StepCode]
) -> Iterable[Member]:
    yield Member("int16", "x", round_up(program.inputs))
    for node in program.nodes:
        for name, vector in node.states.items():
            dtype = np.dtype(vector.dtype).name
            yield Member(dtype, f"{node.name}_{name}", round_up(vector.size))
        mine = [product for product in products if product.node is node]
        for product in mine:
            if product.matrix.threshold:
                yield Member("int32", f"{product.name}_memory", round_up(product.memory_words))
        for product in mine:
            if product.matrix.factor is not None:
                yield Member("int16", f"{product.name}_reads", round_up(product.matrix.cols))
    for node in program.nodes[:-1]:
        if node.output_state is None:
            yield Member("int16", output_member(node), round_up(node.outputs))
    scratch = max(step.scratch for step in steps.values())
    scratch32 = max(step.scratch32 for step in steps.values())
    for dtype, name, size in (("int16", "scratch", scratch), ("int32", "scratch32", scratch32)):
        if size:
            yield Member(dtype, name, round_up(size))
