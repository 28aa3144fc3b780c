"""Damage in HDF5's heaps of texts, on which its library does not return."""

import struct

from edgeflow.errors import CompressError

_HEAP, _OBJECT = struct.Struct("<4sB3xQ"), struct.Struct("<H6xQ")


def check_heaps(content: bytes) -> None:
    """Refuse a file with a heap whose objects have impossible numbers or sizes.

    A heap ("global heap collection" in HDF5's specification of its format, version 3) is ``GCOL``,
    its version and size, and objects with number, size and bytes; number 0 is what is free, whose
    size is with its own number and size. The library goes on behind it: for ever, if that is 0.

    Raises
    ------
    CompressError
        If there is one.
    """
    start = content.find(b"GCOL\x01\0\0\0")
    while start >= 0:
        if start + _HEAP.size <= len(content):
            _check(content, start)
        start = content.find(b"GCOL\x01\0\0\0", start + 1)


def _check(content: bytes, start: int) -> None:
    size = _HEAP.unpack_from(content, start)[2]
    end, place, seen = start + size, start + _HEAP.size, set[int]()
    while place + _OBJECT.size <= min(end, len(content)):
        number, length = _OBJECT.unpack_from(content, place)
        place += length if number == 0 else _OBJECT.size + -(-length // 8) * 8
        # a number is one of the objects that there is room for
        wrong = length < _OBJECT.size if number == 0 else number in seen
        if wrong or number > size // _OBJECT.size or place > end:
            raise CompressError("damaged: a heap of texts is not what was written: copy it again")
        seen.add(number)
