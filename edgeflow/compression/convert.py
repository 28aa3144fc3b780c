"""Conversion of the layers of a float chain, or graph, one after the other."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edgeflow.cells.cells import layer_of
from edgeflow.cells.chain import FloatChain
from edgeflow.compression.low_rank import with_factors
from edgeflow.errors import CompressError, ProgramError
from edgeflow.program import InputFormat, Program
from edgeflow.program.fixedpoint import symmetric_max
from edgeflow.quantization import Calibration, Converted, Floats, Signal, Widths, side_by_side

#: Samples this many times as far out as the range are none that layers are calibrated on.
BEYOND = 8.0


def converted(
    chain: FloatChain, calibration: NDArray[np.float32], widths: Widths, form: InputFormat
) -> Iterator[tuple[Signal, Converted]]:
    """Yield each layer's input and its integer form; arguments and errors as in `quantize`."""
    activations = chain.by_layer(seen(form, calibration))
    # the first layer reads normalised values, made of the input's integers
    signal = Signal(
        (form.offset.astype(np.float64) - chain.mean) / chain.std,
        form.scale.astype(np.float64) / chain.std,
        form.bits,
        next(activations),
    )
    given, reads = {0: signal}, chain.reads
    last = {k: number for number, row in enumerate(reads) for k in row}
    for number, ((name, layer), real) in enumerate(zip(chain.layers, activations, strict=True)):
        signal = side_by_side([given[k] for k in reads[number]])
        if not all(bool(p.isfinite().all()) for p in layer.parameters()):
            raise CompressError(f"layer {name} has weights that are NaN or infinite")
        try:
            done = layer_of(layer).convert(layer, Calibration(name, signal, real, widths))
        except (CompressError, ProgramError) as error:
            raise type(error)(f"layer {name}: {error}") from error
        done = with_factors(done, widths)
        yield signal, done
        given[number + 1] = done.output
        given = {k: value for k, value in given.items() if last.get(k, -1) > number}


def outputs(chain: FloatChain, x: NDArray[np.float32], widths: Widths, form: InputFormat) -> Floats:
    """Return the outputs [n, time, outputs], in real units, of integers calibrated on raw x."""
    layers = list(converted(chain, x, widths, form))
    last = layers[-1][1].output
    check_output(chain, last)
    nodes = tuple(done.node for _, done in layers)
    start = {name: values for _, done in layers for name, values in done.starts.items()}
    program = Program(nodes, form, output_scale=1.0, sources=chain.program_sources, start=start)
    return last.offset + last.scale * program.run(form.quantize(x))


def check_output(chain: FloatChain, signal: Signal) -> None:
    """Refuse outputs that have no unit in common."""
    if signal.offset.any() or np.ptp(signal.scale) > 0:
        raise CompressError(
            f"the model ends with {chain.layers[-1][0]}, whose outputs have scales of their own: "
            "end it with nn.Linear"
        )


def output_error(
    real: NDArray[np.float32],
    chain: FloatChain,
    x: NDArray[np.float32],
    widths: Widths,
    form: InputFormat,
) -> float:
    """Return how far the integers' outputs are from the float ones, by what those vary by.

    Parameters
    ----------
    real : float32 array [n, time, outputs]
        The chain's outputs on x.
    x : float32 array [n, time, channels]
        Raw samples, which the integers are calibrated on, too.
    """
    # outliers may make outliers of the outputs, too
    low, high = np.quantile(real, [0.1, 0.9], axis=(0, 1))
    spread = np.maximum(high - low, 1e-3 * max(float(np.abs(real).max()), 1e-30))
    try:
        error = np.abs(outputs(chain, x, widths, form) - real) / spread
    except (CompressError, ProgramError):  # units that no weights can be scaled for
        error = np.ones(1)
    # what an outlier spoils counts once, however far the output is off
    return float(np.minimum(error, 1.0).mean())


def few_windows(x: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Return at most `count` windows [n, time, channels], always the same ones of a shuffle."""
    return x[np.random.default_rng(0).permutation(len(x))[:count]]


def seen(form: InputFormat, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return raw samples x [..., channels] as layers are calibrated on them.

    A channel with values far beyond the input's range is clipped to it, as the integers are: one
    outlier must not set the units of all layers.
    """
    reach = form.scale * symmetric_max(form.bits)
    far = (np.abs(x - form.offset) > BEYOND * reach).reshape(-1, x.shape[-1]).any(axis=0)
    if not far.any():
        return x
    inside = np.clip(x, form.offset - reach, form.offset + reach)
    return np.where(far, inside, x).astype(np.float32)
