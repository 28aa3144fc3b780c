"""How good a line is, how long to wait for an answer on it, and how much to put in a frame."""

from array import array
from dataclasses import dataclass, field

#: Shortest wait for an answer, seconds: the noise of a busy machine's clock, USB adapters.
FLOOR = 0.1
#: The same of an emulator, whose serial port stalls for a second now and then and loses nothing.
EMULATED_FLOOR = 2.0
#: First wait, while no answer has been timed, seconds (RFC 6298), and steps of the first frame,
#: few enough for a slow board to take them in that time.
_FIRST = 1.0
_FIRST_STEPS = 4


@dataclass
class Line:
    """Counts of a session.

    Attributes
    ----------
    requests : int
        Messages that were to be answered.
    retries : int
        How often one was sent again.
    damaged : int
        Frames from the board that were broken when they arrived.
    resets : int
        How often the board started anew in between.
    syncs : int
        How often a text was sent among the frames, which the board counts as a broken one.
    round_trips : array of float
        Seconds from a request to its answer, of those that were sent once.
    """

    requests: int = 0
    retries: int = 0
    damaged: int = 0
    resets: int = 0
    syncs: int = 0
    round_trips: "array[float]" = field(default_factory=lambda: array("d"))


class Pace:
    """When to ask again, and how many steps to ask for at a time.

    Time-outs are smoothed round trips and four times their deviation, twice as long after each that
    passed (V. Jacobson and M. Karels, 1988; RFC 6298). As answers to repeated requests cannot be
    told apart, only those to requests that were sent once are timed (P. Karn and C. Partridge,
    1987). A frame gets half as many steps after one that had to be sent again. After one that had
    not it gets twice as many until the first loss, then one more.

    Parameters
    ----------
    most_steps : int
        Most steps of a frame.
    floor, cap : float
        Seconds: the shortest time-out, and the longest that doubling leads to.
    """

    def __init__(self, most_steps: int, floor: float, cap: float) -> None:
        self._most = most_steps
        self.steps = min(_FIRST_STEPS, most_steps)
        self._lost = False
        self._floor, self._cap = min(floor, cap), cap
        self._smoothed: float | None = None
        self._deviation = 0.0
        self._timed = 1  # steps of the request that was timed last
        self._backoff = 1.0

    def timeout(self, steps: int) -> float:
        """Return the seconds to wait for the answer to a request of some steps."""
        if self._smoothed is None:
            base = min(max(_FIRST, self._floor), self._cap)
        else:
            # more steps than were timed take longer, in proportion at most
            longer = max(1.0, steps / self._timed)
            base = max(self._floor, longer * (self._smoothed + 4 * self._deviation))
        return base * min(self._backoff, max(1.0, self._cap / base))

    def passed(self) -> None:
        """Learn that a time-out passed."""
        self._backoff = min(2 * self._backoff, 1024.0)

    def answered(self, seconds: float, steps: int, again: bool) -> None:
        """Learn that a request of `steps` was answered, and whether it had been sent again."""
        if again:
            self._lost = True
            if steps:
                self.steps = max(1, min(self.steps, steps) // 2)
            return
        self._backoff = 1.0
        if steps == 0:
            return
        self.steps = min(self._most, self.steps + 1 if self._lost else 2 * self.steps)
        if self._smoothed is None:
            self._smoothed, self._deviation = seconds, seconds / 2
        else:
            self._deviation += (abs(seconds - self._smoothed) - self._deviation) / 4
            self._smoothed += (seconds - self._smoothed) / 8
        self._timed = steps
