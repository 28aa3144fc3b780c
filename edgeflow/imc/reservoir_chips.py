"""A reservoir on many chips: each has cells of its own, is read with noise, and gets its own head.

Nothing is programmed and nothing of the reservoir is trained, so that a chip needs no copy of
another chip's weights: its head alone is fitted, on what its own arrays give.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgeflow.imc.breakdown import Breakdown
from edgeflow.imc.converter import Converter
from edgeflow.imc.reservoir import Array, Cells, Design, Floats, Reservoir, exact
from edgeflow.imc.reservoir_fit import Examples, fit
from edgeflow.imc.reservoir_options import ReservoirOptions
from edgeflow.progress import StageProgress, silent
from edgeflow.tasks import Metric

#: Windows that ranges of converters are chosen on.
WINDOWS = 128


class Chip:
    r"""Reads the arrays of one chip: its converters, and noise of its own for each reading.

    A cell's reading has noise of a share of its conductance, so that a sum of independent cells has

    .. math:: \sigma^2 = read^2 \sum_i x_i^2 \big((g^+_i)^2 + (g^-_i)^2\big)

    which is drawn at the sum: the same distribution as that of each cell's.

    Parameters
    ----------
    reservoir : Reservoir
    source : Breakdown
    options : ReservoirOptions
    x : float32 array [n, time, inputs]
        Windows of training subjects, for the converters' ranges.
    rng : Generator
    """

    def __init__(
        self, reservoir: Reservoir, source: Breakdown, options: ReservoirOptions, x: Floats,
        rng: np.random.Generator,
    ) -> None:  # fmt: skip
        self._noise, self._rng = np.float32(source.read), rng
        self._dacs: dict[Array, Converter] = {}
        self._adcs: dict[Array, Converter] = {}
        if options.dac is None and options.adc is None:
            return
        inputs, sums = _reach(reservoir, x[:: max(len(x) // WINDOWS, 1)])
        if options.dac is not None:
            self._dacs = {array: Converter(options.dac, top) for array, top in inputs.items()}
        if options.adc is not None:
            self._adcs = {array: Converter(options.adc, top) for array, top in sums.items()}

    def __call__(self, array: Array, x: Floats) -> Floats:
        if (dac := self._dacs.get(array)) is not None:
            x = dac.convert(x).astype(np.float32)
        sums = exact(array, x)
        if self._noise:
            drawn = self._rng.standard_normal(sums.shape, np.float32)
            sums = sums + self._noise * drawn * np.sqrt(x**2 @ array.squares)
        if (adc := self._adcs.get(array)) is not None:
            sums = adc.convert(sums).astype(np.float32)
        return sums


def _reach(reservoir: Reservoir, x: Floats) -> tuple[dict[Array, float], dict[Array, float]]:
    """Return the largest magnitudes of inputs and of sums, by array."""
    inputs: dict[Array, float] = {}
    sums: dict[Array, float] = {}

    def read(array: Array, values: Floats) -> Floats:
        found = exact(array, values)
        for seen, now in ((inputs, values), (sums, found)):
            seen[array] = max(seen.get(array, 0.0), float(np.abs(now).max()))
        return found

    reservoir.features(x, read)
    return ({k: v or 1.0 for k, v in inputs.items()}, {k: v or 1.0 for k, v in sums.items()})


@dataclass(frozen=True)
class ReservoirChips:
    """The test subjects' scores of a reservoir on chips, by the task's headline.

    Attributes
    ----------
    metric
        Its name.
    chips
        On each chip.
    software
        The weights of the same cells without noise and converters, with a head of their own.
    mean, sd
        Over the chips; `sd` is None of one.
    software_mean
        Over their counterparts.
    loss
        How much worse the mean over the chips is (`Metric.drop`): points of a share.
    """

    metric: str
    chips: list[float]
    software: list[float]
    mean: float
    sd: float | None
    software_mean: float
    loss: float

    @staticmethod
    def of(metric: Metric, chips: Sequence[float], software: Sequence[float]) -> "ReservoirChips":
        """Return the figures of all chips."""
        mean, before = float(np.mean(chips)), float(np.mean(software))
        sd = float(np.std(chips, ddof=1)) if len(chips) > 1 else None
        return ReservoirChips(
            metric.name, list(chips), list(software), mean, sd, before, metric.drop(before, mean)
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)


def on_chips(
    design: Design,
    data: Examples,
    source: Breakdown,
    options: ReservoirOptions,
    progress: StageProgress = silent,
) -> ReservoirChips:
    """Try a reservoir on `options.chips` chips, and each one's weights in software.

    Parameters
    ----------
    design : Design
        The same on all chips; the factors that give it its gain and radius are the chip's own.
    data : Examples
    source : Breakdown
    options : ReservoirOptions
    progress : callable

    Notes
    -----
    Chip 0 has the cells of the model that is written. Equal seeds give equal chips, however many
    there are.
    """
    metric, stage = data.task.headline, f"fitting {options.chips} chips"
    chips: list[float] = []
    software: list[float] = []
    for number in range(options.chips):
        progress(stage, number, options.chips)
        cells = Cells.drawn(source, data.x["train"].shape[2], options.hidden, options.seed, number)
        reservoir = Reservoir(design, cells)
        rng = np.random.default_rng(np.random.SeedSequence([options.seed, number, 1]))
        chip = Chip(reservoir, source, options, data.x["train"], rng)
        for read, scores in ((exact, software), (chip, chips)):
            head = fit(reservoir, data, read).head
            outputs = head.outputs(reservoir.features(data.x["test"], read))
            scores.append(float(data.score("test", outputs)[metric.name]))
    progress(stage, options.chips, options.chips)
    return ReservoirChips.of(metric, chips, software)
