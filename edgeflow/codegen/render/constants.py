"""The constants of a layer in ``model.c``: what its step reads from flash."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edgeflow.codegen.backends import owner
from edgeflow.codegen.backends.backend import StepCode
from edgeflow.codegen.c_text import c_array, c_struct, c_values
from edgeflow.codegen.product import Product
from edgeflow.program.nodes import Node
from edgeflow.program.nodes.base import factor_of

Members = dict[str, str | int]


def layer_constants(
    node: Node, products: list[Product], step: StepCode, reads: str, own: str
) -> str:
    """Return the definitions of a layer's constants.

    Parameters
    ----------
    node : Node
    products : list of Product
        The layer's.
    step : StepCode
    reads : str
        Member of ``model_t`` that the layer reads.
    own : str
        Before the names of kernels.
    """
    parts = [f"/* {node.name}: {node.op_type}, {node.inputs} -> {node.outputs} */"]
    for product in products:
        parts += _product(product, reads, own)
    for field, array in node.arrays().items():
        if step.reads(field):
            parts.append(_array(f"{node.name}_{field}", array))
    declaration = step.declaration(own)
    return "\n".join([*parts, declaration] if declaration else parts)


def _product(product: Product, reads: str, own: str) -> Iterator[str]:
    """Yield the definitions of a product: arrays, then the ``ef_matrix`` of its name."""
    matrix, packed, name = product.matrix, product.packed, product.name
    function, definition = owner(product.kernel).matvec(product, own)
    if definition:
        yield definition
    yield _weights(f"{name}_weights", packed.weights)
    words = packed.weights.dtype == np.uint32
    members: Members = {"matvec": function, "weights": f"{'&' * (not words)}{name}_weights"}
    if not packed.complete:
        yield _array(f"{name}_bias", matrix.bias)
        yield _array(f"{name}_multiplier", matrix.multiplier)
        members |= {"bias": f"{name}_bias", "multiplier": f"{name}_multiplier"}
    shape: Members = {"rows": matrix.rows, "cols": matrix.cols, "shift": matrix.shift}
    struct = f"{own}ef_matrix"
    if matrix.threshold and not product.kernel.delta:
        yield c_struct(struct, f"{name}_dense", {**members, **shape, "group": 1})
        members = {"matvec": f"{own}ef_hold_matvec", "weights": f"&{name}_dense"}
    members |= {**shape, "group": matrix.group, "threshold": matrix.threshold}
    if matrix.threshold:
        members["memory"] = _from_x(product, reads, "memory")
        if packed.memory.size:
            yield _array(f"{name}_start", packed.memory)
    if matrix.factor is not None:
        yield c_struct(struct, f"{name}_left", members)
        factor = f"&{product.node.name}_{factor_of(product.field)}"
        factors: Members = {"factor": factor, "left": f"&{name}_left"}
        yield c_struct(f"{own}ef_low_rank", f"{name}_factors", factors)
        members = {
            "matvec": f"{own}ef_low_rank_matvec",
            "weights": f"&{name}_factors",
            "rows": matrix.rows,
            "cols": matrix.inputs,
            "group": 1,
            "memory": _from_x(product, reads, "reads"),
        }
    yield c_struct(struct, name, members)


def _from_x(product: Product, reads: str, part: str) -> str:
    """Return the distance of a product's part of model_t from what the product reads."""
    source = product.node.source_of(product.field)
    place = reads if source == "x" else f"{product.node.name}_{source}"
    return f"EF_DISTANCE({place}, {product.name}_{part})"


def _weights(name: str, weights: NDArray[np.int8] | NDArray[np.uint32]) -> str:
    if weights.dtype == np.uint32:
        return _array(name, weights)
    # the alignment that ef_matrix asks for, without a compiler extension
    return (
        f"static const union {{\n    int8_t weights[{weights.size}];\n    uint32_t align;\n}} "
        f"{name} = {{{{\n{c_values(weights, 20)}\n}}}};"
    )


def _array(name: str, values: NDArray[np.generic]) -> str:
    return c_array(f"{values.dtype.name}_t", name, values, 8 if values.dtype == np.uint32 else 10)
