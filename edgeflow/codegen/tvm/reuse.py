"""Values worth storing: those that a step would else compute again and again."""

from edgeflow.codegen.tvm.scalars import REDUCTIONS, Scalar, walk
from edgeflow.codegen.tvm.stages import Call, Loop, dependencies
from edgeflow.codegen.tvm.values import Value, every_value

#: A value that takes more operators is stored rather than computed once for each row it is used in.
_CHEAP = 1


def nested_sums(outputs: list[Value]) -> set[int]:
    """Return values that hold a sum and are read again and again by another sum."""
    values = every_value(outputs)
    sums: set[Value] = set()  # sums, and what is made of them
    summed: set[Value] = set()  # what sums are made of
    for value in values:
        if value.op in REDUCTIONS or sums.intersection(value.args):
            sums.add(value)
    for value in reversed(values):
        if value.op in REDUCTIONS or value in summed:
            summed.update(value.args)
    return {
        arg.args[0].id if arg.op == "view" else arg.id
        for wide in sums & summed
        if wide.op not in REDUCTIONS
        for arg in wide.args
        if arg in sums and arg.size < wide.size
    }


def repeated(stages: list[Call | Loop]) -> set[int]:
    """Return values that loops compute more often than they change."""
    found: set[int] = set()
    seen: dict[int, int] = {}
    for number, stage in enumerate(stages):
        if isinstance(stage, Call):
            continue
        found |= _wasteful(stage)
        for scalar in walk(stage.roots):
            if scalar.op in REDUCTIONS and seen.setdefault(scalar.value.id, number) != number:
                found.add(scalar.value.id)
    return found


def _wasteful(loop: Loop) -> set[int]:
    """Return values that an inner loop computes again, though an outer one does not change them."""
    depends = dependencies(loop)
    effort: dict[Scalar, int] = {}
    for scalar in walk(loop.roots):
        effort[scalar] = sum(effort[arg] for arg in scalar.args)
        effort[scalar] += scalar.op not in ("const", "load") and bool(depends[scalar])
    found: set[int] = set()
    stack = [(root, True) for root in loop.roots]
    seen: set[Scalar] = set()
    while stack:
        scalar, root = stack.pop()
        if scalar in seen:
            continue
        seen.add(scalar)
        mine = depends[scalar]
        again = bool(mine) and len(mine) < 1 + max(mine)
        known = all(s.op != "load" or _is_constant(s) for s in walk([scalar]))
        if again and effort[scalar] > _CHEAP and not root and not known:
            found.add(scalar.value.id)
        else:
            stack += [(arg, False) for arg in scalar.args]
    return found


def _is_constant(scalar: Scalar) -> bool:
    return scalar.region is not None and scalar.region.kind in ("array", "table")
