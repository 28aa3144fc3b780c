"""Unpacking of wanted members from downloaded .zip archives, also from one inside another."""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from edgeflow.errors import DataError
from edgeflow.files import write_atomic


def extract_checked(archive: Path, sums: Mapping[str, str], into: Path) -> None:
    """Write the files named in `sums` to `into`.

    Parameters
    ----------
    sums : mapping
        Path below any top folder of the archive, to its SHA-256 in hexadecimal.

    Raises
    ------
    DataError
        If the archive is damaged, or a file is missing or differs.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            _extract(file, archive, dict(sums), into)
    except (
        zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError
    ) as error:  # fmt: skip
        if isinstance(error, OSError) and error.filename not in (None, str(archive)):
            raise  # of a file that is written
        raise DataError(f"{archive}: damaged archive ({error}): download it again") from None


def _extract(file: zipfile.ZipFile, archive: Path, wanted: dict[str, str], into: Path) -> None:
    names = [name for name in file.namelist() if not name.endswith("/")]
    found = {path: name for name in names if (path := _match(name, wanted))}
    if not found:
        for name in names:
            if name.endswith(".zip"):
                with zipfile.ZipFile(io.BytesIO(file.read(name))) as inner:
                    return _extract(inner, archive, wanted, into)
    for path, checksum in wanted.items():
        if path not in found:
            raise DataError(f"{archive}: holds no {path}: the publisher has changed the archive")
        content = file.read(found[path])
        if hashlib.sha256(content).hexdigest() != checksum:
            raise DataError(f"{archive}: {path} differs from the published file (SHA-256)")
        write_atomic(into / path, content)


def _match(name: str, wanted: Mapping[str, str]) -> str | None:
    parts = PurePosixPath(name).parts
    for i in range(len(parts)):
        path = "/".join(parts[i:])
        if path in wanted:
            return path
    return None
