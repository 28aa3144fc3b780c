"""Results of a study: a folder for each, by digest, so that nothing is evaluated twice."""

import shutil
from dataclasses import replace
from pathlib import Path

from edgeflow.digest import read_json, sealed_json
from edgeflow.files import write_atomic
from edgeflow.search.evaluate import Result, to_json

#: Written last: a folder without it is no result.
_FILE = "result.json"


class Store:
    """Results in a folder.

    Parameters
    ----------
    folder : Path
        ``results``, one folder for each.
    work : Path
        Where trainings stay that are not done.
    """

    def __init__(self, folder: Path, work: Path) -> None:
        self.folder, self.work = folder, work

    def get(self, digest: str) -> Result | None:
        """Return a result without its files; None if there is none, or it is damaged."""
        try:
            return Result(**read_json(self.folder / digest / _FILE))
        except (OSError, ValueError, TypeError):
            return None  # it is evaluated again

    def put(self, digest: str, result: Result) -> Result:
        """Write a result, and return it without its files."""
        place = self.folder / digest
        for name, content in result.files.items():
            write_atomic(place / name, content)
        write_atomic(place / _FILE, sealed_json(to_json(result), 1))
        shutil.rmtree(self.work / digest, ignore_errors=True)
        return replace(result, files={})
