"""Training on some people, stopping on others, testing once on yet others; resumable."""

from edgeflow.training.loop import TrainResult, train
from edgeflow.training.options import MODES, TrainOptions

__all__ = ["MODES", "TrainOptions", "TrainResult", "train"]
