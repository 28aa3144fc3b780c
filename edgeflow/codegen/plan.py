"""The plan of a C library: kernels, steps, memory and files, before any text is made."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeflow.codegen import learning
from edgeflow.codegen.backends import ALL, OURS, TVM, backends_of, owner
from edgeflow.codegen.backends.backend import Code, Product, Site, StepCode
from edgeflow.codegen.choice import Choice, choose_kernels
from edgeflow.codegen.cycles import Place
from edgeflow.codegen.kernels import UNALIGNED_SETS, kernel_named
from edgeflow.codegen.places import Places
from edgeflow.codegen.sources import source_file
from edgeflow.program import Program
from edgeflow.program.matrix import round_up
from edgeflow.targets.core import CoreSpec


@dataclass(frozen=True)
class Member:
    """An array of int16 or int32 in ``model_t``: multiples of 8 bytes, so all are aligned."""

    dtype: str
    name: str
    size: int


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
        Name of the backend that wrote each step, by the layer's name.
    places : Places
        Of the values between layers.
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
    places: Places
    members: tuple[Member, ...]
    sources: tuple[str, ...]
    generated: Mapping[str, str]

    @property
    def state_bytes(self) -> int:
        """``sizeof(model_t)``."""
        return sum(np.dtype(m.dtype).itemsize * m.size for m in self.members)

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights, biases and multipliers as the kernels read them."""
        return sum(choice.weight_bytes for choice in self.choices)

    @property
    def unaligned(self) -> bool:
        """Whether kernels read or write words at odd halfwords, whatever the compiler does."""
        folders = {Path(source).parent.name for source in self.sources}
        return bool(folders & UNALIGNED_SETS or self.generated)

    @property
    def kernel_files(self) -> tuple[str, ...]:
        """Sources beside ``model.c``, relative to the library's folder."""
        names = (*(Path(source).name for source in self.sources), *self.generated)
        return tuple(f"kernels/{name}" for name in names)


def plan_library(
    program: Program,
    core: CoreSpec,
    *,
    backend: str = "c",
    optimize: str = "balanced",
    kernel_sets: Sequence[str] | None = None,
    kernels: Mapping[str, str] | None = None,
    tvm_layers: Collection[str] | None = None,
    place: Place | None = None,
) -> Plan:
    """Choose the kernels of a program, and the backends of its steps.

    Parameters
    ----------
    program : Program
    core : CoreSpec
    backend, optimize, kernel_sets, kernels, place
        As in :func:`edgeflow.codegen.choice.choose_kernels`.
    tvm_layers : collection of str, optional
        Layers whose step TVM writes, ours the others; default: as `backend` chooses, but ours all
        if there are `kernel_sets`.

    Raises
    ------
    TargetError
        If no kernel fits, or the backend does not know the core or a layer.
    ToolMissingError
        If the backend is not installed.
    """
    choices = choose_kernels(
        program, core, backend=backend, optimize=optimize, kernel_sets=kernel_sets,
        kernels=kernels, place=place,
    )  # fmt: skip
    products = tuple(_products(program, choices))
    chosen = backends_of(core, backend) if kernel_sets is None else (OURS,)
    writers = dict.fromkeys((node.name for node in program.nodes), OURS)
    for each in chosen if tvm_layers is None else ():
        writers |= dict.fromkeys(each.layers(program, core, optimize, len(chosen) == 1), each)
    writers |= dict.fromkeys(writers.keys() & set(tvm_layers or ()), TVM)
    places = Places(program)
    sites = _sites(program, places)
    code = [
        each.write(
            [product for product in products if owner(product.kernel) is each],
            [site for site in sites if writers[site.node.name] is each],
            core,
        )
        for each in ALL
    ]
    written = {name: step for part in code for name, step in part.steps.items()}
    sets = kernel_sets or [name for each in chosen for name in each.kernel_sets(core)]
    return Plan(
        program=program,
        core=core,
        choices=choices,
        products=products,
        steps=written,
        backends={layer: writer.name for layer, writer in writers.items()},
        places=places,
        members=tuple(_members(program, places, products, written)),
        sources=_sources(program, products, code, sets),
        generated={name: text for part in code for name, text in part.files.items()},
    )


def _products(program: Program, choices: Sequence[Choice]) -> Iterator[Product]:
    nodes = {node.name: node for node in program.nodes}
    for choice in choices:
        node, kernel = nodes[choice.layer], kernel_named(choice.kernel)
        matrix = node.products()[choice.matrix]
        yield Product(node, choice.matrix, matrix, kernel, kernel.pack(matrix))


def _sites(program: Program, places: Places) -> list[Site]:
    return [
        Site(
            node,
            places.read(number).pointer,
            places.values[number + 1].pointer,
            {name: places.state(node, name).pointer for name in (*node.states, *node.derived)},
        )
        for number, node in enumerate(program.nodes)
    ]


def _sources(
    program: Program, products: Sequence[Product], code: Sequence[Code], sets: Sequence[str]
) -> tuple[str, ...]:
    functions = {"ef_clamp_s16"}.union(*(part.functions for part in code))
    if any(product.matrix.threshold and not product.kernel.delta for product in products):
        functions.add("ef_hold_matvec")
    if any(product.matrix.factor for product in products):
        functions.add("ef_low_rank_matvec")
    functions |= learning.functions(program)
    functions |= {f"ef_table_{table}" for node in program.nodes for table in node.tables}
    return tuple(sorted(source_file(function, sets) for function in functions))


def _members(
    program: Program, places: Places, products: Sequence[Product], steps: Mapping[str, StepCode]
) -> Iterator[Member]:
    yield Member("int16", "x", round_up(program.inputs))
    for node in program.nodes:
        for name, vector in node.states.items():
            member = f"{node.name}_{name}"
            if name not in node.kept_fields and places.state(node, name).member == member:
                yield Member(np.dtype(vector.dtype).name, member, round_up(vector.size))
        mine = [product for product in products if product.node is node]
        for product in (p for p in mine if p.matrix.threshold):
            words = product.packed.memory.size + round_up(product.matrix.cols) // 2
            yield Member("int32", f"{product.name}_memory", round_up(words))
        for product in (p for p in mine if p.matrix.factor):
            yield Member("int16", f"{product.name}_reads", round_up(product.matrix.cols))
    for name, size in places.members():
        yield Member("int16", name, size)
    if size := max(step.scratch for step in steps.values()):
        yield Member("int16", "scratch", round_up(size))
    if size := max(step.scratch32 for step in steps.values()):
        yield Member("int32", "scratch32", round_up(size))
    for dtype, name, size in learning.members(program):
        yield Member(dtype, name, round_up(size))
