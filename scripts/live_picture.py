"""Makes docs/images/live.png, the picture of the live page in the documentation.

    edgeflow demo
    python scripts/live_picture.py edgeflow-demo

Needs Chromium (``apt-get install chromium-headless-shell``); the page needs no network.
"""

import argparse
import asyncio
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from tests.apps.browser import browser  # noqa: E402

OUT = ROOT / "docs" / "images" / "live.png"
#: Of the window, in CSS pixels; of the picture, in pixels.
WIDTH, HEIGHT, OUT_WIDTH = 1280, 1190, 1000
#: Steps that are shown slowly.
LAST = 1000
COLOURS, MAX_BYTES = 256, 150_000


async def picture(address: str, steps: int) -> bytes:
    """Return a PNG of the page after so many steps."""
    async with browser() as page:
        await page.open(address, WIDTH, HEIGHT)
        await page.until(f"window.edgeflow && edgeflow.tally.steps >= {steps - LAST}", 600)
        await page.js("edgeflow.source.set({ speed: 2 })")
        await page.until(f"edgeflow.tally.steps >= {steps}", 60)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "live.png"
            await page.picture(file)
            return file.read_bytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path, help="what 'edgeflow live' takes")
    parser.add_argument("-o", "--out", type=Path, default=OUT)
    parser.add_argument("--steps", type=int, default=13750, help="that are shown before")
    parser.add_argument("options", nargs=argparse.REMAINDER, help="of 'edgeflow live'")
    arguments = parser.parse_args()
    options = ["--speed", "20", "--http-port", "0", "--no-browser", "--json", *arguments.options]
    command = [sys.executable, "-c", "from edgeflow.cli import main; main()", "live"]
    with subprocess.Popen(
        [*command, str(arguments.model), *options], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            address = _said(iter(process.stdout.readline, ""))["address"]
            content = asyncio.run(picture(address, arguments.steps))
        finally:
            process.terminate()
    image = Image.open(io.BytesIO(content)).convert("RGB")
    size = (OUT_WIDTH, round(image.height * OUT_WIDTH / image.width))
    image = image.resize(size, Image.Resampling.LANCZOS).quantize(COLOURS)
    image.save(arguments.out, optimize=True)
    if arguments.out.stat().st_size > MAX_BYTES:
        sys.exit(f"error: {arguments.out} has {arguments.out.stat().st_size:,} bytes: show less")
    print(arguments.out)


def _said(lines: Iterable[str]) -> dict[str, Any]:
    """Return the JSON that a command printed, which goes on."""
    read = []
    for line in lines:
        read.append(line)
        if line == "}\n":
            break
    found: dict[str, Any] = json.loads("".join(read))
    return found


if __name__ == "__main__":
    main()
