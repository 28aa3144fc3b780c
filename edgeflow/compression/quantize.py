"""Post-training quantization of a float chain into an integer program.

Weights are int8 with one symmetric scale per row. The input's scale and the output's come from
calibration data; the state of a GRU needs none, as it stays within +-1.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgeflow.cells.chain import FloatChain
from edgeflow.compression.convert import check_output, converted
from edgeflow.compression.input_range import equalized, input_range
from edgeflow.compression.slow_states import widened
from edgeflow.errors import CompressError
from edgeflow.program import InputFormat, Node, Program
from edgeflow.progress import StageProgress, silent
from edgeflow.quantization import Converted, Widths

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
    notes = [*chain.notes]
    if form is None:
        form, outliers = input_range(chain, calibration, widths)
        widths, slow = widened(chain, calibration, widths, equalized(form, chain))
        notes += [*outliers, *slow]
    form = equalized(form, chain)
    nodes: list[Node] = []
    saturation: dict[str, float] = {}
    start: dict[str, tuple[int, ...]] = {}
    progress("quantizing", 0, len(chain.layers))
    for _, done in converted(chain, calibration, widths, form):
        on_layer(done)
        nodes.append(done.node)
        start |= done.starts
        signal = done.output
        name = done.node.name
        notes += [f"layer {name}: {note}" for note in done.notes]
        saturation |= {f"{name} {what}": share for what, share in done.saturation.items()}
        progress("quantizing", len(nodes), len(chain.layers))
    check_output(chain, signal)
    _check_names(widths, nodes)
    return Program(
        nodes=tuple(nodes),
        input=form,
        output_scale=float(signal.scale[0]),
        classes=chain.classes,
        window=chain.window,
        hop=chain.hop,
        rate_hz=chain.rate_hz,
        output=chain.output,
        metadata={
            "saturation": saturation,
            "data": chain.data,
            "source": chain.source,
            **({"notes": notes} if notes else {}),
            **({} if chain.task is None else {"task": chain.task.to_json()}),
            **({"units": list(chain.units)} if any(chain.units) else {}),
            **({"counts_per_unit": list(chain.counts)} if chain.counts else {}),
            **({} if chain.window or chain.warmup is None else {"warmup_samples": chain.warmup}),
        },
        sources=chain.program_sources,
        start=start,
    )


def _check_names(widths: Widths, nodes: list[Node]) -> None:
    """Refuse a width of a matrix that does not exist."""
    known = [f"{node.name}.{field}" for node in nodes for field in node.matrices()]
    for name in widths.matrices:
        if name not in known and name not in (node.name for node in nodes):
            raise CompressError(f"there is no matrix '{name}': use one of {', '.join(known)}")
