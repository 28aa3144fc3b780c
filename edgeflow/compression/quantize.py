"""Post-training quantization of a float chain into an integer program.

Weights are int8 with one symmetric scale per row. The input's scale and the output's come from
calibration data; the state of a GRU needs none, as it stays within +-1.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgeflow.cells.cells import layer_of
from edgeflow.cells.chain import FloatChain
from edgeflow.cells.delta import Delta
from edgeflow.compression.low_rank import with_factors
from edgeflow.errors import CompressError, ProgramError
from edgeflow.program import InputFormat, Node, Program
from edgeflow.program.fixedpoint import symmetric_max
from edgeflow.progress import StageProgress, silent
from edgeflow.quantization import Calibration, Converted, Signal, Widths

#: Share of calibration samples of a channel that may be clipped at the input.
INPUT_CLIP = 1e-4
DEFAULT_WIDTHS = Widths()


def quantize(
    chain: FloatChain,
    calibration: NDArray[np.float32],
    widths: Widths = DEFAULT_WIDTHS,
    *,
    form: InputFormat | None = None,
    on_layer: Callable[[Converted], None] = lambda done: None,
    progress: StageProgress = silent,
) -> Program:
    """Turn `chain` into integers.

    Parameters
    ----------
    calibration : float32 array [n, time, channels]
        Raw samples of training subjects.
    form : InputFormat, optional
        Of the program's input; by default it comes from the calibration data.
    on_layer : callable, optional
        Called with each converted layer, whose provenance the program does not keep.
    progress : callable, optional
        Called with the stage, and the numbers of layers converted and of all.

    Returns
    -------
    Program
        Its metadata holds, under "saturation", by layer and value, the share of calibration steps
        in which the value does not fit its format; under "notes" the chain's and those of its
        conversion.

    Raises
    ------
    CompressError
        If calibration data is empty or not finite, or the model's parameters are not.
    ProgramError
        If an accumulator could overflow.
    """
    if calibration.ndim != 3 or calibration.size == 0:
        raise CompressError("calibration needs samples [n, time, channels], and at least one")
    if not np.isfinite(calibration).all():
        raise CompressError("calibration data holds NaN or infinite values")
    form = equalized(form or input_format(chain, calibration, widths.input), chain)
    nodes: list[Node] = []
    saturation: dict[str, float] = {}
    notes = [*chain.notes]
    progress("quantizing", 0, len(chain.layers))
    for _, done in converted(chain, calibration, widths, form):
        on_layer(done)
        nodes.append(done.node)
        signal = done.output
        name = done.node.name
        notes += [f"layer {name}: {note}" for note in done.notes]
        saturation |= {f"{name} {what}": share for what, share in done.saturation.items()}
        progress("quantizing", len(nodes), len(chain.layers))
    if signal.offset.any() or np.ptp(signal.scale) > 0:
        raise CompressError(
            f"the model ends with {chain.layers[-1][0]}, whose outputs have scales of their own: "
            "end it with nn.Linear"
        )
    _check_names(widths, nodes)
    return Program(
        nodes=tuple(nodes),
        input=form,
        output_scale=float(signal.scale[0]),
        classes=chain.classes,
        window=chain.window,
        rate_hz=chain.rate_hz,
        metadata={
            "saturation": saturation,
            "data": chain.data,
            "source": chain.source,
            **({"notes": notes} if notes else {}),
            **({} if chain.task is None else {"task": chain.task.to_json()}),
            **({"units": list(chain.units)} if any(chain.units) else {}),
            **({} if chain.window or chain.warmup is None else {"warmup_samples": chain.warmup}),
        },
    )


def converted(
    chain: FloatChain, calibration: NDArray[np.float32], widths: Widths, form: InputFormat
) -> Iterator[tuple[Signal, Converted]]:
    """Yield each layer's input and its integer form; arguments and errors as in `quantize`."""
    activations = chain.by_layer(calibration)
    # the first layer reads normalised values, made of the input's integers
    signal = Signal(
        (form.offset.astype(np.float64) - chain.mean) / chain.std,
        form.scale.astype(np.float64) / chain.std,
        form.bits,
        next(activations),
    )
    for (name, layer), real in zip(chain.layers, activations, strict=True):
        if not all(bool(p.isfinite().all()) for p in layer.parameters()):
            raise CompressError(f"layer {name} has weights that are NaN or infinite")
        try:
            done = layer_of(layer).convert(layer, Calibration(name, signal, real, widths))
        except (CompressError, ProgramError) as error:
            raise type(error)(f"layer {name}: {error}") from error
        done = with_factors(done, widths)
        yield signal, done
        signal = done.output


def _check_names(widths: Widths, nodes: list[Node]) -> None:
    """Refuse a width of a matrix that does not exist."""
    known = [f"{node.name}.{field}" for node in nodes for field in node.matrices()]
    for name in widths.matrices:
        if name not in known and name not in (node.name for node in nodes):
            raise CompressError(f"there is no matrix '{name}': use one of {', '.join(known)}")


def few_windows(x: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Return at most `count` windows [n, time, channels], always the same ones of a shuffle."""
    return x[np.random.default_rng(0).permutation(len(x))[:count]]


def equalized(form: InputFormat, chain: FloatChain) -> InputFormat:
    """Return the input's format with units as coarse as the thresholds of its channels want."""
    first = chain.layers[0][1]
    if not isinstance(first, Delta):
        return form
    balance = first.input.balance.numpy().astype(np.float64)
    return replace(form, scale=(form.scale * balance).astype(np.float32))


def input_format(chain: FloatChain, x: NDArray[np.float32], bits: int) -> InputFormat:
    """Return offsets and scales of raw samples x [n, time, channels]."""
    samples = x.reshape(-1, x.shape[-1]).astype(np.float64)
    pads = layer_of(chain.layers[0][1]).pads
    offset = chain.mean.astype(np.float64) if pads else samples.mean(axis=0)
    reach = np.quantile(np.abs(samples - offset), 1 - INPUT_CLIP, axis=0)
    # a constant channel says nothing; any scale will do
    scale = np.where(reach > 0, reach, 1.0) / symmetric_max(bits)
    return InputFormat(offset.astype(np.float32), scale.astype(np.float32), bits, chain.channels)
