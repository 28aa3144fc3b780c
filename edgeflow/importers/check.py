"""An imported chain must compute what its source computes."""

import re
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from edgeflow.cells.chain import FloatChain
from edgeflow.errors import CompressError
from edgeflow.program.program import is_layer_name

#: Largest difference of an output, relative to its own spread over the samples.
TOLERANCE = 1e-4
#: Rounding of float32, relative to the largest value of an output.
_ROUNDING = 1e-5
#: A change of the samples as small as rounding; what it does to an output is allowed, ...
_NUDGE = 2.0**-20
#: ... up to this share of the output's spread.
_MOST = 1e-2
#: Most characters of a list of reasons.
_REASONS = 500
#: Samples that an import is checked on.
CHECKED = 8
#: Most values of samples that a graph of fixed sizes is run on.
MOST_CHECKED = 1 << 22
#: Spreads of the random samples, in those of the data.
SCALES = (0.1, 1.0, 10.0)

Values = NDArray[np.float32]


def _softmax(y: Values) -> Values:
    powers: Values = np.exp(y - y.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _log_softmax(y: Values) -> Values:
    below: Values = y - y.max(axis=-1, keepdims=True)
    return below - np.log(np.exp(below).sum(axis=-1, keepdims=True))


def _sigmoid(y: Values) -> Values:
    return np.asarray(0.5 + np.tanh(y / 2) / 2, dtype=np.float32)


#: Functions at the end of a source that a chain leaves out, as decisions are the same.
FINAL: Mapping[str, Callable[[Values], Values]] = {
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "sigmoid": _sigmoid,
}


def identifier(name: str, taken: Iterable[str] = ()) -> str:
    """Return `name` as a C identifier that is not in `taken`."""
    text = re.sub(r"\W", "_", name, flags=re.ASCII) or "layer"
    text = text if is_layer_name(text) else f"layer_{text}"
    used, number, result = set(taken), 1, text
    while result in used:
        number += 1
        result = f"{text}_{number}"
    return result


def listed(reasons: Iterable[str]) -> str:
    """Return reasons in one line that a terminal can hold, with the number of those left out."""
    reasons, kept, length = list(reasons), list[str](), 0
    for reason in reasons:
        length += len(reason) + 2
        if kept and length > _REASONS:
            break
        kept.append(reason)
    more = len(reasons) - len(kept)
    return "; ".join([*kept, *([f"and {more} more"] if more else [])])


def samples(
    example: NDArray[np.float32], n: int | None, time: int | None
) -> list[NDArray[np.float32]]:
    """Return real samples and random ones, [m, time, channels] each, to check an import on.

    The real ones are spread over all of the example, as neighbours may be of one calm class. The
    random ones have its means, and 0.1, 1 and 10 times its spread.

    Parameters
    ----------
    example : float32 array [any, any, channels]
    n, time : int, optional
        Sizes that a graph was exported with, None where it takes any; m is a multiple of n.

    Raises
    ------
    CompressError
        If the graph takes a single step: nothing would show how its state moves on.
    """
    if time == 1:
        raise CompressError(
            "it was exported for one time step: export it with a window of samples [n, time, "
            "channels] and without state inputs"
        )
    n, time = n or CHECKED, time or example.shape[1]
    count = n * -(-CHECKED // n)
    if count * time * example.shape[2] > MOST_CHECKED:
        raise CompressError(
            f"it was exported for {n} sequences of {time} samples at a time: export it with free "
            "sizes, or for one sequence of a window's samples"
        )
    rows = np.linspace(0, len(example) - 1, count).round().astype(int)
    columns = np.arange(time) % example.shape[1]
    real = np.ascontiguousarray(example[rows][:, columns], dtype=np.float32)
    spread, centre = real.std(axis=(0, 1)), real.mean(axis=(0, 1))
    spread = np.where(spread > 0, spread, 1.0)
    rng = np.random.default_rng(0)
    noise = [scale * spread * rng.standard_normal(real.shape) for scale in SCALES]
    return [real, *((centre + values).astype(np.float32) for values in noise)]


def check_output(
    chain: FloatChain,
    x: Values,
    expected: Values,
    *,
    final: str = "",
    where: Callable[[], str] | None = None,
) -> None:
    """Compare the chain with its source.

    Parameters
    ----------
    chain : FloatChain
    x : float32 array [n, time, channels]
    expected : float32 array [n, time, outputs] or [n, outputs]
        What the source makes of `x`, at every step or at the last; a single output may be without
        its axis.
    final : str
        The function in ``FINAL`` that the source ends with and the chain leaves out, or "".
    where : callable, optional
        Says where the two differ first; called only if they do.

    Raises
    ------
    CompressError
        If the outputs differ in shape, or one by more than ``TOLERANCE`` of its own spread.
    """
    got, near = (_as(chain.run(values), expected) for values in (x, x * np.float32(1 + _NUDGE)))
    if got is None or near is None:
        raise CompressError(
            f"the model returns {list(expected.shape)}; its layers give "
            f"{list(chain.run(x).shape)} a step: return the outputs of every step "
            f"[n, time, outputs] or of the last [n, outputs]{'' if where is None else where()}"
        )
    if final:
        got, near = FINAL[final](got), FINAL[final](near)
    error = excess(got, expected.reshape(got.shape), near)
    if error is None:
        return
    if (swing := _swing(got, near)) > _MOST:
        raise CompressError(
            f"it cannot be checked: its outputs change by {swing:.0%} of their spread where the "
            "samples change by 1e-6, so rounding decides them: train it to be stable"
        )
    raise CompressError(
        f"the model does more than its layers ({_names(chain)}) in sequence: outputs differ by "
        f"{error:.3g}{'' if where is None else where()}. Leave out what is more: a layer reads "
        "every step of the one before, or the last"
    )


def _swing(got: Values, near: Values) -> float:
    """Return the largest change of an output by a nudge of the samples, relative to its spread."""
    axes = tuple(range(got.ndim - 1))
    spread = np.maximum(got.std(axis=axes), 1e-3 * np.abs(got).max(axis=axes) + 1e-30)
    return float((np.abs(near - got).max(axis=axes) / spread).max())


def excess(got: Values, expected: Values, near: Values) -> float | None:
    """Return how much outputs [..., outputs] differ, or None if that is rounding.

    Parameters
    ----------
    near : array
        As `got`, of samples that differ by rounding.
    """
    size = expected.shape[-1]
    g, e, m = (v.reshape(-1, size).astype(np.float64) for v in (got, expected, near))
    finite = np.isfinite(e) | np.isfinite(g)  # both overflow alike
    g, e, m = (np.where(finite, v, 0.0) for v in (g, e, m))
    error, spread = np.abs(g - e).max(axis=0), e.std(axis=0)
    top = np.abs(e).max(axis=0)
    rounding = _ROUNDING * top + 1e-6 * top.max()
    nudged = np.minimum(8 * np.abs(m - g).max(axis=0), _MOST * spread)
    wrong = ~(error <= TOLERANCE * spread + rounding + nudged)
    return float(error[wrong].max()) if wrong.any() else None


def _as(got: Values, expected: Values) -> Values | None:
    """Return a chain's outputs in the source's form; None if there is no such form."""
    if got.shape[-1] == 2 and expected.size * 2 in (got.size, got[:, -1].size):
        got = got[..., 1:] - got[..., :1]  # two classes made of one output
    last, shape = got[:, -1], expected.shape
    bare = got.shape[-1] == 1
    if shape == last.shape or (bare and shape == last.shape[:-1]):
        return last
    if shape == got.shape or (bare and shape == got.shape[:-1]):
        return got
    return None


def _names(chain: FloatChain) -> str:
    return ", ".join(name for name, _ in chain.layers)
