"""Programs on arrays: alone, it would catch that ideal arrays are not the program itself.

Fast tier. Ideal devices give the oracle's bits for every kind of layer, on any tiles and slices; what
devices, converters and columns add is compared with sums made here.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgeflow.errors import ImcError
from edgeflow.imc import ArrayOptions, Device, load_device
from edgeflow.imc.analog import AnalogMatrix
from edgeflow.imc.chip import Chip
from edgeflow.imc.placement import Placement
from edgeflow.imc.ramp import Ramp
from edgeflow.imc.ranges import placement
from edgeflow.program import Program
from edgeflow.program.fixedpoint import lookup
from edgeflow.program.nodes.base import Node
from tests.random_nodes.adaptive import ALL, random_learner
from tests.random_nodes.draw import DRAW
from tests.random_programs import random_program, samples

IDEAL = load_device("ideal")
LAYOUTS = {
    "whole": {},
    "tiles": {"tile": "5x9"},
    "slices": {"tile": "16x16", "cell_bits": 3},
    "bits": {"tile": "7x64", "cell_bits": 1},
    "spare": {"tile": "32x32", "spare": 2},
}


def chip(program: Program, device: Device = IDEAL, number: int = 0, **options: Any) -> Chip:
    return Chip(plan(program, device, **options), number)


def plan(program: Program, device: Device = IDEAL, **options: Any) -> Placement:
    return placement(program, device, ArrayOptions(**options), samples(program, 3, 4, 20))


def draw(cell: str, seed: int = 0, **kinds: Any) -> tuple[Program, Any]:
    program = random_program(
        seed, 5, [12, 7], 4, [8, 12, 16][seed % 3], 8 + seed, seed % 2 == 1, (cell,), **kinds
    )
    return program, samples(program, seed, 3, 14)


@pytest.mark.parametrize("cell", [cell for cell in DRAW if cell != "decimate"])
def test_ideal_arrays_are_the_program(cell: str) -> None:
    for seed, kinds in enumerate(({}, {"delta": True}, {"low_rank": True})):
        program, x = draw(cell, seed, **kinds)
        right = program.run(x)
        for name, options in LAYOUTS.items():
            assert (chip(program, **options).at(1.0).run(x) == right).all(), (kinds, name)


@pytest.mark.parametrize("kind", ALL)
def test_ideal_arrays_of_what_learns_are_the_program(kind: str) -> None:
    """Trained matrices are on arrays; what is learned, by `Nlms` in these steps, is not."""
    program = random_learner(2, kind, 9, 5, extreme=True)
    x = samples(program, 2, 3, 60)
    right = program.run(x)
    for name, options in LAYOUTS.items():
        assert (chip(program, **options).at(1.0).run(x) == right).all(), name


def test_strides_are_refused() -> None:
    with pytest.raises(ImcError, match="does not run at every sample.* strides of 1"):
        chip(draw("decimate")[0])


@pytest.mark.parametrize("cell", ["lstm", "gru", "gru_reset_before", "rnn", "cfc"])
def test_columns_that_matrices_share_are_exact_without_converters(cell: str) -> None:
    for seed in range(3):
        program, x = draw(cell, seed)
        if any(node.activated for node in program.nodes):
            assert (chip(program, fuse=True).at(1.0).run(x) == program.run(x)).all()


def test_rows_of_a_shared_column_have_the_larger_unit() -> None:
    program, _ = draw("lstm", 0)
    placed = {one.name: one for one in plan(program, fuse=True).placed}
    node = program.nodes[0]
    shares = []
    for field, matrix in node.matrices().items():
        one = placed[f"{node.name}.{field}"]
        assert one.shared.all()
        shares.append(np.concatenate([t.share for t in one.tiles]))
        # a conductance stands for the same result in both matrices
        unit = matrix.multiplier * 2.0**matrix.shift * (1 << (matrix.input_bits - 1))
        shares.append(unit)
    (share, unit, other_share, other_unit) = shares
    assert (np.maximum(share, other_share) == 1).all()
    used = (unit > 0) & (other_unit > 0)
    # 2048 rather than 2047 above: a thousandth
    assert np.allclose(share[used] / other_share[used], unit[used] / other_unit[used], rtol=2e-2)


def steps_of(node: Node, x: Any) -> Callable[[Program], Any]:
    def run(program: Program) -> Any:
        (only,) = [one for one in program.nodes if one.name == node.name]
        state = {k: np.zeros((len(x), v.size), np.int64) for k, v in only.states.items()}
        return only.advance(x.astype(np.int64), state)[0]

    return run


def test_a_ramp_converter_is_the_function() -> None:
    program, x = draw("rnn", 2)
    node = replace(program.nodes[0], relu=0)
    program = replace(program, nodes=(node, *program.nodes[1:]))
    ramp = Ramp.ideal("tanh", 5)
    first = steps_of(node, x[:, 0])
    with_ramp = first(chip(program, nl_adc=5).at(1.0))
    v = np.clip(node.input.apply(x[:, 0].astype(np.int64)) + node.recurrent.bias * 0, -32768, 32767)
    v = np.clip(v + node.recurrent.apply(np.zeros((len(x), node.hidden), np.int64)), -32768, 32767)
    f = ramp.lookup(v)
    expected = np.clip(
        (2 * f + (1 << node.state_shift)) >> (node.state_shift + 1),
        -(1 << (node.state_bits - 1)) + 1, (1 << (node.state_bits - 1)) - 1,
    )  # fmt: skip
    assert (with_ramp == expected).all() and (with_ramp != first(program)).any()


def test_a_shared_converter_rounds_the_sum() -> None:
    program, _ = draw("lstm", 2)
    node = program.nodes[0]
    placed = plan(program, fuse=True, adc=6)
    made = Chip(placed, 0).at(1.0).nodes[0]
    bound = placed.joined[node.name]
    step = 2 * bound / (2**6 - 2)
    v = np.arange(-32768, 32768, 37)
    seen = made.activate("sigmoid", v)
    rounded = np.rint(np.clip(np.rint(v / step) * step, -bound, bound)).astype(np.int64)
    assert (seen == lookup("sigmoid", np.clip(rounded, -32768, 32767))).all()


def test_converters_round_the_sums_of_each_tile() -> None:
    program, x = draw("gru", 0)
    options = {"tile": "5x9", "adc": 6, "dac": 5}
    placed = plan(program, **options)
    made = Chip(placed, 0).at(1.0)
    node, analog = program.nodes[0], made.nodes[0].matrices()["input"]
    assert isinstance(analog, AnalogMatrix)
    values = x[:, 0].astype(np.int64)
    largest = (1 << (node.input.input_bits - 1)) - 1 if node.input.input_bits < 16 else 1 << 15
    step = 2 * largest / (2**5 - 2)
    driven = np.clip(np.rint(values / step) * step, -largest, largest)
    total = np.zeros((len(values), node.input.rows))
    for number, tile in enumerate(next(p for p in placed.placed if p.name.endswith("input")).tiles):
        bound = placed.bounds[f"{node.name}.input", number]
        part = driven[:, tile.inputs] @ node.input.weight.T[tile.inputs, tile.outputs].astype(float)
        unit = 2 * bound / (2**6 - 2)
        total[:, tile.outputs] += np.clip(np.rint(part / unit) * unit, -bound, bound)
    proven = node.input.accumulator_bound() - np.abs(node.input.bias.astype(np.int64))
    total = np.clip(np.rint(total).astype(np.int64), -proven, proven)
    assert (analog.accumulate(values) == total + node.input.bias).all()


def test_slices_are_converted_each_and_added_up() -> None:
    program, _ = draw("gru", 0)
    placed = plan(program, adc=6, cell_bits=3)
    one = placed.placed[0]
    tile = one.tiles[0]
    assert tile.digits.shape[2] == 3 and np.abs(tile.digits).max() <= 7
    assert (tile.digits @ tile.places == one.matrix.weight.T[tile.inputs, tile.outputs]).all()


def test_weights_of_four_bits_use_all_conductances() -> None:
    program, _ = draw("gru", 0)
    node = program.nodes[0]
    narrow = np.clip(node.input.weight, -7, 7)
    narrow[0, 0] = 7
    program = replace(
        program, nodes=(replace(node, input=replace(node.input, weight=narrow)), *program.nodes[1:])
    )
    tile = plan(program).placed[0].tiles[0]
    assert tile.largest == 7 and tile.targets(load_device("pcm")).max() == 25.0


def drifting(nu: float, **more: Any) -> Device:
    curve = {"of": "r", "pieces": [{"poly": [nu]}]}
    none = {"of": "r", "pieces": [{"poly": [0.0]}]}
    drift = {"t0_s": 20.0, "nu_mean": curve, "nu_sd": none}
    return Device.model_validate(
        {"name": "mine", "about": "a test", "g_min": 0.0, "g_max": 25.0, "drift": drift,
         "sources": ["made up"], **more}
    )  # fmt: skip


@pytest.mark.parametrize("compensate", ["global", "column"])
def test_drift_that_all_devices_share_is_undone(compensate: str) -> None:
    program, x = draw("lstm", 0)
    drifted = chip(program, drifting(0.05), compensate=compensate)
    assert (drifted.at(86400.0).run(x) == program.run(x)).all()
    without = chip(program, drifting(0.05), compensate="none")
    assert (without.at(86400.0).run(x) != program.run(x)).any()


def test_a_chip_stays_the_same_chip() -> None:
    program, x = draw("gru", 0)
    device = load_device("pcm")
    first = chip(program, device, 1).at(3600.0).run(x)
    again = chip(program, device, 1)
    again.at(1.0)  # asked for another time before
    assert (again.at(3600.0).run(x) == first).all()
    assert (chip(program, device, 2).at(3600.0).run(x) != first).any()
    assert (chip(program, device, 1, seed=1).at(3600.0).run(x) != first).any()


def test_sums_stay_within_what_was_proven() -> None:
    program, x = draw("gru", 1)
    wild = drifting(0.0, programming={"of": "r", "pieces": [{"poly": [500.0]}]})
    made = chip(program, wild, input_noise=1.0, output_noise=9.0).at(1.0)
    for node in made.nodes:
        for matrix in node.matrices().values():
            largest = (1 << (matrix.input_bits - 1)) - 1
            found = matrix.accumulate(np.full((50, matrix.cols), largest))
            assert (np.abs(found) <= matrix.accumulator_bound()).all()
    made.run(x)


def test_noise_has_the_spread_that_was_asked_for() -> None:
    program, _ = draw("gru", 0)
    node = program.nodes[0]
    largest = (1 << (node.recurrent.input_bits - 1)) - 1
    x = np.tile(
        np.random.default_rng(0).integers(-largest, largest, node.recurrent.cols), (4000, 1)
    )
    for inputs, outputs in ((0.02, 0.0), (0.0, 0.04)):
        made = chip(program, input_noise=inputs, output_noise=outputs).at(1.0)
        found = made.nodes[0].matrices()["recurrent"].accumulate(x) - node.recurrent.accumulate(
            x[:1]
        )
        weights = np.abs(node.recurrent.weight.astype(float)) / 127
        expected = np.sqrt(inputs**2 * (weights @ (x[0] / largest) ** 2) + outputs**2)
        assert np.allclose(found.std(axis=0), expected * 127 * largest, rtol=0.06)
        assert np.abs(found.mean(axis=0)).max() < 5 * found.std() / np.sqrt(len(x))


def test_spare_columns_take_the_place_of_bad_ones() -> None:
    program, _ = draw("gru", 0)
    stuck = drifting(0.0, stuck_on=0.02)

    def error(spare: int) -> float:
        placed = plan(program, stuck, spare=spare)
        total = 0.0
        for number in range(6):
            made = Chip(placed, number).at(1.0)
            for node, right in zip(made.nodes, program.nodes, strict=True):
                for field, matrix in node.matrices().items():
                    assert isinstance(matrix, AnalogMatrix)
                    weights = sum(
                        np.abs(
                            tile.weights
                            - right.matrices()[field].weight.T[tile.inputs, tile.outputs]
                        ).sum()
                        for tile in matrix.arrays.tiles
                    )
                    total += float(weights)
        return total

    assert error(8) < 0.8 * error(0)


def test_wires_take_current() -> None:
    program, _ = draw("gru", 0)
    device = drifting(0.0, wire_ohm=20.0)
    made = chip(program, device, ir_drop=True, compensate="none").at(1.0)
    tile = made.nodes[0].matrices()["recurrent"].arrays.tiles[0]
    right = program.nodes[0].matrices()["recurrent"].weight.T
    large = np.abs(right) > 60
    lost = (tile.weights / np.where(right == 0, 1, right))[large]
    assert 0.5 < lost.min() < lost.max() < 1.0


@pytest.mark.parametrize(
    "options,words",
    [
        ({"tile": "256"}, "rows x columns"),
        ({"tile": "8x2", "cell_bits": 2}, "takes 4 columns"),
        ({"adc": 1}, "adc is 1: give a whole number in 2..16"),
        ({"compensate": "all"}, "use one of none, global, column"),
        ({"spare": 256}, "256 spare columns leave none of 256"),
        ({"ramp_noise": 0.1}, "ramp noise needs ramp converters"),
        ({"nl_adc": 5, "cell_bits": 4}, "use cell_bits 7"),
        ({"nl_adc": 5, "tile": "8x8"}, "use a larger tile"),
    ],
)  # fmt: skip
def test_wrong_options(options: dict[str, Any], words: str) -> None:
    program, _ = draw("lstm", 0)
    with pytest.raises(ImcError, match=words) as error:
        plan(program, **options)
    assert len(str(error.value).splitlines()) == 1


def test_no_layer_for_ramps() -> None:
    program, _ = draw("lif", 0)
    with pytest.raises(ImcError, match="no layer of the program .* leave nl_adc out"):
        plan(program, nl_adc=5)
