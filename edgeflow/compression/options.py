"""Options of compression steps that a recipe holds as they are; without torch."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import ConfigDict

from edgeflow.errors import CompressError
from edgeflow.schema import Option, Share, share


@dataclass(frozen=True)
class DeltaOptions:
    """Shares of the columns that delta updates leave out (`edgeflow.compression.delta`).

    An input has few columns that do not move alike: groups of them leave out as many only with a
    higher threshold.

    Parameters
    ----------
    state : float
        Share of a state's columns that products leave out, as they hardly moved; in [0, 1).
    input : float
        The same of the program's input.
    group : int
        Columns of a state that are updated together.
    pressure : float
        Weight in the loss of how far values move, >= 0; with --epochs.
    input_group : int
        Columns of the input that are updated together.

    Raises
    ------
    CompressError
        If a value is out of range.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    state: Annotated[Share, Option("state=0.8")] = 0.0
    input: Annotated[Share, Option("input=0.5")] = 0.0
    group: Annotated[int, Option("group=2")] = 1
    pressure: Annotated[float, Option("pressure=0.1")] = 0.0
    input_group: Annotated[int, Option("input_group=1")] = 1

    def __post_init__(self) -> None:
        from edgeflow.program.matrix import MAX_GROUP

        for name in ("state", "input"):
            try:
                share(getattr(self, name))
            except ValueError as error:
                raise CompressError(f"delta {name}={getattr(self, name):g}: {error}") from None
        for name in ("group", "input_group"):
            if not 1 <= getattr(self, name) <= MAX_GROUP:
                raise CompressError(
                    f"delta {name}={getattr(self, name)}: a group has 1..{MAX_GROUP} columns"
                )
        if not self.pressure >= 0:
            raise CompressError(f"delta pressure={self.pressure:g}: it is not negative")

    def __bool__(self) -> bool:
        return self.state > 0 or self.input > 0
