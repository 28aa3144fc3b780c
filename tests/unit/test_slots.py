"""Where a board's flash keeps what was learned: whole pages at its end, none of them the image's."""

from pathlib import Path

import pytest

from edgeflow.errors import TargetError
from edgeflow.resources import resource
from edgeflow.targets.board import Region, list_boards, load_board
from edgeflow.targets.slots import SLOTS, slot_defines, with_slots


@pytest.mark.parametrize(
    ("learned", "each"), [(16, 4096), (4088, 4096), (4089, 8192), (12000, 12288)]
)
def test_slots_are_whole_pages_behind_the_image(learned: int, each: int) -> None:
    board = load_board("nrf52840-dk")
    made = with_slots(board, learned)
    slots, flash = made.memory[SLOTS], made.memory["flash"]
    assert slots.size == 2 * each
    assert flash.base + flash.size == slots.base
    assert slots.base + slots.size == 1 << 20
    assert slot_defines(made) == {
        "EF_SLOT_BASE": f"0x{slots.base:08x}u", "EF_SLOT_BYTES": f"{each}u",
        "EF_FLASH_PAGE": "4096u",
    }  # fmt: skip
    assert SLOTS not in board.memory and slot_defines(board) == {}


def test_a_flash_that_ends_within_a_page() -> None:
    board = load_board("nrf52840-dk")
    odd = board.model_copy(
        update={"memory": board.memory | {"flash": Region(base=4096, size=5 * 4096 + 100)}}
    )
    assert with_slots(odd, 100).memory[SLOTS] == Region(base=4 * 4096, size=2 * 4096)
    none = odd.model_copy(update={"memory": odd.memory | {"flash": Region(base=0, size=8192)}})
    assert with_slots(none, 100) is none


def test_families_without_a_driver_keep_nothing() -> None:
    without = [board for board in list_boards() if board.name != "nrf52840-dk"]
    assert all(with_slots(board, 100) is board for board in without)


def test_a_board_file_has_no_memory_of_that_name(tmp_path: Path) -> None:
    text = (resource("targets") / "nrf52840-dk.toml").read_text()
    path = tmp_path / "mine.toml"
    path.write_text(
        text.replace(
            "[memory.ram]", "[memory.slots]\nbase = 0x9000_0000\nsize = 16\n\n[memory.ram]"
        )
    )
    with pytest.raises(TargetError, match=r"memory\.slots: a memory's name"):
        load_board(path)
