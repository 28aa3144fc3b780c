"""What NIR files do not hold: the time step and the kind of reset, told or guessed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeflow.errors import CompressError
from edgeflow.importers.messages import clipped, plain
from edgeflow.program.nodes.lif import RESETS

#: Seconds per step where the graph does not say: snntorch's and the NIR paper's.
TIME_STEP = 1e-4
#: NIR's own equations: the membrane is zero right after a spike, for all neurons.
OF_NIR = "nir"
#: Names of resets. snntorch calls "zero" what is "refractory" for some of its neurons.
NAMES = (*RESETS, OF_NIR)
#: Largest relative difference from 1 of the factors that tell snntorch's export.
_UNIT = 1e-4


@dataclass(frozen=True)
class Settings:
    """What was told of a graph, or guessed.

    Parameters
    ----------
    step : float
        Seconds.
    resets : mapping
        By name of neurons: of `edgeflow.cells.lif.LIF`.
    notes : tuple of str
        What was guessed, a line each.
    """

    step: float
    resets: Mapping[str, str]
    notes: tuple[str, ...]


def settings(
    graph: Any,
    neurons: Mapping[str, Any],
    recurrent: set[str],
    told: Mapping[str, Any],
    reset: str | None,
    step: float | None,
) -> Settings:
    """Return step and resets: from the caller, else from metadata, else guessed with a note.

    Parameters
    ----------
    graph
        With the value "dt" in its metadata, if it says it.
    neurons : mapping
        LIF and CubaLIF nodes by name.
    recurrent : set of str
        Those that feed themselves.
    told : mapping
        By name of neurons: the value "reset" of the metadata of its node, or of a graph around it.
    reset, step : optional
        What the caller says.

    Raises
    ------
    CompressError
        If there is no such reset, or the step is no positive time.
    """
    notes = []
    dt = step if step is not None else _metadata(graph).get("dt")
    if dt is None:
        notes.append(
            f"NIR files hold no time step: {TIME_STEP:g} s, snntorch's, was taken; else "
            'say it by --nir-dt (nir_dt=) or graph.metadata["dt"]'
        )
    seconds = _seconds(TIME_STEP if dt is None else dt, step is None)
    resets, guessed = {}, dict[str, list[str]]()
    for name, node in neurons.items():
        by_snntorch = _is_of_snntorch(node, seconds)
        own = reset if reset is not None else told.get(name)
        kind = _checked(own, "--nir-reset" if reset is not None else f"the metadata of {name}")
        if kind is None:
            kind = "subtract" if by_snntorch else OF_NIR
            guessed.setdefault(kind, []).append(name)
        elif kind == "zero" and by_snntorch and _is_refractory(node, name in recurrent):
            kind = "refractory"
            guessed.setdefault("zero", []).append(name)
        resets[name] = "zero" if kind == OF_NIR else kind
    return Settings(seconds, resets, (*notes, *_remarks(guessed)))


def _remarks(guessed: Mapping[str, list[str]]) -> list[str]:
    """Return notes of resets that were guessed."""
    why = {
        "subtract": "subtraction of the threshold, snntorch's default, was taken for {} (its "
        "weights are scaled as snntorch exports them)",
        OF_NIR: "a reset to zero, as in NIR's equations, was taken for {}",
    }
    other = (
        f"if it is another, say it by --nir-reset (nir_reset=) {', '.join(NAMES)}, or "
        'metadata["reset"] of the graph or node'
    )
    notes = [
        f"NIR files hold no kind of reset: {text.format(', '.join(guessed[kind]))}; {other}"
        for kind, text in why.items()
        if kind in guessed
    ]
    if "zero" in guessed:
        notes.append(
            f"reset 'zero' of {', '.join(guessed['zero'])} was taken as that of snntorch's RLeaky "
            f"and Synaptic, a step at zero; if NIR's equations are meant, say '{OF_NIR}'"
        )
    return notes


def _metadata(node: Any) -> Mapping[str, Any]:
    found = getattr(node, "metadata", None)
    return found if isinstance(found, Mapping) else {}


def reset_of(node: Any) -> Any:
    """Return the reset in a node's metadata; None if it does not say it."""
    return _metadata(node).get("reset")


def _seconds(value: Any, in_file: bool) -> float:
    where = "its metadata says dt =" if in_file else "--nir-dt"
    try:
        step = float(np.asarray(value))
    except (TypeError, ValueError):
        raise CompressError(f"{where} {_shown(value)}: it must be a positive time in s") from None
    if not 0 < step < np.inf:
        raise CompressError(f"{where} {step:g}: it must be a positive time in s")
    return step


def _checked(value: Any, where: str) -> str | None:
    """Return a name of a reset."""
    if value is None:
        return None
    text = value.decode("utf8", "replace") if isinstance(value, bytes) else str(value)
    if text not in NAMES:
        raise CompressError(
            f"{where}: there is no reset '{_shown(text)}': there are {', '.join(NAMES)}"
        )
    return text


def _shown(value: Any) -> str:
    return clipped(plain(str(value)), 60)


def _is_of_snntorch(node: Any, step: float) -> bool:
    """Tell whether inputs add to membrane or current as they are, as snntorch exports neurons."""
    tau = node.tau_mem if hasattr(node, "tau_mem") else node.tau
    factors = [np.asarray(node.r, np.float64) * step / tau, 1 - np.asarray(node.v_leak, np.float64)]
    if hasattr(node, "tau_syn"):
        factors.append(np.asarray(node.w_in, np.float64) * step / node.tau_syn)
    return all(bool((np.abs(factor - 1) <= _UNIT).all()) for factor in factors)


def _is_refractory(node: Any, recurrent: bool) -> bool:
    """Tell whether snntorch's "zero" of such a neuron is a step at zero."""
    return recurrent or hasattr(node, "tau_syn")
