"""Makes docs/images/report.png, the picture of a profile's report in the README.

    edgeflow demo
    python scripts/report_picture.py edgeflow-demo/qemu-m4/report.html

Needs Chromium (``apt-get install chromium``), which renders the page without a network.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageChops

OUT = Path(__file__).resolve().parent.parent / "docs" / "images" / "report.png"
NAMES = ("chromium", "chromium-browser", "google-chrome")
#: Of the window, in CSS pixels; what is kept of its height; of the picture, in pixels.
WIDTH, HEIGHT, KEPT, OUT_WIDTH = 1200, 2000, 1150, 1000
MARGIN, COLOURS, MAX_BYTES = 24, 256, 200_000
TIMEOUT = 120.0  # seconds


def screenshot(report: Path, out: Path) -> None:
    """Render the top of a page.

    Raises
    ------
    SystemExit
        If there is no Chromium.
    """
    browser = next(filter(None, map(shutil.which, NAMES)), None)
    if browser is None:
        sys.exit("error: no Chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory() as profile:
        command = [
            browser, "--headless", "--disable-gpu", "--disable-background-networking",
            "--disable-sync", "--hide-scrollbars", f"--user-data-dir={profile}",
            f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={out}", report.resolve().as_uri(),
        ]  # fmt: skip
        if os.geteuid() == 0:
            command.insert(1, "--no-sandbox")  # it refuses to run as root otherwise
        subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT)


def crop(picture: Image.Image, kept: int) -> Image.Image:
    """Return the top of a page without its empty border."""
    picture = picture.convert("RGB").crop((0, 0, picture.width, min(kept, picture.height)))
    empty = Image.new("RGB", picture.size, picture.getpixel((0, 0)))
    left, top, right, bottom = ImageChops.difference(picture, empty).getbbox()
    box = (left - MARGIN, top - MARGIN, right + MARGIN, bottom + MARGIN)
    return picture.crop(
        (max(box[0], 0), max(box[1], 0), min(box[2], picture.width), min(box[3], picture.height))
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=Path, help="report.html")
    parser.add_argument("-o", "--out", type=Path, default=OUT)
    parser.add_argument("--height", type=int, default=KEPT, help="of the page that is shown")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        full = Path(folder) / "report.png"
        screenshot(arguments.report, full)
        picture = crop(Image.open(full), arguments.height)
    size = (OUT_WIDTH, round(picture.height * OUT_WIDTH / picture.width))
    picture = picture.resize(size, Image.Resampling.LANCZOS).quantize(COLOURS)
    arguments.out.parent.mkdir(exist_ok=True)
    picture.save(arguments.out, optimize=True)
    if arguments.out.stat().st_size > MAX_BYTES:
        sys.exit(f"error: {arguments.out} has {arguments.out.stat().st_size:,} bytes: show less")
    print(arguments.out)


if __name__ == "__main__":
    main()
