"""Training on some subjects, stopping on others, testing once on yet others; resumable."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgeflow.training.loop import train as train


def __getattr__(name: str) -> Any:
    """Import the loop, and torch, on first use: the command line reads the options only."""
    if name != "train":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from edgeflow.training.loop import train

    return train
