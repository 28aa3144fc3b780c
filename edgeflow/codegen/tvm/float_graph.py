"""A torch module as a sequence of kernels: torch.export, then Relax, with fixed shapes."""

import contextlib
import gc
import io
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
import tvm
from torch import nn
from tvm import ir, relax, tirx
from tvm.relax.frontend.torch import from_exported_program

from edgeflow.codegen.float_driver import C_TYPES, Array, Call, FloatStep
from edgeflow.codegen.tvm.float_kernels import NO_CODE, Kernel, kernel
from edgeflow.errors import TargetError

T = TypeVar("T")

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
#: Of outputs by TVM and by torch on this machine; of the largest, where that exceeds 1.
_TOLERANCE = 1e-4
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
        _check_type(title, what, example.dtype)
    for parameter, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            _check_type(title, parameter, tensor.dtype)
    exported = _export(module.eval(), tuple(examples), title)
    imported = _quietly(lambda: from_exported_program(exported), title, _import_problem)
    passes = tvm.transform.Sequential([make() for make in _PASSES])
    lowered = _quietly(lambda: passes(imported), title, _lower_problem)
    walk = _Walk(lowered, title, name)
    states = list(exported.graph_signature.user_inputs)[1:]
    step = _quietly(lambda: walk.step(states), title, _lower_problem)
    _check_outputs(module, lowered, examples, title)
    return step


def _check_type(title: str, what: str, of: str | torch.dtype) -> None:
    if (dtype := str(of).removeprefix("torch.")) != "float32":
        raise TargetError(
            f"{title}: {what} is {dtype}; float layers compute in float32: use module.float() and "
            "torch.float32 inputs"
        )


def _export(module: nn.Module, examples: tuple[torch.Tensor, ...], title: str) -> Any:
    def problem(error: Exception) -> str:
        shapes = ", ".join(str(list(example.shape)) for example in examples)
        return f"forward fails on {shapes}: {_first_line(error)}"

    with torch.no_grad():
        result = _quietly(lambda: module(*examples), title, problem)
        results = result if isinstance(result, tuple) else (result,)
        if not all(isinstance(each, torch.Tensor) for each in results):
            raise TargetError(
                f"{title}: forward returns {type(result).__name__}, not a tensor or "
                "(y, *states), all tensors"
            )
        exported = _quietly(lambda: torch.export.export(module, examples), title, _export_problem)
    _check_shapes(exported, title)
    pure = _quietly(lambda: exported.run_decompositions({}), title, _export_problem)
    changed = [*pure.graph_signature.buffers_to_mutate.values()]
    changed += pure.graph_signature.user_inputs_to_mutate.values()
    if changed:
        raise TargetError(
            f"{title}: forward changes {', '.join(changed)} in place: take it as an argument and "
            "return its next value: forward(x, state) -> (y, state)"
        )
    return exported


def _check_shapes(exported: Any, title: str) -> None:
    """Raise a TargetError if a value has a shape that depends on values."""
    for node in exported.graph.nodes:
        value = node.meta.get("val")
        for each in value if isinstance(value, tuple | list) else (value,):
            sizes = each.shape if isinstance(each, torch.Tensor) else ()
            if not all(isinstance(size, int) for size in sizes):
                operator = getattr(node.target, "__name__", node.name)
                raise TargetError(
                    f"{title}: operator {operator}: the shape of its result {list(sizes)} depends "
                    "on values: use operators with fixed shapes, such as torch.where"
                )


def _check_outputs(
    module: nn.Module, lowered: tvm.IRModule, examples: Sequence[torch.Tensor], title: str
) -> None:
    """Raise a TargetError if TVM's translation, run on this machine, is not what torch computes."""

    def run() -> tuple[list[np.ndarray], list[np.ndarray]]:
        device = tvm.cpu()
        machine = relax.VirtualMachine(
            tvm.compile(lowered, tvm.target.Target({"kind": "llvm"})), device
        )
        generator = torch.Generator().manual_seed(0)
        inputs = [torch.randn(e.shape, generator=generator) for e in examples]
        with torch.no_grad():
            expected = module(*inputs)
        given = machine["main"](*(tvm.runtime.tensor(i.numpy(), device) for i in inputs))
        expected = expected if isinstance(expected, tuple) else (expected,)
        return [e.numpy() for e in expected], [g.numpy() for g in given]

    for expected, given in zip(*_quietly(run, title, _lower_problem), strict=True):
        largest = float(np.abs(expected).max(initial=1.0, where=np.isfinite(expected)))
        if not np.allclose(given, expected, rtol=0, atol=_TOLERANCE * largest, equal_nan=True):
            raise TargetError(
                f"{title}: TVM's translation gives other outputs than torch (random numbers in "
                "forward, or an error of TVM's)"
            )


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


def _lower_problem(error: Exception) -> str:
    return f"TVM cannot translate it: {_last_line(error)}"


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


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
        self._kernels: dict[str, tuple[str, Kernel | None]] = {}
        self._functions: list[tirx.PrimFunc] = []
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
        shapes = [_sizes(of) for of in _types(main.body.body.ty)]
        self._check_results(inputs, results, shapes)
        step = FloatStep(
            self._title, inputs[0], results[0], shapes[0] or (), tuple(inputs[1:]),
            tuple(results[1:]), tuple(self._calls),
        )  # fmt: skip
        return step, self._functions

    def _check_results(
        self, inputs: list[Array], results: list[Array], shapes: list[tuple[int, ...] | None]
    ) -> None:
        if len(results) != len(inputs):
            raise TargetError(
                f"{self._title}: forward takes {len(inputs) - 1} states and returns "
                f"{len(results) - 1}: it must be forward(x, *states) -> (y, *states)"
            )
        for number, (result, shape) in enumerate(zip(results, shapes, strict=True)):
            what = f"the next {inputs[number].name}" if number else "y"
            _check_type(self._title, what, result.dtype)
            if number and shape != inputs[number].shape:
                raise TargetError(
                    f"{self._title}: {what} has the shape {list(shape or ())}, and before "
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
        if isinstance(value, ir.GenericConst):
            return self._constant(value)
        called = getattr(value, "op", value)
        operator = getattr(called, "name", getattr(called, "global_symbol", type(called).__name__))
        if operator == "relax.call_tir":
            return self._call(value)
        raise TargetError(f"{self._title}: operator {operator.removeprefix('relax.')}: {NO_CODE}")

    def _constant(self, value: Any) -> Array:
        values = value.value.numpy()
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
        if name not in self._kernels:
            self._kernels[name] = self._kernel(name)
        symbol, made = self._kernels[name]
        if made is None:  # the same values in another shape
            return reads[0]
        scratch = [Array((size,), dtype) for dtype, size in made.scratch]
        self._calls.append(Call(symbol, tuple(reads), (*results, *scratch)))
        return results if isinstance(of, relax.TupleType) else results[0]

    def _kernel(self, name: str) -> tuple[str, Kernel | None]:
        short = re.sub(r"\W", "_", name.removeprefix("fused_").replace("tir_", ""))[:_NAME_LENGTH]
        symbol = f"{self._name}_{len(self._functions)}_{short.strip('_')}"
        made = kernel(self._module[name], symbol, name.removeprefix("fused_"))
        if made is not None:
            self._functions.append(made.function)
        return symbol, made


def _quietly(action: Callable[[], T], title: str, problem: Callable[[Exception], str]) -> T:
    """Return the result of `action`; errors of torch and TVM become a TargetError."""
    with _silence():
        try:
            return action()
        except TargetError:
            raise
        except Exception as error:  # several unrelated types, and whatever the user's code raises
            message = problem(error)
        gc.collect()  # what TVM leaves behind makes remarks when it goes
    raise TargetError(f"{title}: {message}")


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep the remarks of torch and TVM off the terminal."""
    sys.stderr.flush()
    disabled = logging.root.manager.disable
    kept = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        logging.disable(logging.CRITICAL)
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.stderr.flush()
        logging.disable(disabled)
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
