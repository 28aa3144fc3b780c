"""Trained models of other tools as a chain of float layers that compression understands."""

from edgeflow.cells.chain import FloatChain
from edgeflow.importers.model_file import load_float_model, model_text
from edgeflow.importers.torch_module import from_module

__all__ = ["FloatChain", "from_module", "load_float_model", "model_text"]
