"""Images that were compiled here, of EdgeFlow's own sources: an emulator may give them files.

By semihosting an image reads and writes what whoever runs it may. So one that came from elsewhere,
or holds kernels or start-up code of others, is run without. What counts is a note in the user's
cache, by the image's digest.
"""

import hashlib
from contextlib import suppress
from pathlib import Path

import platformdirs

from edgeflow.resources import kernel_folders, resource
from edgeflow.targets.board import BoardSpec


def remember(elf: Path, board: BoardSpec) -> None:
    """Note an image that was just compiled, if nobody else's code is in it."""
    own_board = board.file is not None and board.file.parent == resource("targets")
    if own_board and len(kernel_folders()) == 1:
        note = _note(elf)
        # without a note it runs all the same, slower
        with suppress(OSError):
            note.parent.mkdir(parents=True, exist_ok=True)
            note.touch()


def is_ours(elf: Path) -> bool:
    """Tell whether this user compiled an image of EdgeFlow's own sources."""
    return _note(elf).is_file()


def _note(elf: Path) -> Path:
    with elf.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Path(platformdirs.user_cache_dir("edgeflow")) / "images" / digest
