"""Every cell, fine-tuned with int4 weights, a cut-off and delta products: boards give the bits."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgeflow.bench.cells import random_cell
from edgeflow.cells import CELLS
from edgeflow.codegen.build import compile_program
from edgeflow.errors import CompressError
from edgeflow.profiling.run import profile
from edgeflow.program.onnx_file import OnnxProgram
from edgeflow.recipes.apply import compress_by_recipe
from edgeflow.recipes.recipe import make_recipe
from edgeflow.training import train

if TYPE_CHECKING:
    from edgeflow.data import Dataset

pytestmark = pytest.mark.slow

#: Not a multiple of 4.
HIDDEN = 13
STEPS = {
    "int4 weights": {"weights": "int4", "epochs": 1},
    "cut-off": {"cutoff": 20.0},
    "delta": {"delta": {"state": 0.6, "input": 0.3}},
    "all": {
        "weights": "int4",
        "activations": "int8",
        "epochs": 1,
        "delta": {"state": 0.6, "input": 0.3, "group": 2, "pressure": 0.1},
        "cutoff": 20.0,
    },
}
NODES = {cell: random_cell(cell, 3, HIDDEN).nodes[:-1] for cell in CELLS}
SPIKING = [cell for cell, nodes in NODES.items() if any(node.output_bits == 2 for node in nodes)]
#: Without a delta form: synapses that are functions of each value, or spikes, which are events.
NO_DELTA = [cell for cell, nodes in NODES.items() if not any(n.delta_sources for n in nodes)]


@pytest.fixture(scope="module")
def trained(seglearn: "Dataset", tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("cells")

    @functools.cache
    def make(cell: str) -> Path:
        # all outputs, so that an early decision can be a good one
        train(seglearn, cell, out=folder / cell, hidden=HIDDEN, epochs=1, batch=256, tail=1.0)
        return folder / cell

    return make


def options_of(cell: str, steps: str) -> dict[str, Any]:
    options = dict(STEPS[steps])
    if cell in NO_DELTA and steps == "all":
        del options["delta"]
    if cell in SPIKING and "epochs" in options:
        options["spike-rate"] = 0.1
    return options


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("cell", CELLS)
def test_every_step(
    cell: str,
    steps: str,
    trained: Callable[[str], Path],
    seglearn: "Dataset",
    tmp_path: Path,
) -> None:
    recipe = make_recipe({}, options_of(cell, steps))
    model, out = trained(cell), tmp_path / "model.onnx"
    if cell in NO_DELTA and steps == "delta":
        with pytest.raises(CompressError, match="no layer has a delta form"):
            compress_by_recipe(model, seglearn, recipe, out)
        return
    program = compress_by_recipe(model, seglearn, recipe, out).compressed.program
    if recipe.widths.weights == "int4":
        matrices = [m for node in program.nodes for m in node.matrices().values()]
        assert max(int(np.abs(m.weight.astype(int)).max()) for m in matrices) <= 7
    if recipe.delta.state or recipe.delta.input:
        fired = program.metadata["fired"]
        assert fired and min(fired.values()) < 0.95
    if recipe.cutoff.max_drop is not None:
        assert program.cutoff is not None
    x = program.quantize_input(seglearn.windows("test").x[:6])
    np.testing.assert_array_equal(OnnxProgram(program).run(x), program.run(x))
    build = compile_program(program, "host", tmp_path / "build")
    result = profile(build, seglearn, steps=200)
    assert result.mismatches == 0
    assert result.steps >= 200 - program.window
