"""What an app of the Bangle.js 2 has beside its texts: machine code in JavaScript, and an icon."""

import base64
import math
import struct
import zlib
from collections.abc import Mapping
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from edgeflow.errors import ExportError
from edgeflow.exporting.blob import build_blob
from edgeflow.targets.core import load_core

#: Stands in the README for the bytes of machine code, which are known last.
BYTES = "@BLOB_BYTES@"
#: Of a file in Espruino's Storage.
_LONGEST = 28 - len(".app.js")


def check_app_name(name: str) -> None:
    """Refuse a name whose files Espruino's Storage cannot hold.

    Raises
    ------
    ExportError
    """
    if len(name) > _LONGEST:
        raise ExportError(
            f"'{name}' is too long for the Bangle.js: use --name with at most {_LONGEST} letters"
        )


def build_app(name: str, core: str, files: Mapping[str, str]) -> dict[str, str | bytes]:
    """Return what an app has beside its texts: machine code of its C files, an icon, the README.

    Parameters
    ----------
    name : str
        Of the library.
    core : str
        Of the watch.
    files : mapping
        The app's texts by path.

    Raises
    ------
    ToolMissingError
        If the core's compiler is not installed.
    """
    sources = {
        PurePosixPath(path).name: text for path, text in files.items() if path.startswith("src/")
    }
    blob = build_blob(sources, load_core(core), f"{name}_blob_bytes")
    return {
        f"{name}.bin.js": f'atob("{base64.b64encode(blob).decode()}")\n',
        "app.png": _png(_picture()),
        "README.md": files["README.md"].replace(BYTES, f"{len(blob):,}"),
    }


def icon() -> str:
    """Return the app's icon as Espruino has images: width, height, bits, pixels; in base64."""
    picture = _picture()
    header = bytes((picture.shape[1], picture.shape[0], 1))
    return base64.b64encode(header + np.packbits(picture).tobytes()).decode()


def _picture() -> NDArray[np.bool_]:
    """Return a wave that dies away [48, 48]."""
    picture = np.zeros((48, 48), bool)
    for step in range(44 * 8):
        x = step / 8
        y = 24 - 18 * math.exp(-x / 20) * math.sin(x / 2.6)
        picture[round(y) - 1 : round(y) + 2, int(x) + 1 : int(x) + 4] = True
    return picture


def _png(picture: NDArray[np.bool_]) -> bytes:
    """Return a picture [height, width] as a PNG file, black on white."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    rows = b"".join(b"\0" + row.tobytes() for row in np.packbits(~picture, axis=1))
    header = struct.pack(">IIBBBBB", picture.shape[1], picture.shape[0], 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(kind, content)
        for kind, content in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    )
