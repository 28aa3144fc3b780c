"""Training on some subjects, stopping on others, testing once on yet others; resumable."""

from typing import TYPE_CHECKING, Any

from edgeflow.training.options import MODES, TrainOptions

if TYPE_CHECKING:
    from edgeflow.training.loop import TrainResult, train

__all__ = ["MODES", "TrainOptions", "TrainResult", "train"]


def __getattr__(name: str) -> Any:
    """Import the loop, and torch, on first use."""
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from edgeflow.training import loop

    return getattr(loop, name)
