"""``python -m tests.input_fuzz KIND FIRST [LAST]``: read inputs again, or in search of more."""

import sys
import tempfile
import time
from pathlib import Path

from tests.input_fuzz.doors import DOORS
from tests.input_fuzz.workers import run


def main(kind: str, first: int, last: int) -> None:
    """Print what goes wrong with the inputs of one kind."""
    with tempfile.TemporaryDirectory() as folder:
        contents = list(DOORS[kind].seeds(Path(folder)))
        found: list[tuple[int, str]] = []
        begin = time.monotonic()
        run(kind, contents, range(first, last + 1), Path(folder) / "work", found)
    for number, text in found:
        print(f"--- {kind} {number}\n{text}")
    print(
        f"{kind}: {last + 1 - first} inputs, {len(found)} wrong, {time.monotonic() - begin:.1f} s"
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[-1]))
