"""What a header says of outputs that are decisions already: events, scores, counts."""

from collections.abc import Callable, Mapping

from edgeflow.program import Program
from edgeflow.program.nodes import Count, Detect, Node, Residual


def decisions(program: Program, prefix: str) -> str:
    """Return the inline functions of a program whose last layer decides; "" of another one."""
    write = _FUNCTIONS.get(type(program.nodes[-1]))
    return "" if write is None else write(prefix, f"const int16_t y[{prefix.upper()}_OUTPUTS]")


def meaning(program: Program) -> str:
    """Return what the outputs are, as a comment's sentence."""
    return _MEANINGS.get(type(program.nodes[-1]), "the largest wins")


def _event(prefix: str, outputs: str) -> str:
    return f"""/* The class whose event begins at this step, the first of several; -1: none. */
static inline int {prefix}_event({outputs}) {{
    for (int i = 0; i < {prefix.upper()}_OUTPUTS; i++)
        if (y[i] != 0)
            return i;
    return -1;
}}

"""


def _count(prefix: str, outputs: str) -> str:
    return f"""/* Repetitions since {prefix}_reset(), 0..32767. */
static inline int32_t {prefix}_count({outputs}) {{
    return y[0];
}}

"""


def _score(prefix: str, outputs: str) -> str:
    return f"""/* The anomaly score, 0..32767 in units of {prefix.upper()}_OUTPUT_SCALE. */
static inline int32_t {prefix}_score({outputs}) {{
    return y[0];
}}

/* 1 while the score is above its limit, else 0. */
static inline int {prefix}_anomaly({outputs}) {{
    return y[1];
}}

"""


_FUNCTIONS: Mapping[type[Node], Callable[[str, str], str]] = {
    Detect: _event, Count: _count, Residual: _score,
}  # fmt: skip
_MEANINGS: Mapping[type[Node], str] = {
    Detect: "1 at the step at which an event of the class begins, else 0",
    Count: "repetitions since the reset",
    Residual: "the anomaly score, and 1 while it is above its limit, else 0",
}
