"""Damage in HDF5's heaps of texts, on which its library does not return."""

import math
import re
import struct
from collections.abc import Collection

from edgeflow.errors import CompressError

_HEAP, _OBJECT = struct.Struct("<4sB3xQ"), struct.Struct("<H6xQ")
_LENGTH, _ADDRESS, _NUMBER = struct.Struct("<I"), struct.Struct("<Q"), struct.Struct("<I")
#: Type of an attribute that is texts (version 1, of variable length, 16 bytes each, of bytes), up
#: to its number of axes and whether they have limits.
_TEXTS = re.compile(rb"\x19\x01.\0\x10\0\0\0.{16}\x01([\0-\x20])([\0\x01])\0{5}", re.DOTALL)
_AXIS, _TEXT = struct.Struct("<Q"), 16
#: Version and class of the layout of virtual data.
_VIRTUAL = b"\x04\x03"
_DAMAGED = "damaged: a heap of texts is not what was written: copy it again"


def check_heaps(content: bytes) -> None:
    """Refuse a file with a heap whose objects have impossible numbers or sizes, or are said to.

    A heap ("global heap collection" in HDF5's specification of its format, version 3) is ``GCOL``,
    its version and size, and objects with number, size and bytes; number 0 is what is free, whose
    size is with its own number and size. The library goes on behind it: for ever, if that is 0.
    Whatever has such a text has its length, the heap's address and the number: the library makes
    room for that length, 4 GiB too, before it looks whether the heap has so much.

    Raises
    ------
    CompressError
        If there is one.
    """
    start = content.find(b"GCOL\x01\0\0\0")
    while start >= 0:
        if start + _HEAP.size <= len(content):
            _check_lengths(content, start, _objects(content, start))
        start = content.find(b"GCOL\x01\0\0\0", start + 1)
    for found in _TEXTS.finditer(content):
        _check_attribute(content, found.end(), found[1][0], found[2][0])


def _check_attribute(content: bytes, place: int, rank: int, limits: int) -> None:
    """Refuse texts of an attribute that are longer than the file, by an address of no heap."""
    data = place + _AXIS.size * rank * (1 + limits)
    if data > len(content):
        return
    count = math.prod(_AXIS.unpack_from(content, place + _AXIS.size * i)[0] for i in range(rank))
    for text in range(data, min(data + _TEXT * count, len(content) - _TEXT + 1), _TEXT):
        if _LENGTH.unpack_from(content, text)[0] > len(content):
            raise CompressError(_DAMAGED)


def _objects(content: bytes, start: int) -> Collection[int]:
    """Return the numbers of a heap's objects."""
    size = _HEAP.unpack_from(content, start)[2]
    end, place, seen = start + size, start + _HEAP.size, set[int]()
    while place + _OBJECT.size <= min(end, len(content)):
        number, length = _OBJECT.unpack_from(content, place)
        place += length if number == 0 else _OBJECT.size + -(-length // 8) * 8
        # a number is one of the objects that there is room for
        wrong = length < _OBJECT.size if number == 0 else number in seen
        if wrong or number > size // _OBJECT.size or place > end:
            raise CompressError(_DAMAGED)
        seen.add(number)
    return seen - {0}


def _check_lengths(content: bytes, start: int, objects: Collection[int]) -> None:
    """Refuse a text of a heap, wherever in the file it is named, that is longer than the file."""
    address = _ADDRESS.pack(start)
    place = content.find(address, _LENGTH.size)
    while 0 <= place <= len(content) - _ADDRESS.size - _NUMBER.size:
        length = _LENGTH.unpack_from(content, place - _LENGTH.size)[0]
        number = _NUMBER.unpack_from(content, place + _ADDRESS.size)[0]
        # sources of virtual data are in a heap too, and have no length
        virtual = content[place - 2 : place] == _VIRTUAL
        if length > len(content) and number in objects and not virtual:
            raise CompressError(_DAMAGED)
        place = content.find(address, place + 1)
