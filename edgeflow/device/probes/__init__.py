"""Power probes that record while a profile runs. A new one is one file in this folder."""

from functools import cache

from edgeflow.device.probes.base import Probe, ProbeOptions
from edgeflow.discovery import classes_of
from edgeflow.errors import EnergyError

__all__ = ["Probe", "ProbeOptions", "find_probe", "probes"]


@cache
def probes() -> dict[str, type[Probe]]:
    """Return the probes of the modules in this folder, by name."""
    found = {kind.NAME: kind for kind in classes_of(__path__, __name__, Probe)}
    return dict(sorted(found.items()))


def find_probe(text: str, options: ProbeOptions | None = None) -> Probe | None:
    """Return the probe of ``NAME`` or ``NAME:PLACE``; None of ``none``.

    Raises
    ------
    EnergyError
        If there is no such probe; with those that there are.
    """
    name, _, place = text.partition(":")
    if name == "none":
        return None
    known = probes()
    if name not in known:
        raise EnergyError(f"no probe '{name}'; known: {', '.join(known)}, none")
    return known[name](place or None, options)
