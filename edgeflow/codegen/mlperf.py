"""Firmware that also speaks the serial protocol of MLPerf Tiny (``docs/mlperf.md``)."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError

from edgeflow.errors import TargetError
from edgeflow.program import Program
from edgeflow.targets.board import BoardSpec, list_boards
from edgeflow.targets.part import Part
from edgeflow.targets.spec import Spec

#: Baud of the benchmark's energy mode.
ENERGY_BAUD = 9600


def _model(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", text, re.ASCII):
        raise ValueError(f"'{text}' is no name of a model: letters, digits, - and _, such as kws01")
    return text


class Mlperf(Spec):
    """How an image takes part in the benchmark.

    Attributes
    ----------
    model
        The benchmark's name of the model, such as ``kws01``: its runner looks up what to do by it.
    mode
        What marks the time: "performance", microseconds in lines of text; "energy", a pin.
    step_cycles
        Of an emulated board: what a step is estimated to take the board's part; None: not known,
        and such a board then has no time.
    """

    model: Annotated[str, AfterValidator(_model)]
    mode: Literal["performance", "energy"] = "performance"
    step_cycles: Annotated[int, Field(ge=1, lt=1 << 32)] | None = None

    @staticmethod
    def of(model: str | None, mode: str | None) -> "Mlperf | None":
        """Return what a user asks for; None: nothing.

        Raises
        ------
        TargetError
            If there is no such mode or name, or a mode without a model.
        """
        if model is None:
            if mode is not None:
                raise TargetError(f"the mode '{mode}' is one of MLPerf Tiny: name its model, too")
            return None
        try:
            return Mlperf.model_validate({"model": model, "mode": mode or "performance"})
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            text = problem["msg"].removeprefix("Value error, ")
            if problem["type"] == "literal_error":
                text = f"'{mode}' is no mode of MLPerf Tiny: 'performance' or 'energy'"
            raise TargetError(text) from None

    def check(self, program: Program, board: BoardSpec) -> None:
        """Refuse a program or board that cannot take part.

        Raises
        ------
        TargetError
            If the program has no classes or no windows, or the board no pin for the energy mode.
        """
        if not program.classes or not program.window:
            what = "windows" if program.classes else "classes"
            raise TargetError(f"MLPerf Tiny compares classes of windows: the program has no {what}")
        if self.mode == "energy" and not _marks_time(board):
            names = ", ".join(other.name for other in list_boards() if _marks_time(other))
            raise TargetError(
                f"{board.name}: the energy mode needs a pin that marks the time: give the board "
                f"a [gpio] with a 'pin' in its file; of the boards here: {names}"
            )

    def flags(self, part: Part | None) -> list[str]:
        """Return the compiler's flags for the firmware's runtime."""
        flags = [f'-DEF_MLPERF="{self.model}"']
        if self.mode == "energy":
            flags.append("-DEF_MLPERF_ENERGY")
        if self.step_cycles is not None and part is not None:
            flags += [
                f"-DEF_STEP_CYCLES={self.step_cycles}u",
                f"-DEF_STEP_HZ={round(part.clock_hz)}u",
                f'-DEF_STEP_PART="{part.name}"',
            ]
        return flags


def _marks_time(board: BoardSpec) -> bool:
    return board.gpio is not None and board.gpio.pin is not None
