"""Values worth storing: those that a step would else compute again and again."""

from edgeflow.codegen.tvm.scalars import REDUCTIONS, Scalar, walk
from edgeflow.codegen.tvm.stages import Call, Loop, dependencies
from edgeflow.codegen.tvm.values import Value

#: A value that takes more operators is stored rather than computed once for each row it is used in.
_CHEAP = 1


def nested_sums(outputs: list[Value]) -> set[int]:
    """Return values that hold a sum and are read again and again by another sum."""
    values: dict[int, Value] = {}
    stack = list(outputs)
    while stack:
        value = stack.pop()
        if value.id not in values:
            values[value.id] = value
            stack += value.args
    sums: set[int] = set()  # sums, and what is made of them
    summed: set[int] = set()  # what sums are made of
    for id in sorted(values):
        value = values[id]
        if value.op in REDUCTIONS or any(arg.id in sums for arg in value.args):
            sums.add(id)
    for id in sorted(values, reverse=True):
        value = values[id]
        if value.op in REDUCTIONS or id in summed:
            summed.update(arg.id for arg in value.args)
    found: set[int] = set()
    for id in sums & summed:
        wide = values[id]
        for arg in wide.args if wide.op not in REDUCTIONS else ():
            if arg.id in sums and arg.size < wide.size:
                found.add(arg.args[0].id if arg.op == "view" else arg.id)
    return found


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
