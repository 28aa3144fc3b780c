"""Costs by formula: terms, fits, spikes, sketches; figures of boards are in tests/boards."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgeflow.bench.nodes import Overhead, fit_form, reads_of
from edgeflow.bench.sizes import kernel_sources
from edgeflow.codegen.choice import choose_kernels
from edgeflow.codegen.code_sizes import load_code_sizes
from edgeflow.codegen.costs import KernelCost
from edgeflow.codegen.expected import expected
from edgeflow.codegen.node_costs import (
    TERMS,
    NodeCost,
    NodeCosts,
    SpikeCost,
    features,
    form,
    load_node_costs,
)
from edgeflow.codegen.plan import plan_library
from edgeflow.program import GRU, Node, Program
from edgeflow.program.firing import Active, active_shares
from edgeflow.program.nodes import L2MU, LTC
from edgeflow.recipes.candidate import Candidate
from edgeflow.recipes.limits import Limits
from edgeflow.recipes.recipe import make_recipe
from edgeflow.recipes.sketch import sketch
from edgeflow.targets.board import load_board
from tests.random_nodes.draw import DRAW
from tests.random_programs import random_program

BOARDS = ("qemu-m0", "qemu-m4", "qemu-m55", "qemu-rv32")
FLAT = KernelCost(
    block=(1, 1), base=0, per_row=0, per_row_block=0, per_column_block=0, per_block=0,
    error_percent=0,
)  # fmt: skip


def drawn(kind: str, width: int = 6, size: int = 16, seed: int = 0) -> Node:
    return DRAW[kind](np.random.default_rng(seed), "layer", width, size, 12, 12, False)


@pytest.mark.parametrize("name", BOARDS)
def test_code_of_every_kernel_is_known(name: str) -> None:
    core = load_board(name).core
    sizes = load_code_sizes(core.name)
    assert sizes is not None
    assert sizes.kernels.keys() == set(kernel_sources(core)), "run scripts/node_costs.py"


class TestForms:
    def test_a_form_has_the_optional_parts(self) -> None:
        names = {form(drawn("lif", seed=seed)) for seed in range(20)}
        assert names == {"LIF", "LIF_recurrent", "LIF_alpha", "LIF_recurrent_alpha"}

    def test_few_functions_are_forms_and_many_are_not(self) -> None:
        assert {form(drawn("difference", seed=seed)) for seed in range(20)} == {
            "Difference_keep0", "Difference_keep1"
        }  # fmt: skip
        assert {form(drawn("rnn", seed=seed)) for seed in range(9)} == {"RNN_relu0", "RNN_relu1"}
        assert {form(drawn("ltc", size=6, seed=seed)) for seed in range(9)} == {"LTC"}

    @pytest.mark.parametrize("kind", DRAW)
    def test_every_kind_has_its_terms(self, kind: str) -> None:
        node = drawn(kind)
        values = features(node, 8)
        assert len(values) == len(TERMS)
        assert min(values) >= 0
        assert values[TERMS.index("per_block")] == -(-node.outputs // 8)


class TestWork:
    def test_synapses_that_are_absent_are_no_work(self) -> None:
        node = drawn("ltc", size=6)
        assert isinstance(node, LTC)
        none = np.zeros_like(node.weight)
        bare = replace(node, weight=none, reversal=none)
        assert bare.macs() == node.macs()
        assert node.taken_macs() - bare.taken_macs() == 2 * node.unfolds * np.count_nonzero(
            node.weight | node.reversal
        )

    @pytest.mark.parametrize("kind", ["l2mu", "gru", "cfc", "mixer", "lif"])
    def test_products_are_taken_as_often_as_said(self, kind: str) -> None:
        node = drawn(kind)
        x = np.zeros((5, node.inputs), np.int16)
        for field, rows in reads_of(node, x).items():
            assert len(rows) == 5 * node.calls(field)
        assert not isinstance(node, L2MU) or node.calls("transition") > 1


def test_a_fit_tells_what_other_layers_cost() -> None:
    made = NodeCost(base=40, per_output=7.5, per_state=3, layers=1, error_percent=0)
    sizes = ((3, 8), (9, 31), (5, 64), (2, 17), (12, 40), (7, 9), (6, 23), (4, 50))
    nodes = [drawn("lmu", width, size, size) for width, size in sizes]
    found = fit_form([Overhead(n, made.instructions(n) + 500, 500, None) for n in nodes])
    assert found.error_percent <= 1
    assert found.layers == len(nodes) and found.cycles_per_instruction is None
    other = drawn("lmu", 8, 45, 3)
    assert found.instructions(other) == pytest.approx(made.instructions(other), rel=0.02)


class TestSpikes:
    def test_silent_steps_cost_what_they_cost(self) -> None:
        updated = FLAT.model_copy(update={"base": 10.0, "per_fired": 2.0})
        cost = SpikeCost(spikes=updated, silent=FLAT.model_copy(update={"base": 1.0}))
        assert cost.instructions(4, 8, Active(0.0, 1.0)) == 1
        assert cost.instructions(4, 8, Active(0.5, 0.0)) == 10 + 2 * 4
        # half of the steps have 4 spikes of 8
        assert cost.instructions(4, 8, Active(0.25, 0.5)) == 0.5 + 0.5 * (10 + 2 * 4)

    def test_shares_are_those_of_the_reference(self) -> None:
        program = random_program(3, 4, [9, 5], 3, 12, 12, cells=("lif",))
        x = np.random.default_rng(0).integers(-2000, 2000, (2, 20, 4)).astype(np.int16)
        found = active_shares(program, x)
        assert "head.matrix" in found
        state, spikes = program.initial_state(2), []
        for t in range(20):
            _, state = program.step(x[:, t], state)
            spikes.append(state[1]["s"])
        assert found["head.matrix"] == Active.of(np.concatenate(spikes))
        assert active_shares(random_program(0, 4, [5], 2, 12, 12), x) == {}


class TestExpected:
    @pytest.fixture(scope="class")
    def program(self) -> Program:
        return sketch("gru", 6, 4, hidden=24, window=50)

    @pytest.mark.parametrize("board", BOARDS)
    def test_layers_add_up(self, program: Program, board: str) -> None:
        found = expected(program, load_board(board))
        assert found.instructions is not None
        assert found.flash_bytes is not None
        assert found.cycles is not None
        assert set(found.layers) == {"rnn", "head"}
        around = found.instructions - sum(found.layers.values())
        assert 0 < around < 200
        assert found.cycles > found.instructions / 2
        assert found.flash_bytes > program.nodes[0].weight_bytes()

    def test_products_are_what_the_choice_expects(self, program: Program) -> None:
        board = load_board("qemu-m4")
        found, known = expected(program, board), load_node_costs("cortex-m4")
        assert known is not None
        choices = choose_kernels(program, board.core)
        products = sum(c.instructions or 0 for c in choices if c.layer == "rnn")
        around = known.forms["GRU"].instructions(program.nodes[0])
        assert found.layers["rnn"] == pytest.approx(products + around)
        assert found.layers["head"] == next(c.instructions for c in choices if c.layer == "head")

    def test_half_of_the_samples_cost_half(self, program: Program) -> None:
        board = load_board("qemu-m4")
        whole, half = expected(program, board), expected(program, board, reads=0.5)
        assert whole.instructions is not None
        assert half.instructions == pytest.approx(whole.instructions / 2)
        assert half.flash_bytes == whole.flash_bytes

    def test_what_is_not_known_is_said(self, program: Program) -> None:
        known = load_node_costs("cortex-m4")
        assert known is not None
        forms = {name: cost for name, cost in known.forms.items() if name != "GRU"}
        found = expected(
            program, load_board("qemu-m4"), known=known.model_copy(update={"forms": forms})
        )
        assert found.instructions is None and found.cycles is None and found.energy_uj is None
        assert found.unknown == ("GRU",)
        assert found.flash_bytes is not None
        host = expected(program, load_board("host"))
        assert host.instructions is None and host.flash_bytes is None and host.unknown == ()

    def test_columns_that_are_updated_count(self) -> None:
        board = load_board("qemu-m4")
        recipes = [make_recipe({}, {"delta": {"state": share}}) for share in (0.3, 0.9)]
        much, little = (
            expected(sketch("gru", 6, 4, recipe, hidden=64), board).instructions
            for recipe in recipes
        )
        assert much is not None and little is not None
        assert little < 0.8 * much

    def test_spikes_count(self) -> None:
        program = sketch("lif", 6, 4, hidden=64)
        names = [f"{n.name}.{field}" for n in program.nodes for field in n.matrices()]
        found = [
            expected(program, load_board("qemu-m4"), active=dict.fromkeys(names, active))
            for active in (Active(0.0, 1.0), Active(0.6, 0.0))
        ]
        assert found[0].instructions is not None and found[1].instructions is not None
        assert 2 * found[0].instructions < found[1].instructions


class TestSketch:
    def test_options_of_a_recipe_are_in_the_matrices(self) -> None:
        recipe = make_recipe({}, {"weights": "int4", "low-rank": "4", "epochs": 1})
        program = sketch("gru", 6, 4, recipe, hidden=32)
        node = program.nodes[0]
        assert isinstance(node, GRU)
        assert node.recurrent.factor is not None and node.recurrent.factor.rows == 4
        assert node.weight_bits() == (4,)

    def test_shares_that_a_recipe_asks_for_are_what_is_updated(self) -> None:
        recipe = make_recipe({}, {"delta": {"state": 0.8, "input": 0.25}})
        fired = sketch("lstm", 6, 4, recipe, hidden=32).metadata["fired"]
        assert fired == {
            "rnn.input": pytest.approx(0.75), "rnn.recurrent": pytest.approx(0.2)
        }  # fmt: skip

    def test_the_same_seed_is_the_same_sketch(self) -> None:
        assert sketch("lmu", 5, 3, hidden=12) == sketch("lmu", 5, 3, hidden=12)
        assert sketch("lmu", 5, 3, hidden=12) != sketch("lmu", 5, 3, hidden=12, seed=1)


class TestSearch:
    """What a search leaves out before it compiles anything."""

    def told(self, **limits: float) -> dict[str, Any] | None:
        one = Candidate.__new__(Candidate)
        one.recipe = make_recipe({}, {"epochs": 1})
        one.job = SimpleNamespace(  # type: ignore[assignment]
            board=load_board("qemu-m4"),
            limits=Limits(**limits),  # type: ignore[arg-type]
        )
        return one._told(sketch("gru", 6, 4, one.recipe, hidden=32), 1.0)

    def test_what_is_far_beyond_a_limit_is_not_compiled(self) -> None:
        found = self.told(instructions=1000)
        assert found is not None and found["instructions"] > 4000
        assert self.told(flash=5000, instructions=100_000) is not None
        assert self.told(ram=400) is not None

    def test_what_may_meet_the_limits_is_compiled(self) -> None:
        assert self.told(instructions=100_000, flash=100_000, ram=100_000) is None
        found = self.told(instructions=1000)
        assert found is not None
        # within what the formula and the training may be wrong by
        assert self.told(instructions=found["instructions"] / 1.08) is None


@pytest.mark.parametrize("board", BOARDS)
def test_every_kind_and_kernel_is_known(board: str) -> None:
    core = load_board(board).core
    costs, sizes = load_node_costs(core.name), load_code_sizes(core.name)
    assert isinstance(costs, NodeCosts) and sizes is not None
    assert board in sizes.boards
    for cell in ("gru", "lstm", "mingru", "lmu", "lru", "cfc", "lif", "l2mu", "lmuformer", "ltc"):
        program = sketch(cell, 6, 4, hidden=10)
        assert sizes.code(plan_library(program, core)) is not None
        assert {form(node) for node in program.nodes if node.c_function} <= costs.forms.keys()
