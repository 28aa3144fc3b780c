"""Write the headers of ``firmware/kernels`` that are made of the registries of kernels and cells.

python scripts/firmware_headers.py            writes them
python scripts/firmware_headers.py --check    exits with 1 if one differs
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from edgeflow.codegen import cells_header  # noqa: E402
from edgeflow.codegen.kernels import header as kernels_header  # noqa: E402
from edgeflow.codegen.sources import source_text  # noqa: E402

FOLDER = ROOT / "firmware" / "kernels"
CELLS, KERNELS = FOLDER / cells_header.NAME, FOLDER / kernels_header.HEADER


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if stale")
    check = parser.parse_args().check
    for file in (CELLS, KERNELS):
        text = source_text(file.name)
        if file.read_text(encoding="utf-8") == text:
            continue
        if check:
            sys.exit(f"{file.relative_to(ROOT)} is stale: run python scripts/firmware_headers.py")
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
