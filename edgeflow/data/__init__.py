"""Recordings of wearable sensors: public data sets by name, and your own CSV or .npz files."""

from edgeflow.data.dataset import SPLITS, Dataset, Recording, Windows
from edgeflow.data.labelled import from_arrays
from edgeflow.data.registry import find_source, load_dataset, sources
from edgeflow.data.select import choose_sequences, choose_windows, match_notes
from edgeflow.data.sequences import Sequences, sequences_of
from edgeflow.data.source import Source

__all__ = [
    "SPLITS",
    "Dataset",
    "Recording",
    "Sequences",
    "Source",
    "Windows",
    "choose_sequences",
    "choose_windows",
    "find_source",
    "from_arrays",
    "load_dataset",
    "match_notes",
    "sequences_of",
    "sources",
]
