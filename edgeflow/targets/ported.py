"""Boards that another build system makes the firmware of: they say themselves which they are."""

from edgeflow.targets.board import BoardSpec
from edgeflow.targets.runner import AtPort


class PortedBoard(BoardSpec):
    """A board behind a port; no board file describes it."""

    # not a kind of board files, where the others are
    runner: AtPort = AtPort()  # type: ignore[assignment]
