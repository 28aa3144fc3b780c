"""Typed errors. Each message says what is wrong, where, and what to do about it.

The command line prints the message of an :class:`EdgeFlowError` as one line and exits with
code 2; a :class:`CheckFailed` exits with code 1.
"""

__all__ = [
    "CheckFailed",
    "CompressError",
    "DataError",
    "DeviceError",
    "EdgeFlowError",
    "EdgeFlowWarning",
    "ExportError",
    "ImageMismatchError",
    "ProgramError",
    "ProtocolError",
    "TargetError",
    "ToolMissingError",
    "TrainError",
]


class EdgeFlowError(Exception):
    """Base of all errors that a user can do something about."""


class EdgeFlowWarning(UserWarning):
    """A guess that was made, or a loss, that the caller of the Python API should know of."""


class DataError(EdgeFlowError):
    """A data set or data file that cannot be used."""


class TrainError(EdgeFlowError):
    """A training run that cannot start or be resumed."""


class CompressError(EdgeFlowError):
    """A model that cannot be turned into an integer program."""


class ProgramError(EdgeFlowError):
    """A corrupt, foreign or inconsistent program file."""


class ExportError(EdgeFlowError):
    """A program that a format cannot express, or an export with invalid options."""


class TargetError(EdgeFlowError):
    """An unknown board, or a board file that is wrong."""


class ToolMissingError(EdgeFlowError):
    """A compiler, emulator or flash tool that is not installed."""


class DeviceError(EdgeFlowError):
    """A board or port that cannot be reached, or went away."""


class ProtocolError(DeviceError):
    """A board that answers something other than the protocol."""


class ImageMismatchError(DeviceError):
    """The image on the board is not the one that was compiled."""


class CheckFailed(EdgeFlowError):
    """All went well, and a check did not hold (mismatches, accuracy below a bound)."""
