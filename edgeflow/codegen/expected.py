"""Costs of a program on a board before anything is compiled: by formulas fitted to measurements.

Instructions are those of the matrix products (``calibration/costs/kernels``), of the steps around
them and of what stands around the steps (``calibration/costs/nodes``); bytes are those of weights,
code and firmware (``calibration/costs/sizes``). Weights decide which kernels are exact, so any of
about the trained ones' distribution will do: costs of an untrained model are those of the trained.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgeflow.codegen.backends import TVM, backends_of
from edgeflow.codegen.choice import Choice, choose_kernels
from edgeflow.codegen.code_sizes import expected_bytes
from edgeflow.codegen.cycles import place_of
from edgeflow.codegen.kernels import kernel_named
from edgeflow.codegen.node_costs import NodeCosts, form, load_node_costs
from edgeflow.codegen.places import Places
from edgeflow.codegen.plan import plan_library
from edgeflow.codegen.schedules import load_schedules
from edgeflow.codegen.step_costs import lines_of, load_step_costs
from edgeflow.program import Program
from edgeflow.program.firing import Active
from edgeflow.program.nodes import Node
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.part import Part, estimated_part

#: Share of a vector of spikes that is not zero, where compression has not measured it.
SPIKE_RATE = 0.2
#: Error of cycles per instruction, in percent: a kind of layer and a kernel have one each, whatever
#: their sizes.
RATIO_ERROR = 17.0


@dataclass(frozen=True)
class Expected:
    """Expected costs of a step, and of the image.

    Parameters
    ----------
    board : str
    instructions : float or None
        Mean per step; None: the core or a kind of layer was not measured.
    error_percent : float or None
        Largest error of `instructions` that was found on the core.
    layers : mapping
        Instructions by layer, of a step in which it runs.
    cycles : float or None
        On the board's part, wait states included; None also without a part or a cycle model.
    cycle_error_percent : float or None
        Of the cycle model, of cycles per instruction and of `instructions` together.
    energy_uj : float or None
        Of a step on the part; None also where its energy is not known.
    flash_bytes, ram_bytes : int or None
        Of the image, without the stack; None: the board or a kernel was not measured.
    unknown : tuple of str
        Kinds of layers that were not measured.
    """

    board: str
    instructions: float | None
    error_percent: float | None
    layers: Mapping[str, float]
    cycles: float | None
    cycle_error_percent: float | None
    energy_uj: float | None
    flash_bytes: int | None
    ram_bytes: int | None
    unknown: tuple[str, ...] = ()


def expected(
    program: Program,
    board: BoardSpec,
    *,
    optimize: str = "balanced",
    backend: str = "c",
    active: Mapping[str, Active] | None = None,
    reads: float = 1.0,
    known: NodeCosts | None = None,
) -> Expected:
    """Return the expected costs of a program.

    Parameters
    ----------
    program : Program
    board : BoardSpec
    optimize : str
        Goal of the choice of kernels.
    backend : str
        Whose code the instructions are of (``edgeflow.codegen.backends.BACKENDS``); bytes are those
        of EdgeFlow's own kernels.
    active : mapping of Active, optional
        What matrices read that read spikes, by ``layer.field``, as
        `edgeflow.program.firing.active_shares` measures it. Default: spikes fall on their own, at
        the mean rate that compression measured, ``program.metadata["spikes"]``, else 0.2. Delta
        matrices update what compression measured, ``program.metadata["fired"]``, else 0.2 of their
        columns.
    reads : float
        Share of the samples that are read, of a program that decides early; default: all.
    known : NodeCosts, optional
        Of the board's core; default: those of ``calibration``.

    Raises
    ------
    TargetError
        If no kernel is exact on a matrix, the goal or backend is unknown, or a file of costs is
        wrong.
    """
    place = place_of(board)
    plan = plan_library(program, board.core, optimize=optimize, place=place)
    choices = plan.choices
    if backend != "c":
        choices = choose_kernels(
            program, board.core, backend=backend, optimize=optimize, place=place
        )
    known, part = known or load_node_costs(board.core.name), estimated_part(board)
    sizes = expected_bytes(plan, board)
    layers: dict[str, float] = {}
    cycles: float | None = 0.0
    unknown = () if known is None else tuple(_unknown(program, known))
    if known is not None and not unknown:
        spikes = _spikes(program) | dict(active or {})
        by_layer: dict[str, list[Choice]] = {}
        for choice in choices:
            by_layer.setdefault(choice.layer, []).append(choice)
        total = around = _around(program, known)
        ratio = _mean_ratio(board)
        cycles = None if ratio is None else around * ratio
        saved = _saved(program, board, optimize, backend)
        for node, clock in zip(program.nodes, program.clocks, strict=True):
            count, taken = _layer(node, by_layer.get(node.name, []), known, spikes, ratio)
            count, less = max(0.0, count - saved.get(node.name, 0.0)), count
            taken = None if taken is None else taken * count / max(less, 1.0)
            layers[node.name] = count
            total += count / clock.period
            cycles = None if cycles is None or taken is None else cycles + taken / clock.period
        overlap = program.overlap
        times = reads * (1 if overlap is None else overlap.states)
        instructions: float | None = total * times
        error: float | None = known.error_percent
    else:
        instructions, error, cycles, times = None, None, None, reads
    cycle_error = None
    if part is None or cycles is None or instructions is None:
        cycles = None
    else:
        assert known is not None
        cycles = (cycles + _waits(program, choices, part, board, known, spikes)) * times
        model = load_step_costs(board.core.name)
        assert model is not None and error is not None
        errors = (error, model.error_percent, RATIO_ERROR)
        cycle_error = 100 * (math.prod(1 + each / 100 for each in errors) - 1)
    return Expected(
        board=board.name, instructions=instructions, error_percent=error, layers=layers,
        cycles=cycles, cycle_error_percent=cycle_error,
        energy_uj=None if cycles is None or part is None or part.energy is None
        else part.step_uj(cycles),
        flash_bytes=None if sizes is None else sizes[0],
        ram_bytes=None if sizes is None else sizes[1],
        unknown=unknown,
    )  # fmt: skip


def _unknown(program: Program, known: NodeCosts) -> list[str]:
    # without a function of its own a layer is its product
    kinds = {form(node): node.op_type for node in program.nodes if node.c_function}
    return sorted({kind for name, kind in kinds.items() if name not in known.forms})


def _around(program: Program, known: NodeCosts) -> float:
    """Return the instructions of a step around its layers: clipping, copies."""
    total = known.step + known.per_clipped * program.inputs
    places = Places(program)
    for number in range(len(program.nodes) + 1):
        for copy in places.copies(number):
            total += known.copy_base + known.per_copied * copy.size
    return total


def _saved(program: Program, board: BoardSpec, optimize: str, backend: str) -> dict[str, float]:
    """Return the instructions that steps by TVM save, by layer."""
    known = load_schedules(board.core.name)
    if known is None or TVM not in backends_of(board.core, backend):
        return {}
    names = TVM.layers(program, board.core, optimize, backend == TVM.name)
    return {
        node.name: known.steps[node.op_type].instructions(node.outputs)
        for node in program.nodes
        if node.name in names and node.op_type in known.steps
    }


def _spikes(program: Program) -> dict[str, Active]:
    """Return what matrices read if spikes fall on their own, at the program's mean rate."""
    rates = program.metadata.get("spikes")
    share = SPIKE_RATE
    if isinstance(rates, Mapping) and rates:
        share = min(1.0, sum(map(float, rates.values())) / len(rates))
    return {
        f"{node.name}.{field}": Active(share, (1 - share) ** matrix.cols)
        for node in program.nodes
        for field, matrix in node.products().items()
    }


def _layer(
    node: Node,
    choices: Sequence[Choice],
    known: NodeCosts,
    active: Mapping[str, Active],
    ratio: float | None,
) -> tuple[float, float | None]:
    """Return the instructions and the cycles of a layer's step; `ratio`: cycles of what is not
    known.
    """
    count, per = 0.0, ratio
    if node.c_function:
        cost = known.forms[form(node)]
        count, per = cost.instructions(node), cost.cycles_per_instruction or ratio
    cycles = None if per is None else count * per
    for choice in choices:
        each = node.calls(choice.matrix) * _product(choice, known, active)
        matrix = node.products()[choice.matrix]
        each += known.low_rank if matrix.factor is not None else 0.0
        per = known.kernels.get(choice.kernel, ratio)
        count += each
        cycles = None if cycles is None or per is None else cycles + each * per
    return count, cycles


def _product(choice: Choice, known: NodeCosts, active: Mapping[str, Active]) -> float:
    """Return the instructions of a product."""
    cost = known.spikes.get(choice.kernel)
    if cost is None:
        return choice.instructions or 0.0
    return cost.instructions(choice.rows, choice.cols, active[f"{choice.layer}.{choice.matrix}"])


def _mean_ratio(board: BoardSpec) -> float | None:
    costs = load_step_costs(board.core.name)
    return None if costs is None else costs.mean


def _waits(
    program: Program,
    choices: Sequence[Choice],
    part: Part,
    board: BoardSpec,
    known: NodeCosts,
    active: Mapping[str, Active],
) -> float:
    """Return the cycles that a step waits for the weights that it reads, on average.

    Layers that run at some steps only wait at these.
    """
    flash = part.flash
    if flash is None or board.placement.weights != "flash":
        return 0.0
    period = {
        node.name: clock.period for node, clock in zip(program.nodes, program.clocks, strict=True)
    }
    read: dict[int, float] = dict.fromkeys(period.values(), 0.0)
    for choice in choices:
        share = 1.0
        if choice.kernel in known.spikes:
            share = active[f"{choice.layer}.{choice.matrix}"].share
        elif choice.fired is not None and kernel_named(choice.kernel).delta:
            share = choice.fired
        read[period[choice.layer]] += choice.weight_bytes * share
    if not lines_of(sum(read.values()), part):  # all are still in the cache
        return 0.0
    bytes_a_step = sum(some / times for times, some in read.items())
    return float(bytes_a_step // flash.data_line_bytes * flash.line_cycles)
