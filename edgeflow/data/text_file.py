"""Text files as lines: compression, encoding, and what is no text at all."""

import codecs
import contextlib
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from edgeflow.errors import DataError

#: Longest line, in bytes: a longer one is no table.
LONGEST = 1 << 20
_BLOCK = 1 << 20
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_MAGIC = {
    b"PK\x03\x04": "a ZIP archive (.xlsx and .npz are, too)", b"\xd0\xcf\x11\xe0": "an Excel file",
    b"\xfd7zXZ": "compressed with xz", b"BZh": "compressed with bzip2", b"PAR1": "a Parquet file",
    b"\x89HDF": "an HDF5 file", b"MATLAB": "a MATLAB file", b"\x93NUM": "a .npy file",
}  # fmt: skip
#: Bytes that no table has in UTF-8 or in a code page of Windows.
_CONTROL = bytes(b for b in (*range(32), 127) if b not in b"\t\n\r\f")
_NO_CONTROL = bytes(b for b in range(256) if b not in _CONTROL)


@dataclass(frozen=True)
class TextFile:
    """A file that is text from end to end.

    Attributes
    ----------
    path : Path
    encoding : str
    digest : str
        SHA-256 of the content, unpacked.
    size : int
        Bytes of the content, unpacked.
    """

    path: Path
    encoding: str
    digest: str
    size: int

    @classmethod
    def open(cls, path: Path) -> "TextFile":
        """Look at all of a file.

        Raises
        ------
        DataError
            If it cannot be read or is no text, or a line is longer than a MiB.
        """
        digest, size, column = hashlib.sha256(), 0, 0
        encoding, legal = "utf-8", True
        decoder = codecs.getincrementaldecoder(encoding)()
        with _opened(path) as file:
            while block := file.read(_BLOCK):
                if not size:
                    encoding = _encoding(path, block)
                    decoder = codecs.getincrementaldecoder(encoding)()
                size += len(block)
                digest.update(block)
                if encoding.startswith("utf-8"):
                    _check_control(path, block, size)
                newline = max(block.rfind(b"\n"), block.rfind(b"\r"))
                column = column + len(block) if newline < 0 else len(block) - newline
                if column > LONGEST:
                    raise DataError(
                        f"{path}: a line is longer than {LONGEST:,} bytes: export a table with a "
                        "line per sample"
                    )
                legal = legal and _decodes(decoder, block)
        legal = legal and _decodes(decoder, b"", final=True)
        if not legal and encoding != "utf-8":
            raise DataError(f"{path}: not {encoding} text all through: export it again as UTF-8")
        return cls(path, encoding if legal else "cp1252", digest.hexdigest(), size)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was guessed."""
        if self.encoding != "cp1252":
            return ()
        return (f"{self.path.name} is not UTF-8: read as Windows-1252 text",)

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield each line that is not blank, with its number.

        Raises
        ------
        DataError
            If the file cannot be read to its end.
        """
        with _opened(self.path) as file:
            text = io.TextIOWrapper(file, encoding=self.encoding, newline="")
            try:
                for number, line in enumerate(text, 1):
                    if not line.isspace():
                        yield number, line
            except UnicodeDecodeError:
                raise DataError(
                    f"{self.path}: neither UTF-8 nor Windows-1252 text: export it again as UTF-8"
                ) from None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if not packed:
                yield raw
            else:
                with gzip.GzipFile(fileobj=raw) as file:
                    yield file  # type: ignore[misc]
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path}: the compressed file is damaged or cut short ({error}): fetch it again"
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None


def _decodes(decoder: codecs.IncrementalDecoder, block: bytes, final: bool = False) -> bool:
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError:
        return False
    return True


def _encoding(path: Path, block: bytes) -> str:
    for magic, what in _MAGIC.items():
        if block.startswith(magic):
            raise DataError(f"{path}: {what}, no text: export it as CSV")
    for bom, name in _BOMS:
        if block.startswith(bom):
            return name
    head = block[:4096]
    if len(head) > 3 and head[1::2].count(0) > 0.4 * len(head):
        return "utf-16-le"
    if len(head) > 3 and head[::2].count(0) > 0.4 * len(head):
        return "utf-16-be"
    return "utf-8"


def _check_control(path: Path, block: bytes, size: int) -> None:
    if wrong := block.translate(None, _NO_CONTROL):
        at = size - len(block) + block.index(wrong[:1])
        raise DataError(
            f"{path}: byte {at} is 0x{wrong[0]:02x}, which no text holds: export it again as CSV"
        )
