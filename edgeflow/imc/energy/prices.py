"""The models of ``calibration/imc/energy`` by name, and a step under all of them."""

import difflib
from pathlib import Path

from edgeflow.calibration import read_data, read_toml
from edgeflow.errors import ImcError
from edgeflow.imc.energy.adcs import Sar, Survey
from edgeflow.imc.energy.components import Components
from edgeflow.imc.energy.cores import Core
from edgeflow.imc.energy.costs import Costs
from edgeflow.imc.energy.counts import Counts
from edgeflow.imc.energy.model import EnergyModel
from edgeflow.imc.energy.ramps import Ramp
from edgeflow.resources import resource

#: Node of models that have several, nm.
NODE_NM = 22.0
#: Kinds of model files, in the order of tables.
_KINDS: dict[str, type[EnergyModel]] = {
    "components": Components,
    "survey": Survey,
    "sar": Sar,
    "ramp": Ramp,
    "core": Core,
}


def energy_model_names() -> list[str]:
    """Return the names of the models: those of components first, then those of whole chips."""
    order = list(_KINDS)
    kinds = {file.stem: order.index(_kind(file)) for file in _folder().glob("*.toml")}
    return sorted(kinds, key=lambda name: (kinds[name], name))


def load_energy_model(name: str) -> EnergyModel:
    """Return a model of energy, latency and area.

    Raises
    ------
    ImcError
        If there is no such model.
    TargetError
        If its file is wrong.
    """
    path = _folder() / f"{name}.toml"
    if not path.is_file():
        known = energy_model_names()
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(known)}"
        raise ImcError(f"there is no energy model '{name}' ({hint})")
    return read_data(_KINDS[_kind(path)], path)


def price(counts: Counts, node_nm: float = NODE_NM) -> list[Costs]:
    """Return the costs of a step under every model.

    Published models differ by factors of ten to a thousand: one alone is no estimate.

    Parameters
    ----------
    counts : Counts
        Events of one step.
    node_nm : float
        Node in nm of the models that have several; the others have their own.

    Raises
    ------
    ImcError
        If a model does not have the node.
    """
    return [load_energy_model(name).costs(counts, node_nm) for name in energy_model_names()]


def _folder() -> Path:
    return resource("calibration") / "imc" / "energy"


def _kind(path: Path) -> str:
    kind = read_toml(path, ImcError).get("kind")
    if kind not in _KINDS:
        raise ImcError(f"{path}: kind: '{kind}' is none of {', '.join(_KINDS)}")
    return kind
