"""Options of compression steps that a recipe holds as they are; without torch."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import ConfigDict

from edgeflow.errors import CompressError
from edgeflow.schema import Part, Share, share


@dataclass(frozen=True)
class DeltaOptions:
    """Shares of the columns that delta updates leave out (`edgeflow.compression.delta`).

    Parameters
    ----------
    state, input : float
        Share of columns that are not updated, of products that read a layer's state, and of those
        that read the program's input; in [0, 1).
    group, input_group : int
        Columns that are updated together, of a layer's state and of the program's input. An input
        has few columns that do not move alike: groups silence as many only with a higher threshold.
    pressure : float
        Weight of the moves in the loss, >= 0.

    Raises
    ------
    CompressError
        If a value is out of range.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    state: Annotated[
        Share,
        Part("0.8", "share of a state's columns that products leave out, as they hardly moved"),
    ] = 0.0
    input: Annotated[Share, Part("0.5", "the same of the program's input")] = 0.0
    group: Annotated[int, Part("2", "columns of a state that are updated together")] = 1
    pressure: Annotated[
        float, Part("0.1", "weight in the loss of how far values move, with --epochs")
    ] = 0.0
    input_group: Annotated[int, Part("1", "columns of the input that are updated together")] = 1

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
