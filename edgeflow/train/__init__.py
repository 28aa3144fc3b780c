"""Training on some people, stopping on others, testing once on yet others; resumable."""

from edgeflow.train.loop import TrainResult, train
from edgeflow.train.options import MODES, TrainOptions

__all__ = ["MODES", "TrainOptions", "TrainResult", "train"]
