"""C code for this machine: compiled once with its compiler, then kept in the user's cache."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from edgeflow.cache import keeping
from edgeflow.digest import is_whole
from edgeflow.errors import ToolMissingError
from edgeflow.targets.tools import apt_command


def host_code(
    files: Sequence[Path],
    suffix: str,
    what: str,
    *,
    flags: Sequence[str],
    libraries: Sequence[str] = (),
    tools: Sequence[str] = ("gcc",),
    cache_dir: Path | None = None,
) -> Path:
    """Return the path of compiled code, making it if the cache lacks it.

    The file's name holds a hash of the sources and flags. Behind all that a loader reads, it ends
    with a digest: a damaged one is compiled again. Two processes that build at once do no harm:
    each writes a file of its own, and the last to finish replaces the other's.

    Parameters
    ----------
    files : sequence of Path
        The source, then what it includes.
    suffix : str
        Of the file, whose name is that of the source.
    what : str
        The code in messages: "the instruction counter".
    flags, libraries : sequence of str
        Of the compiler; libraries go behind the source.
    tools : sequence of str
        Whose packages have all that the code needs (`edgeflow.targets.tools`).
    cache_dir : Path, optional
        Instead of the user's cache.

    Raises
    ------
    ToolMissingError
        If there is no C compiler, or it cannot compile the code.
    """
    folder = cache_dir or Path(platformdirs.user_cache_dir("edgeflow"))
    compiler = os.environ.get("CC", "cc").split()
    key = hashlib.sha256(" ".join([*compiler, *flags, *libraries, os.uname().machine]).encode())
    for file in files:
        key.update(file.read_bytes())
    made = folder / f"{files[0].stem}-{key.hexdigest()[:16]}{suffix}"
    if is_whole(made):
        return made
    if not compiler or shutil.which(compiler[0]) is None:
        raise ToolMissingError(f"{what} needs a C compiler on this machine: {apt_command(tools)}")
    with keeping(made) as temporary:
        command = [*compiler, *flags, str(files[0]), *libraries, "-o", str(temporary)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            reason = (result.stderr.strip().splitlines() or ["no message"])[0]
            raise ToolMissingError(
                f"{compiler[0]} cannot compile {what} ({reason}): {apt_command(tools)}"
            )
    return made
