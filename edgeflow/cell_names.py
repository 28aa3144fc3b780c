"""Names of the cells, without the seconds that an import of torch takes: for the help."""

import re
from pathlib import Path

_CELLS = Path(__file__).resolve().parent / "cells"
_WORDS = re.compile(r'\bname="([^"]+)",\s+about="([^"]+)"')


def cell_names() -> dict[str, str]:
    """Return the description of each cell of ``edgeflow.cells.CELLS`` by name, in their order."""
    files = sorted(_CELLS.glob("*.py"), key=lambda file: (file.stem != "gru", file.stem))
    return dict(found for f in files for found in _WORDS.findall(f.read_text(encoding="utf-8")))
