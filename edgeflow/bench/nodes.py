"""Costs of a layer's step around its products, fitted to counts on an emulated board."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from edgeflow.bench.fit import fit, fit_delta
from edgeflow.bench.kernels import FORMATS, bench_matrix
from edgeflow.bench.measure import measure_cycles, program_of, run_program
from edgeflow.codegen.choice import choose_kernels
from edgeflow.codegen.kernels import kernels_of
from edgeflow.codegen.node_costs import (
    TERMS,
    NodeCost,
    NodeCosts,
    SpikeCost,
    features,
    form,
)
from edgeflow.files import scratch_folder
from edgeflow.program.firing import Active, NotingMatrix
from edgeflow.program.fixedpoint import largest_magnitude
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes import RNN, Linear, Node, ReLU
from edgeflow.targets.board import BoardSpec

#: Samples that each layer reads.
STEPS = 4
#: Outputs that steps compute at once.
BLOCKS = (1, 4, 8, 2, 16)
#: Instructions below which an error is told as if there were so many.
SMALL = 300
#: A further term, or larger blocks, must bring the error to this share of what it was.
GAIN = 0.8
#: Error, as a share of a step, at which no further term is looked for, and the most terms.
ENOUGH, MOST_TERMS = 0.002, 6
#: Sizes of the programs by which what stands around layers is measured.
AROUND = (1, 7, 16, 40)
#: Rows and columns of matrices that read spikes, and shares of these that are not zero.
SPIKE_ROWS, SPIKE_COLS = (5, 16, 30, 64, 115), (6, 16, 33, 64, 128)
#: Matrices of more columns than all kernels list at once.
LONG = [(40, 140), (64, 180), (90, 240)]
SPIKE_SHARES = (0.1, 0.3, 0.02, 0.6, 0.2, 0.05, 0.9)

#: A matrix, what a step multiplies it by [calls, cols], and its kernel.
_Call = tuple[Matrix, NDArray[np.int16], str]


@dataclass(frozen=True)
class Overhead:
    """Mean instructions of a layer's step, and what its products take of them.

    Parameters
    ----------
    node : Node
    instructions, products : float
    cycles : float or None
        Of the instructions beside the products.
    """

    node: Node
    instructions: float
    products: float
    cycles: float | None


def inputs_of(node: Node, steps: int = STEPS, seed: int = 0) -> NDArray[np.int16]:
    """Return random values int16 [steps, inputs] of the width that the layer declares."""
    limit = largest_magnitude(node.input_bits)
    rng = np.random.default_rng([seed, node.inputs, node.outputs])
    return rng.integers(-limit, limit + 1, (steps, node.inputs)).astype(np.int16)


def reads_of(node: Node, x: NDArray[np.int16]) -> dict[str, NDArray[np.int16]]:
    """Return what each matrix of a layer is multiplied by, int16 [calls, cols], by field."""
    twin: Node = object.__new__(type(node))
    twin.__dict__.update(node.__dict__)
    for field, matrix in node.matrices().items():
        twin.__dict__[field] = NotingMatrix.of(matrix)
    state = {name: np.zeros((1, v.size), np.int64) for name, v in node.vectors.items()}
    for row in x:
        _, following = twin.advance(row[None].astype(np.int64), state)
        state = {**state, **following}
    seen = {field: getattr(twin, field).seen for field in node.matrices()}
    return {field: np.array(rows, np.int16) for field, rows in seen.items()}


def overheads(
    nodes: Sequence[Node], board: BoardSpec, spikes: Mapping[str, SpikeCost]
) -> tuple[list[Overhead], dict[str, float]]:
    """Measure layers, and each of their products alone, with equal kernels.

    What a product of spikes costs is up to them: it is expected, of the spikes that the layer has.

    Parameters
    ----------
    nodes : sequence of Node
        Dense and of full rank.
    board : BoardSpec
        An emulated one.
    spikes : mapping of SpikeCost
        Of the core's kernels that read spikes, by name.

    Returns
    -------
    list of Overhead
    dict
        Estimated cycles per instruction by kernel; empty without a cycle model.

    Raises
    ------
    TargetError, ToolMissingError, DeviceError
        As `measure_layers`.
    """
    layers: list[tuple[Node, NDArray[np.int16]]] = [(node, inputs_of(node)) for node in nodes]
    kernels: list[str | None] = [None] * len(nodes)
    rows: dict[tuple[str, int, int], int] = {}
    parts: list[list[tuple[int, float]]] = []
    expected: list[dict[str, float]] = []
    for node, x in list(layers):
        parts.append([])
        expected.append({})
        for matrix, values, kernel in _calls(node, x, board):
            calls = len(values) / STEPS
            if kernel in spikes:
                each = spikes[kernel].instructions(matrix.rows, matrix.cols, Active.of(values))
                expected[-1][kernel] = expected[-1].get(kernel, 0.0) + calls * each
                continue
            same = (kernel, matrix.rows, matrix.cols)
            if same not in rows:
                rows[same] = len(layers)
                layers.append((Linear("layer", matrix), values[:STEPS]))
                kernels.append(kernel)
            parts[-1].append((rows[same], calls))
    counts, cycles = measure_cycles(layers, board, kernels, backend="c")
    ratios: dict[str, list[float]] = {}
    for row in rows.values():
        if cycles is not None:
            ratios.setdefault(str(kernels[row]), []).append(cycles[row] / counts[row])
    found = []
    for number, node in enumerate(nodes):
        products = sum(counts[row] * calls for row, calls in parts[number])
        products += sum(expected[number].values())
        rest = None
        if cycles is not None and not expected[number]:
            rest = cycles[number] - sum(cycles[row] * calls for row, calls in parts[number])
        found.append(Overhead(node, counts[number], products, rest))
    return found, {kernel: float(np.mean(some)) for kernel, some in sorted(ratios.items())}


def _calls(node: Node, x: NDArray[np.int16], board: BoardSpec) -> Iterator[_Call]:
    if isinstance(node, Linear) or not node.matrices():
        return
    chosen = {c.matrix: c.kernel for c in choose_kernels(program_of((node,)), board.core)}
    for field, values in reads_of(node, x).items():
        yield node.matrices()[field], values, chosen[field]


def fit_form(measured: Sequence[Overhead]) -> NodeCost:
    """Fit the cost of layers of one form; errors are relative to whole steps."""
    whole = np.array([one.instructions for one in measured])
    rest = whole - [one.products for one in measured]
    weight = np.maximum(whole, SMALL)
    best: tuple[float, dict[str, float], int] | None = None
    for block in BLOCKS:
        terms = np.array([features(one.node, block) for one in measured], np.float64)
        values = _chosen_terms(terms / weight[:, None], rest / weight)
        expected = terms @ [values.get(name, 0.0) for name in TERMS]
        errors = (expected - rest) / weight
        error = float(np.sqrt(np.square(errors).mean()))
        if best is None or error < GAIN * best[0]:
            best = (error, values, block)
            largest = float(np.abs(errors).max())
    assert best is not None
    _, values, block = best
    cycles = [one.cycles for one in measured if one.cycles is not None]
    ratio = None
    if len(cycles) == len(measured) and rest.sum() > 0:
        ratio = min(20.0, max(0.01, round(sum(cycles) / float(rest.sum()), 3)))
    return NodeCost(
        **{name: value for name, value in values.items() if value},
        block=block, cycles_per_instruction=ratio, layers=len(measured),
        error_percent=round(100 * largest, 1),
    )  # fmt: skip


def _chosen_terms(terms: NDArray[np.float64], wanted: NDArray[np.float64]) -> dict[str, float]:
    """Fit the fewest of `TERMS` that explain what is wanted, the one that helps most first."""
    most = min(MOST_TERMS, max(1, len(wanted) - 2))
    used, solution, error = _fitted(terms, wanted, [0])
    while len(used) < most and error > ENOUGH:
        trials = [
            _fitted(terms, wanted, [*used, term])
            for term in range(1, terms.shape[1])
            if term not in used and _is_new(terms, used, term)
        ]
        trial = min(trials, key=lambda trial: trial[2], default=None)
        if trial is None or trial[2] > GAIN * error:
            break
        used, solution, error = trial
    return {TERMS[i]: round(float(v), 3) for i, v in zip(used, solution, strict=True)}


def _fitted(
    terms: NDArray[np.float64], wanted: NDArray[np.float64], used: list[int]
) -> tuple[list[int], NDArray[np.float64], float]:
    solution = np.asarray(np.linalg.lstsq(terms[:, used], wanted, rcond=None)[0], np.float64)
    return used, solution, float(np.sqrt(np.square(terms[:, used] @ solution - wanted).mean()))


def _is_new(terms: NDArray[np.float64], used: list[int], term: int) -> bool:
    """Tell whether a term is no combination of those that are used."""
    columns = terms[:, [*used, term]]
    largest = np.abs(columns).max(axis=0)
    return bool(largest[-1] > 0) and bool(
        np.linalg.matrix_rank(columns / largest, tol=1e-5) > len(used)
    )


def fit_nodes(
    nodes: Iterable[Node],
    board: BoardSpec,
    matrix: Callable[[int, int], Matrix],
) -> NodeCosts:
    """Measure layers on a board, and fit the costs of their forms and of what is around them.

    Parameters
    ----------
    nodes : iterable of Node
        Layers of any forms, several of each.
    board : BoardSpec
        An emulated one.
    matrix : callable
        Returns a matrix of these rows and columns that reads 12 bits.

    Raises
    ------
    TargetError, ToolMissingError, DeviceError
        As `measure_layers`.
    """
    spikes = fit_spikes(board)
    measured, kernels = overheads(list(nodes), board, spikes)
    by_form: dict[str, list[Overhead]] = {}
    for one in measured:
        by_form.setdefault(form(one.node), []).append(one)
    return NodeCosts(
        core=board.core.name, board=board.name, **_around(board, matrix),
        forms={name: fit_form(some) for name, some in sorted(by_form.items())},
        kernels={name: round(ratio, 3) for name, ratio in kernels.items()},
        spikes=spikes, error_percent=0.0,
    )  # fmt: skip


def fit_spikes(board: BoardSpec) -> dict[str, SpikeCost]:
    """Fit the instructions of the kernels that read spikes alone, by name.

    Raises
    ------
    TargetError, ToolMissingError, DeviceError
        As `measure_layers`.
    """
    shapes = [(rows, cols) for rows in SPIKE_ROWS for cols in SPIKE_COLS]
    some = [max(1, int(share * n)) for (_, n), share in zip(shapes, cycle(SPIKE_SHARES))]
    shapes += LONG
    some += [int(SPIKE_SHARES[0] * n) for _, n in LONG]
    nodes = [Linear("layer", bench_matrix(*shape, FORMATS["w8a2"])) for shape in shapes]
    # steps of equally many spikes
    rng = np.random.default_rng(0)
    ones = [
        np.repeat(np.arange(n)[None] < k, STEPS, 0) for (_, n), k in zip(shapes, some, strict=True)
    ]
    x = [rng.permuted(values, axis=1).astype(np.int16) for values in ones]
    x += [np.zeros_like(values) for values in x]
    layers = list(zip([*nodes, *nodes], x, strict=True))
    wide = bench_matrix(8, 8, FORMATS["w8a8"])
    short = len(shapes) - len(LONG)
    rows, cols = zip(*shapes[:short], strict=True)
    found = {}
    for kernel in kernels_of(board.core.kernels):
        if kernel.is_exact_for(nodes[0].matrix) and not kernel.is_exact_for(wide):
            counts, _ = measure_cycles(layers, board, [kernel.name] * len(layers), backend="c")
            cost = SpikeCost(
                spikes=fit_delta(rows, cols, some[:short], counts[:short]),
                silent=fit(rows, cols, counts[len(nodes) : len(nodes) + short]),
            )
            again = [
                (count - cost.spikes.count(*shape, updated=k)) / cost.listing(*shape, k)
                for shape, k, count in zip(
                    LONG, some[short:], counts[short : len(nodes)], strict=True
                )
            ]
            listed = round(max(0.0, float(np.mean(again))), 3)
            found[kernel.name] = cost.model_copy(update={"listed": listed})
    return found


def _around(board: BoardSpec, matrix: Callable[[int, int], Matrix]) -> dict[str, float]:
    """Return what `NodeCosts` has of a step and of copies, and of a product of low rank."""
    relus = [ReLU("layer", size, 12, 12, 0) for size in AROUND]
    alone, _ = measure_cycles([(relu, inputs_of(relu)) for relu in relus], board, backend="c")
    clipped, copied = [], []
    for relu, count in zip(relus, alone, strict=True):
        first, last = _ends((relu,), board)
        clipped.append(first - count + last)
        weights = matrix(relu.size, 3), matrix(relu.size, relu.size)
        rnn = RNN("layer", *weights, 12, state_shift=0, relu=0)
        copied.append(_ends((rnn,), board)[1] - last)
    step, per_clipped = _line(AROUND, clipped)
    copy, per_copied = _line(AROUND, copied)
    left, factor = matrix(24, 6), matrix(6, 18)
    # no row of the factor leaves what the other reads
    small = replace(factor, multiplier=np.minimum(factor.multiplier, 1 << 8).astype(np.int32))
    low = Linear("layer", replace(left, factor=small))
    parts = [low, Linear("layer", small), Linear("layer", left)]
    counts, _ = measure_cycles([(node, inputs_of(node)) for node in parts], board, backend="c")
    return {
        "step": step, "per_clipped": per_clipped, "copy_base": copy, "per_copied": per_copied,
        "low_rank": round(counts[0] - counts[1] - counts[2], 1),
    }  # fmt: skip


def _ends(nodes: tuple[Node, ...], board: BoardSpec) -> tuple[float, float]:
    """Return mean instructions up to the end of the first layer, and behind the last one."""
    program = program_of(nodes)
    with scratch_folder("bench") as folder:
        x = inputs_of(nodes[0])
        _, counts, _ = run_program(program, board, folder, x, backend="c")
    means = counts.layers.mean(axis=0)
    return float(means[0]), float(means[-1])


def _line(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    slope, start = np.polyfit(x, y, 1)
    return round(float(start), 2), round(float(slope), 3)
