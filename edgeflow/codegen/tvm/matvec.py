"""Matrix-vector products in TVMScript: the bodies of the kernels of the ``tvm`` sets.

They are made for one shape each, which leaves nothing to decide at run time, and read weights as
``edgeflow.codegen.layouts`` has them: groups of rows one behind the other, each with the start
of its accumulators, its weights, its multipliers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tvm.script import tirx as T

from edgeflow.targets.core import Schedule

#: Extent of a buffer behind a raw pointer: more than there ever is.
ANY = 1 << 24


def multiply_high_round(a: Any, b: Any) -> Any:
    """Return ``(a b + 2^31) >> 32``, which LLVM knows as SMMULR."""
    product = T.Cast("int64", a) * T.Cast("int64", b)
    return T.Cast("int32", T.shift_right(product + T.int64(1 << 31), T.int64(32)))


def saturate(value: Any) -> Any:
    """Return int16, clipped."""
    return T.Cast("int16", T.max(T.min(value, T.int32(32767)), T.int32(-32768)))


def smlad(a: Any, b: Any, total: Any) -> Any:
    """Return `total` plus the products of both halfwords of a and b."""
    return T.call_llvm_pure_intrin("int32", "llvm.arm.smlad", a, b, total)


def sxtb16(word: Any) -> Any:
    """Return bytes 0 and 2 as halfwords."""
    return T.call_llvm_pure_intrin("int32", "llvm.arm.sxtb16", word)


def rotate8(word: Any) -> Any:
    return T.call_llvm_pure_intrin("int32", "llvm.fshr", word, word, T.int32(8))


def vmladava(a: Any, b: Any, total: Any) -> Any:
    """Return `total` plus the inner product of two vectors of eight halfwords or four words."""
    zero = T.int32(0)
    return T.call_llvm_pure_intrin("int32", "llvm.arm.mve.vmldava", zero, zero, zero, total, a, b)


@dataclass(frozen=True)
class Stream:
    """Weights of a group of rows, and what to do with them.

    Parameters
    ----------
    rows : int
        Of a group, a power of two.
    words : callable
        Words of a group, given the columns.
    accumulate, finish : TVMScript inline function
        ``accumulate(acc, words, bytes, x, start, cols)`` adds the products of the group whose words
        begin at `start`; ``finish(acc, words, end, shift)`` makes results of at least 16 bits of
        them, given where its words end.
    x_type : str
        What x is read as.
    """

    rows: int
    words: Callable[[int], int]
    accumulate: Any
    finish: Any
    x_type: str = "int16"


def matvec(symbol: str, stream: Stream, rows: int, cols: int, shift: int) -> Any:
    """Return the PrimFunc of a matrix-vector product: whole groups, then the rows that are left.

    Its parameters are weights, x and y.
    """
    size, words = stream.rows, stream.words(cols)
    whole, left = divmod(rows, size)
    accumulate, finish, x_type = stream.accumulate, stream.finish, stream.x_type

    @T.prim_func(s_tir=True)
    def function(  # type: ignore[no-untyped-def]
        weights: T.handle("int32"),  # type: ignore[valid-type]
        x: T.handle(x_type),  # type: ignore[valid-type]
        y: T.handle("int16"),  # type: ignore[valid-type]
    ):
        T.func_attr({"global_symbol": symbol, "tirx.noalias": True, "calling_conv": 1})
        W = T.decl_buffer((ANY,), "int32", data=weights)
        B = T.decl_buffer((ANY,), "int8", data=weights)
        X = T.decl_buffer((ANY,), x_type, data=x)
        Y = T.decl_buffer((ANY,), "int16", data=y)

        @T.inline
        def group(g, count):  # type: ignore[no-untyped-def]
            # the arithmetic stands in the calls: a bound name would move the allocation
            acc = T.sblock_alloc_buffer((size,), "int32")
            for r in T.unroll(size):
                acc[r] = W[g * words + r]
            accumulate(acc, W, B, X, g * words + size, cols)
            finish(acc, W, (g + 1) * words - size, shift)
            for r in T.unroll(count):
                Y[g * size + r] = saturate(acc[r])

        for g in T.serial(whole):
            group(g, size)
        if left > 0:
            group(whole, left)

    return function


@T.inline
def scale(acc, words, end, shift):  # type: ignore[no-untyped-def]
    for r in T.unroll(acc.shape[0]):
        acc[r] = multiply_high_round(T.shift_left(acc[r], shift), words[end + r])


@T.inline
def scale_shifted(acc, words, end, shift):  # type: ignore[no-untyped-def]
    for r in T.unroll(acc.shape[0]):
        acc[r] = multiply_high_round(acc[r], words[end + r])


@T.inline
def repeat(body, count, unroll):  # type: ignore[no-untyped-def]
    """Call ``body(i)`` for each i below `count`, `unroll` of them in one turn of a loop."""
    for turn in T.serial(count // unroll):
        for i in T.unroll(unroll):
            body(turn * unroll + i)
    for i in T.unroll(count % unroll):
        body(count // unroll * unroll + i)


def pairs(cols: int) -> int:
    return -(-cols // 2)


def fours(cols: int) -> int:
    return -(-cols // 4)


def row_pairs(schedule: Schedule) -> Stream:
    """Return the stream of `pack_row_pairs`: the sum of B is known, that of 256 A + B too."""

    @T.inline
    def accumulate(acc, words, octets, x, start, cols):  # type: ignore[no-untyped-def]
        @T.inline
        def pair(p):  # type: ignore[no-untyped-def]
            for r in T.unroll(2):
                acc[2 * r] = smlad(words[start + 2 * p + r], x[p], acc[2 * r])
                acc[2 * r + 1] = smlad(sxtb16(words[start + 2 * p + r]), x[p], acc[2 * r + 1])

        repeat(pair, pairs(cols), schedule.unroll)

    @T.inline
    def finish(acc, words, end, shift):  # type: ignore[no-untyped-def]
        for r in T.unroll(2):
            acc[2 * r] = T.shift_right(acc[2 * r] - acc[2 * r + 1], T.int32(8))
        scale_shifted(acc, words, end, shift)

    return Stream(4, lambda cols: 8 + 2 * pairs(cols), accumulate, finish, "int32")


def tiles(schedule: Schedule) -> Stream:
    """Return the stream of `pack_tiles`: bytes 0 and 2, then 1 and 3, are neighbours."""

    @T.inline
    def accumulate(acc, words, octets, x, start, cols):  # type: ignore[no-untyped-def]
        @T.inline
        def tile(t):  # type: ignore[no-untyped-def]
            for r in T.unroll(4):
                acc[r] = smlad(sxtb16(words[start + 4 * t + r]), x[2 * t], acc[r])
                acc[r] = smlad(sxtb16(rotate8(words[start + 4 * t + r])), x[2 * t + 1], acc[r])

        repeat(tile, fours(cols), schedule.unroll)

    return Stream(4, lambda cols: 8 + 4 * fours(cols), accumulate, scale, "int32")


def halfwords(schedule: Schedule) -> Stream:
    """Return the stream of `pack_halfwords`."""

    @T.inline
    def accumulate(acc, words, octets, x, start, cols):  # type: ignore[no-untyped-def]
        @T.inline
        def pair(p):  # type: ignore[no-untyped-def]
            for r in T.unroll(4):
                acc[r] = smlad(words[start + 4 * p + r], x[p], acc[r])

        repeat(pair, pairs(cols), schedule.unroll)

    return Stream(4, lambda cols: 8 + 4 * pairs(cols), accumulate, scale_shifted, "int32")


def columns(rows: int, schedule: Schedule) -> Stream:
    """Return the stream of `pack_byte_columns`: x is shared by `rows` rows."""
    loop = T.vectorized if schedule.vectorize else T.unroll

    @T.inline
    def accumulate(acc, words, octets, x, start, cols):  # type: ignore[no-untyped-def]
        @T.inline
        def column(c):  # type: ignore[no-untyped-def]
            for r in loop(rows):
                acc[r] = acc[r] + T.Cast("int32", octets[4 * start + rows * c + r]) * T.Cast(
                    "int32", x[c]
                )

        repeat(column, cols, schedule.unroll)

    return Stream(rows, lambda cols: 2 * rows + rows // 2 * pairs(cols), accumulate, scale)


def vectors(finish: Any, schedule: Schedule) -> Stream:
    """Return the stream of `pack_four_rows`."""

    @T.inline
    def accumulate(acc, words, octets, x, start, cols):  # type: ignore[no-untyped-def]
        @T.inline
        def block(b):  # type: ignore[no-untyped-def]
            for r in T.unroll(4):
                acc[r] = vmladava(
                    T.Cast("int16x8", octets[T.ramp(4 * start + 32 * b + 8 * r, 1, 8)]),
                    x[T.ramp(8 * b, 1, 8)],
                    acc[r],
                )

        repeat(block, fours(cols) // 2, schedule.unroll)
        # x ends at a multiple of four
        if fours(cols) % 2 > 0:
            for r in T.unroll(4):
                acc[r] = vmladava(
                    T.Cast(
                        "int32x4",
                        octets[T.ramp(4 * start + 16 * (fours(cols) - 1) + 8 * r, 1, 4)],
                    ),
                    T.Cast("int32x4", x[T.ramp(4 * (fours(cols) - 1), 1, 4)]),
                    acc[r],
                )

    return Stream(4, lambda cols: 8 + 8 * -(-cols // 8), accumulate, finish)


#: The stream of each kernel of the ``tvm`` sets, by the kernel's name.
MATVECS: dict[str, Callable[[Schedule], Stream]] = {
    "ef_matvec_4x8_s8_s16_tvm_mve": partial(vectors, scale_shifted),
    "ef_matvec_shift_4x8_s8_s16_tvm_mve": partial(vectors, scale),
    "ef_matvec_pair_s8_s16_tvm_dsp": row_pairs,
    "ef_matvec_4x4_s8_s16_tvm_dsp": tiles,
    "ef_matvec_s16_s16_tvm_dsp": halfwords,
    "ef_matvec_8x1_s8_s16_tvm": partial(columns, 8),
    "ef_matvec_4x1_s8_s16_tvm": partial(columns, 4),
}
