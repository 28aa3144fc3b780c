"""C structs and prototypes as the node classes say."""

import numpy as np
import pytest

from edgeflow.codegen.cells_header import cells_header
from edgeflow.program.nodes import NODES
from edgeflow.program.nodes.base import array_type
from scripts.firmware_headers import CELLS
from tests.random_nodes.draw import DRAW


def test_the_checked_in_header_is_up_to_date() -> None:
    """Alone catches a field that was added to a node and not to what firmware is compiled with."""
    assert CELLS.read_text() == cells_header(), "run python scripts/firmware_headers.py"


@pytest.mark.parametrize("cell", DRAW)
def test_declared_members_are_those_of_a_layer(cell: str) -> None:
    """Alone catches a size, a state or a range that the class declares and the layer has not."""
    for seed in range(4):
        node = DRAW[cell](np.random.default_rng(seed), "layer", 3, 5, 8, 8, bool(seed % 2))
        assert NODES[node.op_type] is type(node)
        assert all(0 < size < 1 << 16 for size in node.c_sizes.values())
        assert list(node.states) == [name for name in node.state_fields if name in node.states]
        assert node.output_state is None or node.output_state in node.states
        for field, array in node.arrays().items():
            assert array.dtype == array_type(node.array_fields[field])
