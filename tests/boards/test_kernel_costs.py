"""Costs of kernels as a board gives them, and what a build keeps of the choice."""

from pathlib import Path

import pytest

from edgeflow.bench import fit as fitting
from edgeflow.bench.fit import fit_kernels, write_costs
from edgeflow.bench.kernels import FORMATS, bench_inputs, bench_matrix
from edgeflow.bench.measure import measure_layer, measure_layers
from edgeflow.calibration import read_data
from edgeflow.codegen.build import Build, compile_program
from edgeflow.codegen.costs import KernelCosts, load_costs
from edgeflow.program import Linear
from edgeflow.targets.board import load_board
from tests.unit.test_kernel_choice import program_of


@pytest.mark.board
def test_build_keeps_the_choice(tmp_path: Path) -> None:
    program = program_of(bench_matrix(24, 32, FORMATS["w8a12"]))
    build = compile_program(program, "qemu-m4", tmp_path, optimize="speed")
    assert build.choices[0].kernel == "ef_matvec_s16_s16_dsp"
    assert "kernels/ef_matvec_s16_s16_dsp.S" in build.kernels
    assert Build.load(tmp_path) == build


@pytest.mark.slow
@pytest.mark.board
def test_fit_on_a_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "COLS", (8, 16, 32))
    monkeypatch.setattr(fitting, "ROWS", (8, 16, 32))
    costs = fit_kernels(load_board("qemu-m4"))
    write_costs(costs, tmp_path / "cortex-m4.toml")
    assert read_data(KernelCosts, tmp_path / "cortex-m4.toml") == costs
    stored = load_costs("cortex-m4")
    assert stored is not None and costs.kernels.keys() == stored.kernels.keys()
    for name, cost in costs.kernels.items():
        expected = stored.kernels[name].count(32, 8)
        assert cost.count(32, 8) == pytest.approx(expected, rel=0.15), name


@pytest.mark.board
def test_layers_in_one_image_count_as_in_their_own() -> None:
    board = load_board("qemu-m4")
    names = ["ef_matvec_pair_s8_s16_dsp", "ef_matvec_s8_s16", None]
    layers = []
    for cols, rows in ((12, 9), (31, 5), (16, 8)):
        matrix = bench_matrix(rows, cols, FORMATS["w8a12"])
        layers.append((Linear("layer", matrix), bench_inputs(matrix, 4)))
    together = measure_layers(layers, board, names)
    for (node, x), name, count in zip(layers, names, together, strict=True):
        alone = measure_layer(node, board, x, name and [name])
        assert alone.mismatches == 0
        assert count == pytest.approx(alone.instructions, abs=2)
