"""C of a step: loops over elements, and inside of these over windows.

The text depends on the program's structure alone. Weights and other constants are given when it
runs, so that programs that differ in these share one library.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.program.fixedpoint import table
from edgeflow.program.lanes.loops import Loop, is_same_place, loops_of
from edgeflow.program.lanes.trace import Step
from edgeflow.program.lanes.values import INT32, Numbers, Op, Operand, within

#: Rows whose weights stand together, as in ``lanes.h``.
BLOCK = 8
_ARENAS = {16: "S", 32: "M", 64: "W"}
_TYPES = {16: "int16_t", 32: "int32_t", 64: "int64_t"}
_SIGNS = {
    "add": "+", "subtract": "-", "multiply": "*", "less": "<", "less_equal": "<=", "greater": ">",
    "greater_equal": ">=", "equal": "==", "not_equal": "!=", "bitwise_and": "&", "bitwise_or": "|",
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """C of a program's step, and the constants that it is run with."""

    text: str
    constants: Sequence[NDArray[Any]]


def source_of(step: Step) -> Source:
    """Return the C of a step."""
    writer = _Writer(step)
    text = writer.text()
    shared = resources.files(__package__).joinpath("lanes.h").read_text(encoding="utf-8")
    return Source(f"{shared}\n{text}", writer.constants)


@dataclass
class _Writer:
    step: Step
    constants: list[NDArray[Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.found = loops_of(self.step)
        self.tables: list[str] = []
        graph = self.step.graph
        self.place = np.full(graph.elements, -1, dtype=np.int64)
        self.slots = {16: 0, 32: 0, 64: 0}
        for op in graph.ops:
            if op.kind == "input" or op in self.found.stored:
                self.place[op.base : op.base + op.size] = self.take(op.width, op.size)
        self.pairs = max(
            [1, *((op.details["weight"].shape[1] + 1) // 2
                  for loop in self.found.loops for op in loop.ops if op.kind == "product")]
        )  # fmt: skip

    def take(self, width: int, size: int) -> Numbers:
        """Return so many new slots."""
        self.slots[width] += size
        return np.arange(self.slots[width] - size, self.slots[width])

    def constant(self, values: NDArray[Any]) -> int:
        """Return the number of constants that are given when it runs."""
        self.constants.append(np.ascontiguousarray(values))
        return len(self.constants) - 1

    def table(self, values: Numbers) -> str:
        """Return the name of numbers that belong to the structure."""
        name = f"t{len(self.tables)}"
        numbers = ", ".join(map(str, values.tolist()))
        self.tables.append(f"static const int32_t {name}[] = {{{numbers}}};")
        return name

    def text(self) -> str:
        body = [line for loop in self.found.loops for line in self.guarded(loop)]
        body += self.kept()
        run = self.run()
        return "\n".join(
            [
                *self.tables,
                "static void step(int16_t *S, int32_t *M, int64_t *W, int32_t *P, "
                "const void *const *K) {",
                "(void)S, (void)M, (void)W, (void)P, (void)K;",
                *body,
                "}",
                run,
            ]
        )

    def at(self, slots: Numbers, index: str) -> str:
        """Return the C of the slot at an index."""
        if len(slots) == 1:
            return str(slots[0])
        stride = int(slots[1] - slots[0])
        if (np.diff(slots) == stride).all():
            if stride == 0:
                return str(slots[0])
            return f"{slots[0]} + {stride} * ({index})" if stride != 1 else f"{slots[0]} + {index}"
        return f"{self.table(slots)}[{index}]"

    def pointer(self, operand: Operand, index: str, size: int) -> str:
        """Return the C of the lanes that an operand reads."""
        assert operand.elements is not None
        slots = self.place[operand.elements]
        assert (slots >= 0).all()
        return f"{_ARENAS[operand.width]} + (long)({self.at(slots, index)}) * LANES"

    # loops

    def guarded(self, loop: Loop) -> list[str]:
        """Return a loop, or that it runs if any stream is due."""
        lines = self.loop(loop)
        if loop.due is None:
            return lines
        return [f"if (any(S + {self.place[loop.due]}L * LANES)) {{", *lines, "}"]

    def loop(self, loop: Loop) -> list[str]:
        if loop.alone:
            return getattr(self, loop.ops[0].kind)(loop.ops[0])
        before, parts = list[str](), [list[str]()]
        pointers: dict[tuple[int, bytes], str] = {}
        lasting = self.lasting(loop)
        for op in loop.ops:
            names = [
                self.read(op, operand, before, pointers, loop, lasting) for operand in op.operands
            ]
            wide, name = _TYPES[max(32, op.width)], f"v{op.base}"
            if op in lasting:
                before.append(f"{wide} {name}[LANES] __attribute__((aligned(64)));")
                name += "[l]"
            if op.kind == "lookup":
                number = self.constant(_nodes(op.details["table"]))
                before.append(f"int32_t x{op.base}[LANES] __attribute__((aligned(64)));")
                parts[-1].append(f"x{op.base}[l] = {names[0]};")
                parts.append([f"look_up(K[{number}], x{op.base}, v{op.base});"])
                parts.append([])
            else:
                declared = name if op in lasting else f"const {wide} {name}"
                parts[-1].append(f"{declared} = ({wide})({self.expression(op, names)});")
            if op in self.found.stored:
                slots = self.place[op.base : op.base + op.size]
                to = f"{_TYPES[op.width]} *o{op.base}"
                before.append(
                    f"{to} = ALIGNED({_ARENAS[op.width]} + (long)({self.at(slots, 'i')}) * LANES);"
                )
                parts[-1].append(f"o{op.base}[l] = ({_TYPES[op.width]}){name};")
        lines = [f"for (int i = 0; i < {loop.size}; i++) {{", *before]
        for number, part in enumerate(parts):
            lines += part if number % 2 else ["FOR_LANES {", *part, "}"] if part else []
        return [*lines, "}"]

    def lasting(self, loop: Loop) -> set[Op]:
        """Return operations whose results are read behind a lookup, which reads all lanes."""
        found, part_of, part = set[Op](), dict[Op, int](), 0
        for op in loop.ops:
            for operand in op.operands:
                if operand.elements is not None:
                    found.update(
                        source for source in self.step.graph.owners(operand.elements)
                        if part_of.get(source, part) != part
                    )  # fmt: skip
            part_of[op] = part
            if op.kind == "lookup":
                found.add(op)
                part += 1
        return found

    def read(
        self, op: Op, operand: Operand, before: list[str],
        pointers: dict[tuple[int, bytes], str], loop: Loop, lasting: set[Op],
    ) -> str:  # fmt: skip
        """Return the C of what an operand is inside of the loop over lanes."""
        if operand.literal is not None:
            wide = not within(operand.interval, INT32)
            number = operand.literal
            if number == -(1 << 63):
                return "INT64_MIN"
            return f"({number}LL)" if wide else f"({number})" if number != INT32[0] else "INT32_MIN"
        if operand.constant is not None:
            name = f"c{len(self.constants)}"
            kind = "int32_t" if within(operand.interval, INT32) else "int64_t"
            number = self.constant(operand.constant.astype(kind[:-2]))
            before.append(f"const {kind} {name} = ((const {kind} *)K[{number}])[i];")
            return name
        assert operand.elements is not None
        owners = self.step.graph.owners(operand.elements)
        if len(owners) == 1 and owners[0] in loop.ops:
            assert is_same_place(op, owners[0], operand.elements)
            return f"v{owners[0].base}[l]" if owners[0] in lasting else f"v{owners[0].base}"
        key = (operand.width, operand.elements.tobytes())
        if key not in pointers:
            name = pointers[key] = f"r{op.base}_{len(pointers)}"
            lanes = self.pointer(operand, "i", loop.size)
            before.append(f"const {_TYPES[operand.width]} *{name} = ALIGNED({lanes});")
        return f"{pointers[key]}[l]"

    def expression(self, op: Op, names: Sequence[str]) -> str:
        kind, given = op.kind, [operand.interval for operand in op.operands]
        if kind == "copy":
            return names[0] if op.width != 16 else f"(int16_t)({names[0]})"
        if kind == "gather":
            nodes: Operand = op.details["table"]
            assert nodes.constant is not None
            wide = "int32_t" if within(nodes.interval, INT32) else "int64_t"
            number = self.constant(nodes.constant.astype(wide[:-2]))
            return f"((const {wide} *)K[{number}])[{names[0]}]"
        narrow = op.width <= 32 and all(within(interval, INT32) for interval in given)
        if kind in ("left_shift", "right_shift"):
            return _shift(kind, names, given, narrow)
        if not narrow:
            names = [f"(int64_t){name}" for name in names]
        if kind in _SIGNS:
            return f"{names[0]} {_SIGNS[kind]} {names[1]}"
        if kind == "negative":
            return f"-{names[0]}"
        if kind == "absolute":
            return f"{names[0]} < 0 ? -{names[0]} : {names[0]}"
        if kind == "where":
            return f"{names[0]} ? {names[1]} : {names[2]}"
        sign = "<" if kind == "minimum" else ">"
        return f"{names[0]} {sign} {names[1]} ? {names[0]} : {names[1]}"

    def product(self, op: Op) -> list[str]:
        weight, matrix = op.details["weight"], op.details["matrix"]
        (operand,) = op.operands
        assert operand.elements is not None
        rows, cols = weight.shape
        groups = op.size // rows
        bias = np.zeros(rows, np.int32) if matrix is None else matrix.bias
        numbers = [self.constant(_packed(weight)), self.constant(_padded(bias))]
        multiplier, shift = "NULL", "0"
        if matrix is not None:
            multiplier = f"K[{self.constant(_padded(matrix.multiplier))}]"
            shift = f"*(const int32_t *)K[{self.constant(np.array([matrix.shift], np.int32))}]"
        slots = self.table(self.place[operand.elements])
        out = f"{_ARENAS[op.width]} + (long)({self.place[op.base]} + {rows} * g) * LANES"
        y, sums = ("NULL", out) if matrix is None else (out, "NULL")
        return [
            f"for (int g = 0; g < {groups}; g++) {{",
            f"const matrix_t m = {{K[{numbers[0]}], K[{numbers[1]}], {multiplier}, {shift}}};",
            f"pair_up(S, {slots} + {cols} * g, {cols}, P);",
            f"multiply(P, {cols}, &m, {rows}, {y}, {sums});",
            "}",
        ]

    def sum(self, op: Op) -> list[str]:
        kind = _TYPES[max(32, op.width)]
        out = f"{_ARENAS[op.width]} + (long)({self.at(self.place[op.own], 'i')}) * LANES"
        return self.reduced(
            op, [f"{kind} sum[LANES] = {{0}};"], ["FOR_LANES sum[l] += r[l];"],
            [f"{_TYPES[op.width]} *o = ALIGNED({out});",
             f"FOR_LANES o[l] = ({_TYPES[op.width]})sum[l];"],
        )  # fmt: skip

    def largest(self, op: Op) -> list[str]:
        (operand,), count = op.operands, op.details["count"]
        kind = _TYPES[max(32, operand.width)]
        low = "INT64_MIN" if operand.width == 64 else "INT32_MIN"
        slots = self.place[op.own].reshape(-1, count)
        return self.reduced(
            op,
            [f"{kind} m{k}[LANES]; FOR_LANES m{k}[l] = {low};" for k in range(count)],
            ["FOR_LANES {", f"{kind} v = r[l];",
             *(f"{{ const {kind} old = m{k}[l]; m{k}[l] = old > v ? old : v; "
               "v = old > v ? v : old; }" for k in range(count)), "}"],
            [f"FOR_LANES ({_ARENAS[op.width]} + (long)({self.at(slots[:, k], 'i')}) * LANES)[l] = "
             f"({_TYPES[op.width]})m{k}[l];" for k in range(count)],
        )  # fmt: skip

    def reduced(
        self, op: Op, first: Sequence[str], each: Sequence[str], last: Sequence[str]
    ) -> list[str]:
        """Return a loop over what becomes one element or few."""
        (operand,), of = op.operands, op.details["of"]
        count = op.size // op.details["count"]
        lanes = self.pointer(operand, f"i * {of} + j", count * of)
        return [
            f"for (int i = 0; i < {count}; i++) {{",
            *first,
            f"for (int j = 0; j < {of}; j++) {{",
            f"const {_TYPES[operand.width]} *r = ALIGNED({lanes});",
            *each,
            "}",
            *last,
            "}",
        ]

    # states and samples

    def kept(self) -> list[str]:
        """Return copies of what follows to the states, by way of others where it is of states."""
        step = self.step
        lines: list[list[str]] = [[], []]
        moving = step.following != step.states
        first, used = 0, np.isin(step.following, step.states)
        for size, bits in step.widths:
            width = 16 if bits <= 16 else 32
            part = slice(first, first + size)
            first += size
            to, source = self.place[step.states[part]], self.place[step.following[part]]
            for twice in (True, False):
                chosen = moving[part] & (used[part] == twice)
                if not chosen.any():
                    continue
                target = self.take(width, int(chosen.sum())) if twice else to[chosen]
                lines[0 if twice else 1] += _copies(width, target, source[chosen])
                if twice:
                    lines[1] += _copies(width, to[chosen], target)
        return lines[0] + lines[1]

    def starts(self) -> list[str]:
        """Return copies of the states to what follows them where no stream is due."""
        step, first, lines = self.step, 0, list[str]()
        owners = np.searchsorted(step.graph.bases, step.following, side="right") - 1
        due = np.array([step.graph.ops[k].due is not None for k in owners], dtype=bool)
        for size, bits in step.widths:
            part = slice(first, first + size)
            first += size
            if due[part].any():
                to, source = self.place[step.following[part]], self.place[step.states[part]]
                lines += _copies(16 if bits <= 16 else 32, to, source)
        return lines

    def run(self) -> str:
        step = self.step
        state, widths = list[str](), [w for size, bits in step.widths
                                      for w in [16 if bits <= 16 else 32] * size]  # fmt: skip
        slots = self.place[step.states] if len(step.states) else np.zeros(0, np.int64)
        names = [self.table(part if len(part) else np.zeros(1, np.int64)) for part in (
            self.place[step.x], self.place[step.y], slots, np.array(widths, np.int64))]  # fmt: skip
        state = [
            f"const int wide = {names[3]}[k] == 32;",
            f"const long at = (long){names[2]}[k] * LANES + l;",
        ]
        s, m, w = (max(self.slots[width], 1) for width in (16, 32, 64))
        total, inputs, outputs = len(step.states), len(step.x), len(step.y)
        return f"""
int run(const int16_t *x, int16_t *y, int64_t windows, int64_t time, int64_t *state,
        const void *const *K) {{
    const size_t slots = {2 * s}UL + {4 * m}UL + {8 * w}UL + {4 * self.pairs}UL;
    char *memory = aligned_alloc(64, (slots * LANES + 63) / 64 * 64);
    if (memory == NULL)
        return 1;
    int64_t *W = (int64_t *)memory;
    int32_t *M = (int32_t *)(W + (size_t){w} * LANES), *P = M + (size_t){m} * LANES;
    int16_t *S = (int16_t *)(P + (size_t){self.pairs} * LANES);
    for (int64_t first = 0; first < windows; first += LANES) {{
        const int used = windows - first < LANES ? (int)(windows - first) : LANES;
        memset(memory, 0, slots * LANES);
        for (int l = 0; l < used && state != NULL; l++)
            for (int k = 0; k < {total}; k++) {{
                {state[0]}
                {state[1]}
                const int64_t value = state[(first + l) * {total} + k];
                if (wide)
                    M[at] = (int32_t)value;
                else
                    S[at] = (int16_t)value;
            }}
        {" ".join(self.starts())}
        const int16_t *from = x + first * time * {inputs};
        int16_t *to = y + first * time * {outputs};
        for (int64_t t = 0; t < time; t++, from += {inputs}, to += {outputs}) {{
            for (int c = 0; c < {inputs}; c++)
                for (int l = 0; l < used; l++)
                    S[{names[0]}[c] * LANES + l] = from[l * time * {inputs} + c];
            step(S, M, W, P, K);
            for (int c = 0; c < {outputs}; c++)
                for (int l = 0; l < used; l++)
                    to[l * time * {outputs} + c] = S[{names[1]}[c] * LANES + l];
        }}
        for (int l = 0; l < used && state != NULL; l++)
            for (int k = 0; k < {total}; k++) {{
                {state[0]}
                {state[1]}
                state[(first + l) * {total} + k] = wide ? M[at] : S[at];
            }}
    }}
    free(memory);
    return 0;
}}
"""


def _shift(kind: str, names: Sequence[str], given: Sequence[tuple[int, int]], narrow: bool) -> str:
    low, high = given[1]
    sign = "<<" if kind == "left_shift" else ">>"
    if narrow and low >= 0 and high <= 31:
        return f"{names[0]} {sign} {names[1]}"
    if low >= 0 and high <= 63:
        return f"(int64_t){names[0]} {sign} {names[1]}"
    return f"shift_{kind.removesuffix('_shift')}({names[0]}, {names[1]})"


def _copies(width: int, to: Numbers, source: Numbers) -> list[str]:
    """Return copies of slots, those in a row at once."""
    breaks = np.flatnonzero((np.diff(to) != 1) | (np.diff(source) != 1)) + 1
    arena, size = _ARENAS[width], width // 8
    return [
        f"memmove({arena} + {t[0]}L * LANES, {arena} + {s[0]}L * LANES, {len(t) * size} * LANES);"
        for t, s in zip(np.split(to, breaks), np.split(source, breaks), strict=True)
    ]


def _packed(weight: NDArray[Any]) -> NDArray[np.int32]:
    """Return [blocks, pairs, BLOCK] of two int16 each."""
    rows, cols = weight.shape
    padded = np.zeros((-(-rows // BLOCK) * BLOCK, -(-cols // 2) * 2), np.int16)
    padded[:rows, :cols] = weight
    pairs = padded.view("<i4").reshape(-1, BLOCK, padded.shape[1] // 2)
    return np.ascontiguousarray(pairs.transpose(0, 2, 1))


def _padded(values: NDArray[Any]) -> NDArray[np.int32]:
    size = -(-len(values) // BLOCK) * BLOCK
    return np.pad(values.astype(np.int32), (0, size - len(values)))


def _nodes(name: str) -> NDArray[np.int32]:
    """Return a table's nodes, each with the way to the next one."""
    nodes = table(name).astype(np.int64)
    return ((nodes[:-1] << 16) | (np.diff(nodes) & 0xFFFF)).astype(np.int32)
