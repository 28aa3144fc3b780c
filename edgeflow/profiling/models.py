"""Models of cycles, from data files with their sources (``calibration/costs/cycles``)."""

import difflib
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from edgeflow.calibration import Data, load_of_core
from edgeflow.profiling.classes import Op, describe
from edgeflow.profiling.counts import Counts
from edgeflow.targets.part import Part, Sources

_NAMES = frozenset(op.name.lower() for op in Op)
_UNVALIDATED_SHARE = 0.05
Cost = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]


class PerRegister(Data):
    """Cost of an instruction that moves several registers: ``base + per_register * n``."""

    base: Cost
    per_register: Cost


class DualIssue(Data):
    """Instructions that may start in pairs: the cost of `classes` is divided by `rate`.

    Attributes
    ----------
    rate
        Mean instructions per cycle of these classes, 1..2.
    fitted
        Figure that the rate was fitted on; "" if it is a published figure.
    """

    rate: Annotated[float, Field(ge=1, le=2)]
    fitted: str
    classes: list[str]


class Validation(Data):
    """A figure of a real core, and the model's estimate of it.

    Attributes
    ----------
    workload, conditions, source
        The code, the build and estimate of ours, and the publication of the figure.
    unit
        ``CoreMark/MHz`` (more is faster), ``cycles/MAC``, or ``cycles/step`` of a model: measured
        on the core's RTL.
    published
        The figure.
    estimated
        The model's.
    part
        Reference board whose flash the estimate takes; None: memories without wait states.
    fitted
        True if a parameter of the model was fitted on this figure.
    """

    workload: str
    unit: Literal["CoreMark/MHz", "cycles/MAC", "cycles/step"]
    published: Annotated[float, Field(gt=0)]
    estimated: Annotated[float, Field(gt=0)]
    part: str | None = None
    conditions: str
    source: str
    fitted: bool = False

    @property
    def error_percent(self) -> float:
        """Error of the estimated cycles in percent; above 0: estimated too slow."""
        ratio = self.estimated / self.published
        return 100 * ((1 / ratio if self.unit == "CoreMark/MHz" else ratio) - 1)


class CycleModel(Data):
    """Cycles of the instruction classes of a core.

    Attributes
    ----------
    core, name
        The core's name in ``targets/cores``, and the model's, which labels results.
    models
        The processor that the costs are of.
    confidence
        ``high``: the vendor publishes the costs; ``medium``: most of them; ``low``: derived.
    sources, limits
        Sources of the costs, and what they leave out.
    taken_branch
        Cycles added where a branch is taken.
    split_target
        Cycles added where a taken branch leads to an instruction of four bytes that crosses a word.
    dual_issue
        None: one instruction at a time.
    cycles
        Cycles of each class (see :class:`edgeflow.profiling.classes.Op`); a class that is not
        named makes the estimate impossible where it occurs.
    validation
        Comparisons with published figures (``scripts/validate_cycles.py``).
    unvalidated
        Classes that no published figure contains.
    """

    core: str
    name: str
    models: str = ""
    confidence: Literal["high", "medium", "low"] = "low"
    sources: Sources
    limits: str = ""
    taken_branch: Cost
    split_target: Cost = 0
    dual_issue: DualIssue | None = None
    cycles: dict[str, Cost | PerRegister]
    validation: list[Validation] = Field([])
    unvalidated: list[str] = Field([])

    @model_validator(mode="after")
    def _known(self) -> "CycleModel":
        paired = self.dual_issue.classes if self.dual_issue is not None else []
        tables = {"cycles": self.cycles, "dual_issue.classes": paired}
        for table, names in (tables | {"unvalidated": self.unvalidated}).items():
            for name in names:
                if name not in _NAMES:
                    near = difflib.get_close_matches(name, _NAMES, n=1)
                    hint = f"; did you mean '{near[0]}'?" if near else ""
                    raise ValueError(f"{table}.{name}: no such instruction class{hint}")
        return self

    @property
    def rtl_checks(self) -> list[Validation]:
        """Comparisons with the core's RTL."""
        return [check for check in self.validation if check.unit == "cycles/step"]

    @property
    def error_percent(self) -> float | None:
        """Largest error in percent of the cycles; None: no figure.

        Against the core's RTL where that was measured, else against published figures, whose code
        and compiler are not ours.
        """
        checks = self.rtl_checks or self.validation
        return max((abs(check.error_percent) for check in checks), default=None)

    def error_on(self, counts: Counts) -> float | None:
        """Error to expect where these instructions ran, in percent.

        It is `error_percent`, but None (not known) where the unvalidated classes take more than
        5 % of the cycles.
        """
        cycles = counts.total * [self.cost(int(n)) or 0 for n in counts.numbers]
        outside = [describe(int(n))[0] in self.unvalidated for n in counts.numbers]
        if cycles[outside].sum() > _UNVALIDATED_SHARE * cycles.sum():
            return None
        return self.error_percent

    def cost(self, number: int) -> float | None:
        """Cycles of one instruction of a class; None where the model has no figure."""
        name, registers = describe(number)
        cost = self.cycles.get(name)
        if isinstance(cost, PerRegister):
            cost = cost.base + cost.per_register * registers
        if cost is not None and self.dual_issue is not None and name in self.dual_issue.classes:
            cost /= self.dual_issue.rate
        return cost


def load_cycle_model(core: str) -> CycleModel | None:
    """Return the cycle model of a core, None if there is none.

    Raises
    ------
    TargetError
        If its file is wrong.
    """
    return load_of_core(CycleModel, "cycles", core)


def estimate_cycles(counts: Counts, model: CycleModel, part: Part | None) -> np.ndarray | None:
    """Estimate the cycles of each layer of each step.

    Parameters
    ----------
    counts
        Instructions by class.
    model
        Costs of the classes.
    part
        Reference board, whose flash adds wait states to the fetches in `counts`; None: memories
        without wait states.

    Returns
    -------
    float64 array [steps, layers] or None
        None if a class occurs that the model has no cost for.
    """
    costs = [model.cost(int(number)) for number in counts.numbers]
    if any(cost is None for cost in costs):
        return None
    cycles = counts.weighed(np.array(costs, dtype=np.float64))
    cycles += model.taken_branch * counts.taken + model.split_target * counts.split
    if part is not None and part.flash is not None:
        cycles += part.flash.line_cycles * counts.fetched
    return cycles
