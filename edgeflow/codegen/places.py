"""Where a program's values are in ``model_t``, and which of them are copied to be read together."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edgeflow.program import Program
from edgeflow.program.matrix import round_up
from edgeflow.program.nodes import Node

#: Arrays and their parts begin at multiples of 8 bytes: kernels read pairs of values as words.
_ALIGNED = 4
#: The caller's array of outputs.
OUTPUT = "y"


@dataclass(frozen=True)
class Place:
    """A place in a member of ``model_t`` or, with the member `OUTPUT`, in the caller's outputs."""

    member: str
    offset: int = 0

    @property
    def pointer(self) -> str:
        """C expression of its first element."""
        member = "in.x" if self.member == "in" else self.member
        start = member if self.member == OUTPUT else f"model->{member}"
        return f"{start} + {self.offset}" if self.offset else start

    @property
    def designator(self) -> str:
        """The place as ``offsetof`` takes it."""
        return f"{self.member}[{self.offset}]" if self.offset else self.member


@dataclass(frozen=True, eq=False)
class Copy:
    """A value that is copied, as something reads it side by side with others."""

    source: Place
    target: Place
    size: int

    @property
    def statement(self) -> str:
        target = self.target.pointer
        return f"memcpy({target}, {self.source.pointer}, {self.size} * sizeof *model->in.x);"


class Places:
    """The places of all values of a program.

    What a layer reads of several sources is one array, ``<layer>_x``. A value that only it, or
    readers that do not mind what lies behind the value, read is made there in the first place;
    others are copied.

    Attributes
    ----------
    values : tuple of Place
        Of the input, and of what each node gives.
    joined : mapping
        Elements of the arrays ``<layer>_x``, by the member's name.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._sizes = [program.inputs, *(node.outputs for node in program.nodes)]
        self._readers = Counter(k for row in program.reads for k in set(row))
        self._alone = {row[0] for row in program.reads[:-1] if len(row) == 1}
        self.joined: Mapping[str, int] = {
            f"{node.name}_x": sum(self._sizes[k] for k in row)
            for node, row in zip(program.nodes, program.reads[:-1], strict=True)
            if len(row) > 1
        }
        places = [Place("in"), *(Place(output_member(node)) for node in program.nodes)]
        for number, row in enumerate(program.reads):
            for k, place in self._parts(number, row):
                fits = self._in_output if place.member == OUTPUT else self._in_array
                if k > 0 and places[k] == Place(output_member(program.nodes[k - 1])):
                    places[k] = place if fits(k, place) else places[k]
        self.values = tuple(places)

    def _parts(self, number: int, row: tuple[int, ...]) -> Iterator[tuple[int, Place]]:
        """Yield the values that a node, or the output, reads, where it wants each of them."""
        if number == len(self._program.nodes):
            member = OUTPUT
        elif len(row) == 1:
            return
        else:
            member = f"{self._program.nodes[number].name}_x"
        offset = 0
        for k in row:
            yield k, Place(member, offset)
            offset += self._sizes[k]

    def _in_output(self, k: int, place: Place) -> bool:
        """Tell whether a node can write to the caller's array, which nothing may read again."""
        once = self._program.reads[-1].count(k) == 1 and self._readers[k] == 1
        return once and self._program.nodes[k - 1].output_state is None

    def _in_array(self, k: int, place: Place) -> bool:
        """Tell whether a value can be made where it is read side by side with others.

        Whoever reads it alone, or as its own state, may read up to the next multiple of 4 values,
        which must not be those of another one.
        """
        size = self._sizes[k]
        last = place.offset + size == self.joined[place.member]
        alone = k in self._alone or self._program.nodes[k - 1].output_state is not None
        return place.offset % _ALIGNED == 0 and (last or not alone or size % _ALIGNED == 0)

    def read(self, number: int) -> Place:
        """Return the place of what a node reads."""
        row = self._program.reads[number]
        if len(row) > 1:
            return Place(f"{self._program.nodes[number].name}_x")
        return self.values[row[0]]

    def state(self, node: Node, name: str) -> Place:
        """Return the place of a state."""
        if name == node.output_state:
            return self.values[self._program.nodes.index(node) + 1]
        return Place(f"{node.name}_{name}")

    def copies(self, number: int) -> list[Copy]:
        """Return what is copied before a node's step or, for the number of nodes, at the end."""
        return [
            Copy(self.values[k], place, self._sizes[k])
            for k, place in self._parts(number, self._program.reads[number])
            if self.values[k] != place
        ]

    def members(self) -> Iterator[tuple[str, int]]:
        """Yield name and elements of the arrays of values that are neither input nor state."""
        for name, size in self.joined.items():
            yield name, round_up(size)
        for node, place in zip(self._program.nodes, self.values[1:], strict=True):
            if node.output_state is None and place.member == output_member(node):
                yield place.member, round_up(node.outputs)


def output_member(node: Node) -> str:
    """Return the member of ``model_t`` that holds a layer's output where it has one of its own."""
    return f"{node.name}_{node.output_state or 'y'}"
