"""What a layer may load and store, to the byte: the promises of ``ef_kernels.h`` and ``ef_cells.h``.

Another layer's constants, states and outputs are not part of it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeflow.codegen.places import output_member
from edgeflow.codegen.plan import Plan
from edgeflow.program.matrix import round_up
from edgeflow.program.nodes import Node
from edgeflow.targets.elf import Image

LOAD, STORE, BOTH = 1, 2, 3
#: Instead of a layer's number: what all may touch.
ALL = -1


@dataclass(frozen=True)
class Rule:
    """Bytes that a layer may load, store or both; the layer behind the last one is the end."""

    layer: int
    address: int
    size: int
    access: int


@dataclass(frozen=True)
class Places:
    """Addresses of the sample, the outputs and the members of ``model_t``; sizes of constants.

    Sizes are those of the arrays without the room behind them.
    """

    x: int
    y: int
    members: Mapping[str, int]
    sizes: Mapping[str, int]


def rules(plan: Plan, image: Image, places: Places) -> Iterator[Rule]:
    """Give what each layer of a plan may touch in an image."""
    nodes = plan.program.nodes
    yield Rule(0, places.x, 2 * plan.program.inputs, LOAD)
    yield Rule(0, places.members["x"], 2 * plan.program.inputs, STORE)
    reads = "x"
    for layer, node in enumerate(nodes):
        # a kernel may read x up to a multiple of 4 values
        yield Rule(layer, places.members[reads], 2 * round_up(node.inputs), LOAD)
        reads = output_member(node)
        if node.output_state is None:
            y = places.y if node is nodes[-1] else places.members[reads]
            yield Rule(layer, y, 2 * node.outputs, BOTH)
        for name, size, access in _memory(plan, node):
            yield Rule(layer, places.members[name], size, access)
        for symbol in image.symbols:
            if symbol.source == "model.c" and symbol.name.startswith(f"{node.name}_"):
                size = places.sizes.get(symbol.name, symbol.size)
                yield Rule(layer, symbol.address, size, LOAD)
        for table in node.tables:
            symbol = image.by_name[f"ef_table_{table}"]
            yield Rule(layer, symbol.address, symbol.size, LOAD)
    # at the end, a state that is the output is copied
    copied = 2 * nodes[-1].outputs if nodes[-1].output_state else 0
    yield Rule(len(nodes), places.members.get(reads, places.y), copied, LOAD)
    yield Rule(len(nodes), places.y, copied, STORE)
    kernels = {Path(name).name for name in plan.kernel_files}
    for symbol in image.symbols:
        if symbol.kind == "STT_OBJECT" and symbol.source in kernels:  # a kernel's own tables
            yield Rule(ALL, symbol.address, symbol.size, LOAD)
    for section in image.sections:
        if section.name.startswith(".got"):  # by which Linux's C library finds its memcpy
            yield Rule(ALL, section.address, section.size, LOAD)


def _memory(plan: Plan, node: Node) -> Iterator[tuple[str, int, int]]:
    """Give the parts of ``model_t`` that a layer has besides x and y: name, size, access."""
    types = {member.name: np.dtype(member.dtype) for member in plan.members}
    for name, state in node.states.items():
        member = f"{node.name}_{name}"
        item = types[member].itemsize
        yield member, item * round_up(state.size), LOAD  # as x of a matrix
        # the one behind an odd number may be overwritten; what learns keeps x with all behind it
        stored = round_up(state.size) if node.derived else state.size + state.size % 2
        yield member, item * stored, STORE
    for name, vector in node.derived.items():  # what labels change, not steps
        member = f"{node.name}_{name}"
        yield member, types[member].itemsize * round_up(vector.size), LOAD
    step = plan.steps[node.name]
    if step.scratch:
        yield "scratch", 2 * step.scratch, BOTH
    if step.scratch32:
        yield "scratch32", 4 * step.scratch32, BOTH
    for product in (p for p in plan.products if p.node is node):
        cols = 2 * round_up(product.matrix.cols)
        if product.matrix.threshold:
            yield f"{product.name}_memory", 4 * product.packed.memory.size + cols, BOTH
        if product.matrix.factor is not None:
            yield f"{product.name}_reads", cols, BOTH
