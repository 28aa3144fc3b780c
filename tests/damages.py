"""Damages of a file that somebody keeps, by name."""

from pathlib import Path


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def fold(path: Path) -> None:
    path.unlink()
    (path / "inside").mkdir(parents=True)


def hide(path: Path) -> None:
    path.chmod(0)


#: Of the last, none hurts root.
DAMAGES = [cut, empty, flip, fold, hide]
