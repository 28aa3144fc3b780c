"""The whole step of a layer as one TVM function, a trace of its step in numpy.

`Node.step` is all that is known of a layer: there is no code for any cell here, and a new one
is translated like the others. Matrices stay behind ``ef_apply``, a function in C.
"""

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from tvm import ir, tirx

from edgeflow.codegen.tvm.body import read_body
from edgeflow.codegen.tvm.loops import Memory, call_statement, loop_statements
from edgeflow.codegen.tvm.plan import Plan
from edgeflow.codegen.tvm.scalars import Region
from edgeflow.codegen.tvm.stages import Call
from edgeflow.program.nodes import Node

#: Steps by their layer, and symbol: they are the same for every core.
_KNOWN: WeakKeyDictionary[Node, dict[str, "Step"]] = WeakKeyDictionary()
#: Bytes of the scratch memory's alignment, and of that of each part of it.
ALIGNMENT = 8


@dataclass(frozen=True)
class Step:
    """A layer's step.

    Attributes
    ----------
    function : tvm.tirx.PrimFunc
        Takes pointers, `arguments` in order; nothing overlaps. It calls
        ``void ef_apply(const ef_matrix *, const int16_t *x, int16_t *y)``.
    arguments : tuple of (kind, name)
        Kinds: "matrix", "array", "table" (read only); "x"; "state" (read and replaced); "y", unless
        it is a state; "scratch", if there is any. Those that the step does not need are left out.
    c_types : tuple of str
        Of each argument.
    scratch : int
        Bytes of working memory, which starts at a multiple of `ALIGNMENT`.
    """

    function: tirx.PrimFunc
    arguments: tuple[tuple[str, str], ...]
    c_types: tuple[str, ...]
    scratch: int


def step_function(node: Node, symbol: str) -> Step:
    """Return the step of a layer as the function `symbol`.

    States start at zero, and only this function replaces them: what they can then reach is part of
    the proof that 32 bits suffice.

    Parameters
    ----------
    node : Node
    symbol : str
        Name of the function in C.

    Returns
    -------
    Step

    Raises
    ------
    TargetError
        If the layer's step has something that cannot be translated.
    """
    known = _KNOWN.setdefault(node, {})
    if symbol not in known:
        known[symbol] = _Function(node, Plan(node, read_body(node))).build(symbol)
    return known[symbol]


class _Function:
    def __init__(self, node: Node, plan: Plan) -> None:
        self._node, self._plan = node, plan
        self._pointers: dict[tuple[str, str], Any] = {}
        self._buffers: dict[Any, Any] = {}
        self._declared: list[Any] = []
        self._offsets, self._size = _layout(plan.scratch)

    def build(self, symbol: str) -> Step:
        memory = Memory(self._buffer)
        statements: list[Any] = []
        for stage in self._plan.stages:
            if isinstance(stage, Call):
                matrix = self._pointer("matrix", stage.field, "void")
                statements.append(call_statement(stage, matrix, memory))
            else:
                statements += loop_statements(stage, memory)
        accumulators = [tirx.AllocBuffer(buffer) for buffer in memory.accumulators]
        order = self._order()
        function = tirx.PrimFunc(
            [self._pointers[key] for key in order],
            tirx.SeqStmt([*self._declared, *accumulators, *statements]),
            ret_type=None,
        ).with_attrs(
            {"global_symbol": symbol, "tirx.noalias": True, "calling_conv": 1, "s_tir": True}
        )
        types = tuple(_c_type(key[0], self._pointers[key]) for key in order)
        return Step(function, tuple(order), types, self._size)

    def _order(self) -> list[tuple[str, str]]:
        node = self._node
        keys = [("matrix", field) for field in node.matrices()]
        keys += [("array", field) for field in node.arrays()]
        keys += [("table", table) for table in node.tables]
        keys += [("x", ""), *(("state", name) for name in node.states), ("y", ""), ("scratch", "")]
        return [key for key in keys if key in self._pointers]

    def _pointer(self, kind: str, name: str, dtype: str) -> Any:
        key = (kind, name)
        if key not in self._pointers:
            of = ir.PointerType(ir.PrimType(dtype))
            self._pointers[key] = tirx.Var(name or kind, of)
        return self._pointers[key]

    def _buffer(self, region: Region) -> Any:
        """Return the buffer of a region; that of scratch memory holds all regions of its type."""
        key = (region.kind, region.name, region.dtype)
        if key in self._buffers:
            return self._buffers[key]
        if region.kind == "scratch":
            name, size = f"scratch_{region.dtype}", self._plan.scratch[region.dtype]
            of = ir.PointerType(ir.PrimType(region.dtype))
            pointer = tirx.Var(f"{name}_start", of)
            offset = tirx.const(self._offsets[region.dtype], "int32")
            whole = self._pointer("scratch", "", "void")
            start = ir.Call(ir.Op.get("tirx.handle_add_byte_offset"), [whole, offset], ret_ty=of)
            self._declared.append(tirx.Bind(pointer, start))
        else:
            name, size = f"{region.name or region.kind}_values", region.size
            pointer = self._pointer(region.kind, region.name, region.dtype)
        buffer = tirx.decl_buffer((size,), region.dtype, name)
        self._declared.append(tirx.DeclBuffer(buffer, data=pointer))
        self._buffers[key] = buffer
        return buffer


def _layout(sizes: dict[str, int]) -> tuple[dict[str, int], int]:
    """Return where the part of each type starts in scratch memory, and the size of all; bytes."""
    offsets, end = {}, 0
    for dtype, elements in sizes.items():
        offsets[dtype] = end
        end += -(-elements * int(dtype[3:]) // 8 // ALIGNMENT) * ALIGNMENT
    return offsets, end


def _c_type(kind: str, pointer: Any) -> str:
    if kind == "matrix":
        return "const ef_matrix *"
    if kind == "scratch":
        return "void *"
    element = f"{pointer.ty.element_type.dtype}_t *"
    return f"const {element}" if kind in ("array", "table", "x") else element
