"""Programs that are not chains: what nodes read, in numpy and in files, and what is refused."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edgeflow.errors import ProgramError
from edgeflow.program import InputFormat, Linear, Program
from edgeflow.program.nodes import Cutoff, ReLU
from edgeflow.program.onnx_file import OnnxProgram, to_onnx
from edgeflow.program.onnx_forms import Form, as_form
from tests.random_nodes.matrices import random_matrix
from tests.random_programs import random_program, samples

FORM = InputFormat(np.zeros(3, np.float32), np.ones(3, np.float32), 12, ("a", "b", "c"))


def linear(name: str, rows: int, cols: int, bits: int = 12) -> Linear:
    return Linear(name, random_matrix(np.random.default_rng(len(name)), rows, cols, bits, False))


@pytest.fixture
def graph() -> Program:
    """Two branches of the input, read side by side with it, and two heads."""
    nodes = (
        linear("first", 5, 3),
        ReLU("second", 3, 12, 8, 2),
        linear("third", 4, 11, 16),
        linear("head", 2, 4, 16),
        linear("other", 1, 7, 16),
    )
    sources = ((0,), (0,), (1, 0, 2), (3,), (0, 3), (5, 4))
    return Program(nodes, FORM, 0.1, sources=sources)


def test_nodes_read_their_sources_side_by_side(graph: Program) -> None:
    x = samples(graph, 0, 2, 9)
    clipped = np.clip(x.astype(np.int64), -2047, 2047)
    first, second, third, head, other = (node.step for node in graph.nodes)
    a, b = first(clipped, {})[0], second(clipped, {})[0]
    c = third(np.concatenate([a, clipped, b], axis=-1), {})[0]
    y = [other(np.concatenate([clipped, c], axis=-1), {})[0], head(c, {})[0]]
    np.testing.assert_array_equal(graph.run(x), np.concatenate(y, axis=-1))
    assert (graph.inputs, graph.outputs) == (3, 3)


def test_files_keep_graphs_in_all_forms(graph: Program, tmp_path: Path) -> None:
    graph.save(tmp_path / "m.onnx")
    read = Program.load(tmp_path / "m.onnx")
    assert (read, read.sources) == (graph, graph.sources)
    x = samples(graph, 1, 3, 8)
    np.testing.assert_array_equal(OnnxProgram(graph).run(x), graph.run(x))
    for form in (Form(inline=True), Form(scan=True), Form(scan=True, inline=True, raw=True)):
        file = tmp_path / "form.onnx"
        file.write_bytes(as_form(to_onnx(graph), graph, form).SerializeToString())
        assert Program.load(file) == graph


def test_a_changed_source_is_another_program(graph: Program) -> None:
    assert graph.sources[2] == (1, 0, 2)
    swapped = dataclasses.replace(
        graph, sources=(*graph.sources[:2], (2, 0, 1), *graph.sources[3:])
    )
    assert swapped.hash != graph.hash
    assert "Linear 11->4 of first, input, second" in repr(graph)
    assert "gives other, head" in repr(graph)
    assert "11 of first, input, second" in graph._repr_html_()


def test_a_chain_has_one_form() -> None:
    chain = random_program(0, 3, [4], 2, 12, 12)
    written = dataclasses.replace(chain, sources=((0,), (1,), (2,)))
    assert written.sources == () and written.hash == chain.hash
    assert chain.reads == ((0,), (1,), (2,))


def test_an_early_exit_stands_behind_the_heads(graph: Program) -> None:
    whole = dataclasses.replace(graph, window=8)
    early = whole.then(Cutoff("exit", 3, 5))
    assert early.cutoff is not None and early.reads[-2:] == ((5, 4), (6,))
    assert early.without_cutoff() == whole
    with pytest.raises(ProgramError, match="with an early exit must be that alone"):
        dataclasses.replace(early, sources=(*early.reads[:-1], (6, 4)))


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (((0,), (0,), (1, 0, 2), (3,), (0, 3)), "5 rows of sources for 5 layers"),
        (((0,), (0,), (1, 0, 3), (3,), (0, 3), (5, 4)), "third reads the values .1, 0, 3."),
        (((0,), (0,), (1, 0, 2), (3,), (0, 3), ()), "the output reads the values "),
        (((0,), (0,), (1, 0, 2), (-1,), (0, 3), (5, 4)), "head reads the values"),
        (((0,), (0,), (1, 2), (3,), (0, 3), (5, 4)),
         "third reads 11 values, layer first and layer second gives 8"),
        (((0,), (0,), (1, 0, 2), (3,), (0, 3), (4,)), "nothing reads what the layers other give"),
        (((0,), (0,), (0, 1, 2), (3,), (0, 3), (5, 4)), None),
    ],
)  # fmt: skip
def test_graphs_that_do_not_fit_are_refused(
    graph: Program, sources: tuple[tuple[int, ...], ...], message: str | None
) -> None:
    if message is None:
        dataclasses.replace(graph, sources=sources)
        return
    with pytest.raises(ProgramError, match=message):
        dataclasses.replace(graph, sources=sources)


def test_the_widest_source_counts() -> None:
    nodes = (linear("wide", 2, 3), linear("head", 1, 5))
    with pytest.raises(ProgramError, match="proven for 12-bit values.* gives 16 bits"):
        Program(nodes, FORM, 0.1, sources=((0,), (0, 1), (2,)))
