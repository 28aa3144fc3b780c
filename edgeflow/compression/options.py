"""Options of compression steps that a recipe holds as they are; without torch."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import ConfigDict

from edgeflow.errors import CompressError, ImcError
from edgeflow.imc.options import ArrayOptions, parse_times
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
        The same of the program's input, also behind front ends.
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


@dataclass(frozen=True)
class ImcOptions:
    """Analog chips that a model is fine-tuned for (`edgeflow.compression.weight_noise`).

    Parameters
    ----------
    device : str
        Device of the chips, one of ``edgeflow imc devices`` or a .toml file; "": no chips.
    time : str
        Time since programming that they are at, like 1h.
    noise : float
        Deviations of the weights in training, in those of the chips; in [0, 10].
    clip : float
        Largest weight of a row, in standard deviations of its weights; 0: any, else 1 or more.
    chips : int
        Number of chips that the epoch which is kept is chosen on, in 1..100.
    dac : int, optional
        Bits of the inputs' converters, 2..16; default: exact.
    adc : int, optional
        Bits of the sums' converters, 2..16; default: exact.
    input_noise : float
        Noise of the reads of single cells, a share of the largest product.
    output_noise : float
        Noise of each sum, a share of the largest product.

    Raises
    ------
    CompressError
        If a value is out of range.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    device: Annotated[str, Option("pcm")] = ""
    time: Annotated[str, Option("time=1d")] = "1d"
    noise: Annotated[float, Option("noise=1")] = 1.0
    clip: Annotated[float, Option("clip=2.5")] = 2.5
    chips: Annotated[int, Option("chips=10")] = 10
    dac: Annotated[int | None, Option("dac=8")] = None
    adc: Annotated[int | None, Option("adc=8")] = None
    input_noise: Annotated[float, Option("input_noise=0.0175")] = 0.0
    output_noise: Annotated[float, Option("output_noise=0.04")] = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.noise <= 10:
            raise CompressError(f"imc noise={self.noise:g}: give a number in 0..10")
        if not (self.clip == 0 or 1 <= self.clip <= 100):
            raise CompressError(f"imc clip={self.clip:g}: give 0, or a number in 1..100")
        if not 1 <= self.chips <= 100:
            raise CompressError(f"imc chips={self.chips}: give a whole number in 1..100")
        try:
            self.arrays.check()
            times = parse_times(self.time)
        except ImcError as error:
            raise CompressError(f"imc: {error}") from None
        if len(times) != 1:
            raise CompressError(f"imc time={self.time}: give one time, like 1d")

    def __bool__(self) -> bool:
        return self.device != ""

    @property
    def arrays(self) -> ArrayOptions:
        """Arrays of the chips."""
        return ArrayOptions(
            dac=self.dac, adc=self.adc, input_noise=self.input_noise, output_noise=self.output_noise
        )

    @property
    def seconds(self) -> float:
        """Time since programming."""
        return parse_times(self.time)[0]
