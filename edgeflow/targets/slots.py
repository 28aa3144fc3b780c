"""Two slots at the end of a board's flash, which keep what a model learned without power.

The image gets the flash before them, so that linking tells of one that would reach into them.
"""

from edgeflow.targets.board import BoardSpec, Region
from edgeflow.targets.soc import soc_settings

#: Name of the memory in a board that has it; a board file may not name one so.
SLOTS = "slots"
#: Slots of ``firmware/protocol/ef_slots.h``, and bytes of one beside the blob.
_COUNT, _BESIDE = 2, 8


def with_slots(board: BoardSpec, learned_bytes: int) -> BoardSpec:
    """Return the board with slots behind a smaller flash, if its family can write to it.

    Parameters
    ----------
    board : BoardSpec
    learned_bytes : int
        Bytes of a blob of what is learned (`edgeflow.program.learning.learned_size`).

    Returns
    -------
    BoardSpec
        The board itself, if its SoC has no ``flash_page``, or a flash without room for slots: it
        keeps what it learned while it has power.
    """
    page = None if board.soc is None else soc_settings(board.soc).flash_page
    if page is None:
        return board
    flash = board.memory["flash"]
    each = -(-(-(-learned_bytes // 4) * 4 + _BESIDE) // page) * page
    # slots are whole pages, also of a flash that ends within one
    start = (flash.base + flash.size) // page * page - _COUNT * each
    if start <= flash.base:
        return board
    smaller = Region(base=flash.base, size=start - flash.base)
    slots = Region(base=start, size=_COUNT * each)
    return board.model_copy(update={"memory": board.memory | {"flash": smaller, SLOTS: slots}})


def slot_defines(board: BoardSpec) -> dict[str, str]:
    """Return the macros of the firmware for slots; none for a board without."""
    slots = board.memory.get(SLOTS)
    if slots is None or board.soc is None:
        return {}
    return {
        "EF_SLOT_BASE": f"0x{slots.base:08x}u",
        "EF_SLOT_BYTES": f"{slots.size // _COUNT}u",
        "EF_FLASH_PAGE": f"{soc_settings(board.soc).flash_page}u",
    }
