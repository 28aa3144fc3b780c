"""A caller's module, left as it came."""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

#: Dicts of a module that are changed in place.
_HOLDERS = ("_buffers", "_parameters", "_modules")


@contextlib.contextmanager
def unchanged(module: nn.Module) -> Iterator[None]:
    """Put a module in evaluation mode, and put back all that it and its parts hold at the end.

    What ``torch.compile`` made of its parts is not used.
    """
    parts = [
        (part, dict(part.__dict__), {name: dict(part.__dict__[name]) for name in _HOLDERS})
        for part in module.modules()
    ]
    values = [(buffer, buffer.clone()) for buffer in module.buffers()]
    try:
        module.eval()
        for part, *_ in parts:
            part.__dict__["_compiled_call_impl"] = None
            if isinstance(inner := getattr(part, "_orig_mod", None), nn.Module):
                part.__dict__["forward"] = inner
        yield
    finally:
        for part, attributes, holders in parts:
            part.__dict__.clear()
            part.__dict__.update(attributes)
            for name, held in holders.items():
                part.__dict__[name].clear()
                part.__dict__[name].update(held)
        with torch.no_grad():
            for buffer, value in values:
                if not torch.equal(buffer, value):
                    buffer.copy_(value)
