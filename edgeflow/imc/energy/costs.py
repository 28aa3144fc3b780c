"""Costs of a step under one model: figures by component, unknown ones named as such."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from edgeflow.errors import ImcError
from edgeflow.imc.energy.counts import Counts

Component = Literal["array", "dac", "adc", "digital", "buffer"]
#: Parts of a design that costs are split into.
COMPONENTS: tuple[Component, ...] = get_args(Component)
Quantity = Literal["energy", "latency", "area"]


@dataclass(frozen=True)
class Span:
    """A figure between two bounds; they are equal where a model gives one number."""

    low: float
    high: float

    def __add__(self, other: "Span") -> "Span":
        return Span(self.low + other.low, self.high + other.high)

    def scaled(self, factor: float) -> "Span":
        """Return the figure times `factor`, above 0."""
        return Span(self.low * factor, self.high * factor)


@dataclass(frozen=True)
class Part:
    """A figure of one or more components.

    Attributes
    ----------
    covers : tuple of str
        Components that the figure is of; of several it cannot be split.
    span : Span, optional
        None: unknown.
    source : str
        Where the figure is from; why there is none if it is unknown.
    """

    covers: tuple[str, ...]
    span: Span | None
    source: str


@dataclass(frozen=True)
class Total:
    """Sum of the known parts.

    Attributes
    ----------
    span : Span, optional
        None: no part is known.
    complete : bool
        False: parts are missing, the sum is a lower bound.
    """

    span: Span | None
    complete: bool


@dataclass(frozen=True)
class Power:
    """Mean power in W at a rate of steps.

    Attributes
    ----------
    active : Total
        Of the steps.
    standby_w : float, optional
        Drawn all the time; None: unknown.
    """

    active: Total
    standby_w: float | None

    @property
    def total(self) -> Total:
        """Of both; not complete if one of them is not known."""
        known = self.active.complete and self.standby_w is not None
        if self.active.span is None and self.standby_w is None:
            return Total(None, known)
        standby = self.standby_w or 0.0
        return Total((self.active.span or Span(0.0, 0.0)) + Span(standby, standby), known)


@dataclass(frozen=True)
class Costs:
    """Costs of one step of a design under one model; area is the design's.

    Attributes
    ----------
    model, about : str
        The model's name and what it is of.
    node_nm : float
        Its technology, nm.
    measured : bool
        True: a chip with everything included; False: a model of components.
    energy, latency, area : tuple of Part
        J, s and µm²; each component is in exactly one part of each.
    limits : str
        What the model leaves out.
    unverified : tuple of str
        Figures that could not be checked.
    """

    model: str
    about: str
    node_nm: float
    measured: bool
    energy: tuple[Part, ...]
    latency: tuple[Part, ...]
    area: tuple[Part, ...]
    limits: str = ""
    unverified: tuple[str, ...] = ()

    def parts(self, quantity: Quantity) -> tuple[Part, ...]:
        """Return the parts of a quantity."""
        return {"energy": self.energy, "latency": self.latency, "area": self.area}[quantity]

    def part(self, quantity: Quantity, component: str) -> Part:
        """Return the part that a component is in."""
        return next(part for part in self.parts(quantity) if component in part.covers)

    def total(self, quantity: Quantity) -> Total:
        """Return the sum over components."""
        parts = self.parts(quantity)
        known = [part.span for part in parts if part.span is not None]
        complete = len(known) == len(parts)
        span = sum(known, start=Span(0.0, 0.0))
        return Total(span if complete or span.high > 0 else None, complete)

    def average_power(self, rate_hz: float, standby_w: float | None = None) -> Power:
        """Return the mean power at a rate of steps.

        Parameters
        ----------
        rate_hz : float
            Steps a second, above 0.
        standby_w : float, optional
            Power in W that is drawn all the time, at least 0; None: unknown. No model states it.

        Raises
        ------
        ImcError
            If a value is out of its range.
        """
        if not rate_hz > 0:
            raise ImcError(f"rate_hz: steps a second are above 0, not {rate_hz:g}")
        if standby_w is not None and not standby_w >= 0:
            raise ImcError(f"standby_w: a power in W is at least 0, not {standby_w:g}")
        energy = self.total("energy")
        span = energy.span.scaled(rate_hz) if energy.span is not None else None
        return Power(Total(span, energy.complete), standby_w)


def parts_of(counts: Counts, known: Iterable[Part], why: str) -> tuple[Part, ...]:
    """Return `known` and the components that it lacks: 0 if a step needs none, else unknown.

    Parameters
    ----------
    counts : Counts
    known : iterable of Part
    why : str
        Why a component that the step needs has no figure.
    """
    parts = list(known)
    covered = {name for part in parts for name in part.covers}
    for name in COMPONENTS:
        if name not in covered:
            none = counts.events(name) == 0
            parts.append(
                Part((name,), Span(0.0, 0.0), "none in the design")
                if none
                else Part((name,), None, why)
            )
    return tuple(parts)
