"""What a run took of the memories and the time that its board, or its part, has."""

from typing import Any

from edgeflow.profiling.result import TIME
from edgeflow.profiling.timing import Timing
from edgeflow.targets.board import BoardSpec, Placement
from edgeflow.targets.part import Part
from edgeflow.targets.room import STACK, part_uses, used_memory
from edgeflow.targets.runner import NativeRunner
from edgeflow.targets.size import SizeReport


def fit_rows(
    board: BoardSpec,
    part: Part | None,
    size: SizeReport | None,
    placement: Placement,
    timing: Timing,
    rate_hz: float,
    any_part: bool,
) -> list[dict[str, Any]]:
    """Return the rows of `ProfileResult.fit`.

    Parameters
    ----------
    board : BoardSpec
        That ran.
    part : Part or None
        That estimates are for.
    size : SizeReport
        With the high-water mark of the stack, where it is known; None of an image not made here.
    placement : Placement
        Of the image.
    timing : Timing
        Measured, or estimated for `part`.
    rate_hz : float
        Of the data; 0: not known.
    any_part : bool
        True: what does not fit the part does not fail.
    """
    rows = []
    if size is not None and board.memory and size.stack_bytes is not None:
        # all of it was written: what lies below may be, too
        fits = size.stack_bytes < board.stack
        rows.append(_row("stack", board.name, size.stack_bytes, board.stack, fits, not fits))
    if size is not None and board.memory and part is not None:
        stack = size.stack_bytes or min(STACK, board.stack)
        for use in part_uses(part, used_memory(size, placement), stack):
            fails = not use.fits and not any_part
            rows.append(_row(use.memory, part.name, use.needed, use.size, use.fits, fails))
    if timing.latency_us is not None and rate_hz:
        mean, room = float(timing.latency_us.mean()), 1e6 / rate_hz
        estimated = timing.part is not None
        surely = mean * (1 - (timing.error_percent or 0.0) / 100) > room
        # the clock of an operating system measures what else runs, too
        fails = surely and not any_part and not isinstance(board.runner, NativeRunner)
        of = timing.part.name if timing.part is not None else board.name
        row = _row(TIME, of, mean, room, mean <= room, fails, "µs")
        rows.append({**row, "error_percent": timing.error_percent if estimated else 0.0})
    return rows


def _row(
    what: str, of: str, used: float, room: float, fits: bool, fails: bool, unit: str = "bytes"
) -> dict[str, Any]:
    return {
        "what": what, "of": of, "used": used, "room": room, "unit": unit, "fits": fits,
        "fails": fails,
    }  # fmt: skip
