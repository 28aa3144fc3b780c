"""Cycles of a whole step that are expected before anything runs: ``calibration/costs/steps``."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from edgeflow.calibration import Data, load_of_core
from edgeflow.targets.part import Part

if TYPE_CHECKING:
    from edgeflow.codegen.choice import Choice

#: Cycles per instruction.
Ratio = Annotated[float, Field(gt=0, le=20, allow_inf_nan=False)]

#: Of an input that is -1, 0 or 1: kernels leave out what is 0.
_SPIKE_BITS = 2


class StepCosts(Data):
    """Estimated cycles per instruction of steps on a core, wait states of flash apart.

    Attributes
    ----------
    core, board
        What was measured.
    programs
        How many: cells of several sizes, compiled for several goals.
    lowest, mean, highest
        Over the programs.
    error_percent
        Of the cycle model of the core, by published figures.
    """

    core: str
    board: str
    programs: Annotated[int, Field(ge=1)]
    lowest: Ratio
    mean: Ratio
    highest: Ratio
    error_percent: Annotated[float, Field(ge=0, lt=100)]


@lru_cache
def load_step_costs(core: str) -> StepCosts | None:
    """Return the known costs of steps on a core, or None; a TargetError if the file is wrong."""
    return load_of_core(StepCosts, "steps", core)


def is_certain(choice: "Choice") -> bool:
    """Tell whether a product takes the same instructions whatever its data."""
    return choice.fired is None and choice.input_bits > _SPIKE_BITS


def fetched_lines(choices: "Sequence[Choice]", part: Part) -> int:
    """Return the lines of certain products that a step reads from a part's flash: `lines_of`."""
    return lines_of(sum(choice.weight_bytes for choice in choices if is_certain(choice)), part)


def lines_of(weight_bytes: float, part: Part) -> int:
    """Return the lines that a step reads of so many bytes of weights, through a part's data cache.

    A step reads all weights in turn, so none is still there if they do not all fit the cache.
    """
    cache = part.flash
    if cache is None or weight_bytes <= cache.data_line_bytes * cache.data_lines:
        return 0
    return int(weight_bytes // cache.data_line_bytes)


def expected_cycles(
    choices: "Sequence[Choice]", costs: StepCosts, part: Part, in_flash: bool = True
) -> tuple[float, float]:
    """Return the fewest cycles that a step can take on a part, and the cycles of its products.

    Parameters
    ----------
    choices : sequence of Choice
        The kernels of a program's matrices.
    costs : StepCosts
        Of the part's core.
    part : Part
    in_flash : bool
        Whether the weights stay in flash.

    Returns
    -------
    fewest, expected : float
        `fewest` counts only what does not depend on the data, at the lowest cycles per instruction,
        less the error of the cycle model. Neither counts gates and calls around the products.
    """
    certain = sum(choice.instructions or 0.0 for choice in choices if is_certain(choice))
    products = sum(choice.instructions or 0.0 for choice in choices)
    waits = 0.0
    if in_flash and part.flash is not None:
        waits = float(fetched_lines(choices, part) * part.flash.line_cycles)
    fewest = (certain * costs.lowest + waits) * (1 - costs.error_percent / 100)
    return fewest, products * costs.mean + waits
