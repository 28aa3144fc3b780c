"""A profile that a recording of its run is added to afterwards: which file, how written."""

from pathlib import Path

from edgeflow.errors import EnergyError
from edgeflow.files import output_folder, write_atomic
from edgeflow.profiling.result import ProfileResult
from edgeflow.profiling.run import FOLDER, PARTIAL, PARTIAL_REPORT, REPORT, RESULT


def profile_file(path: str | Path) -> Path:
    """Return the file of a profile, or of the folder that it is in.

    Raises
    ------
    EnergyError
        If it has another name: the report beside it would be another's.
    """
    path = Path(path)
    if path.is_dir():
        return path / RESULT
    if path.name not in (RESULT, PARTIAL):
        raise EnergyError(f"{path}: must be {RESULT} or {PARTIAL} of 'edgeflow profile'")
    return path


def save_with_report(result: ProfileResult, path: Path) -> Path:
    """Write a profile anew, and its report beside it; return the report's path."""
    from edgeflow.profiling.report import render  # pictures take a second to load

    name = PARTIAL_REPORT if path.name == PARTIAL else REPORT
    with output_folder(path.parent, FOLDER) as folder:
        result.save(folder.new / path.name)
        write_atomic(folder.new / name, render(result))
        folder.commit((path.name, name))
    return path.parent / name
