"""Fused operators of a Relax module as functions of raw pointers that call nothing but libm."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import tvm
import tvm_ffi
from tvm import ir, s_tir, tirx
from tvm.relax.analysis import has_reshape_pattern

from edgeflow.codegen.float_driver import C_TYPES
from edgeflow.errors import TargetError

#: Sums that a loop keeps in registers.
_TILE = 8
#: Calls in an expression that cost no more than a load.
_CHEAP = frozenset({"tirx.if_then_else", "tirx.likely", "tirx.max_value", "tirx.min_value"})
#: Calls of the runtime that a device does not have.
_RUNTIME = ("packed", "tvm_stack", "tvm_struct", "call_extern")
_SPATIAL, _REDUCTION = 0, 2
NO_CODE = (
    "TVM has no code for it that runs without its runtime: write it with other operators, or "
    "compute it in C"
)

# TVM's C text lacks this one
tirx.register_intrin_lowering(
    "tirx.fabs", target="c", f=lambda call: tirx.call_pure_extern("float32", "fabsf", call.args[0])
)


@dataclass(frozen=True)
class Kernel:
    """An operator, or several in one.

    Attributes
    ----------
    function : tvm.tirx.PrimFunc
        Takes pointers: what it reads, what it writes, then `scratch`.
    scratch : tuple of (dtype, elements)
        Working memory that it needs.
    """

    function: tirx.PrimFunc
    scratch: tuple[tuple[str, int], ...]


def kernel(function: tirx.PrimFunc, symbol: str, name: str) -> Kernel | None:
    """Schedule an operator.

    Parameters
    ----------
    function : tvm.tirx.PrimFunc
        Of buffers with fixed shapes.
    symbol : str
        Its name in C.
    name : str
        Names the operator in errors.

    Returns
    -------
    Kernel or None
        None if all that it does is giving an array another shape.

    Raises
    ------
    TargetError
        If it needs TVM's runtime, or a type that C code here does not have.
    """
    _check(function, name)
    block = getattr(function.body, "block", None)
    if block is None or block.name_hint != "root":  # made by hand inside of TVM
        raise TargetError(f"operator {name}: {NO_CODE}")
    schedule = s_tir.Schedule(tvm.IRModule({"main": function}))
    root = schedule.get_sblock("root")
    _inline(schedule, root)
    single = len(schedule.get_child_blocks(root)) == 1 and len(function.params) == 2
    if single and has_reshape_pattern(schedule.mod["main"]):
        return None
    stores = [_tile(schedule, block) for block in schedule.get_child_blocks(root)]
    tiles = [schedule.get(store).reads[0].source for store in stores if store is not None]
    return _raw(schedule.mod["main"], symbol, tiles)


def _check(function: tirx.PrimFunc, name: str) -> None:
    """Raise a TargetError if the operator cannot become plain C."""
    called = [_callee(call) for call in _parts(function, ir.Call)]
    if any(word in callee for callee in called for word in _RUNTIME):
        raise TargetError(f"operator {name}: {NO_CODE}")
    types = {str(buffer.dtype) for buffer in _parts(function, tirx.BufferType)}
    for dtype in sorted(types - C_TYPES.keys()):
        raise TargetError(
            f"operator {name}: computes in {dtype}; float layers are float32: use "
            "module.float(), and torch.float32 in forward"
        )


def _parts(tree: Any, kind: type[Any]) -> list[Any]:
    found: list[Any] = []
    tvm_ffi.structural_walk(tree, found.append)
    return [part for part in found if isinstance(part, kind)]


def _callee(call: ir.Call) -> str:
    return str(getattr(call.op, "name", ""))


def _inline(schedule: s_tir.Schedule, root: Any) -> None:
    """Compute what costs little, or is read once, where it is read, instead of storing it."""
    outputs = {schedule.get(block).name_hint for block in schedule.get_output_blocks(root)}
    for block in reversed(schedule.get_child_blocks(root)):
        readers = schedule.get_consumers(block)
        if schedule.get(block).name_hint in outputs or not readers or _is_sum(schedule, block):
            continue
        moves = _moves_only(schedule, block)
        once = all(_turns(schedule, r) <= _turns(schedule, block) for r in readers)
        if not moves and not (once and (len(readers) == 1 or _is_cheap(schedule, block))):
            continue
        try:
            schedule.compute_inline(block)
        except s_tir.ScheduleError:
            continue


def _is_sum(schedule: s_tir.Schedule, block: Any) -> bool:
    return any(int(var.iter_type) == _REDUCTION for var in schedule.get(block).iter_vars)


def _turns(schedule: s_tir.Schedule, block: Any) -> int:
    return prod(int(var.dom.extent) for var in schedule.get(block).iter_vars)


def _moves_only(schedule: s_tir.Schedule, block: Any) -> bool:
    body = schedule.get(block).body
    return isinstance(body, tirx.BufferStore) and isinstance(body.value, ir.TensorLoad)


def _is_cheap(schedule: s_tir.Schedule, block: Any) -> bool:
    body = schedule.get(block).body
    return not _parts(body, tirx.Div) and all(_callee(c) in _CHEAP for c in _parts(body, ir.Call))


def _tile(schedule: s_tir.Schedule, block: Any) -> Any:
    """Keep several sums at once in registers, so that each value that is read serves them all.

    Returns the block that stores them in the end, None where there are no sums.
    """
    variables = schedule.get(block).iter_vars
    loops = schedule.get_loops(block)
    if not _is_sum(schedule, block) or len(loops) != len(variables):
        return None
    kinds = [int(variable.iter_type) for variable in variables]
    spatial = [loop for loop, kind in zip(loops, kinds, strict=True) if kind == _SPATIAL]
    summed = [loop for loop, kind in zip(loops, kinds, strict=True) if kind == _REDUCTION]
    if not spatial or len(spatial) + len(summed) != len(loops):
        return None
    extent = int(schedule.get(spatial[-1]).extent)
    size = max(n for n in range(1, _TILE + 1) if extent % n == 0)
    outer, inner = schedule.split(spatial[-1], [None, size])
    schedule.reorder(*spatial[:-1], outer, *summed, inner)
    stored = schedule.cache_write(block, 0, "global")
    schedule.reverse_compute_at(stored, outer)
    schedule.unroll(inner)
    start = schedule.decompose_reduction(block, summed[0])
    schedule.unroll(schedule.get_loops(start)[-1])
    schedule.unroll(schedule.get_loops(stored)[-1])
    return stored


def _raw(function: tirx.PrimFunc, symbol: str, tiles: Sequence[Any]) -> Kernel:
    """Return the function with pointers for all its buffers but `tiles`."""
    realize = function.body
    root = realize.block
    kept = [b for b in root.alloc_buffers if any(b.same_as(tile) for tile in tiles)]
    hoisted = [b for b in root.alloc_buffers if not any(b.same_as(k) for k in kept)]
    block = s_tir.SBlock(
        root.iter_vars, root.reads, root.writes, root.name_hint, root.body, root.init, kept,
        root.match_buffers, root.annotations,
    )  # fmt: skip
    body = s_tir.SBlockRealize(realize.iter_values, realize.predicate, block)
    pointers, declared = [], []
    for buffer in [*function.params, *hoisted]:
        pointer = tirx.Var(f"{buffer.name}_p", ir.PointerType(ir.PrimType(str(buffer.dtype))))
        pointers.append(pointer)
        declared.append(tirx.DeclBuffer(buffer, data=pointer))
    raw = tirx.PrimFunc(pointers, tirx.SeqStmt([*declared, body]), ret_type=None)
    attributes = {"global_symbol": symbol, "tirx.noalias": True, "calling_conv": 1, "s_tir": True}
    scratch = tuple((str(b.dtype), prod(int(n) for n in b.shape)) for b in hoisted)
    return Kernel(raw.with_attrs(attributes), scratch)
