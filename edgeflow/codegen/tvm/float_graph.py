"""A torch module as a sequence of kernels: torch.export, then Relax, fused and with fixed shapes."""

import contextlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import tvm
from torch import nn
from tvm import relax, tirx
from tvm.relax.frontend.torch import from_exported_program

from edgeflow.codegen.float_driver import C_TYPES, Array, Call, FloatStep
from edgeflow.codegen.tvm.float_kernels import kernel
from edgeflow.errors import TargetError

_PASSES = (
    relax.transform.DecomposeOpsForInference,
    relax.transform.FoldConstant,
    relax.transform.LegalizeOps,
    relax.transform.FoldConstant,
    relax.transform.AnnotateTIROpPattern,
    relax.transform.FuseOps,
    relax.transform.FuseTIR,
    relax.transform.DeadCodeElimination,
)
#: Characters of an operator's name in C.
_NAME_LENGTH = 40


def float_step(
    module: nn.Module, examples: Sequence[torch.Tensor], name: str
) -> tuple[FloatStep, list[tirx.PrimFunc]]:
    """Translate a module.

    Parameters
    ----------
    module : nn.Module
        ``forward(x, *states) -> y`` or ``(y, *states)``; it is set to evaluation.
    examples : sequence of float32 tensors
        Of the shapes of x and of each state.
    name : str
        Names of kernels begin with it.

    Returns
    -------
    FloatStep, list of PrimFunc

    Raises
    ------
    TargetError
        If anything of it has no fixed shape, is not float32, or has no translation.
    """
    title = type(module).__name__
    for number, example in enumerate(examples):
        what = f"state {number}" if number else "x"
        _check_type(title, what, str(example.dtype).removeprefix("torch."))
    for parameter, tensor in module.state_dict().items():
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            _check_type(title, parameter, str(tensor.dtype).removeprefix("torch."))
    exported = _export(module.eval(), tuple(examples), title)
    with _no_remarks():
        try:
            imported = from_exported_program(exported)
        except Exception as error:  # TVM raises several unrelated types
            raise TargetError(f"{title}: {_import_problem(error)}") from error
        _check_shapes(imported["main"], title)
        try:
            lowered = tvm.transform.Sequential([make() for make in _PASSES])(imported)
        except Exception as error:
            raise TargetError(f"{title}: TVM cannot translate it: {_last_line(error)}") from error
        return _Walk(lowered, title, name).step(_state_names(exported))


def _check_type(title: str, what: str, dtype: str) -> None:
    if dtype != "float32":
        raise TargetError(
            f"{title}: {what} is {dtype}; float layers compute in float32: use module.float() and "
            "torch.float32 inputs"
        )


def _export(module: nn.Module, examples: tuple[torch.Tensor, ...], title: str) -> Any:
    try:
        with torch.no_grad():
            exported = torch.export.export(module, examples)
    except Exception as error:  # whatever the user's code or torch raises
        raise TargetError(f"{title}: {_export_problem(error)}") from error
    changed = exported.graph_signature.buffers_to_mutate.values()
    if changed:
        raise TargetError(
            f"{title}: forward changes its buffer {', '.join(changed)}: take it as an argument "
            "and return its next value: forward(x, state) -> (y, state)"
        )
    return exported


def _export_problem(error: Exception) -> str:
    text = str(error)
    if "data-dependent" in text.lower() or "DataDependent" in type(error).__name__:
        return (
            "what forward computes, or a shape in it, depends on the values of its input: use "
            "torch.where and fixed shapes instead of 'if', loops and masks"
        )
    return f"torch.export cannot trace it: {type(error).__name__}: {_first_line(error)}"


def _import_problem(error: Exception) -> str:
    operators = re.findall(r"'([\w.]+)'", str(error))
    if "Unsupported function type" in str(error) and operators:
        return (
            f"TVM has no translation of the operator {', '.join(operators)}: write it with others, "
            "or leave it out of the module"
        )
    return f"TVM cannot import it: {_last_line(error)}"


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _state_names(exported: Any) -> list[str]:
    names: list[str] = list(exported.graph_signature.user_inputs)[1:]
    return names


def _check_shapes(main: Any, title: str) -> None:
    """Raise a TargetError if a value of the function has a shape that depends on values."""
    bindings = [b for block in main.body.blocks for b in block.bindings]
    for binding in bindings:
        for of in _types(binding.var.ty):
            if isinstance(of, relax.TensorType) and _sizes(of) is None:
                operator = getattr(getattr(binding.value, "op", None), "name", "an operator")
                raise TargetError(
                    f"{title}: {operator.removeprefix('relax.')} gives a result whose shape depends "
                    "on values: use operators with fixed shapes, such as torch.where"
                )


def _types(of: Any) -> list[Any]:
    return [t for f in of.fields for t in _types(f)] if isinstance(of, relax.TupleType) else [of]


def _sizes(of: Any) -> tuple[int, ...] | None:
    shape = getattr(of.shape, "values", None)
    if shape is None or not all(isinstance(size, tirx.IntImm) for size in shape):
        return None
    return tuple(int(size) for size in shape)


class _Walk:
    """Reads the calls of the lowered function in their order."""

    def __init__(self, module: tvm.IRModule, title: str, name: str) -> None:
        self._module, self._title, self._name = module, title, name
        self._values: dict[Any, Any] = {}
        self._symbols: dict[str, str] = {}
        self._functions: list[tirx.PrimFunc] = []
        self._scratch: dict[str, tuple[tuple[str, int], ...]] = {}
        self._calls: list[Call] = []

    def step(self, state_names: Sequence[str]) -> tuple[FloatStep, list[tirx.PrimFunc]]:
        main = self._module["main"]
        inputs = []
        for number, parameter in enumerate(main.params):
            shape = _sizes(parameter.ty)
            assert shape is not None  # those of the examples
            place, name = ("state", state_names[number - 1]) if number else ("x", "")
            inputs.append(Array(shape, place=place, name=name))
            self._values[parameter] = inputs[-1]
        for block in main.body.blocks:
            for binding in block.bindings:
                self._values[binding.var] = self._value(binding.value)
        results = self._value(main.body.body)
        results = results if isinstance(results, list) else [results]
        self._check_results(inputs, results)
        step = FloatStep(
            self._title, inputs[0], results[0], tuple(inputs[1:]), tuple(results[1:]),
            tuple(self._calls),
        )  # fmt: skip
        return step, self._functions

    def _check_results(self, inputs: list[Array], results: list[Array]) -> None:
        if len(results) != len(inputs):
            raise TargetError(
                f"{self._title}: forward takes {len(inputs) - 1} states and returns "
                f"{len(results) - 1}: it must be forward(x, *states) -> (y, *states)"
            )
        for number, result in enumerate(results):
            what = f"the next {inputs[number].name}" if number else "y"
            _check_type(self._title, what, result.dtype)
            if number and result.shape != inputs[number].shape:
                raise TargetError(
                    f"{self._title}: {what} has the shape {list(result.shape)}, and before "
                    f"{list(inputs[number].shape)}: a state keeps its shape"
                )

    def _value(self, value: Any) -> Any:
        """Return an Array, or a list of them."""
        if isinstance(value, relax.Tuple):
            return [self._value(field) for field in value.fields]
        if isinstance(value, relax.TupleGetItem):
            return self._value(value.tuple_value)[value.index]
        if value in self._values:
            return self._values[value]
        if hasattr(value, "data"):
            return self._constant(value)
        operator = getattr(getattr(value, "op", None), "name", type(value).__name__)
        if operator == "relax.call_tir":
            return self._call(value)
        raise TargetError(
            f"{self._title}: operator {operator.removeprefix('relax.')}: TVM has no code for it that "
            "runs without its runtime: leave it out of the module"
        )

    def _constant(self, value: Any) -> Array:
        values = value.data.numpy()
        dtype = str(values.dtype)
        if dtype not in C_TYPES:
            _check_type(self._title, "a constant", dtype)
        array = Array(values.shape, dtype, "constant", values=np.asarray(values))
        self._values[value] = array
        return array

    def _call(self, call: Any) -> Any:
        reads = [self._value(field) for field in call.args[1].fields]
        of = call.ty_args[0]
        results = [Array(_sizes(t) or (), str(t.dtype)) for t in _types(of)]
        name = call.args[0].name_hint
        if name not in self._symbols:
            self._symbols[name] = self._kernel(name)
        symbol = self._symbols[name]
        if not symbol:  # the same values in another shape
            source = reads[0]
            same = Array(results[0].shape, source.dtype, source.place, source.name, source.values)
            return self._alias(source, same)
        scratch = [Array((size,), dtype) for dtype, size in self._scratch[name]]
        self._calls.append(Call(symbol, tuple(reads), (*results, *scratch)))
        return results if isinstance(of, relax.TupleType) else results[0]

    def _kernel(self, name: str) -> str:
        short = re.sub(r"\W", "_", name.removeprefix("fused_").replace("tir_", ""))[:_NAME_LENGTH]
        symbol = f"{self._name}_{len(self._functions)}_{short.strip('_')}"
        made = kernel(self._module[name], symbol, name.removeprefix("fused_"))
        if made is None:
            return ""
        self._functions.append(made.function)
        self._scratch[name] = made.scratch
        return symbol


@contextlib.contextmanager
def _no_remarks() -> Iterator[None]:
    """Keep off the terminal what TVM's C++ writes there about its own choices."""
    sys.stderr.flush()
    kept = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
