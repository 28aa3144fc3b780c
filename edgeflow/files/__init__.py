"""Writing: whole or not at all, over nothing that EdgeFlow did not make, and by one at a time."""

from edgeflow.files.atomic import atomic_path, synced, write_atomic
from edgeflow.files.folder import FolderKind, OutputFolder, output_folder, settled
from edgeflow.files.inputs import check_outputs, model_files
from edgeflow.files.leftovers import scratch_folder
from edgeflow.files.lock import held, held_file
from edgeflow.files.swap import is_inside

__all__ = [
    "FolderKind",
    "OutputFolder",
    "atomic_path",
    "check_outputs",
    "held",
    "held_file",
    "is_inside",
    "model_files",
    "output_folder",
    "scratch_folder",
    "settled",
    "synced",
    "write_atomic",
]
