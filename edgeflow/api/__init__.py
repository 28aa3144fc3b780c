"""The pipeline in Python: what ``import edgeflow as ef`` offers, typed.

Each function does what the command of the same name does. Imports are inside the functions, so
that importing this package takes no time.
"""

from edgeflow.api.firmware import boards, compile, export, profile
from edgeflow.api.models import compress, load, train

__all__ = ["boards", "compile", "compress", "export", "load", "profile", "train"]
