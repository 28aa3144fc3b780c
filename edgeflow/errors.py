"""Typed errors. Each message says what is wrong, where, and what to do about it.

The command line prints the message of an :class:`EdgeFlowError` as one line and exits with
code 2; a :class:`CheckFailed` exits with code 1.
"""

from typing import Any
from unicodedata import category

__all__ = [
    "AppError",
    "BoardResetError",
    "CheckFailed",
    "CompressError",
    "DataError",
    "DeviceError",
    "EdgeFlowError",
    "EdgeFlowWarning",
    "EnergyError",
    "ExportError",
    "ImageMismatchError",
    "NoRoomError",
    "OutputError",
    "PortBusyError",
    "ProgramError",
    "ProtocolError",
    "SessionLostError",
    "TargetError",
    "ToolMissingError",
    "TrainError",
    "printable",
]


#: Most characters of a message: a dozen lines of a wide terminal.
MOST = 1600
#: Most lines of one; more become one line.
MOST_LINES = 12
#: Kinds of characters: control, format (directions of writing among them), half of a pair, ends of
#: lines and paragraphs.
_UNPRINTABLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
#: Join or part letters of some scripts, and the pictures of emoji.
_JOINERS = "\u200c\u200d"


def printable(text: str, keep: str = "") -> str:
    """Return a text that can be shown, whatever file, board or model its names came from.

    What moves a cursor, ends a line, turns the direction of writing or cannot be encoded becomes an
    escape: ``\\x1b``, ``\\n``, ``\\u202e``.

    Parameters
    ----------
    text : str
    keep : str
        Characters that stay, such as ``"\\n"``.
    """
    if text.isascii() and text.isprintable():
        return text
    stay = _JOINERS + keep
    return "".join(
        c if c in stay or category(c) not in _UNPRINTABLE else c.encode("unicode_escape").decode()
        for c in text
    )


class EdgeFlowError(Exception):
    """Base of all errors that a user can do something about.

    Its text can be printed whatever it quotes from a file: control characters become ``\\x1b``, and
    of more than ``MOST`` characters those in the middle are left out, and more than ``MOST_LINES``
    lines become one.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*(_printable(a) if isinstance(a, str) else a for a in arguments))


def _printable(text: str) -> str:
    """Return a text without what moves a cursor, ends a line unasked or cannot be encoded."""
    if text.count("\n") >= MOST_LINES:
        text = " ".join(text.split())
    if len(text) > MOST:  # the file is at the begin, what to do about it at the end
        end = MOST // 3
        text = f"{text[: MOST - end - 5]} ... {text[-end:]}"
    return printable(text, keep="\n")


class EdgeFlowWarning(UserWarning):
    """A guess that was made, or a loss, that the caller of the Python API should know of.

    Its text can be printed, as that of an `EdgeFlowError`.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*(_printable(a) if isinstance(a, str) else a for a in arguments))


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


class OutputError(EdgeFlowError):
    """A place where results must not go: others' files, an input, one that is being written."""


class TargetError(EdgeFlowError):
    """An unknown board, or a board file that is wrong."""


class AppError(EdgeFlowError):
    """A page cannot be served, or was asked for what it cannot show."""


class EnergyError(EdgeFlowError):
    """A recording of power, or a probe's, that tells no energy; a battery or part not known."""


class ImcError(EdgeFlowError):
    """Analog crossbars: a device file, a setting of arrays or converters, a result."""


class NoRoomError(TargetError):
    """An image that needs more memory than a board or a part has.

    Attributes
    ----------
    uses
        The memories that are too small: `edgeflow.targets.room.Use`.
    """

    def __init__(self, message: str, uses: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.uses = uses


class ToolMissingError(EdgeFlowError):
    """A compiler, emulator or flash tool that is not installed."""


class DeviceError(EdgeFlowError):
    """A board or port that cannot be reached, or went away."""


class ProtocolError(DeviceError):
    """A board that answers something other than the protocol."""


class ImageMismatchError(DeviceError):
    """The image on the board, or the board, is not the one that was compiled for."""


class NoProbeError(DeviceError):
    """No debug probe of the kind that a flash tool was told is there, or no more."""


class PortBusyError(DeviceError):
    """A port that another program holds."""


class SessionLostError(DeviceError):
    """A board with which another program began to talk in between."""


class BoardResetError(DeviceError):
    """A board that started anew in the middle of a session, so that its model's state is lost."""


class CheckFailed(EdgeFlowError):
    """All went well, and a check did not hold (mismatches, accuracy below a bound)."""
