"""Which kernel each matrix of a program gets on a core, and what the others would cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgeflow.codegen.costs import KernelCosts, load_costs
from edgeflow.codegen.kernels import MATVEC_KERNELS, MatvecKernel, choose_kernel
from edgeflow.errors import TargetError
from edgeflow.program.matrix import Matrix
from edgeflow.program.program import Program
from edgeflow.targets.board import CoreSpec

#: What `edgeflow compile` optimizes for.
#:
#: speed: the fewest instructions. balanced: the fewest with weights of 8 bits, or of 16 in
#: matrices of at most `FEW_COLUMNS` columns, where they cost little flash. size: the fewest bits a
#: weight that hold the matrix, up to 8; among equals the fewest instructions.
GOALS = ("speed", "balanced", "size")
FEW_COLUMNS = 8
#: Share of a product's instructions that buys no larger weights, nor one more kernel's code.
TOLERANCE = 0.01
#: Why, where the caller named the kernel.
ASKED = "asked for"


@dataclass(frozen=True)
class Candidate:
    """A kernel that is exact on a matrix.

    Parameters
    ----------
    kernel : str
    instructions : float or None
        Expected for a call; None if they were not measured on the core.
    weight_bytes : int
        Weights, biases and multipliers as the kernel reads them.
    allowed : bool
        Whether the goal lets it be chosen.
    """

    kernel: str
    instructions: float | None
    weight_bytes: int
    allowed: bool


@dataclass(frozen=True)
class Choice:
    """The kernel of one matrix.

    Parameters
    ----------
    layer, matrix : str
    rows, cols, input_bits : int
    kernel : str
    instructions : float or None
        Expected for a call; for an input of spikes, at the rate that was measured.
    weight_bytes : int
    why : str
    alternatives : tuple of Candidate
        The other kernels of the core that are exact on the matrix, the best first.
    """

    layer: str
    matrix: str
    rows: int
    cols: int
    input_bits: int
    kernel: str
    instructions: float | None
    weight_bytes: int
    why: str
    alternatives: tuple[Candidate, ...]


def choose_kernels(
    program: Program,
    core: CoreSpec,
    *,
    optimize: str = "balanced",
    kernel_sets: Sequence[str] | None = None,
    kernels: Mapping[str, str] | None = None,
) -> tuple[Choice, ...]:
    """Choose the kernel of each matrix of a program.

    By expected instructions (``calibration/kernels``) where all kernels that the goal allows were
    measured on the core, else the first of the core's preferred sets.

    Parameters
    ----------
    program : Program
    core : CoreSpec
    optimize : str
        One of `GOALS`.
    kernel_sets : sequence of str, optional
        Sets or kernels in order of preference: the first that is exact, whatever it costs.
    kernels : mapping, optional
        Names of the kernels of single matrices, by layer and field: ``gru.input``.

    Returns
    -------
    tuple of Choice
        A matrix each, in the order of the program.

    Raises
    ------
    TargetError
        If the goal is unknown, no kernel fits, or the core's file of costs is wrong.
    """
    if optimize not in GOALS:
        raise TargetError(f"--optimize {optimize}: there are {', '.join(GOALS)}")
    costs = load_costs(core.name)
    matrices = {
        (node.name, field): matrix
        for node in program.nodes
        for field, matrix in node.matrices().items()
    }
    tables = [_candidates(matrix, core, optimize, costs) for matrix in matrices.values()]
    if kernel_sets is None:
        picks = _pick(tables, optimize)
    else:
        picks = [(choose_kernel(matrix, kernel_sets).name, ASKED) for matrix in matrices.values()]
    for i, ((layer, field), matrix) in enumerate(matrices.items()):
        name = (kernels or {}).get(f"{layer}.{field}")
        if name is not None:
            picks[i] = (choose_kernel(matrix, [name]).name, ASKED)
    return tuple(
        _choice(layer, field, matrix, table, name, why)
        for ((layer, field), matrix), table, (name, why) in zip(
            matrices.items(), tables, picks, strict=True
        )
    )


def _choice(
    layer: str, field: str, matrix: Matrix, table: Sequence[Candidate], name: str, why: str
) -> Choice:
    chosen = next(c for c in table if c.kernel == name)
    return Choice(
        layer=layer,
        matrix=field,
        rows=matrix.rows,
        cols=matrix.cols,
        input_bits=matrix.input_bits,
        kernel=name,
        instructions=chosen.instructions,
        weight_bytes=chosen.weight_bytes,
        why=why,
        alternatives=tuple(c for c in table if c is not chosen),
    )


def _pick(tables: Sequence[Sequence[Candidate]], goal: str) -> list[tuple[str, str]]:
    """Return kernel and reason for each table of candidates."""
    picks = [_best(table, goal) for table in tables]
    if goal == "speed":
        return picks
    needless = _needless(tables, [name for name, _ in picks])
    if needless is not None:
        for i, table in enumerate(tables):
            if picks[i][0] == needless:
                used = {name for name, _ in picks} - {needless}
                name = _best([c for c in table if c.kernel in used and c.allowed], goal)[0]
                picks[i] = (name, f"used elsewhere; {needless} saves too little for its code")
    return picks


def _candidates(
    matrix: Matrix, core: CoreSpec, goal: str, costs: KernelCosts | None
) -> list[Candidate]:
    """Return all kernels that are exact, those that the goal allows first, the best first."""
    known = costs.kernels if costs else {}
    kernels: list[MatvecKernel] = []
    for kernel_set in core.kernels:
        for kernel in MATVEC_KERNELS:
            named = any(k.name == kernel.name for k in kernels)
            if kernel.kernel_set == kernel_set and kernel.fits(matrix) and not named:
                kernels.append(kernel)
    if not kernels:
        raise TargetError(f"{core.name} has no kernel for a {matrix.rows} x {matrix.cols} matrix")
    fewest = min(kernel.weight_bits for kernel in kernels)
    found = []
    for kernel in kernels:
        cost = known.get(kernel.name)
        found.append(
            Candidate(
                kernel.name,
                round(cost.instructions(matrix.rows, matrix.cols), 1) if cost else None,
                _weight_bytes(kernel, matrix),
                _allowed(kernel, matrix, goal, fewest),
            )
        )
    # stable: where not all were measured, the order of preference stays
    measured = all(c.instructions is not None for c in found if c.allowed)
    found.sort(key=lambda c: (not c.allowed, (c.instructions or 0) if measured else 0))
    return found


def _allowed(kernel: MatvecKernel, matrix: Matrix, goal: str, fewest: int) -> bool:
    if goal == "speed":
        return True
    if goal == "size":
        return kernel.weight_bits == fewest
    return kernel.weight_bits == 8 or (kernel.weight_bits == 16 and matrix.cols <= FEW_COLUMNS)


def _weight_bytes(kernel: MatvecKernel, matrix: Matrix) -> int:
    packed = kernel.pack(matrix)
    ends = 0 if packed.complete else matrix.bias.nbytes + matrix.multiplier.nbytes
    return packed.weights.nbytes + ends


def _best(table: Sequence[Candidate], goal: str) -> tuple[str, str]:
    """Return the smallest of the kernels that cost hardly more than the best, and why."""
    allowed = [c for c in table if c.allowed]
    first = allowed[0]
    if len(allowed) == 1:
        return first.kernel, f"the only one that '{goal}' allows"
    if any(c.instructions is None for c in allowed):
        return first.kernel, "first of the core's kernels (not all are measured)"
    limit = (first.instructions or 0) * (1 + TOLERANCE)
    near = [c for c in allowed if (c.instructions or 0) <= limit]
    best = min(near, key=lambda c: (c.weight_bytes, c.instructions))
    if best is first:
        return best.kernel, f"fewest instructions of those that '{goal}' allows"
    return best.kernel, f"within {TOLERANCE:.0%} of the fewest instructions, and smaller"


def _needless(tables: Sequence[Sequence[Candidate]], chosen: Sequence[str]) -> str | None:
    """Return the kernel that the others chosen can stand in for at hardly a cost, if any."""
    by_name = [{c.kernel: c for c in table if c.allowed} for table in tables]
    total, losses = 0.0, dict.fromkeys(chosen, 0.0)
    for table, name in zip(by_name, chosen, strict=True):
        if any(c.instructions is None for c in table.values()):
            return None
        mine = table[name].instructions or 0
        others = [c.instructions or 0 for k, c in table.items() if k in losses and k != name]
        total += mine
        losses[name] += min(others, default=float("inf")) - mine
    if not losses:
        return None
    least = min(losses, key=lambda name: losses[name])
    return least if losses[least] <= TOLERANCE * total else None
