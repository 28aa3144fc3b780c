"""An ONNX runtime that knows the exported file, and nothing of the program that it came from."""

import json
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

TYPES = {onnx.TensorProto.INT16: np.int16, onnx.TensorProto.INT32: np.int32}


class Consumer:
    """Runs a step or scan file on sequences with onnxruntime or onnx's reference evaluator."""

    def __init__(self, model: onnx.ModelProto, engine: str = "onnxruntime") -> None:
        self.input, *states = model.graph.input
        self.outputs = [o.name for o in model.graph.output]
        self.scan = len(self.input.type.tensor_type.shape.dim) == 3
        sizes = {
            s.name: (s.type.tensor_type.shape.dim[1].dim_value, TYPES[s.type.tensor_type.elem_type])
            for s in states
        }
        self.states = {k: size for k, size in sizes.items() if f"{k}_next" in self.outputs}
        #: What no step gives: what labels changed, zeros before.
        self.learned = {k: size for k, size in sizes.items() if k not in self.states}
        start = {p.key: p.value for p in model.metadata_props}.get("state_start", "zeros")
        self.start = {} if start == "zeros" else json.loads(start)
        self.session: Any
        if engine == "reference":
            self.session = ReferenceEvaluator(model)
        else:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            options.log_severity_level = 3
            self.session = onnxruntime.InferenceSession(model.SerializeToString(), options)

    def run(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Return y [n, time, outputs] for x [n, time, inputs], and the other outputs at the end."""
        learned = {k: np.zeros((len(x), size), dtype) for k, (size, dtype) in self.learned.items()}
        if self.scan:
            return self._call({self.input.name: x, **learned})
        state = {k: np.zeros((len(x), size), dtype) for k, (size, dtype) in self.states.items()}
        for name, values in self.start.items():
            state[name][:] = values
        ys = []
        for t in range(x.shape[1]):
            found = self._call({self.input.name: np.ascontiguousarray(x[:, t]), **state, **learned})
            state = {name: found[f"{name}_next"] for name in state}
            ys.append(found["y"])
        return {**found, "y": np.stack(ys, axis=1)}

    def _call(self, feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return dict(zip(self.outputs, self.session.run(None, feed), strict=True))
