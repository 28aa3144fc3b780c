"""Mutations inside of containers, whose checksums and lengths are then right again."""

import contextlib
import io
import zipfile
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import torch

from tests.input_fuzz.mutate import (
    NUMBERS,
    TOKENS,
    Rng,
    damaged_bytes,
    damaged_json,
    damaged_value,
    other_leaf,
    pick,
)

Mutator = Callable[[Rng, bytes], bytes]


def damaged_zip(rng: Rng, content: bytes, member: Callable[[str], Mutator]) -> bytes:
    """Return an archive with one member changed, left out, renamed, twice or of another.

    Parameters
    ----------
    member
        Takes a member's name; returns what changes it.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
        comment = archive.infolist()[0].compress_type
    kind, where = int(rng.integers(12)), int(rng.integers(len(members)))
    name, data = members[where]
    if kind == 0:
        del members[where]
    elif kind == 1:
        members[where] = (pick(rng, (f"{name}x", f"../{name}", name.upper(), "a/b", "é\n")), data)
    elif kind == 2:
        members.insert(where, (name, pick(rng, members)[1]))
    elif kind == 3:
        members[where] = (name, pick(rng, members)[1])
    else:
        members[where] = (name, member(name)(rng, data))
    buffer = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if rng.integers(12) == 0 else comment
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members:
            # of 1980: with the time of day an input were another one each time
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return buffer.getvalue()


def other_array(rng: Rng) -> Any:
    """Return an array of a type or shape that was not expected."""
    shape = pick(rng, ((), (0,), (1,), (3,), (2, 0), (3, 3), (1, 1, 1, 1), (0, 5, 5), (70000,)))
    kind = int(rng.integers(7))
    if kind == 0:
        return np.full(shape, (pick(rng, TOKENS) or "x")[:99])
    if kind == 1:
        return np.full(shape, pick(rng, (float("nan"), float("inf"), 1e300, -1e38)))
    if kind == 2:
        return np.zeros(shape, pick(rng, ("c8", "M8[s]", "m8[ns]", "?", "S3", "V5", "f2", ">f8")))
    if kind == 3:
        return np.full(shape, pick(rng, (2**63 - 1, -(2**63), -1, 2**31)))
    if kind == 4:
        return np.zeros(shape, [("a", "f4"), ("b", "i4")])
    return np.full(shape, pick(rng, (0.0, 1.0, -1.0)), np.float32)


def damaged_array(rng: Rng, array: Any) -> Any:
    """Return an array with other values, shape, axes or type."""
    array, kind = np.array(array), int(rng.integers(8))
    if kind == 0 or not array.size:
        return other_array(rng)
    if kind == 1:
        return array.reshape(pick(rng, ((-1,), (1, -1), (-1, 1), (1, 1, -1), (*array.shape, 1))))
    if kind == 2:
        return array.T
    if kind == 3:
        return array[: int(rng.integers(len(array) + 1))] if array.ndim else array
    if kind == 4:
        types = ("f2", "f8", "i1", "i8", "u8", "U3", "c16", "?", ">i4", "M8[ms]")
        with np.errstate(all="ignore"):
            try:
                return array.astype(pick(rng, types))
            except (ValueError, TypeError):
                return other_array(rng)
    if kind == 5:
        return np.concatenate([array, array]) if array.ndim else array.reshape(1)
    flat = array.reshape(-1)
    for _ in range(int(rng.integers(1, 4))):
        value = pick(rng, TOKENS) if array.dtype.kind in "US" else pick(rng, NUMBERS)
        where = int(rng.integers(flat.size)) if rng.integers(4) else slice(None)
        try:
            with np.errstate(all="ignore"):
                flat[where] = value
        except (ValueError, OverflowError, TypeError):
            continue
    return flat.reshape(array.shape)


def damaged_npy(rng: Rng, content: bytes) -> bytes:
    """Return an .npy file with another array, or a header that says otherwise."""
    if rng.integers(3):
        array = damaged_array(rng, np.load(io.BytesIO(content)))
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        return buffer.getvalue()
    size = int.from_bytes(content[8:10], "little")
    header, data = content[10 : 10 + size].decode("latin1"), content[10 + size :]
    old = pick(rng, ("'<f", "'<i", "4'", "False", "'shape': (", ", ", "descr", "}", ")"))
    new = pick(rng, ("'|O", "'<f", "'>i", "8'", "True", "(-1, ", "(99999999999, ", "'", "((",
                     "9" * 400, "{0: ", "'|V0'", "'<U99999999'", "__import__('os')"))  # fmt: skip
    header = header.replace(old, new, 1)
    raw = header.encode("latin1", "replace")
    return content[:8] + len(raw).to_bytes(2, "little") + raw + data


def damaged_npz(rng: Rng, content: bytes) -> bytes:
    return damaged_zip(rng, content, lambda name: damaged_npy)


def damaged_h5(rng: Rng, content: bytes) -> bytes:
    """Return an HDF5 file with arrays, attributes, names or links changed."""
    buffer = io.BytesIO(content)
    with h5py.File(buffer, "a") as file:
        items: list[Any] = [file]
        file.visititems(lambda _, item: items.append(item))
        for _ in range(int(rng.integers(1, 3))):
            item = pick(rng, items)
            if item:  # not left out before
                try:
                    _damage_item(rng, file, item)
                except (ValueError, TypeError, OSError, KeyError, RuntimeError):
                    continue  # HDF5 does not have it
    return buffer.getvalue()


def _damage_item(rng: Rng, file: Any, item: Any) -> None:
    if len(item.attrs) and rng.integers(2):
        key = pick(rng, list(item.attrs))
        value = item.attrs[key]
        if isinstance(value, str | bytes) and rng.integers(3):
            text = value.encode() if isinstance(value, str) else value
            changed = damaged_json if text[:1] == b"{" else damaged_bytes
            item.attrs[key] = np.bytes_(changed(rng, text).replace(b"\0", b""))
        elif rng.integers(3):
            item.attrs[key] = pick(rng, (damaged_array(rng, value), pick(rng, TOKENS), 1.5))
        else:
            del item.attrs[key]
    elif isinstance(item, h5py.Dataset):
        name, value, kind = item.name, item[()], int(rng.integers(6))
        if isinstance(value, bytes) and rng.integers(3):
            text = value.decode("utf-8", "replace")
            changed: Any = pick(rng, (*TOKENS, f"{text}x", text[:-1], text.upper()))
            if text[:1] == "{":
                changed = damaged_json(rng, value)
        else:
            changed = damaged_array(rng, value)
        del file[name]
        if kind == 0:
            return
        if kind == 1:
            file.create_dataset(name, (2**40, 3), dtype="f4", chunks=(1024, 3))
        elif kind == 2:
            file[name] = pick(rng, (h5py.SoftLink("/"), h5py.ExternalLink("/dev/zero", "/x")))
        else:
            file[name] = changed
    elif len(item):
        key, kind = pick(rng, list(item)), int(rng.integers(5))
        if kind == 0:
            del item[key]
        elif kind == 1:
            name = pick(rng, (f"{key}x", "é", "a/b", "0", "x" * 300))
            if name not in item:  # h5py's move ends the process where a group becomes its own part
                item[name] = item[key]
                del item[key]
        elif kind == 2:
            item[f"{key}_1"] = item[key]
        elif kind == 3:
            item[f"{key}_2"] = pick(rng, (file["/"], h5py.SoftLink("/nothing")))
        else:
            item.create_dataset(f"{key}_3", data=other_array(rng))
    else:
        item.create_dataset("more", data=other_array(rng))


def damaged_proto(rng: Rng, message: Any) -> None:
    """Change one to three fields of a protobuf message, or of messages in it, in place."""
    for _ in range(int(pick(rng, (1, 1, 2, 3)))):
        inner = message
        while True:
            fields = [field for field, _ in inner.ListFields()]
            nested = [f for f in fields if f.message_type is not None]
            if not nested or not rng.integers(7):
                break
            field = pick(rng, nested)
            value = getattr(inner, field.name)
            inner = pick(rng, value) if field.is_repeated else value
        _damage_field(rng, inner, pick(rng, fields or inner.DESCRIPTOR.fields))


def _damage_field(rng: Rng, message: Any, field: Any) -> None:
    value = getattr(message, field.name)
    kind = int(rng.integers(6))
    if kind == 0:
        message.ClearField(field.name)
    elif field.is_repeated and len(value):
        where = int(rng.integers(len(value)))
        if kind == 1:
            del value[where]
        elif field.message_type is not None:
            value.add().CopyFrom(value[where])
        elif kind == 2:
            value.append(value[where])
        elif kind == 3:
            value[:] = list(value)[::-1]
        else:
            with contextlib.suppress(ValueError):
                value[where] = _scalar(rng, value[where])
    elif not field.is_repeated and field.message_type is None:
        with contextlib.suppress(ValueError):  # beyond the field's type
            setattr(message, field.name, _scalar(rng, value))
    elif not field.is_repeated:
        getattr(message, field.name).SetInParent()


def _scalar(rng: Rng, value: Any) -> Any:
    if isinstance(value, str):
        return pick(rng, (*TOKENS, value + "x", value[:-1], "GRU", "Loop", "Identity", "x", "h"))
    if isinstance(value, bytes):
        return damaged_bytes(rng, value)
    if isinstance(value, float):
        return pick(rng, [n for n in NUMBERS if not abs(n) > 3e38])
    return pick(rng, [*filter(lambda n: isinstance(n, int), NUMBERS), value + 1, value - 1])


def damaged_torch(rng: Rng, content: bytes) -> bytes:
    """Return a file of torch.save with other values in its dictionaries, or another pickle."""
    if rng.integers(3) == 0:
        return damaged_zip(rng, content, lambda name: damaged_bytes)
    value = torch.load(io.BytesIO(content), weights_only=True)
    buffer = io.BytesIO()
    torch.save(damaged_value(rng, value, _other_object), buffer)
    return buffer.getvalue()


def _other_object(rng: Rng) -> Any:
    if rng.integers(3) == 0:
        return other_leaf(rng)
    kind = int(rng.integers(6))
    size = pick(rng, ((), (0,), (1,), (3, 3), (21, 3), (7,), (4, 7)))
    if kind == 0:
        return torch.full(size, pick(rng, (float("nan"), float("inf"), 1e38, 0.0)))
    if kind == 1:
        types = (torch.float16, torch.complex64, torch.int8, torch.bool, torch.bfloat16)
        return torch.zeros(size, dtype=pick(rng, types))
    if kind == 2:
        return torch.zeros(3, 3).to_sparse()
    if kind == 3:
        return torch.zeros(1).expand(10**9)
    if kind == 4:
        return torch.empty(size, device="meta")
    return pick(rng, ((1, 2), {3}, torch.Size([1]), torch.float32, b"ab", 1j, {1: 2}))
