"""Write firmware/kernels/ef_matvec.h, the prototypes of all matvec kernels, from their registry."""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from edgeflow.codegen.kernels import MATVEC_KERNELS  # noqa: E402
from edgeflow.codegen.kernels.header import HEADER, prototypes  # noqa: E402

FILE = ROOT / "firmware" / "kernels" / HEADER


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if stale")
    arguments = parser.parse_args()
    text = prototypes(MATVEC_KERNELS)
    if text == FILE.read_text(encoding="utf-8"):
        return
    if arguments.check:
        sys.exit(f"{FILE.relative_to(ROOT)} is stale: run python scripts/kernel_headers.py")
    FILE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
