"""Recurrent cells as torch modules, one file each, and the classifier around them.

A new cell is one file: the `Cell` objects of the modules here make up ``CELLS``.
"""

from edgeflow.cells.cells import CELLS, build_cell, discover
from edgeflow.cells.checkpoint import load_model, save_model
from edgeflow.cells.classifier import SequenceClassifier

__all__ = ["CELLS", "SequenceClassifier", "build_cell", "load_model", "save_model"]

discover(__path__, __name__)
