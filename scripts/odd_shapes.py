"""Counts what a matrix costs beside the next one that its kernel pads it to: docs/benchmarks.md.

    python scripts/odd_shapes.py [--board qemu-m4 ...] [--limit 1.15]

A matrix has N columns and 3 N rows, as in a GRU. Prints from which N on no matrix costs more than
the limit times what a multiply-accumulate of the padded one does, and the worst of all.
"""

import argparse

from edgeflow.bench.kernels import FORMATS, bench_inputs, bench_matrix
from edgeflow.bench.measure import measure_layers
from edgeflow.program.nodes import Linear
from edgeflow.targets.board import load_board

#: The kernel of 8-bit weights of each kind of core, and the rows and columns that it pads to.
KERNELS = {
    "qemu-m0": ("ef_matvec_s8_s16_armv6m", 8, 2),
    "qemu-m3": ("ef_matvec_s8_s16_armv7m", 8, 2),
    "qemu-rv32": ("ef_matvec_s8_s16_rv32", 8, 2),
    "qemu-m4": ("ef_matvec_pair_s8_s16_dsp", 4, 4),
    "qemu-m55": ("ef_matvec_split_s8_s16_mve", 4, 8),
    "qemu-a53": ("ef_matvec_s8_s16_neon", 8, 4),
    "qemu-a55": ("ef_matvec_s8_s16_neon_dot", 4, 4),
}
SIZES = range(8, 97)
STEPS = 2


def costs(board: str, shapes: list[tuple[int, int]]) -> dict[tuple[int, int], float]:
    """Return instructions per MAC by (rows, cols)."""
    kernel = KERNELS[board][0]
    matrices = [bench_matrix(rows, cols, FORMATS["w4a12"]) for rows, cols in shapes]
    layers = [(Linear("layer", m), bench_inputs(m, STEPS)) for m in matrices]
    counts = measure_layers(layers, load_board(board), [kernel] * len(layers))
    return {shape: n / (shape[0] * shape[1]) for shape, n in zip(shapes, counts, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", action="append", choices=KERNELS)
    parser.add_argument("--limit", type=float, default=1.15)
    arguments = parser.parse_args()
    print("| board | kernel | padded to, rows x columns | holds from N = | worst from 32 on |")
    print("|---|---|---|---|---|")
    for board in arguments.board or KERNELS:
        kernel, rows, cols = KERNELS[board]
        fits = range(26, SIZES.stop) if board == "qemu-m55" else SIZES
        odd = {n: (3 * n, n) for n in fits}
        whole = {n: (-(-3 * n // rows) * rows, -(-n // cols) * cols) for n in fits}
        found = costs(board, sorted({*odd.values(), *whole.values()}))
        ratios = {n: found[odd[n]] / found[whole[n]] for n in fits}
        last = max((n for n in fits if ratios[n] > arguments.limit), default=fits.start - 1)
        worst = max((r, n) for n, r in ratios.items() if n >= 32)
        print(f"| {board} | `{kernel}` | {rows} x {cols} | {last + 1} | "
              f"{worst[0] - 1:.0%} at {worst[1]} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
