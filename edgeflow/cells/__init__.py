"""Recurrent cells as torch modules, one file each, and the classifier around them.

A new cell is one file with a builder and one line in ``CELLS``.
"""

from edgeflow.cells.cells import CELLS, build_cell
from edgeflow.cells.checkpoint import load_model, save_model
from edgeflow.cells.classifier import SequenceClassifier

__all__ = ["CELLS", "SequenceClassifier", "build_cell", "load_model", "save_model"]
