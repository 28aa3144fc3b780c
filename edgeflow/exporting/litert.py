"""The one door to the optional package ``ai_edge_litert``: its file schema and its interpreter."""

import importlib
from typing import Any

from edgeflow.errors import ToolMissingError


def schema() -> Any:
    """Return the module of the generated classes of the ``.tflite`` schema.

    Raises
    ------
    ToolMissingError
        If LiteRT is not installed.
    """
    return _module("ai_edge_litert.schema_py_generated")


def interpreter(content: bytes) -> Any:
    """Return the reference interpreter of a ``.tflite`` file.

    The optimised kernels (XNNPACK) round in other places; the reference ones are pinned so that
    results can be compared.

    Parameters
    ----------
    content : bytes

    Raises
    ------
    ToolMissingError
        If LiteRT is not installed.
    """
    module = _module("ai_edge_litert.interpreter")
    return module.Interpreter(
        model_content=content,
        experimental_op_resolver_type=module.OpResolverType.BUILTIN_REF,
        num_threads=1,
    )


def pack(model: Any) -> bytes:
    """Return the bytes of a ``ModelT`` of `schema`."""
    builder = _module("flatbuffers").Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ToolMissingError(
            f".tflite files need the package ai-edge-litert ({error}): pip install edgeflow[litert]"
        ) from error
