"""Costs under several models side by side: ranges, tables of text and their sources."""

from collections.abc import Sequence

from edgeflow.imc.energy.costs import COMPONENTS, Costs, Part, Quantity, Span, Total

_PREFIXES = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p"), (1e-15, "f"))


def total_span(costs: Sequence[Costs], quantity: Quantity) -> Span | None:
    """Return the range of the totals of models that have every component; None: none has.

    What the others have is a lower bound of their totals: it may raise the upper end.
    """
    totals = [cost.total(quantity) for cost in costs]
    complete = [total.span for total in totals if total.complete and total.span is not None]
    if not complete:
        return None
    bounds = [total.span.high for total in totals if total.span is not None]
    return Span(min(span.low for span in complete), max(bounds))


def component_span(costs: Sequence[Costs], quantity: Quantity, component: str) -> Span | None:
    """Return the range of one component over models that state it by itself; None: none does."""
    parts = [cost.part(quantity, component) for cost in costs]
    spans = [part.span for part in parts if part.span is not None and len(part.covers) == 1]
    if not spans:
        return None
    return Span(min(span.low for span in spans), max(span.high for span in spans))


def table(costs: Sequence[Costs], quantity: Quantity) -> list[list[str]]:
    """Return a table of text: a head, a row for each component, a row of totals.

    Parameters
    ----------
    costs : sequence of Costs
        The columns; the last column of the table is the range over them.
    quantity : str
        ``energy``, ``latency`` or ``area``.
    """
    rows = [["component", *(cost.model for cost in costs), "range"]]
    for name in COMPONENTS:
        cells = [_cell(cost.part(quantity, name), name, quantity) for cost in costs]
        rows.append([name, *cells, _text(component_span(costs, quantity, name), quantity)])
    totals = [total_text(cost.total(quantity), quantity) for cost in costs]
    return [*rows, ["total", *totals, _text(total_span(costs, quantity), quantity)]]


def sources(costs: Sequence[Costs]) -> dict[str, list[str]]:
    """Return the sources of the known figures by model."""
    found: dict[str, list[str]] = {}
    for cost in costs:
        parts = (*cost.energy, *cost.latency, *cost.area)
        texts = [part.source for part in parts if part.span is not None and part.span.high > 0]
        found[cost.model] = list(dict.fromkeys(texts))
    return found


def total_text(total: Total, quantity: Quantity) -> str:
    """Return a total as text: ``12.5 nJ``, ``5..12.5 nJ``; ``> 18 pJ`` if parts are missing."""
    more = "> " if total.span is not None and not total.complete else ""
    return more + _text(total.span, quantity)


def _cell(part: Part, name: str, quantity: Quantity) -> str:
    if part.span is None or name == part.covers[0]:
        return _text(part.span, quantity)
    return f"in {part.covers[0]}"


def _text(span: Span | None, quantity: Quantity) -> str:
    if span is None:
        return "unknown"
    low, high = _number(span.low, quantity), _number(span.high, quantity)
    if low == high:
        return high
    if low.split()[-1] == high.split()[-1]:
        low = low.split()[0]
    return f"{low}..{high}"


def _number(value: float, quantity: Quantity) -> str:
    if value == 0:
        return "0"
    if quantity == "area":
        return f"{value / 1e6:.3g} mm²" if value >= 999.5 else f"{value:.3g} µm²"
    unit = "J" if quantity == "energy" else "s"
    scale, prefix = next((p for p in _PREFIXES if value >= 0.9995 * p[0]), _PREFIXES[-1])
    return f"{value / scale:.3g} {prefix}{unit}"
