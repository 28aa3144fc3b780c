"""Writes ``firmware/kernels/ef_cells.h``, which is made of the node classes.

python scripts/cells_header.py            writes it
python scripts/cells_header.py --check    exits with 1 if it differs
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from edgeflow.codegen.cells_header import NAME, cells_header  # noqa: E402

FILE = ROOT / "firmware" / "kernels" / NAME


def main() -> None:
    if sys.argv[1:] == ["--check"]:
        if FILE.read_text() != cells_header():
            sys.exit("stale: run python scripts/cells_header.py")
    else:
        FILE.write_text(cells_header())


if __name__ == "__main__":
    main()
