"""Learning of a program: of labels by its last layer (`AdaptiveLinear`), or of what came (`Nlms`).

States carry what was learned. A blob of it is what boards keep in flash and exchange with the host:
version, hash of the program, the learned vectors, CRC-32 of all of it, all little-endian.
"""

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from edgeflow.errors import ProgramError
from edgeflow.program.nodes.adaptive_linear import AdaptiveLinear
from edgeflow.program.nodes.base import Node, State, StateVector

if TYPE_CHECKING:
    from edgeflow.program.program import Program

#: Version of a blob.
VERSION = 1
_HEADER = struct.Struct("<I8s")
_CRC = struct.Struct("<I")


def read_out(program: "Program") -> AdaptiveLinear:
    """Return the layer that learns; a ProgramError if none does."""
    last = program.nodes[-1]
    if not isinstance(last, AdaptiveLinear):
        raise ProgramError("this program does not learn: compress the model with --adapt")
    return last


def learn(program: "Program", state: list[State], label: ArrayLike) -> list[State]:
    """Return the state after a label for the last sample; see `Program.learn`."""
    node = read_out(program)
    streams = len(state[-1]["seen"])
    labels = np.broadcast_to(np.asarray(label), (streams,)).astype(np.int64)
    if (labels < -1).any() or (labels >= node.outputs).any():
        raise ProgramError(f"a label is not in 0..{node.outputs - 1}, or -1 for none")
    return [*state[:-1], node.learn(state[-1], labels)]


def place(program: "Program") -> int:
    """Return the number of the layer that learns; a ProgramError if none does."""
    found = [number for number, node in enumerate(program.nodes) if node.saved]
    if not found:
        raise ProgramError("this program does not learn: compress the model with --adapt")
    return found[0]


def forget(program: "Program", state: list[State]) -> list[State]:
    """Return the state with the trained read-out; see `Program.forget`."""
    number = place(program)
    own = state[number]
    blank = {k: np.zeros_like(own[k]) for k in kept(program.nodes[number])}
    return _with(state, number, {**own, **blank})


def _with(state: list[State], number: int, own: State) -> list[State]:
    return [*state[:number], own, *state[number + 1 :]]


def reset(program: "Program", state: list[State], n: int | None = None) -> list[State]:
    """Return the state after a reset, which leaves what was learned.

    With `n` for that many streams, each with what the one stream of `state` has learned.
    """
    count = _streams(state) if n is None else n
    fresh = program.initial_state(count)
    for own, node, new in zip(state, program.nodes, fresh, strict=True):
        for name in kept(node):
            new[name] = np.repeat(own[name], 1 if n is None else n, axis=0)
    return fresh


def _streams(state: list[State]) -> int:
    return next((len(vector) for own in state for vector in own.values()), 1)


def kept(node: Node) -> dict[str, StateVector]:
    """Return the vectors that a reset leaves."""
    return {**node.saved, **node.derived}


def save(program: "Program", state: list[State]) -> bytes:
    """Return the blob of what one stream has learned; see `Program.save_learned`."""
    number = place(program)
    own = state[number]
    if _streams([own]) != 1:
        raise ProgramError("what is learned is saved of one stream at a time")
    body = _HEADER.pack(VERSION, program.hash)
    for name, vector in program.nodes[number].saved.items():
        body += own[name][0].astype(np.dtype(vector.dtype).newbyteorder("<")).tobytes()
    return body + _CRC.pack(zlib.crc32(body))


def load(program: "Program", blob: bytes, state: list[State] | None = None) -> list[State]:
    """Return a state with what a blob holds; see `Program.load_learned`."""
    number = place(program)
    node = program.nodes[number]
    size = learned_size(program)
    if len(blob) != size:
        raise ProgramError(f"what this program learns has {size} bytes, not {len(blob)}")
    version, name = _HEADER.unpack_from(blob)
    if zlib.crc32(blob[:-4]) != _CRC.unpack(blob[-4:])[0] or version != VERSION:
        raise ProgramError("what was learned is damaged, or of another version: learn it again")
    if name != program.hash:
        raise ProgramError(
            f"what was learned is of the program {name.hex()}, not {program.hash.hex()}"
        )
    found, at = {}, _HEADER.size
    for field, vector in node.saved.items():
        kind = np.dtype(vector.dtype).newbyteorder("<")
        values = np.frombuffer(blob, kind, vector.size, at).astype(np.int64)
        found[field], at = values[None], at + vector.nbytes
    state = program.initial_state() if state is None else state
    return _with(state, number, node.restored({**state[number], **found}))


def learned_size(program: "Program") -> int:
    """Return the bytes of a blob."""
    vectors = program.nodes[place(program)].saved.values()
    return _HEADER.size + sum(vector.nbytes for vector in vectors) + _CRC.size
