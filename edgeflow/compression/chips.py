"""Analog chips that a model is trained for: those it learns from, and those it is scored on."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.compression.options import ImcOptions
from edgeflow.imc.chip import Chip
from edgeflow.imc.device import Device, load_device
from edgeflow.imc.options import ArrayOptions
from edgeflow.imc.placement import Placement, place
from edgeflow.imc.ranges import placement
from edgeflow.program import Program

#: Seeds of the chips that are trained and scored on: others than those of a simulation, so that
#: its chips are as new as those of a factory.
_TRAINED, _SCORED = 2**62, 2**62 + 1


@dataclass(frozen=True)
class Chips:
    """Chips of a device, at one time since they were programmed.

    Attributes
    ----------
    device : Device
    seconds : float
        Since programming.
    arrays : ArrayOptions
        Its seed is not looked at.
    count : int
        Chips that a program is scored on.

    Raises
    ------
    ImcError
        If an option is out of range, or the device has no data of that time.
    """

    device: Device
    seconds: float = 86400.0
    arrays: ArrayOptions = field(default_factory=ArrayOptions)
    count: int = 10

    def __post_init__(self) -> None:
        self.arrays.check()
        self.device.check_time(self.seconds)

    @classmethod
    def of(cls, options: ImcOptions) -> "Chips":
        """Return the chips that options say.

        Raises
        ------
        ImcError
            If there is no such device, or it has no data of that time.
        """
        device = load_device(options.device)
        return cls(device, options.seconds, options.arrays, options.chips)

    def describe(self) -> dict[str, Any]:
        """Return all that the chips depend on, as JSON values."""
        return {
            "device": self.device.model_dump(mode="json"), "seconds": self.seconds,
            "arrays": self.arrays.settings(), "chips": self.count,
        }  # fmt: skip

    @property
    def noisy_sums(self) -> bool:
        """Whether sums have noise of their own, besides what weights and converters do to them."""
        return self.arrays.input_noise > 0 or self.arrays.output_noise > 0

    def draw(self, program: Program, number: int) -> Program:
        """Return a program as a chip to train on computes it, with exact converters."""
        options = replace(self.arrays, adc=None, dac=None, seed=_TRAINED)
        placed = Placement(program, self.device, options, place(program, options), {}, {})
        return Chip(placed, number).at(self.seconds)

    def programs(self, program: Program, x: NDArray[np.float32]) -> list[Program]:
        """Return a program as each of `count` chips computes it, always the same ones.

        Parameters
        ----------
        x : float32 array [n, time, channels]
            Raw samples of training subjects, for the ranges of converters.
        """
        options = replace(self.arrays, seed=_SCORED)
        placed = placement(program, self.device, options, program.quantize_input(x))
        return [Chip(placed, number).at(self.seconds) for number in range(self.count)]
