"""Modules of ``edgeflow export --to web`` in wasmtime, without a browser or Node.js."""

import ctypes
from typing import Any

import numpy as np
import pytest

from edgeflow.program import Program

# Steps through samples that stand in the model's own memory: a call from Python takes longer than a step.
DRIVER = """(module
  (import "" "memory" (memory 1))
  (import "" "step" (func $step))
  (func (export "run") (param $count i32) (param $samples i32) (param $x i32) (param $x_bytes i32)
      (param $outputs i32) (param $y i32) (param $y_bytes i32)
    (loop $next
      (memory.copy (local.get $x) (local.get $samples) (local.get $x_bytes))
      (call $step)
      (memory.copy (local.get $outputs) (local.get $y) (local.get $y_bytes))
      (local.set $samples (i32.add (local.get $samples) (local.get $x_bytes)))
      (local.set $outputs (i32.add (local.get $outputs) (local.get $y_bytes)))
      (br_if $next (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))))"""
PAGE = 1 << 16
#: For the samples and outputs of a window.
SPACE = 8 * PAGE

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
        memory = self._exports["memory"]
        self._free = memory.data_len(self.store)
        memory.grow(self.store, SPACE // PAGE)
        driver = wasmtime.Module(self.store.engine, wasmtime.wat2wasm(DRIVER))
        parts = [memory, self._exports["step"]]
        self._run = wasmtime.Instance(self.store, driver, parts).exports(self.store)["run"]
        self.raw = self.array("raw", np.float32, program.inputs)
        self.x = self.array("x", np.int16, program.inputs)
        self.y = self.array("y", np.int16, program.outputs)

    @property
    def names(self) -> set[str]:
        return set(self._exports)

    def call(self, name: str, *arguments: int) -> Any:
        return self._exports[name](self.store, *arguments)

    def run(self, x: np.ndarray) -> np.ndarray:
        """Run windows x int16 [n, time, inputs], each from a reset."""
        found = np.empty((*x.shape[:2], self.y.size), np.int16)
        samples, outputs = self._free, self._free + x[0].nbytes
        assert x[0].nbytes + found[0].nbytes <= SPACE
        for window, results in zip(x, found, strict=True):
            self.call("reset")
            self._view(samples, np.int16, window.size)[:] = window.reshape(-1)
            self._run(
                self.store, len(window), samples, self.call("x"), self.x.nbytes,
                outputs, self.call("y"), self.y.nbytes,
            )  # fmt: skip
            results[:] = self._view(outputs, np.int16, results.size).reshape(results.shape)
        return found

    def array(self, name: str, kind: type, size: int) -> np.ndarray:
        """Return a view of what the module gives the place of by a function of that name."""
        return self._view(self.call(name), kind, size)

    def _view(self, at: int, kind: type, size: int) -> np.ndarray:
        """Return a view of the memory, which does not grow any more."""
        memory = self._exports["memory"]
        start = ctypes.addressof(memory.data_ptr(self.store).contents)
        content = (ctypes.c_ubyte * memory.data_len(self.store)).from_address(start)
        return np.frombuffer(content, kind, size, at)
