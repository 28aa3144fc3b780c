r"""Outputs of a NIR graph, straight from NIR's definitions, to check an import against.

Each node is stepped by forward Euler in float64, :math:`v \leftarrow v + dt\, \dot v`, with

.. math::
    \tau \dot v &= (v_{leak} - v) + R I & \text{LI, LIF} \\
    \tau_{syn} \dot I &= -I + w_{in} S, \quad \tau_{mem} \dot v = (v_{leak} - v) + R I
        & \text{CubaLIF}

A membrane above its threshold gives a spike and is reset: to zero, as in NIR's equations; or, one
step later, by subtraction of the threshold or by a step at zero ("refractory"), which are
snntorch's. What a node reads from one that comes
later in the chain is what that gave a step before.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: A membrane this close to its threshold, relative to both, may decide otherwise in float32.
NEAR = 1e-5


def evaluate(
    nodes: Mapping[str, Any],
    edges: Sequence[tuple[str, str]],
    order: Sequence[str],
    x: NDArray[np.float32],
    step: float,
    resets: Mapping[str, str] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Run a flat graph.

    Parameters
    ----------
    nodes : mapping
        NIR nodes by name.
    edges : sequence of (str, str)
    order : sequence of str
        The order in which nodes are evaluated in a step; the last one's values are the output.
    x : float32 array [n, time, channels]
        What the graph's Input gives, at each step.
    step : float
        Seconds.
    resets : mapping, optional
        By name of neurons: "zero" (default), "subtract" or "refractory".

    Returns
    -------
    y : float64 array [n, time, outputs]
    sure : bool array [n, time]
        Whether no membrane has come near its threshold by then, so that rounding decides nothing.
    """
    sources = {
        name: list(dict.fromkeys(a for a, b in edges if b == name)) for name in nodes
    }  # an edge that is listed twice is one
    inputs = [name for name, node in nodes.items() if type(node).__name__ == "Input"]
    values: dict[str, Any] = {}
    memory: dict[str, dict[str, Any]] = {name: {"v": 0.0, "I": 0.0, "s": 0.0} for name in order}
    sure, result, certain = np.ones(len(x), dtype=bool), [], []
    for sample in x.astype(np.float64).swapaxes(0, 1):
        values |= dict.fromkeys(inputs, sample)
        for name in order:
            read = [values.get(source) for source in sources[name]]
            reset = (resets or {}).get(name, "zero")
            values[name], near = _evaluate(nodes[name], memory[name], read, len(x), step, reset)
            sure = sure & ~near
        result.append(values[order[-1]])
        certain.append(sure)
    return np.stack(result, axis=1), np.stack(certain, axis=1)


def _evaluate(
    node: Any, memory: dict[str, Any], read: list[Any], n: int, step: float, reset: str
) -> tuple[Any, Any]:
    """Return a node's values [n, size] and where a membrane was near its threshold [n]."""
    kind, near = type(node).__name__, np.zeros(n, dtype=bool)
    total: Any = 0.0
    for value in read:
        total = total + (0.0 if value is None else value)  # nothing before the first step
    if kind in ("Linear", "Affine"):
        product = total @ node.weight.T if np.ndim(total) else np.zeros((n, len(node.weight)))
        return product + getattr(node, "bias", 0.0), near
    if kind not in ("LI", "LIF", "CubaLIF"):
        return total, near
    current, tau = total, node.tau_mem if kind == "CubaLIF" else node.tau
    if kind == "CubaLIF":
        before = memory["I"]
        current = memory["I"] = before + step / node.tau_syn * (-before + node.w_in * total)
    v = memory["v"] + step / tau * ((node.v_leak - memory["v"]) + node.r * current)
    if kind == "LI":
        memory["v"] = v
        return v, near
    if reset == "subtract":
        v = v - memory["s"] * node.v_threshold
    elif reset == "refractory":
        v = v * (1 - memory["s"])
    spikes = v > node.v_threshold
    scale = np.maximum(np.abs(v), np.abs(node.v_threshold))
    near = (np.abs(v - node.v_threshold) <= NEAR * scale).any(axis=1)
    memory["v"] = np.where(spikes, 0.0, v) if reset == "zero" else v
    memory["s"] = spikes.astype(np.float64)
    return memory["s"], near
