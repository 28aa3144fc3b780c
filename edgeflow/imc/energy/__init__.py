"""Energy, latency and area of a step on analog arrays, under published models side by side."""

from edgeflow.imc.energy.costs import COMPONENTS, Costs, Part, Power, Span, Total
from edgeflow.imc.energy.counts import Counts, Read
from edgeflow.imc.energy.prices import NODE_NM, energy_model_names, load_energy_model, price
from edgeflow.imc.energy.tables import component_span, sources, table, total_span, total_text

__all__ = [
    "COMPONENTS",
    "NODE_NM",
    "Costs",
    "Counts",
    "Part",
    "Power",
    "Read",
    "Span",
    "Total",
    "component_span",
    "energy_model_names",
    "load_energy_model",
    "price",
    "sources",
    "table",
    "total_span",
    "total_text",
]
