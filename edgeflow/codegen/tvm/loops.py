"""Loops and calls of a plan as statements of TVM's TIR.

Every value is 32 bits wide where its interval fits, else 64. What an outer loop does not change is
computed before the inner one.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from tvm import ir, tirx

from edgeflow.codegen.tvm.intervals import LOWEST
from edgeflow.codegen.tvm.scalars import REDUCTIONS, Region, Scalar, walk
from edgeflow.codegen.tvm.stages import Call, Loop, dependencies

_BITS_32 = 1 << 31
_BOOLEAN: dict[str, Callable[..., Any]] = {
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "eq": lambda a, b: tirx.EQ(a, b),
    "both": tirx.And,
    "either": tirx.Or,
}
_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "neg": lambda a: -a,
    "abs": lambda a: tirx.Max(a, -a),
    "min": tirx.Min,
    "max": tirx.Max,
    "shr": lambda a, b: a >> b,
    "and": lambda a, b: a & b,
    "mod": tirx.floormod,
}
#: Expressions that TVM takes apart when they are made narrower.
_SUMS = ("add", "sub", "mul", "neg", "shr", "and")


class Memory:
    """The buffers that stand for regions, and the accumulators of sums."""

    def __init__(self, buffers: Callable[[Region], Any]) -> None:
        self.buffer = buffers
        self.accumulators: list[Any] = []
        self._count = 0

    def name(self, hint: str) -> str:
        """Return a new name."""
        self._count += 1
        return f"{hint}{self._count}"

    def accumulator(self, size: int, dtype: str) -> Any:
        """Return a new buffer in registers."""
        buffer = tirx.decl_buffer((size,), dtype, self.name("sum"))
        self.accumulators.append(buffer)
        return buffer

    def address(self, region: Region, index: Any = 0) -> Any:
        """Return a pointer to an element."""
        return tirx.address_of(self.buffer(region)[region.offset + index])


def call_statement(call: Call, matrix: Any, memory: Memory) -> Any:
    """Return the calls of a matrix kernel: ``ef_apply(matrix, x, y)`` for each row of x."""

    def apply(x: Any, y: Any) -> Any:
        ends = memory.address(call.x, x), memory.address(call.region, y)
        return tirx.Evaluate(tirx.call_extern("void", "ef_apply", matrix, *ends))

    if call.rows == 1:
        return apply(0, 0)
    row = tirx.Var(memory.name("row"), "int32")
    return tirx.For(row, 0, call.rows, 0, apply(row * call.distance, row * call.results))


def loop_statements(loop: Loop, memory: Memory) -> list[Any]:
    """Return the statements of a loop."""
    return _Emitter(loop, memory).statements()


class _Scope:
    """Statements of one loop body, and what is bound there."""

    def __init__(self, variable: Any) -> None:
        self.variable = variable
        self.statements: list[Any] = []
        self.bound: dict[Scalar, Any] = {}


class _Emitter:
    def __init__(self, loop: Loop, memory: Memory) -> None:
        self._loop, self._memory = loop, memory
        self._depends = dependencies(loop)
        self._scalars = list(walk(loop.roots))
        self._uses: dict[Scalar, int] = {}
        for scalar in self._scalars:
            for arg in scalar.args:
                self._uses[arg] = self._uses.get(arg, 0) + 1
        # one for what no loop changes, one per loop; then those of the reductions under way
        variables = [tirx.Var(memory.name("i"), "int32") for _ in loop.shape]
        self._scopes = [_Scope(None), *map(_Scope, variables)]

    def statements(self) -> list[Any]:
        scopes = self._scopes
        inner = len(scopes) - 1
        values = [self._bound(root, inner) for root in self._loop.roots]
        for task, value, root in zip(self._loop.tasks, values, self._loop.roots, strict=True):
            index = self._index(task.region, task.target)
            buffer = self._memory.buffer(task.region)
            stored = self._narrow(value, task.region.dtype, scopes[-1], root)
            scopes[-1].statements.append(tirx.BufferStore(buffer, stored, [index]))
        for number in range(inner, 0, -1):
            body = _sequence(scopes[number].statements)
            loop = tirx.For(scopes[number].variable, 0, self._loop.shape[number - 1], 0, body)
            scopes[number - 1].statements.append(loop)
        return scopes[0].statements

    def _place(self, scalar: Scalar) -> int:
        """Return the scope that a scalar is computed in."""
        return 1 + max(self._depends[scalar], default=-1)

    def _bound(self, scalar: Scalar, place: int) -> Any:
        """Return a variable, or a constant, that holds a scalar in the scope `place`."""
        if scalar.op == "const":
            return tirx.const(scalar.lo, _dtype(scalar))
        mine = self._scopes[self._place(scalar)]
        if scalar not in mine.bound:
            value = self._expression(scalar)
            # TVM takes forever to simplify a chain of choices that it can see through
            hidden = self._hide(mine, value) if scalar.op == "where" else value
            mine.bound[scalar] = self._bind(mine, hidden)
        elif not isinstance(mine.bound[scalar], ir.Var):
            mine.bound[scalar] = self._bind(mine, mine.bound[scalar])
        return mine.bound[scalar]

    def _bind(self, scope: _Scope, expression: Any) -> Any:
        if isinstance(expression, ir.Var):
            return expression
        variable = tirx.Var(self._memory.name("v"), str(expression.ty.dtype))
        scope.statements.append(tirx.Bind(variable, expression))
        return variable

    def _hide(self, scope: _Scope, expression: Any) -> Any:
        """Return the expression as what is read from an accumulator: TVM does not look inside."""
        accumulator = self._memory.accumulator(1, str(expression.ty.dtype))
        zero = tirx.const(0, "int32")
        scope.statements.append(tirx.BufferStore(accumulator, expression, [zero]))
        return accumulator[zero]

    def _narrow(self, expression: Any, dtype: str, scope: _Scope, scalar: Scalar) -> Any:
        """Return the expression of a scalar as a narrower or as wide a type.

        TVM would narrow the constants of a sum, too, and fail where they do not fit. What may wrap
        in 64 bits is left in the branch that is not taken then.
        """
        narrower = int(dtype[3:]) < int(str(expression.ty.dtype)[3:])
        if narrower and scalar.op in _SUMS and scalar.lo > LOWEST:
            expression = self._hide(scope, expression)
        return _cast(expression, dtype)

    def _value(self, scalar: Scalar, place: int) -> Any:
        """Return an expression of a scalar for use in the scope `place`."""
        mine = self._place(scalar)
        if mine != place or self._uses.get(scalar, 0) > 1 or scalar.op in ("const", *REDUCTIONS):
            return self._bound(scalar, place)
        return self._expression(scalar)

    def _expression(self, scalar: Scalar) -> Any:
        """Return the expression of a scalar, of the type `_dtype` says."""
        op, dtype, place = scalar.op, _dtype(scalar), self._place(scalar)
        if op in REDUCTIONS:
            return self._reduction(scalar)
        if op == "load":
            assert scalar.region is not None
            position = self._index(scalar.region, scalar.region.place(scalar.at))
            loaded = self._memory.buffer(scalar.region)[position]
            return _cast(loaded, dtype)
        args = [self._value(arg, place) for arg in scalar.args]
        if op == "gather":
            assert scalar.region is not None
            return _cast(self._memory.buffer(scalar.region)[args[0]], dtype)
        scope = self._scopes[place]
        if op == "where":
            arms = zip(args[1:], scalar.args[1:], strict=True)
            return tirx.Select(args[0], *(self._narrow(a, dtype, scope, s) for a, s in arms))
        if op == "pow2":
            return tirx.const(1, dtype) << _cast(args[0], dtype)
        if op in ("wrap16", "wrap32"):
            return _cast(self._narrow(args[0], f"int{op[4:]}", scope, scalar.args[0]), dtype)
        if op in ("both", "either"):
            return _BOOLEAN[op](*args)
        wide = _widest([*scalar.args, *([] if op in _BOOLEAN else [scalar])])
        operands = [_cast(arg, wide) for arg in args]
        if op in _BOOLEAN:
            return _BOOLEAN[op](*operands)
        return self._narrow(_ARITHMETIC[op](*operands), dtype, scope, scalar)

    def _index(self, region: Region, at: Any) -> Any:
        start, strides = self._loop.access(at)
        index = tirx.const(region.offset + start, "int32")
        for scope, stride in zip(self._scopes[1:], strides, strict=False):
            if stride:
                step = scope.variable * stride if stride != 1 else scope.variable
                index = step + index
        return index

    def _reduction(self, scalar: Scalar) -> Any:
        """Compute a reduction, and with it all others that run over as many terms."""
        place = self._place(scalar)
        scope = self._scopes[place]
        first = len(self._loop.shape) + scalar.level  # dimension of the terms
        group = [
            other
            for other in self._scalars
            if other.op in REDUCTIONS
            and (other.terms, other.level, self._place(other))
            == (scalar.terms, scalar.level, place)
            and other not in scope.bound
            and all(below in self._scopes[self._place(below)].bound for below in other.below)
        ]
        if scalar not in group:
            for below in scalar.below:
                if self._depends[below] <= self._depends[scalar]:
                    self._bound(below, place)
            group = [scalar]
        hidden = self._scopes[first + 1 :]
        variable = tirx.Var(self._memory.name("k"), "int32")
        # scopes up to the terms' own, which stands at 1 + `first`
        while len(self._scopes) <= first:
            self._scopes.append(_Scope(None))
        inner = _Scope(variable)
        self._scopes = [*self._scopes[: first + 1], inner]
        sums: dict[Any, Any] = {}
        for other in group:
            key = (other.value.id, id(other.args[0]))
            if key not in sums:
                sums[key] = self._accumulate(other, scope, inner, first + 1)
        loop = tirx.For(variable, 0, scalar.terms, 0, _sequence(inner.statements))
        self._scopes = [*self._scopes[: first + 1], *hidden]
        scope.statements.append(loop)
        for other in group:
            accumulator = sums[(other.value.id, id(other.args[0]))]
            loaded = accumulator[other.choice]
            scope.bound[other] = self._bind(scope, _cast(loaded, _dtype(other)))
        return scope.bound[scalar]

    def _accumulate(self, scalar: Scalar, outer: _Scope, inner: _Scope, place: int) -> Any:
        """Put what is done for each term into `inner`; returns the accumulator."""
        count = scalar.value.key if scalar.op == "top" else 1
        dtype = _sum_dtype(scalar) if scalar.op == "sum" else _dtype(scalar.args[0])
        accumulator = self._memory.accumulator(count, dtype)
        start = 0 if scalar.op == "sum" else -(1 << (int(dtype[3:]) - 1))
        for number in range(count):
            at = [tirx.const(number, "int32")]
            outer.statements.append(tirx.BufferStore(accumulator, tirx.const(start, dtype), at))
        value = _cast(self._value(scalar.args[0], place), dtype)
        if scalar.op != "sum":
            value = self._bind(inner, value)
        for number in range(count):
            at = [tirx.const(number, "int32")]
            before = accumulator[number]
            if scalar.op == "sum":
                after = before + value
            else:
                before = self._bind(inner, before)
                after = tirx.Max(before, value)
            inner.statements.append(tirx.BufferStore(accumulator, after, at))
            if number < count - 1:
                value = self._bind(inner, tirx.Min(before, value))
        return accumulator


def _dtype(scalar: Scalar) -> str:
    if scalar.value.is_bool and scalar.op != "const":
        return "bool"
    return "int32" if scalar.lo >= -_BITS_32 and scalar.hi < _BITS_32 else "int64"


def _widest(scalars: Iterable[Scalar]) -> str:
    return "int64" if any(_dtype(scalar) == "int64" for scalar in scalars) else "int32"


def _sum_dtype(scalar: Scalar) -> str:
    """Return the type that holds every partial sum."""
    value = scalar.value
    known = value.args[0].range
    largest = np.maximum(np.abs(known.lo.astype(np.float64)), np.abs(known.hi.astype(np.float64)))
    return "int32" if largest.reshape(-1)[value.index].sum(axis=-1).max() < _BITS_32 else "int64"


def _cast(expression: Any, dtype: str) -> Any:
    return expression if str(expression.ty.dtype) == dtype else expression.astype(dtype)


def _sequence(statements: list[Any]) -> Any:
    return statements[0] if len(statements) == 1 else tirx.SeqStmt(statements)
