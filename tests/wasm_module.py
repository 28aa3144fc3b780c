"""Modules of ``edgeflow export --to web`` in wasmtime, without a browser or Node.js."""

import ctypes
from typing import Any

import numpy as np
import pytest

from edgeflow.program import Program

#: What a module may be larger than the weights: the bound of docs/export.md.
MOST_BESIDE_WEIGHTS = 6000


class WasmModel:
    """A module and its memory; skips the test where wasmtime is missing.

    Parameters
    ----------
    module : bytes
    program : Program
        It was made from.
    """

    def __init__(self, module: bytes, program: Program) -> None:
        wasmtime = pytest.importorskip("wasmtime", reason="the PyPI package wasmtime is missing")
        self.store = wasmtime.Store()
        instance = wasmtime.Instance(self.store, wasmtime.Module(self.store.engine, module), [])
        self._exports = instance.exports(self.store)
        self.raw = self._array("raw", np.float32, program.inputs)
        self.x = self._array("x", np.int16, program.inputs)
        self.y = self._array("y", np.int16, program.outputs)

    @property
    def names(self) -> set[str]:
        return set(self._exports)

    def call(self, name: str) -> Any:
        return self._exports[name](self.store)

    def run(self, x: np.ndarray) -> np.ndarray:
        """Run windows x int16 [n, time, inputs], each from a reset."""
        found = np.empty((*x.shape[:2], self.y.size), np.int16)
        step, store = self._exports["step"], self.store
        for window, outputs in zip(x, found, strict=True):
            self.call("reset")
            for sample, y in zip(window, outputs, strict=True):
                self.x[:] = sample
                step(store)
                y[:] = self.y
        return found

    def _array(self, name: str, kind: type, size: int) -> np.ndarray:
        """Return a view of the module's memory, which never grows."""
        memory, at = self._exports["memory"], self.call(name)
        start = ctypes.addressof(memory.data_ptr(self.store).contents)
        content = (ctypes.c_ubyte * memory.data_len(self.store)).from_address(start)
        return np.frombuffer(content, kind, size, at)
