"""Tensors that stand in for integer arrays while a step is traced."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from edgeflow.errors import ProgramError


class Traced(NDArrayOperatorsMixin):
    """An integer tensor that records what a step does with it.

    Operators, and numpy's functions by its dispatch protocols (NEP 13 and 18), end in the methods
    of a sub-class, so that a step for arrays runs unchanged on tensors. Integers are of 64 bits;
    comparisons give truth values, which count as 0 and 1. What has no method here raises a
    `ProgramError` that names it.
    """

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options:
            raise ProgramError(f"a step cannot be traced through numpy.{ufunc.__name__}.{method}")
        return self.elementwise(ufunc, *inputs)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        traced: dict[Any, Callable[..., Any]] = {
            np.where: self.where,
            np.concatenate: self.concatenate,
            np.pad: self.pad,
        }
        if function not in traced:
            raise ProgramError(f"a step cannot be traced through numpy.{function.__name__}")
        return traced[function](*args, **kwargs)

    def __bool__(self) -> bool:
        raise ProgramError("a step cannot branch on a traced number: use numpy.where or switch")

    # what a sub-class records, beside ``astype``, ``reshape``, ``sum``, ``T``, the ``size`` of a
    # vector, and elements at an index tensor, a slice of one axis, or an axis added by None

    def elementwise(self, ufunc: np.ufunc, *inputs: Any) -> Any:
        """Record a function of numpy on elements, with broadcasting."""
        raise NotImplementedError

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        raise NotImplementedError

    def concatenate(self, parts: Sequence[Any], axis: int = 0) -> Any:
        raise NotImplementedError

    def pad(self, value: Any, widths: tuple[tuple[Any, Any], tuple[Any, Any]]) -> Any:
        """Record zeros around a matrix."""
        raise NotImplementedError

    def table(self, name: str) -> Any:
        """Return the constant table of that name as a tensor."""
        raise NotImplementedError

    def lookup(self, name: str) -> Any:
        """Record `edgeflow.program.fixedpoint.lookup` of this in a constant table."""
        raise NotImplementedError

    def split(self, parts: int) -> list[Any]:
        """Record equal parts of the last axis."""
        raise NotImplementedError

    def largest(self, count: int) -> Any:
        """Record the `count` largest of the last axis, in descending order."""
        raise NotImplementedError


def traced_copy(source: object, fields: Mapping[str, Any], kind: type[Any] | None = None) -> Any:
    """Return a copy of a node or matrix, as another `kind`, with traced fields and no checks."""
    result = object.__new__(kind or type(source))
    vars(result).update(vars(source), **fields)
    return result
