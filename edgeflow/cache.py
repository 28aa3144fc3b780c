"""Files in the user's cache: each ends with its digest, and one that is damaged is made anew.

Damage is whatever keeps a file from being used: cut, changed, empty, unreadable, or a folder in its
place. None of it is an error, as what is kept can be made again.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from edgeflow.digest import seal
from edgeflow.files import atomic_path
from edgeflow.files.leftovers import remove


@contextlib.contextmanager
def keeping(path: Path) -> Iterator[Path]:
    """Yield a temporary path; what is written there becomes the kept file, with its digest.

    Raises
    ------
    OSError
        If the cache cannot be written to.
    """
    remove(path)  # the mode of a file, too, which would be kept
    with atomic_path(path, durable=False) as temporary:
        yield temporary
        seal(temporary)
