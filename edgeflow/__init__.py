"""EdgeFlow: a trained PyTorch recurrent model becomes a small, fast, measured firmware image."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("edgeflow")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
