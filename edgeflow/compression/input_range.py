"""Range of a program's input: which raw values its integers can tell apart.

By default all but `INPUT_CLIP` of a channel's samples fit. Where a few samples lie far outside of
the others, such as a -999 for a missing value, that leaves the others few of the integers' values.
Then the model decides: narrower ranges are tried, and the integers' outputs compared with the float
ones.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgeflow.cells.cells import layer_of
from edgeflow.cells.chain import FloatChain
from edgeflow.cells.delta import Delta
from edgeflow.cells.front import one_scale
from edgeflow.compression.convert import few_windows, output_error
from edgeflow.program import InputFormat
from edgeflow.program.fixedpoint import symmetric_max
from edgeflow.quantization import Floats, Widths

#: Share of calibration samples of a channel that may be clipped at the input.
INPUT_CLIP = 1e-4
#: A range this many times as wide as what most samples need is looked at: it costs them 4 bits.
SUSPICIOUS = 16.0
#: Share of the samples off the middle that "most" are: more outliers are no exception.
MOST = 0.75
#: A narrower range must leave less than this share of the outputs' error, which must be as large as
#: this share of their spread.
BETTER, WORTH = 0.8, 0.02
#: Windows that ranges are compared on.
WINDOWS = 64
#: A value far outside that as many samples, and this share of those far outside, have exactly is
#: taken for a mark, not a measurement.
REPEATED, MARKED = 3, 0.1


def equalized(form: InputFormat, chain: FloatChain) -> InputFormat:
    """Return the input's format with units as coarse as its channels want.

    By the thresholds of a delta layer, or the largest of those whose squares a front end adds up.
    """
    layers = [layer for _, layer in chain.layers]
    scale = one_scale(layers, form.scale)
    form = form if np.array_equal(scale, form.scale) else replace(form, scale=scale)
    first = layers[0]
    if not isinstance(first, Delta) or chain.reads[0] != (0,):
        return form
    balance = first.input.balance.numpy().astype(np.float64)
    return replace(form, scale=(form.scale * balance).astype(np.float32))


def input_format(chain: FloatChain, x: NDArray[np.float32], widths: Widths) -> InputFormat:
    """Return offsets and scales of raw samples x [n, time, channels]."""
    return input_range(chain, x, widths)[0]


def input_range(
    chain: FloatChain, x: NDArray[np.float32], widths: Widths
) -> tuple[InputFormat, list[str]]:
    """Return offsets and scales of raw samples x [n, time, channels], and notes on outliers."""
    samples = x.reshape(-1, x.shape[-1]).astype(np.float64)
    readers = [layer for (_, layer), row in zip(chain.layers, chain.reads, strict=True) if 0 in row]
    fixed = getattr(chain.layers[0][1], "input_format", None)
    if fixed is not None:
        zeros = np.zeros(len(chain.channels), np.float32)
        return InputFormat(zeros, zeros + np.float32(fixed[0]), fixed[1], chain.channels), []
    pads = any(layer_of(layer).pads for layer in readers)
    offset = chain.mean.astype(np.float64) if pads else samples.mean(axis=0)
    reach = np.quantile(np.abs(samples - offset), 1 - INPUT_CLIP, axis=0)
    # a constant channel says nothing; any scale will do
    reach = np.where(reach > 0, reach, 1.0)
    most = np.array([_most(values) for values in samples.T])
    ranges = {
        int(channel): _ranges(samples[:, channel], offset[channel], reach[channel],
                              most[channel], fixed=pads)
        for channel in np.flatnonzero(reach > SUSPICIOUS * most)
    }  # fmt: skip
    if not ranges:
        return _form(chain, offset, reach, widths), []
    few, notes = few_windows(x, WINDOWS), []
    # a range that is too wide hides what another costs: all others are narrow at first
    for channel, found in ranges.items():
        offset[channel], reach[channel] = found[-1]
    for channel, found in ranges.items():
        forms = []
        for offset[channel], reach[channel] in found:
            forms.append(_form(chain, offset, reach, widths))
        best = _best(chain, few, widths, forms)
        offset[channel], reach[channel] = found[best]
        note = _outliers(samples[:, channel], *found[best], most[channel], clipped=best > 0)
        notes += [f"channel {chain.channels[channel]}: {note}"] if note else []
    return _form(chain, offset, reach, widths), notes


def _form(chain: FloatChain, offset: Floats, reach: Floats, widths: Widths) -> InputFormat:
    scale = reach / symmetric_max(widths.input)
    return InputFormat(
        offset.astype(np.float32), scale.astype(np.float32), widths.input, chain.channels
    )


def _most(values: Floats) -> float:
    """Return how far from their median most samples are, of those that are not the median."""
    distance = np.abs(values - np.median(values))
    off = distance[distance > 0]
    return float(np.quantile(off, MOST)) if off.size else np.inf


def _ranges(
    values: Floats, offset: float, reach: float, most: float, *, fixed: bool
) -> list[tuple[float, float]]:
    """Return (offset, reach): as given, then of half the reach and so on, to what most need."""
    distance = np.abs(values - np.median(values))
    ranges = [(offset, reach)]
    cut = reach / 2
    while cut > 2 * most:
        inside = values[distance <= cut]
        middle = offset if fixed else float(inside.mean())
        narrow = float(np.quantile(np.abs(inside - middle), 1 - INPUT_CLIP))
        if 0 < narrow < ranges[-1][1]:
            ranges.append((middle, narrow))
        cut /= 2
    return ranges


def _best(
    chain: FloatChain, x: NDArray[np.float32], widths: Widths, forms: list[InputFormat]
) -> int:
    """Return the number of the format whose integers give outputs nearest to the float ones."""
    real = chain.run(x)
    errors = [output_error(real, chain, x, widths, equalized(form, chain)) for form in forms]
    best = int(np.argmin(errors))
    return best if errors[0] > WORTH and errors[best] < BETTER * errors[0] else 0


def _outliers(
    values: Floats, offset: float, reach: float, most: float, *, clipped: bool
) -> str | None:
    """Return what is said of a channel's outliers; None: nothing, as the range has them."""
    centre = float(np.median(values))
    far = values[np.abs(values - centre) > SUSPICIOUS * most]
    found, counts = np.unique(far, return_counts=True)
    marks = [float(v) for v in found[counts >= max(REPEATED, MARKED * len(far))]]
    if not clipped and not marks:
        return None
    furthest = max(marks or far.tolist(), key=lambda value: abs(value - centre))
    share = np.isin(values, marks).mean() if marks else len(far) / len(values)
    which = " or ".join(f"{v:g}" for v in marks) or f"as far out as {furthest:g}"
    text = f"{100 * share:.2g} % of its samples are {which}"
    text += f", {abs(furthest - centre) / most:,.0f} times as far from the middle as most"
    if clipped:
        text += f": clipped to {offset - reach:.4g}..{offset + reach:.4g}"
    if marks:
        text += "; if they mark missing values, replace them, on the device too"
    return text
