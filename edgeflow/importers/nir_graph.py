"""NIR graphs (``.nir``): spiking layers in a chain, with recurrent connections."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgeflow.cells.accumulate import Accumulate
from edgeflow.cells.chain import FloatChain
from edgeflow.cells.lif import LIF, from_nir
from edgeflow.errors import CompressError
from edgeflow.importers.assembly import Assembly
from edgeflow.importers.check import TOLERANCE, samples
from edgeflow.importers.finish import Description, finished
from edgeflow.importers.messages import importing
from edgeflow.importers.nir_file import read_nir
from edgeflow.importers.nir_reference import evaluate
from edgeflow.importers.nir_settings import reset_of, settings

SUPPORTED = "LIF, CubaLIF, LI, Linear, Affine and Flatten, in a chain from Input to Output"
#: Steps that an import is checked on.
CHECKED_STEPS = 100
#: Name, weight and bias of a linear node.
_Weights = tuple[str, NDArray[Any], NDArray[Any]]
_SPIKING = ("LIF", "CubaLIF")
_LINEAR = ("Linear", "Affine")
_KNOWN = (*_SPIKING, *_LINEAR, "LI", "Flatten", "Input", "Output")
_ADVICE = {
    "IF": "use LIF with a long time constant",
    "CubaLI": "use LI",
    "Conv1d": "use Linear on one step's channels",
    "Conv2d": "use Linear on one step's channels",
    "Scale": "multiply the Linear or Affine before it",
    "Threshold": "use LIF",
    "Delay": "leave it out",
}


def from_nir_file(
    path: str | Path,
    example: NDArray[np.float32],
    description: Description | None = None,
    *,
    reset: str | None = None,
    dt: float | None = None,
) -> FloatChain:
    r"""Read a NIR graph.

    Neurons become layers by :func:`edgeflow.cells.lif.from_nir`. A Linear or Affine from a LIF
    or CubaLIF back to itself becomes its recurrent weights, one step later. An LI,
    :math:`v_t = d\, v_{t-1} + (1 - d) (v_{leak} + R\, I_t)` with :math:`d = 1 - dt / \tau`,
    becomes a linear layer and a leaky sum. If the graph ends in spikes, their mean over the window
    is the output, where there is a window.

    The file holds neither the step nor the kind of reset: `dt` and `reset` are the caller's, else
    the values "dt", in seconds, and "reset" of metadata, else guessed with a note
    (`edgeflow.importers.nir_settings`). Neurons that never fire on `example` are noted, too.

    The import is checked on `example`, real samples [n, time, channels], against the graph's own
    equations.

    Raises
    ------
    CompressError
        If the file cannot be read, or has unsupported nodes: all are listed.
    ToolMissingError
        If the package ``nir`` is not installed.
    """
    graph = read_nir(path)
    with importing(path):
        chain = _chain(graph, example, description or Description(), Path(path).stem, reset, dt)
        chain.notes = (*chain.notes, *_silent(chain, example))
        return chain


def _chain(
    graph: Any,
    example: NDArray[np.float32],
    description: Description,
    source: str,
    reset: str | None,
    dt: float | None,
) -> FloatChain:
    nodes, edges = _flatten(graph)
    reasons = {name: _unsupported_reason(node) for name, node in nodes.items()}
    problems = [f"{name} ({why})" for name, why in reasons.items() if why]
    if problems:
        raise CompressError(
            f"these nodes cannot be compressed: {'; '.join(problems)}. Supported are {SUPPORTED}"
        )
    feedback = _feedback(nodes, edges)
    neurons = {name: node for name, node in nodes.items() if type(node).__name__ in _SPIKING}
    said = settings(graph, neurons, set(feedback), _told(graph), reset, dt)
    step = said.step
    assembly = Assembly(example.shape[-1])
    # a linear node waits for the neurons that it feeds
    waiting: _Weights | None = None
    order = _order(nodes, edges, set(feedback.values()))
    for name in order:
        node = nodes[name]
        kind = type(node).__name__
        try:
            if kind in _LINEAR:
                if waiting:
                    assembly.linear(*waiting)
                weight = np.atleast_2d(node.weight)
                waiting = name, weight, np.broadcast_to(getattr(node, "bias", 0.0), len(weight))
            elif kind in _SPIKING or kind == "LI":
                width = assembly.width
                weights = waiting or (f"{name}_in", np.eye(width), np.zeros(width))
                waiting = None
                if kind == "LI":
                    _add_integrator(assembly, name, node, weights, step)
                else:
                    back = nodes[feedback[name]] if name in feedback else None
                    _add_spiking(assembly, name, node, weights, back, step, said.resets[name])
        except (CompressError, ValueError) as error:  # ValueError: sizes that do not fit
            raise CompressError(f"{name} ({kind}): {error}") from error
    if waiting:
        assembly.linear(*waiting)
    mean = description.window and assembly.layers and isinstance(assembly.layers[-1][1], LIF)
    if mean:
        assembly.add("mean", Accumulate(description.window), assembly.width)
    chain = finished(assembly, description, source)
    chain.notes = (*chain.notes, *said.notes)
    for x in samples(example, None, CHECKED_STEPS):
        # what neurons feed back to themselves is evaluated before them
        y, sure = evaluate(nodes, edges, [*feedback.values(), *order], x, step, said.resets)
        _check(chain, x, y.cumsum(axis=1) / description.window if mean else y, sure)
    return chain


def _check(
    chain: FloatChain,
    x: NDArray[np.float32],
    expected: NDArray[np.float64],
    sure: NDArray[np.bool_],
) -> None:
    """Compare the chain with the graph as long as rounding decides no spike."""
    if not sure.any():
        raise CompressError(
            "it cannot be checked: membranes lie at their thresholds from the first step on"
        )
    got = chain.run(x)
    if got.shape != expected.shape:
        raise CompressError(f"its layers give {list(got.shape)}, the graph {list(expected.shape)}")
    error = float(np.abs(got - expected)[sure].max())
    if not error <= TOLERANCE * max(1.0, float(np.abs(expected[sure]).max())):
        raise CompressError(f"its layers and the graph's equations differ by {error:.3g}")


def _flatten(graph: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return nodes and edges with the graphs inside spliced in, as ``graph.node``."""
    nodes: dict[str, Any] = dict(graph.nodes)
    edges = [(str(a), str(b)) for a, b in graph.edges]
    unknown = sorted({end for edge in edges for end in edge} - set(nodes))
    if unknown:
        raise CompressError(f"its edges name nodes that are not in it: {', '.join(unknown)}")
    for name, node in list(nodes.items()):
        if type(node).__name__ != "NIRGraph":
            continue
        del nodes[name]
        inner, inside = _flatten(node)
        nodes |= {f"{name}.{key}": value for key, value in inner.items()}
        ends = {
            kind: [f"{name}.{key}" for key, value in inner.items() if type(value).__name__ == kind]
            for kind in ("Input", "Output")
        }
        if len(ends["Input"]) != 1 or len(ends["Output"]) != 1:
            raise CompressError(f"the graph {name} must have one Input and one Output")
        (entry,), (leave,) = ends["Input"], ends["Output"]
        edges = [(leave if a == name else a, entry if b == name else b) for a, b in edges]
        edges += [(f"{name}.{a}", f"{name}.{b}") for a, b in inside]
        for gone in (entry, leave):
            del nodes[gone]
            before = [a for a, b in edges if b == gone]
            after = [b for a, b in edges if a == gone]
            edges = [edge for edge in edges if gone not in edge]
            edges += [(a, b) for a in before for b in after]
    return nodes, edges


def _unsupported_reason(node: Any) -> str | None:
    kind = type(node).__name__
    if kind not in _KNOWN:
        return f"{kind}: {_ADVICE.get(kind, 'not supported')}"
    reset = getattr(node, "v_reset", None)
    if reset is not None and np.any(np.asarray(reset) != 0):
        return f"{kind}: v_reset other than 0 is not supported"
    if kind in _LINEAR and np.ndim(node.weight) != 2:
        return f"{kind}: weights of shape {list(np.shape(node.weight))}, use [outputs, inputs]"
    return None


def _feedback(nodes: dict[str, Any], edges: list[tuple[str, str]]) -> dict[str, str]:
    """Return, by neurons' name, the linear node from them back to them."""
    result: dict[str, str] = {}
    for name, node in nodes.items():
        sources, targets = _sources(edges, name), _targets(edges, name)
        if type(node).__name__ in _LINEAR and len(sources) == 1 and sources == targets:
            (neurons,) = sources
            if type(nodes[neurons]).__name__ not in _SPIKING:
                raise CompressError(
                    f"{name} feeds {neurons} back to itself: only LIF and CubaLIF can be recurrent"
                )
            if neurons in result:
                raise CompressError(f"{neurons} has two recurrent connections: add their weights")
            result[neurons] = name
    return result


def _sources(edges: list[tuple[str, str]], name: str) -> list[str]:
    return list(dict.fromkeys(a for a, b in edges if b == name))


def _targets(edges: list[tuple[str, str]], name: str) -> list[str]:
    return list(dict.fromkeys(b for a, b in edges if a == name))


def _order(nodes: dict[str, Any], edges: list[tuple[str, str]], back: set[str]) -> list[str]:
    """Return the names from input to output, those of `back` left out."""
    kinds = {name: type(node).__name__ for name, node in nodes.items()}
    for kind in ("Input", "Output"):
        count = list(kinds.values()).count(kind)
        if count != 1:
            raise CompressError(f"the graph has {count} nodes of type {kind}: one is needed")
    forward = [(a, b) for a, b in edges if not back & {a, b}]
    problems = []
    for name, kind in kinds.items():
        if name not in back:
            for what, others in (("input", _sources(forward, name)),
                                 ("output", _targets(forward, name))):  # fmt: skip
                wanted = 0 if kind.lower() == what else 1
                if len(others) != wanted:
                    problems.append(f"{name} has {len(others)} {what}s ({', '.join(others)})")
    if problems:
        raise CompressError(
            f"the nodes are no chain: {'; '.join(problems)}. Only a Linear or Affine from a LIF or "
            "CubaLIF back to itself can leave the chain"
        )
    order = [name for name, kind in kinds.items() if kind == "Input"]
    while kinds[order[-1]] != "Output":
        order += _targets(forward, order[-1])
    if len(order) != len(nodes) - len(back):
        outside = ", ".join(sorted(set(nodes) - back - set(order)))
        raise CompressError(f"these nodes are not between input and output: {outside}")
    return order[1:-1]


def _told(graph: Any, around: Any = None) -> dict[str, Any]:
    """Return the resets that metadata of nodes, or of graphs around them, name."""
    own, result = reset_of(graph), dict[str, Any]()
    own = around if own is None else own
    for name, node in graph.nodes.items():
        if type(node).__name__ == "NIRGraph":
            result |= {f"{name}.{key}": value for key, value in _told(node, own).items()}
        else:
            value = reset_of(node)
            result[name] = own if value is None else value
    return result


def _silent(chain: FloatChain, example: NDArray[np.float32]) -> list[str]:
    """Return notes of neurons that never fire on the calibration data."""
    notes = []
    for (name, layer), spikes in zip(chain.layers, chain.activations(example)[1:], strict=True):
        if isinstance(layer, LIF):
            count, neurons = int((spikes == 0).all(axis=(0, 1)).sum()), spikes.shape[-1]
            if count:
                notes.append(
                    f"{count} of the {neurons} neurons of {name} never fire on the calibration "
                    "data: are its units those of the training, are the time step and reset right?"
                )
    return notes


def _add_spiking(
    assembly: Assembly,
    name: str,
    node: Any,
    weights: _Weights,
    back: Any,
    step: float,
    reset: str,
) -> None:
    _, weight, bias = weights
    recurrent = None
    if back is not None:
        recurrent = np.asarray(back.weight)
        # an Affine adds its bias at every step, spikes or none
        bias = bias + np.asarray(getattr(back, "bias", 0.0))
        if recurrent.shape != (len(weight), len(weight)):
            raise CompressError(
                f"recurrent weights are {list(recurrent.shape)} for {len(weight)} neurons"
            )
    if weight.shape[1] != assembly.width:
        raise CompressError(f"it reads {weight.shape[1]} values, a step has {assembly.width}")
    if type(node).__name__ == "CubaLIF":
        own = {"tau_mem": node.tau_mem, "tau_syn": node.tau_syn, "w_in": node.w_in}
    else:
        own = {"tau_mem": node.tau}
    own |= {"r": node.r, "v_leak": node.v_leak, "v_threshold": node.v_threshold}
    layer = from_nir(weight, bias, dt=step, recurrent=recurrent, reset=reset, **own)
    assembly.add(name, layer, len(weight))


def _add_integrator(
    assembly: Assembly, name: str, node: Any, weights: _Weights, step: float
) -> None:
    linear, weight, bias = weights
    decay = 1 - step / np.asarray(node.tau, dtype=np.float64)
    if np.ptp(decay) > 1e-6:
        raise CompressError("neurons of different tau are not supported: use one tau a layer")
    d = float(decay.reshape(-1)[0])
    if not 0 <= d < 1:
        raise CompressError(f"dt {step:g} s is longer than tau: use a smaller dt")
    r, leak = (
        np.broadcast_to(np.asarray(v, np.float64), len(weight)) for v in (node.r, node.v_leak)
    )
    assembly.linear(linear, r[:, None] * weight, r * bias + leak)
    layer = Accumulate()
    with torch.no_grad():
        assert isinstance(layer.decay_logit, nn.Parameter)
        layer.decay_logit.copy_(torch.logit(torch.tensor(d, dtype=torch.float64), eps=1e-7))
    assembly.add(name, layer, len(weight))
