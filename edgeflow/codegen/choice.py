"""The kernel of each matrix of a program on a core, and what the others would cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edgeflow.codegen.backends import kernel_sets as sets_of
from edgeflow.codegen.backends import known_costs, owner
from edgeflow.codegen.costs import Cost
from edgeflow.codegen.cycles import Place
from edgeflow.codegen.delta import break_even, delta_count, expected_share
from edgeflow.codegen.kernels import MatvecKernel, choose_kernel, kernel_named, kernels_of
from edgeflow.errors import TargetError
from edgeflow.program.matrix import Matrix
from edgeflow.program.program import Program
from edgeflow.targets.core import CoreSpec

#: Goals of `edgeflow compile`.
#:
#: speed: the fewest instructions. cycles: of the kernels within `NEAR` of the fewest cycles of the
#: part, and so of the least energy, the one with the fewest instructions. balanced: the same with
#: weights of at most 8 bits, or of 16 in matrices of at most `FEW_COLUMNS` columns, where they cost
#: little flash. size: the fewest bits per weight that hold the matrix, up to 8; among equals the
#: fewest instructions; or a block-sparse kernel where that needs fewer bytes.
GOALS = ("speed", "cycles", "balanced", "size")
FEW_COLUMNS = 8
#: Share of cycles, which are estimates, that counts as none. Without a part, all kernels are near.
NEAR = {"cycles": 0.01, "balanced": 0.1}
#: Share of a product's instructions that buys no larger weights, nor one more kernel's code.
TOLERANCE = 0.01
#: Block-sparse kernels are candidates where at least this share of their blocks is zero.
FEWEST_ZEROS = 0.05
#: The reason where the caller named the kernel.
ASKED = "asked for"


@dataclass(frozen=True)
class Candidate:
    """A kernel that is exact on a matrix.

    Parameters
    ----------
    kernel : str
    instructions : float or None
        Expected per call; None if they were not measured on the core.
    weight_bytes : int
        Weights, biases and multipliers as the kernel reads them; sums that it starts with.
    allowed : bool
        Whether the goal lets it be chosen.
    cycles : float or None
        Expected per call on the part, wait states included; None without one.
    """

    kernel: str
    instructions: float | None
    weight_bytes: int
    allowed: bool
    cycles: float | None = None


@dataclass(frozen=True)
class Choice:
    """The kernel of one matrix.

    Parameters
    ----------
    layer, matrix : str
    rows, cols, input_bits : int
    kernel : str
    instructions : float or None
        Expected per call; for an input of spikes, at the rate that was measured.
    weight_bytes : int
    why : str
    alternatives : tuple of Candidate
        The other kernels of the core that are exact on the matrix, the best first.
    fired : float or None
        Expected delta density: share of a delta matrix's columns whose change is computed.
    break_even : float or None
        Delta density up to which the best delta kernel costs less than the best other one.
    cycles : float or None
        As of a candidate.
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
    fired: float | None = None
    break_even: float | None = None
    cycles: float | None = None


def choose_kernels(
    program: Program,
    core: CoreSpec,
    *,
    backend: str = "c",
    optimize: str = "balanced",
    kernel_sets: Sequence[str] | None = None,
    kernels: Mapping[str, str] | None = None,
    place: Place | None = None,
) -> tuple[Choice, ...]:
    """Choose the kernel of each matrix of a program.

    By expected cycles and instructions (``calibration/costs/kernels``) where all kernels that the
    goal allows were measured on the core, else the first of the core's preferred sets.

    Parameters
    ----------
    program : Program
    core : CoreSpec
    backend : str
        Whose kernels: "auto", "c" or "tvm" (``edgeflow.codegen.backends.BACKENDS``).
    optimize : str
        One of `GOALS`.
    kernel_sets : sequence of str, optional
        Sets or kernels in order of preference: the first that is exact, at any cost.
    kernels : mapping, optional
        Names of the kernels of single matrices, by layer and field: ``gru.input``.
    place : Place, optional
        The part that it runs on, and where weights are read from. Default: not known.

    Returns
    -------
    tuple of Choice
        One per matrix, in the order of the program.

    Raises
    ------
    TargetError
        If the goal or backend is unknown, the core has none of the kernels asked for, no kernel is
        exact, or the core's file of costs is wrong.
    ToolMissingError
        If the backend is not installed.
    """
    offered = sets_of(core, backend)
    if optimize not in GOALS:
        raise TargetError(f"--optimize {optimize}: there are {', '.join(GOALS)}")
    _check_offered(core, offered, kernel_sets or ())
    known = known_costs(core.name)
    matrices = [
        (node.name, field, matrix)
        for node in program.nodes
        for field, matrix in node.products().items()
    ]
    shares = [
        expected_share(program, f"{layer}.{field}") if matrix.threshold else None
        for layer, field, matrix in matrices
    ]
    asked: list[str | None] = []
    tables = []
    for (layer, field, matrix), share in zip(matrices, shares, strict=True):
        name = (kernels or {}).get(f"{layer}.{field}")
        sets = [name] if name is not None else kernel_sets
        asked.append(None if sets is None else choose_kernel(matrix, sets).name)
        tables.append(_candidates(matrix, core, offered, optimize, known, asked[-1], share, place))
    picks = _pick(tables, optimize) if kernel_sets is None else [("", "")] * len(tables)
    picks = [(name, ASKED) if name else pick for pick, name in zip(picks, asked, strict=True)]
    chosen = [
        next(c for c in table if c.kernel == kernel)
        for table, (kernel, _) in zip(tables, picks, strict=True)
    ]
    return tuple(
        Choice(
            layer=layer,
            matrix=field,
            rows=matrix.rows,
            cols=matrix.cols,
            input_bits=matrix.input_bits,
            kernel=best.kernel,
            instructions=best.instructions,
            weight_bytes=best.weight_bytes,
            why=why,
            alternatives=tuple(c for c in table if c is not best),
            fired=share,
            break_even=_break_even(matrix, table, known) if share is not None else None,
            cycles=best.cycles,
        )
        for (layer, field, matrix), table, best, (_, why), share in zip(
            matrices, tables, chosen, picks, shares, strict=True
        )
    )


def _check_offered(core: CoreSpec, offered: Sequence[str], asked: Sequence[str]) -> None:
    """Refuse what is neither a set of kernels that the core has nor one of these kernels."""
    kernels = {kernel.name for kernel in kernels_of(offered)}
    foreign = set(asked) - set(offered) - kernels
    if foreign:
        raise TargetError(
            f"{core.name} has no kernels '{', '.join(sorted(foreign))}'; there are the sets "
            f"{', '.join(offered)} and the kernels {', '.join(sorted(kernels))}"
        )


def _break_even(
    matrix: Matrix, table: Sequence[Candidate], known: Mapping[str, Cost]
) -> float | None:
    """Return the delta density from which on the best allowed kernel is not a delta one."""
    allowed = [kernel_named(c.kernel) for c in table if c.allowed]
    delta = next((kernel for kernel in allowed if kernel.delta), None)
    other = next((kernel for kernel in allowed if not kernel.delta), None)
    if delta is None or other is None:
        return None
    return break_even(delta, other, matrix, known)


def _pick(tables: Sequence[Sequence[Candidate]], goal: str) -> list[tuple[str, str]]:
    """Return kernel and reason for each table of candidates."""
    picks = [_best(table, goal) for table in tables]
    if goal in ("speed", "cycles"):
        return picks
    needless = _needless(tables, [name for name, _ in picks])
    if needless is not None and not (goal == "size" and kernel_named(needless).sparse):
        for i, table in enumerate(tables):
            if picks[i][0] == needless:
                used = {name for name, _ in picks} - {needless}
                name = _best([c for c in table if c.kernel in used and c.allowed], goal)[0]
                picks[i] = (name, f"used elsewhere; {needless} saves too little for its code")
    return picks


def _candidates(
    matrix: Matrix,
    core: CoreSpec,
    offered: Sequence[str],
    goal: str,
    known: Mapping[str, Cost],
    asked: str | None,
    share: float | None,
    place: Place | None,
) -> list[Candidate]:
    """Return all kernels that are exact, those that the goal allows first, the best first.

    Block-sparse ones only if the matrix has zeros to leave out, or they were asked for. `share`
    is the density of a delta matrix.
    """
    exact = [kernel for kernel in kernels_of(offered) if kernel.is_exact_for(matrix)]
    kernels = [k for k in exact if k.name == asked or not _lacks_zeros(k, matrix)]
    if not kernels:
        raise TargetError(f"{core.name} has no kernel for a {matrix.rows} x {matrix.cols} matrix")
    per_shape = {kernel.name for kernel in kernels if owner(kernel).per_shape}
    if len(per_shape) < len(kernels):
        # they must have been measured; their code grows with each shape
        wanted = {*known, asked} if goal != "size" else {asked}
        kernels = [k for k in kernels if k.name not in per_shape or k.name in wanted]
    fewest = min(kernel.weight_bits for kernel in kernels if not kernel.sparse)
    found = []
    for kernel in kernels:
        cost = known.get(kernel.name)
        items = kernel.sparse.items(matrix) if kernel.sparse else None
        if share is not None:
            expected = delta_count(kernel, matrix, share, known, items)
        else:
            expected = cost.count(matrix.rows, matrix.cols, items) if cost else None
        stored = kernel.layout.bytes(matrix)
        cycles = None
        if place is not None:
            cycles = place.cycles(kernel, matrix, expected, stored, known, items, share)
        found.append(
            Candidate(
                kernel.name,
                None if expected is None else round(expected, 1),
                stored,
                _allowed(kernel, matrix, goal, fewest),
                None if cycles is None else round(cycles, 1),
            )
        )
    found = _near(found, NEAR.get(goal))
    # stable: where not all were measured, the order of preference stays
    measured = all(c.instructions is not None for c in found if c.allowed)
    found.sort(key=lambda c: (not c.allowed, (c.instructions or 0) if measured else 0))
    return found


def _near(table: Sequence[Candidate], share: float | None) -> list[Candidate]:
    """Allow only candidates within a share of the fewest cycles, where all are known."""
    cycles = [c.cycles for c in table if c.allowed and c.cycles is not None]
    if share is None or len(cycles) < sum(c.allowed for c in table):
        return list(table)
    most = min(cycles) * (1 + share)
    return [replace(c, allowed=c.allowed and (c.cycles or 0) <= most) for c in table]


def _allowed(kernel: MatvecKernel, matrix: Matrix, goal: str, fewest: int) -> bool:
    if goal in ("speed", "cycles"):
        return True
    if goal == "size":
        return kernel.weight_bits <= (8 if kernel.sparse else fewest)
    return kernel.weight_bits <= 8 or (kernel.weight_bits == 16 and matrix.cols <= FEW_COLUMNS)


def _lacks_zeros(kernel: MatvecKernel, matrix: Matrix) -> bool:
    """Tell whether a block-sparse kernel has too few blocks of zeros to leave out."""
    return kernel.sparse is not None and kernel.sparse.share(matrix) > 1 - FEWEST_ZEROS


def _best(table: Sequence[Candidate], goal: str) -> tuple[str, str]:
    """Return the smallest of the kernels within `TOLERANCE` of the best, and why."""
    allowed = [c for c in table if c.allowed]
    if goal == "size" and any(kernel_named(c.kernel).sparse for c in allowed):
        return _smallest(allowed)
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


def _smallest(allowed: Sequence[Candidate]) -> tuple[str, str]:
    """Return the best dense kernel, or a block-sparse one where that needs fewer bytes, and why."""
    sparse = [c for c in allowed if kernel_named(c.kernel).sparse]
    dense, why = _best([c for c in allowed if c not in sparse], "size")
    limit = next(c.weight_bytes for c in allowed if c.kernel == dense)
    least = min(sparse, key=lambda c: (c.weight_bytes, c.instructions or 0))
    return (least.kernel, "fewest bytes") if least.weight_bytes < limit else (dense, why)


def _needless(tables: Sequence[Sequence[Candidate]], chosen: Sequence[str]) -> str | None:
    """Return the kernel that the others chosen can replace within `TOLERANCE`, if any."""
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
