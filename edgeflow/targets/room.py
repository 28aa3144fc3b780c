"""What an image needs of each memory, and what a board or a part has."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edgeflow.errors import NoRoomError
from edgeflow.targets.board import BoardSpec, Placement
from edgeflow.targets.part import Part
from edgeflow.targets.size import COPIED_PARTS, SizeReport

#: Bytes of stack that a part must have room for: programs of every kind of cell have run with it.
STACK = 3 * 1024


@dataclass(frozen=True)
class Use:
    """A memory, the bytes that an image needs of it, the stack's among them, and its size."""

    memory: str
    needed: int
    size: int
    stack: int = 0

    @property
    def fits(self) -> bool:
        """True where the image has room."""
        return self.needed <= self.size

    def __str__(self) -> str:
        stack = f" ({self.stack:,} of them for the stack)" if self.stack else ""
        return f"{self.needed:,} of {self.size:,} bytes of {self.memory}{stack}"


def no_room(what: str, uses: Iterable[Use], needs: str = "needs") -> NoRoomError:
    """Return the error of an image that needs more of some memories than there is."""
    over = tuple(use for use in uses if not use.fits)
    return NoRoomError(f"{what}: no room: {needs} {' and '.join(map(str, over))}", over)


def used_memory(size: SizeReport, placement: Placement) -> dict[str, int]:
    """Return the bytes that an image takes of each memory of its board, without the stack."""
    used = {"flash": size.flash_bytes, "ram": size.ram_bytes - size.ram["stack"]}
    copied = {
        placement.weights: size.ram["weights"] + size.ram["tables"],
        placement.kernels: size.ram["kernels"] + size.ram["model_code"],
    }
    if placement.weights == placement.kernels:
        copied = {placement.weights: sum(size.ram[part] for part in COPIED_PARTS)}
    for name, bytes_ in copied.items():
        if name not in used:
            used["ram"] -= bytes_
            used[name] = bytes_
    return used


def part_uses(part: Part, used: Mapping[str, int], stack: int) -> list[Use]:
    """Return what an image would take of a part's memories.

    Parameters
    ----------
    part : Part
    used : mapping
        Bytes by memory of the board that it was linked for; a memory that the part has not, counts
        as RAM.
    stack : int
        Bytes.
    """
    memory = part.memory
    needed = {"flash": used.get("flash", 0), "ram": used.get("ram", 0) + stack}
    for name, size in used.items():
        if name not in ("flash", "ram"):
            place = name if name in memory.others else "ram"
            needed[place] = needed.get(place, 0) + size
    if memory.flash is None:
        return [Use("memory", needed["flash"] + needed["ram"], memory.ram, stack)]
    sizes = {"flash": memory.flash, "ram": memory.ram, **memory.others}
    return [
        Use(name, size, sizes[name], stack if name == "ram" else 0) for name, size in needed.items()
    ]


def board_uses(board: BoardSpec, used: Mapping[str, int]) -> list[Use]:
    """Return what an image takes of its board's memories, with the stack that the board keeps."""
    return [
        Use(name, size + board.stack, board.memory[name].size, board.stack)
        if name == "ram"
        else Use(name, size, board.memory[name].size)
        for name, size in used.items()
    ]
