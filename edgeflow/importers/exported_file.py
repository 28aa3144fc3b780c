"""What is checked in a ``.pt2`` file before torch reads it.

``torch.export.load`` unpickles without limits where a pickle of tensors only is refused, evaluates
the text of sizes as Python, and finds functions by the names in the file.
"""

import ast
import io
import json
import pickle
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import torch

from edgeflow.cells.checkpoint import damaged_record
from edgeflow.errors import CompressError

#: Functions that a graph may call.
_TARGET = re.compile(
    r"torch\.ops\.(aten|prims|higher_order|_c10d_functional|profiler)\.\w+(\.\w+)?"
    r"|torch\.(sym_\w+|_check\w*|_sym_\w+|_C\._set_grad_enabled)|torch\._C\._functorch\.\w+"
    r"|_operator\.\w+|math\.\w+"
)
#: Functions in the text of sizes: SymPy's, and torch's.
_CALLS = re.compile(r"[A-Z]\w*|floor|ceiling")
_NAME = re.compile(r"[A-Za-z]\w{0,40}")
#: Longest text of a size, and largest power in one.
_LONGEST, _POWER = 2000, 8
_EXPORT = "export the model again with torch.export.save"


def check_exported(content: bytes) -> None:
    """Refuse a ``.pt2`` file that is damaged, or that runs code when torch reads it.

    Raises
    ------
    CompressError
        Naming the part of the file.
    """
    if record := damaged_record(content):
        raise CompressError(f"damaged: its record {record} is not what was written")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [name.casefold() for name in archive.namelist()]
        if len(set(names)) < len(names):
            raise CompressError(f"damaged: it has a record twice: {_EXPORT}")
        for name in archive.namelist():
            if name.endswith(".json"):
                _check_values(name, archive.read(name))
            elif name.endswith(".pt"):
                _check_pickle(name, archive.read(name))


def _check_pickle(name: str, content: bytes) -> None:
    try:
        if content:
            torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CompressError(
            f"its record {name} is a pickle of more than tensors, which runs code when it is read: "
            "export with tensors as example inputs"
        ) from error
    except Exception as error:  # torch raises many unrelated types for damaged files
        raise CompressError(f"damaged: its record {name} cannot be read: {_EXPORT}") from error


def _check_values(name: str, content: bytes) -> None:
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CompressError(f"damaged: its record {name} is no JSON") from error
    for key, value in _pairs(values):
        if (key == "use_pickle" and value) or (key == "path_name" and "obj" in str(value)):
            raise CompressError(
                f"its record {name} asks for a pickled object, which runs code when it is read: "
                "export a model whose weights are plain tensors"
            )
        if key == "target" and not (isinstance(value, str) and _TARGET.fullmatch(value)):
            raise CompressError(f"its graph calls {str(value)[:80]!r}, no operator of torch")
        if key == "expr_str" and not (isinstance(value, str) and _is_size(value)):
            raise CompressError(f"its graph has {str(value)[:80]!r} where a size should be")


def _pairs(values: Any) -> Iterator[tuple[str, Any]]:
    """Yield all keys and values of JSON objects, those within others too."""
    waiting = [values]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield from value.items()
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _is_size(text: str) -> bool:
    """Tell whether a text is arithmetic on names and numbers."""
    try:
        tree = ast.parse(text, mode="eval") if len(text) <= _LONGEST else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return tree is not None and all(map(_is_arithmetic, ast.walk(tree)))


def _is_arithmetic(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        if not (isinstance(node.func, ast.Name) and _CALLS.fullmatch(node.func.id)):
            return False
        return node.func.id != "Pow" or (len(node.args) == 2 and _is_small(node.args[1]))
    if isinstance(node, ast.Constant):  # texts are the names of symbols
        text = isinstance(node.value, str) and _NAME.fullmatch(node.value)
        return bool(text) or type(node.value) in (int, float, bool)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return _is_small(node.right)
    arithmetic = (ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Name, ast.keyword,
                  ast.operator, ast.unaryop, ast.cmpop, ast.expr_context)  # fmt: skip
    return isinstance(node, arithmetic)


def _is_small(power: ast.AST) -> bool:
    """Tell whether a power is a whole number that does not make a huge one: 2, Integer(-1)."""
    if isinstance(power, ast.Call) and len(power.args) == 1:
        power = power.args[0]
    if isinstance(power, ast.UnaryOp):
        power = power.operand
    return isinstance(power, ast.Constant) and power.value in range(_POWER + 1)
