"""Width of states that move in steps too small for their integers.

A state that is rounded at each step stands still where a step is below half of its unit: that of a
GRU with a time constant of 1,000 samples stays within 0.25 of where it is, in 12 bits. Each layer
whose state is rounded runs on a few windows; where units that move slowly are far from the float
ones, and a wider state is nearer, it gets the wider one.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgeflow.cells.chain import FloatChain
from edgeflow.compression.convert import check_output, converted, few_windows
from edgeflow.compression.unlike_cells import HINT_GIVEN, told_apart
from edgeflow.errors import CompressError, ProgramError
from edgeflow.program import InputFormat
from edgeflow.program.fixedpoint import clip
from edgeflow.program.nodes.base import zeros
from edgeflow.quantization import Converted, Floats, Signal, Widths
from edgeflow.quantization.widths import DEFAULT_STATE, EXACT_STATE

#: Windows that layers run on.
WINDOWS = 32
#: A unit is slow if it goes this share of its way in steps that the usual width would lose.
SMALL_STEPS = 0.5
#: Error of a slow unit, rms by its standard deviation, from which on it counts as lost; a unit with
#: a deviation below this share of the state's range says little.
LOST, LEAST_SPREAD = 0.1, 2.0**-7
#: A wider state must leave less than this share of the error.
BETTER = 0.9
#: Widths that are tried, the best first.
WIDER = (EXACT_STATE, 16, 15, 14, 13)
HINT = "the states of a gru, lstm, mingru, lru or lmu need not be rounded"


def widened(
    chain: FloatChain, calibration: NDArray[np.float32], widths: Widths, form: InputFormat
) -> tuple[Widths, list[str]]:
    """Return widths with more bits for slow states, unless `state` is given, and notes.

    Parameters
    ----------
    calibration : float32 array [n, time, channels]
    form : InputFormat
        Of the program's input.
    """
    few = few_windows(calibration, WINDOWS)
    layers = list(converted(chain, few, widths, form))
    before = losses(layers)
    slow = [name for name, loss in before.items() if loss.max() > LOST]
    chosen, after = widths, dict(before)
    free = [name for name in slow if widths.state is None and name not in widths.states]
    for bits in WIDER:
        left = [name for name in free if name not in chosen.states]
        if not left:
            break
        with suppress(CompressError, ProgramError):
            found = losses(converted(chain, few, _with(chosen, left, bits), form))
            better = [n for n in left if found[n].max() < BETTER * before[n].max()]
            wider = _with(chosen, better, bits)
            # the proof that nothing overflows, with the units of all of the data
            *_, (_, last) = converted(chain, calibration, wider, form)
            check_output(chain, last.output)
            chosen, after = wider, after | {name: found[name] for name in better}
            if bits <= 16:
                break  # fewer bits are for states of which more could overflow
    notes = []
    for name in slow:
        old, new = widths.state_of(name), chosen.state_of(name)
        if new != old:
            notes.append(f"layer {name}: {_lost(before[name], old)}: it gets {new}")
        if after[name].max() > LOST:
            error = f"off by {after[name].max():.0%} of what they vary by"
            hint = HINT if name in free else HINT_GIVEN
            notes.append(f"layer {name}: {_lost(after[name], new)}, {error}; {hint}")
    unfit = {
        done.node.name: done.unfit for _, done in layers if done.node.name not in chosen.states
    }
    chosen, lost = told_apart(chain, few, chosen, form, unfit)
    return chosen, notes + lost


def losses(layers: Iterable[tuple[Signal, Converted]]) -> dict[str, Floats]:
    """Return, by layer with a rounded state, the `loss` of its units."""
    return {
        done.node.name: loss(source, done)
        for source, done in layers
        if done.node.output_state is not None and done.output.bits >= 8
    }


def loss(source: Signal, done: Converted) -> Floats:
    """Return the error of each unit of a state [units] by what it varies by; 0: it is not slow."""
    real, bits = done.output.real.astype(np.float64), done.output.bits
    reach = done.output.scale * 2.0 ** (bits - 1)
    steps = np.abs(np.diff(real, axis=1))
    # a wider state may lose its steps elsewhere: they are small or not whatever its width
    small = np.where(steps < reach / 2.0 ** min(bits, DEFAULT_STATE), steps, 0.0).sum(axis=(0, 1))
    slow = small > SMALL_STEPS * steps.sum(axis=(0, 1))
    if not slow.any():
        return np.zeros(len(slow))
    error = np.sqrt(((_run(source, done) - real) ** 2).mean(axis=(0, 1)))
    spread = np.maximum(real.std(axis=(0, 1)), LEAST_SPREAD * reach)
    return np.where(slow, error / spread, 0.0)


def _run(source: Signal, done: Converted) -> Floats:
    """Return the layer's integer outputs [n, time, units], in real units."""
    whole = np.round((source.real - source.offset) / source.scale).astype(np.int64)
    node, x = done.node, clip(whole, source.bits)
    state = {k: zeros(len(x), v.size) for k, v in {**node.states, **node.held}.items()}
    steps = []
    for value in x.swapaxes(0, 1):
        y, state = node.advance(value, state)
        steps.append(y)
    return done.output.offset + done.output.scale * np.stack(steps, axis=1)


def _with(widths: Widths, layers: list[str], bits: int) -> Widths:
    return replace(widths, states={**widths.states, **dict.fromkeys(layers, bits)})


def _lost(loss: Floats, bits: int) -> str:
    units = f"{(loss > LOST).sum()} of {len(loss)} units of its state"
    return f"{units} move in steps that {bits} bits lose"
