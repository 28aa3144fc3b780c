"""Intervals of integer tensors: which numbers every element can be.

Each operator maps intervals of its arguments to one of its result. Where arguments are tied to each
other, that alone is too wide for 32 bits, and three arguments that hold for every input narrow it:

* a mean of two values, ``a c + z (b - a)`` with ``0 <= z <= c``, lies between them (`_mean`), and
  ``a - ((a z) >> k)`` between a and 0 (`_leak`);
* a branch of ``where`` sees only what its condition lets through;
* a product whose factors depend on the same comparisons is bounded case by case (`_by_cases`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeflow.program.fixedpoint import Ints

if TYPE_CHECKING:
    from edgeflow.codegen.tvm.values import Value

LOWEST, HIGHEST = -(1 << 63), (1 << 63) - 1
#: Results beyond this may wrap in 64 bits: then nothing is known of them.
_WRAPS = float(1 << 62)


@dataclass(frozen=True)
class Interval:
    """Lowest and highest number of each element, int64 arrays of the tensor's shape."""

    lo: Ints
    hi: Ints

    def join(self, other: "Interval") -> "Interval":
        return Interval(np.minimum(self.lo, other.lo), np.maximum(self.hi, other.hi))

    def meet(self, lo: Any, hi: Any) -> "Interval":
        """Return the intersection with lo..hi; one of its bounds where it is empty."""
        return Interval(np.clip(self.lo, lo, hi), np.clip(self.hi, lo, hi))

    def narrowed(self, other: "Interval") -> "Interval":
        """Return the intersection; this interval where it is empty, which no value reaches."""
        lo, hi = np.maximum(self.lo, other.lo), np.minimum(self.hi, other.hi)
        return Interval(np.where(lo <= hi, lo, self.lo), np.where(lo <= hi, hi, self.hi))

    def within(self, other: "Interval") -> bool:
        return bool((self.lo >= other.lo).all() and (self.hi <= other.hi).all())


#: Intervals that replace those of some values, by id.
Assumed = dict[int, Interval]


def full(shape: tuple[int, ...], lo: int, hi: int) -> Interval:
    """Return the same interval for every element."""
    return Interval(np.full(shape, lo, np.int64), np.full(shape, hi, np.int64))


def fits(known: Interval, bits: int) -> bool:
    """Tell whether every element is an integer of `bits` bits."""
    half = 1 << (bits - 1)
    return bool((known.lo >= -half).all() and (known.hi < half).all())


def of(value: "Value") -> Interval:
    """Return the interval of a value whose arguments have theirs."""
    return Evaluation({}).transfer(value)


class Evaluation:
    """Intervals under assumptions; a value that depends on none of them keeps that of `without`.

    Parameters
    ----------
    assumed : dict of int to Interval
        Of values, by id.
    without : Evaluation, optional
        What else is assumed. Default: nothing.
    """

    def __init__(self, assumed: Assumed, without: "Evaluation | None" = None) -> None:
        self._known = dict(assumed)
        self._mask = sum(1 << id for id in assumed)
        self._without = without

    def of(self, value: "Value") -> Interval:
        if not value.below & self._mask:
            return value.range if self._without is None else self._without.of(value)
        if value.id not in self._known:
            self._known[value.id] = self.transfer(value).narrowed(value.range)
        return self._known[value.id]

    def _assumes(self, value: "Value") -> bool:
        mine = bool(self._mask >> value.id & 1)
        return mine or (self._without is not None and self._without._assumes(value))

    def transfer(self, value: "Value") -> Interval:
        op, args = value.op, value.args
        if op == "where":
            return self._where(value)
        if not args or op == "matvec":
            return value.range
        known = [self.of(arg) for arg in args]
        if op in ("view", "concat"):
            lo = np.concatenate([part.lo.reshape(-1) for part in known])[value.index]
            hi = np.concatenate([part.hi.reshape(-1) for part in known])[value.index]
            return Interval(lo, hi)
        if op in ("sum", "top"):
            return _reduction(value, known[0])
        if op == "gather":
            lo, hi = known[0].lo.min(), known[0].hi.max()
            return full(value.shape, int(lo), int(hi))
        result = _ELEMENTS[op](*known) if op in _ELEMENTS else full((), 0, 1)
        if op == "add":
            result = self._mean(value, result)
        elif op == "sub":
            result = self._leak(value, result)
        elif op == "mul":
            result = self._by_cases(value, result)
        lo, hi = (np.broadcast_to(end, value.shape) for end in (result.lo, result.hi))
        return Interval(lo, hi)

    def _where(self, value: "Value") -> Interval:
        condition, *branches = value.args
        known = self.of(condition)
        ends = []
        for number, branch in enumerate(branches):
            assumed = _implied(condition, self, not number)
            chosen = Evaluation(assumed, self) if assumed else self
            ends.append(chosen.of(branch))
        lo = np.where(known.lo == 1, ends[0].lo, np.where(known.hi == 0, ends[1].lo, 0))
        hi = np.where(known.lo == 1, ends[0].hi, np.where(known.hi == 0, ends[1].hi, 0))
        either = ends[0].join(ends[1])
        open = known.lo != known.hi
        return Interval(np.where(open, either.lo, lo), np.where(open, either.hi, hi))

    def _mean(self, value: "Value", result: Interval) -> Interval:
        """Narrow sums that are a mean of two values, scaled and rounded.

        ``a 2^k + z (b - a)`` is between ``a 2^k`` and ``b 2^k`` if ``0 <= z <= 2^k``; so is
        ``a + ((z (b - a) + r) >> k)`` between a and b if ``0 <= r < 2^k``; and in
        ``h + z (b - (h >> k))`` only the k low bits of h come on top of the first.
        """
        for first, second in (value.args, value.args[::-1]):
            down = rest = 0
            moved = second
            if moved.op == "shr" and moved.args[1].scalar is not None:
                down, moved = moved.args[1].scalar, moved.args[0]
                moved, rest = _rounded(moved)
            if moved.op != "mul":
                continue
            for rate, difference in (moved.args, moved.args[::-1]):
                if difference.op != "sub":
                    continue
                b, a = difference.args
                one = extra = 0
                if down and a is first and 0 <= rest < 1 << down:
                    one, scale = 1 << down, 1
                elif first.op == "mul" and first.args[0] is a and first.args[1].scalar is not None:
                    one = scale = first.args[1].scalar
                elif a.op == "shr" and a.args[0] is first and a.args[1].scalar is not None:
                    one = scale = 1 << a.args[1].scalar
                    extra = scale - 1
                rates = self.of(rate)
                within = one > 0 and rates.lo.min() >= 0 and rates.hi.max() <= one
                if within and (scale == 1) == bool(down):
                    either = self.of(a).join(self.of(b))
                    lo, hi = either.lo * scale, either.hi * scale + extra
                    return Interval(lo, hi).narrowed(result)
        return result

    def _leak(self, value: "Value", result: Interval) -> Interval:
        """Narrow ``a - ((a z + r) >> k)``: between a and 0 if ``0 <= z <= 2^k, 0 <= r < 2^k``."""
        a, part = value.args
        if part.op != "shr" or part.args[1].scalar is None:
            return result
        (product, rest), one = _rounded(part.args[0]), 1 << part.args[1].scalar
        if product.op == "mul" and 0 <= rest < one and a in product.args:
            rate = self.of(product.args[1 if product.args[0] is a else 0])
            if rate.lo.min() >= 0 and rate.hi.max() <= one:
                known = self.of(a)
                lo, hi = np.minimum(known.lo, 0), np.maximum(known.hi, 0)
                return Interval(lo, hi).narrowed(result)
        return result

    def _by_cases(self, value: "Value", result: Interval) -> Interval:
        """Bound a product for each interval between the constants that a value is compared with."""
        shared = set(value.args[0].compared) | set(value.args[1].compared)
        shared = {v for v in shared if all(arg.below >> v.id & 1 for arg in value.args)}
        if not shared:
            return result
        pivot = max(shared, key=lambda v: v.id)
        if self._assumes(pivot) or pivot.is_bool:
            return result
        known = self.of(pivot)
        cuts = sorted(value.compared[pivot])
        cases = []
        for lo, hi in zip([LOWEST, *cuts], [*(cut - 1 for cut in cuts), HIGHEST], strict=True):
            if lo <= known.hi.max() and hi >= known.lo.min():
                case = Evaluation({pivot.id: known.meet(lo, hi)}, self)
                cases.append(multiply(*(case.of(arg) for arg in value.args)))
        joined = cases[0]
        for other in cases[1:]:
            joined = joined.join(other)
        return joined.narrowed(result)


def _rounded(value: "Value") -> tuple["Value", int]:
    """Return x and r of ``x + r`` with a constant r, which is 0 if nothing is added."""
    if value.op == "add" and value.args[1].scalar is not None:
        return value.args[0], value.args[1].scalar
    return value, 0


def _implied(condition: "Value", known: Evaluation, holds: bool) -> Assumed:
    """Return what a comparison with a constant says of the value, if it holds or does not."""
    if condition.op not in ("lt", "le", "gt", "ge") or condition.args[1].scalar is None:
        return {}
    value, bound = condition.args[0], condition.args[1].scalar
    below = condition.op in ("lt", "le")
    cut = bound + (condition.op in ("le", "gt"))
    limits = (LOWEST, cut - 1) if below == holds else (cut, HIGHEST)
    return {value.id: known.of(value).meet(*limits)}


def _checked(ends: Sequence[Any], reach: Sequence[Any]) -> Interval:
    """Return the interval of results, all of 64 bits where a magnitude of `reach` may wrap."""
    wraps = np.abs(reach).max(axis=0) >= _WRAPS
    lo, hi = np.minimum.reduce(ends), np.maximum.reduce(ends)
    return Interval(np.where(wraps, LOWEST, lo), np.where(wraps, HIGHEST, hi))


def _exact(op: np.ufunc, *pairs: tuple[Ints, Ints]) -> Interval:
    with np.errstate(over="ignore"):
        ends = [op(x, y) for x, y in pairs]
    return _checked(ends, [op(np.float64(x), np.float64(y)) for x, y in pairs])


def _minus(a: Interval, b: Interval) -> Interval:
    return _exact(np.subtract, (a.lo, b.hi), (a.hi, b.lo))


def multiply(a: Interval, b: Interval) -> Interval:
    """Return the interval of a product."""
    return _exact(np.multiply, (a.lo, b.lo), (a.lo, b.hi), (a.hi, b.lo), (a.hi, b.hi))


def _shr(a: Interval, down: Interval) -> Interval:
    down = down.meet(0, 63)
    found = [x >> y for x in (a.lo, a.hi) for y in (down.lo, down.hi)]
    return Interval(np.minimum.reduce(found), np.maximum.reduce(found))


def _pow2(e: Interval) -> Interval:
    lo, hi = (np.left_shift(np.int64(1), np.clip(end, 0, 62)) for end in (e.lo, e.hi))
    wild = (e.lo < 0) | (e.hi > 62)
    return Interval(np.where(wild, LOWEST, lo), np.where(wild, HIGHEST, hi))


def _and(a: Interval, mask: Interval) -> Interval:
    inside = (a.lo >= 0) & (a.hi <= mask.lo)
    return Interval(np.where(inside, a.lo, 0), np.where(inside, a.hi, mask.hi))


def _mod(a: Interval, b: Interval) -> Interval:
    return Interval(np.minimum(b.lo + 1, 0) + 0 * a.lo, np.maximum(b.hi - 1, 0) + 0 * a.hi)


def _abs(a: Interval) -> Interval:
    sizes = np.abs(np.maximum(a.lo, LOWEST + 1)), np.abs(np.maximum(a.hi, LOWEST + 1))
    least = np.where((a.lo <= 0) & (a.hi >= 0), 0, np.minimum(*sizes))
    return Interval(least, np.maximum(*sizes))


def _wrap(bits: int) -> Any:
    def wrapped(a: Interval) -> Interval:
        half = 1 << (bits - 1)
        inside = (a.lo >= -half) & (a.hi < half)
        return Interval(np.where(inside, a.lo, -half), np.where(inside, a.hi, half - 1))

    return wrapped


def _decided(always: Any, never: Any) -> Interval:
    return Interval(np.where(always, 1, 0), np.where(never, 0, 1))


def _reduction(value: "Value", known: Interval) -> Interval:
    lo, hi = (end.reshape(-1)[value.index] for end in (known.lo, known.hi))
    if value.op == "sum":
        reach = [np.abs(np.float64(end)).sum(axis=-1) for end in (lo, hi)]
        return _checked([lo.sum(axis=-1), hi.sum(axis=-1)], reach)
    lows, highs = (np.sort(end, axis=-1)[..., ::-1][..., : value.key] for end in (lo, hi))
    return Interval(lows, highs)


_ELEMENTS: dict[str, Any] = {
    "add": lambda a, b: _exact(np.add, (a.lo, b.lo), (a.hi, b.hi)),
    "sub": _minus,
    "mul": multiply,
    "neg": lambda a: _minus(full((), 0, 0), a),
    "abs": _abs,
    "min": lambda a, b: Interval(np.minimum(a.lo, b.lo), np.minimum(a.hi, b.hi)),
    "max": lambda a, b: Interval(np.maximum(a.lo, b.lo), np.maximum(a.hi, b.hi)),
    "both": lambda a, b: Interval(np.minimum(a.lo, b.lo), np.minimum(a.hi, b.hi)),
    "either": lambda a, b: Interval(np.maximum(a.lo, b.lo), np.maximum(a.hi, b.hi)),
    "shr": _shr,
    "and": _and,
    "pow2": _pow2,
    "mod": _mod,
    "wrap16": _wrap(16),
    "wrap32": _wrap(32),
    "lt": lambda a, b: _decided(a.hi < b.lo, a.lo >= b.hi),
    "le": lambda a, b: _decided(a.hi <= b.lo, a.lo > b.hi),
    "gt": lambda a, b: _decided(a.lo > b.hi, a.hi <= b.lo),
    "ge": lambda a, b: _decided(a.lo >= b.hi, a.hi < b.lo),
    "eq": lambda a, b: _decided(
        (a.lo == a.hi) & (b.lo == b.hi) & (a.lo == b.lo), (a.lo > b.hi) | (a.hi < b.lo)
    ),
}
