"""What other libraries and the user's code raise, as a line that can be read."""

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgeflow.errors import CompressError, EdgeFlowError

#: Most characters of another library's message.
MOST = 400
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x1f\x7f]")


def plain(text: str) -> str:
    """Return a text without escape codes and line ends."""
    return " ".join(_ESCAPES.sub(" ", text).split())


def clipped(text: str, most: int = MOST) -> str:
    """Return a text of at most `most` characters: its begin and its end."""
    if len(text) <= most:
        return text
    end = most // 3
    return f"{text[: most - end - 5]} ... {text[-end:]}"


def one_line(error: BaseException, most: int = MOST) -> str:
    """Return the text of an error, or its type where it has none."""
    return clipped(plain(str(error)), most) or type(error).__name__


def raised(error: BaseException, file: str | Path) -> str:
    """Return what a user's file raised, with its line: ``line 12: ValueError: no config``."""
    own = Path(file).resolve()
    line = None
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).resolve() == own:
        line = error.lineno
    for frame in traceback.extract_tb(error.__traceback__):
        if Path(frame.filename).resolve() == own:
            line = frame.lineno
    text = f"{type(error).__name__}: {one_line(error)}"
    return text if line is None else f"line {line}: {text}"


@contextmanager
def importing(path: str | Path) -> Iterator[None]:
    """Name the file in what goes wrong with its graph."""
    try:
        yield
    except CompressError as error:
        raise CompressError(f"{path}: {error}") from error
    except EdgeFlowError:
        raise
    except Exception as error:  # those of onnxruntime have no other base
        # a graph that is valid, but like none that was thought of
        raise CompressError(
            f"{path}: its graph has an unexpected form ({type(error).__name__}: {one_line(error)})"
        ) from error
