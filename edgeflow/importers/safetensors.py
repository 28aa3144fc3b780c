"""``.safetensors``: named tensors after a header in JSON, read without the package of that name.

The file has the header's length in 8 bytes (little-endian), the header ``{name: {"dtype", "shape",
"data_offsets": [begin, end]}}``, and the tensors' bytes. https://github.com/huggingface/safetensors
"""

import json
import math
from typing import Any

import torch
from torch import Tensor

from edgeflow.errors import CompressError

_TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
#: Longest header, as in the format's own library.
MAX_HEADER = 100_000_000


def is_safetensors(head: bytes) -> bool:
    """Tell by its first 9 bytes or more whether a file is one."""
    return len(head) > 8 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= MAX_HEADER


def read_safetensors(content: bytes) -> dict[str, Tensor]:
    """Return the tensors of a file by name.

    Raises
    ------
    CompressError
        If it is damaged, or has a type of numbers that is not known.
    """
    begin = 8 + int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8:begin]) if begin <= len(content) else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise CompressError("damaged: its header is no JSON, or cut off")
    data = bytearray(content[begin:])
    return {
        name: _tensor(name, entry, data) for name, entry in header.items() if name != "__metadata__"
    }


def _tensor(name: str, entry: Any, data: bytearray) -> Tensor:
    try:
        kind, shape, (first, last) = entry["dtype"], entry["shape"], entry["data_offsets"]
        numbers = all(type(n) is int and n >= 0 for n in (*shape, first, last))
        if not numbers or not isinstance(kind, str):
            raise ValueError
    except (TypeError, ValueError, KeyError):
        raise CompressError(f"damaged: the entry of '{name}' is none of a tensor") from None
    if kind not in _TYPES:
        raise CompressError(f"'{name}' has the type {kind}: save it as F32")
    dtype, count = _TYPES[kind], math.prod(shape)
    if last > len(data) or last - first != count * dtype.itemsize:
        raise CompressError(f"damaged: '{name}' does not have the bytes of its shape {shape}")
    if count == 0:
        return torch.empty(shape, dtype=dtype)
    flat = torch.frombuffer(data, dtype=torch.uint8, count=last - first, offset=first)
    return flat.clone().view(dtype).reshape(shape)
