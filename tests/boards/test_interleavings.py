"""10^5 random interleavings of step, learn, reset, save, load and forget on every board that runs here.

Alone catches a board's compiler, kernels or memory that change what is learned after many labels.
"""

from pathlib import Path

import pytest

from edgeflow.errors import NoRoomError
from edgeflow.targets.board import list_boards, load_board
from tests.harness import need_rtl
from tests.interleavings import A_STEP, expected, image, learner, wrong_on
from tests.random_nodes.adaptive import ALL

pytestmark = pytest.mark.board

OPERATIONS = 100_000
#: Boards whose RTL runs below a million cycles a second, and how many operations they do.
RTL = {board.name: 2_000 for board in list_boards() if board.runner.kind == "rtl"}
#: Where a learner and its two blobs do not fit the RAM.
TOO_SMALL = {("sim-atmega328p", "nlms")}


def boards_and_learners() -> list[tuple[str, str]]:
    boards = [board.name for board in list_boards() if board.runs_here]
    return [(b, k) for b in boards for k in ALL if (b, k) not in TOO_SMALL]


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("board", ["host", "qemu-m4", "sim-atmega2560"])
def test_a_board_learns_as_the_reference(board: str, kind: str, tmp_path: Path) -> None:
    assert wrong_on(load_board(board), kind, 2_000 // A_STEP, tmp_path / "build") == 0


@pytest.mark.parametrize(("board", "kind"), sorted(TOO_SMALL))
def test_what_does_not_fit_is_refused_in_a_line(board: str, kind: str, tmp_path: Path) -> None:
    """Alone catches an image that the linker lets through, and that overwrites its stack."""
    room = r"^[^\n]+: no room: needs 2,\d{3} of 2,048 bytes of ram \(\d+ of them for the stack\)$"
    with pytest.raises(NoRoomError, match=room):
        image(learner(kind), load_board(board), tmp_path / "build")


@pytest.mark.parametrize("kind", ALL)
def test_other_operations_have_other_answers(kind: str) -> None:
    """The comparison can fail: each checkpoint tells of what was before it."""
    one, other = (expected(kind, 2_000 // A_STEP, first) for first in (1, 101))
    assert (one != other).any(axis=1).all()


@pytest.mark.slow
@pytest.mark.parametrize(("board", "kind"), boards_and_learners())
def test_a_board_learns_as_the_reference_for_long(board: str, kind: str, tmp_path: Path) -> None:
    spec = load_board(board)
    need_rtl(spec)
    steps = RTL.get(board, OPERATIONS) // A_STEP
    assert wrong_on(spec, kind, steps, tmp_path / "build") == 0
