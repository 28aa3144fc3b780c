"""Whether a program fits: the memories of its board and of the part that figures are for, and time.

An emulated board may have more memory than the part that its cycles and energy are estimated for,
so each is compared on its own.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from edgeflow.codegen.choice import Choice, choose_kernels
from edgeflow.codegen.cycles import place_of
from edgeflow.codegen.expected import expected
from edgeflow.codegen.step_costs import expected_cycles, load_step_costs
from edgeflow.errors import NoRoomError, TargetError
from edgeflow.program import Program
from edgeflow.targets.board import BoardSpec, Placement, list_boards
from edgeflow.targets.part import Part, estimated_part
from edgeflow.targets.room import STACK, Use, board_uses, no_room, part_uses, used_memory
from edgeflow.targets.size import SizeReport

_ANY_PART = "--any-part compiles nevertheless, for emulation"


@dataclass(frozen=True)
class Fit:
    """The checks of one compilation.

    Parameters
    ----------
    program : Program
    board : BoardSpec
    choices : tuple of Choice
        The kernels of the program's matrices.
    backend, optimize : str
        What they were chosen with.
    any_part : bool
        True: what does not fit the part, or its time, is a note rather than an error.
    """

    program: Program
    board: BoardSpec
    choices: tuple[Choice, ...]
    backend: str = "auto"
    optimize: str = "balanced"
    any_part: bool = False

    @cached_property
    def part(self) -> Part | None:
        """The part that figures are estimated for."""
        return estimated_part(self.board)

    def check_time(self) -> list[str]:
        """Check that the part takes less than the time between samples for a step.

        Returns
        -------
        list of str
            A note where that is not sure.

        Raises
        ------
        TargetError
            If even the fewest cycles take longer.
        """
        rate, part = self.program.rate_hz, self.part
        if part is None or rate == 0:
            return []
        known = _cycles(self.board, part, self.choices)
        if known is None:
            return []
        overlap = self.program.overlap
        states = 1.0 if overlap is None else overlap.states
        fewest, expected, error = known[0] * states, known[1] * states, known[2]
        room = part.clock_hz / rate
        # an early exit skips steps, how many is up to the data
        sure = self.program.cutoff is None and fewest > room
        if sure:
            text = (
                f"{self.board.name}, for {part.name}: too slow: a step takes at least "
                f"{fewest:,.0f} cycles, {_share(fewest, room)} of the {room:,.0f} between samples "
                f"at {rate:g} Hz"
            )
            return self._refuse(TargetError, text, self._fast_enough(fewest))
        if expected * (1 + error / 100) > room:
            return [
                f"a step takes {part.name} about {_share(expected, room)} of the time between "
                f"samples at {rate:g} Hz (estimated, ±{error:.0f} %): 'edgeflow profile' tells"
            ]
        return []

    def step_cycles(self) -> float | None:
        """Return the cycles that are expected of a step's products; None: not known.

        On the part, or without one on the board itself, wait states of its flash apart.
        """
        if self.part is not None:
            known = _cycles(self.board, self.part, self.choices)
            return None if known is None else known[1]
        costs = load_step_costs(self.board.core.name)
        if costs is None:
            return None
        return costs.mean * sum(choice.instructions or 0.0 for choice in self.choices)

    def check_weights(self) -> None:
        """Check that the weights alone are not too many, before anything is compiled.

        Raises
        ------
        NoRoomError
            If they are.
        """
        weights = sum(choice.weight_bytes for choice in self.choices)
        used = {"flash": weights, self.board.placement.weights: weights}
        places = [(self.board.name, board_uses(self.board, used) if self.board.memory else [])]
        if self.part is not None and not self.any_part:
            places.append(
                (f"{self.board.name}, for {self.part.name}", part_uses(self.part, used, 0))
            )
        for place, uses in places:
            over = [use for use in uses if not use.fits]
            if over:
                error = no_room(place, over, "the weights alone need")
                remedies = [*self._what_fits(over, used)]
                remedies += [_ANY_PART] if uses is not places[0][1] else []
                raise NoRoomError(_sentence(str(error), remedies), error.uses)

    def explain(self, error: NoRoomError) -> NoRoomError:
        """Return the error of an image that its board has no room for, with what would fit."""
        needed = {use.memory: use.needed - use.stack for use in error.uses}
        weights = sum(choice.weight_bytes for choice in self.choices)
        needed.setdefault("flash", weights)
        return NoRoomError(_sentence(str(error), self._what_fits(error.uses, needed)), error.uses)

    def check_room(self, size: SizeReport) -> list[str]:
        """Check that the part has room for a linked image of this size.

        Returns
        -------
        list of str
            A note where it does not fit and `any_part` allows that.

        Raises
        ------
        NoRoomError
            If it does not fit.
        """
        if self.part is None or not self.board.memory:
            return []
        used = used_memory(size, self.board.placement)
        uses = part_uses(self.part, used, min(STACK, self.board.stack))
        over = [use for use in uses if not use.fits]
        if not over:
            return []
        error = no_room(f"{self.board.name}, for {self.part.name}", over)

        def again(message: str) -> NoRoomError:
            return NoRoomError(message, error.uses)

        return self._refuse(again, str(error), self._what_fits(over, used))

    def _refuse(
        self, error: Callable[[str], TargetError], problem: str, remedies: Iterator[str]
    ) -> list[str]:
        if self.any_part:
            return [f"{problem}: figures for the part are of what it cannot run"]
        raise error(_sentence(problem, [*remedies, _ANY_PART]))

    def _what_fits(self, over: Sequence[Use], used: dict[str, int]) -> Iterator[str]:
        """Tell what would make an image fit, from small to large changes."""
        placement = self.board.placement
        if placement != Placement() and any(use.memory != "flash" for use in over):
            yield (
                f"leave weights and kernels in flash (they are placed in {placement.weights} and "
                f"{placement.kernels})"
            )
        weights = sum(choice.weight_bytes for choice in self.choices)
        # where the weights count: one memory holds them
        short = max(over, key=lambda use: use.needed - use.size)
        room = short.size - (short.needed - weights)
        if short.memory in ("flash", "memory", placement.weights):
            yield from self._smaller_weights(weights, room)
        else:
            yield "fewer units or layers"
        yield _of_boards(_holders(self.board, used))

    def _smaller_weights(self, weights: int, room: int) -> Iterator[str]:
        if room <= 0:
            return
        small = weights
        if self.optimize != "size":
            least = choose_kernels(
                self.program, self.board.core, backend=self.backend, optimize="size"
            )
            small = sum(choice.weight_bytes for choice in least)
            if small <= room:
                yield f"--optimize size ({small:,} bytes of weights)"
        four = sum(choice.rows * (choice.cols / 2 + 8) for choice in self.choices)
        if four < small and four <= room:
            how = "'edgeflow compress --weights int4' and --optimize size"
            yield f"{how} (about {four:,.0f} bytes)"
        yield f"fewer units (at most {room:,} bytes of weights, now {weights:,})"

    def _fast_enough(self, fewest: float) -> Iterator[str]:
        part, rate = self.part, self.program.rate_hz
        assert part is not None
        yield f"at most {part.clock_hz / fewest:.3g} samples a second instead of {rate:g}"
        yield "fewer units"
        names = []
        weights = {"flash": sum(choice.weight_bytes for choice in self.choices)}
        holders = _holders(self.board, weights)
        for board in list_boards():
            other = estimated_part(board)
            if board.name not in holders or other is None:
                continue
            choices = choose_kernels(
                self.program, board.core, optimize=self.optimize, place=place_of(board)
            )
            known = _cycles(board, other, choices)
            if known is not None and known[1] * (1 + known[2] / 100) <= other.clock_hz / rate:
                names.append(board.name)
        yield _of_boards(names)


def _cycles(
    board: BoardSpec, part: Part, choices: Sequence[Choice]
) -> tuple[float, float, float] | None:
    """Return the fewest and the expected cycles of a step, and their error in percent."""
    costs = load_step_costs(board.core.name)
    if costs is None:
        return None
    in_flash = board.placement.weights == "flash"
    return *expected_cycles(choices, costs, part, in_flash), costs.error_percent


#: What gates and calls add to the cycles of a step's products, 6 to 23 % of a GRU or LSTM, where
#: the steps of the core were not measured.
_AROUND, _AROUND_ERROR = 1.145, 8.0


def expected_step(program: Program, board: BoardSpec) -> tuple[float, float] | None:
    """Return the cycles that a step of a program should take on a board's part, and their error.

    Returns
    -------
    cycles, error_percent : float
        None without a part or known costs of its core.
    """
    part = estimated_part(board)
    if part is None:
        return None
    told = expected(program, board)
    if told.cycles is not None and told.cycle_error_percent is not None:
        return told.cycles, told.cycle_error_percent
    choices = choose_kernels(program, board.core, place=place_of(board))
    known = _cycles(board, part, choices)
    if known is None:
        return None
    _, products, error = known
    return products * _AROUND, 100 * ((1 + error / 100) * (1 + _AROUND_ERROR / 100) - 1)


def _holders(board: BoardSpec, used: dict[str, int]) -> list[str]:
    """Return the other boards whose memories, and those of their parts, would hold an image."""
    names = []
    # of another core, code has another size; weights are what does not fit
    bytes_ = {"flash": used.get("flash", 0), "ram": used.get("ram", 0)}
    for other in list_boards():
        needed, place = dict(bytes_), other.placement.weights
        if place != "flash":  # copied there, too
            needed[place] = needed.get(place, 0) + needed["flash"]
        uses = board_uses(other, needed) if other.memory else []
        part = estimated_part(other)
        uses += part_uses(part, needed, min(STACK, other.stack)) if part is not None else []
        if other.name != board.name and all(use.fits for use in uses):
            names.append(other.name)
    return names


def _of_boards(names: Sequence[str]) -> str:
    return f"of the boards here: {', '.join(names) or 'none'}"


def _sentence(problem: str, remedies: Iterator[str] | Sequence[str]) -> str:
    return f"{problem}; what would fit: {'; '.join(remedies)}"


def _share(cycles: float, room: float) -> str:
    return f"{100 * cycles / room:,.0f} %"
