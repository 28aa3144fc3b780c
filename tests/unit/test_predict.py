"""A program's answers, and how it is shown."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from edgeflow.errors import ProgramError
from edgeflow.program import Program
from edgeflow.program.nodes import NODES, Cutoff
from edgeflow.program.nodes.cutoff import NEVER
from tests.random_programs import random_program

CLASSES = ("sit", "walk", "run", "fall")


@pytest.fixture
def program() -> Program:
    return random_program(6, 6, [9], 4, 12, 12)


@pytest.fixture
def windowed(program: Program) -> Program:
    return dataclasses.replace(program, classes=CLASSES, window=20)


def raw(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((*shape, 6)) * 1000


def outputs(program: Program, x: np.ndarray) -> np.ndarray:
    return program.run(program.quantize_input(x))


class TestPredict:
    def test_a_label_for_each_window(self, windowed: Program) -> None:
        x = raw(7, 20)
        expected = np.array(CLASSES)[outputs(windowed, x)[:, -1].argmax(axis=1)]
        assert windowed.predict(x).tolist() == expected.tolist()
        assert len(set(expected)) > 1

    def test_a_recording_is_cut_into_windows(self, windowed: Program) -> None:
        x = raw(3, 20)
        found = windowed.predict(x.reshape(60, 6)[:59])
        assert found.tolist() == windowed.predict(x).tolist()[:2]

    def test_a_label_for_each_sample_of_a_stream(self, program: Program) -> None:
        streaming = dataclasses.replace(program, classes=CLASSES)
        x = raw(2, 13)
        expected = np.array(CLASSES)[outputs(streaming, x).argmax(axis=2)]
        np.testing.assert_array_equal(streaming.predict(x), expected)
        np.testing.assert_array_equal(streaming.predict(x[1]), expected[1])

    def test_values_in_real_units_without_classes(self, program: Program) -> None:
        program = dataclasses.replace(program, output_scale=0.25)
        x = raw(2, 13)
        expected = outputs(program, x) * 0.25
        np.testing.assert_array_equal(program.predict(x), expected)
        np.testing.assert_array_equal(program.predict(x[0]), expected[0])
        ends = dataclasses.replace(program, window=13).predict(x)
        np.testing.assert_array_equal(ends, expected[:, -1])

    def test_values_stand_behind_labels(self, windowed: Program) -> None:
        x = raw(3, 20)
        np.testing.assert_array_equal(
            np.array(CLASSES)[windowed.values(x).argmax(axis=1)], windowed.predict(x)
        )

    @pytest.mark.parametrize("kind", ["list", "float64", "tensor", "gradient", "bfloat16"])
    def test_what_users_hold(self, windowed: Program, kind: str) -> None:
        x = raw(3, 20).round()
        tensor = torch.from_numpy(x)
        given: Any = {
            "list": x.tolist(),
            "float64": x,
            "tensor": tensor,
            "gradient": tensor.clone().requires_grad_(),
            "bfloat16": tensor.clamp(-1000, 1000).to(torch.bfloat16),
        }[kind]
        if kind == "bfloat16":
            x = given.float().numpy()
        assert windowed.predict(given).tolist() == windowed.predict(x).tolist()

    def test_reads_no_further_than_the_cutoff(self, windowed: Program) -> None:
        x = raw(7, 20)
        first = outputs(windowed, x)[:, 2].argmax(axis=1)
        early = dataclasses.replace(windowed, nodes=(*windowed.nodes, Cutoff("c", 4, 0, 3)))
        never = dataclasses.replace(windowed, nodes=(*windowed.nodes, Cutoff("c", 4, NEVER)))
        assert early.predict(x).tolist() == np.array(CLASSES)[first].tolist()
        assert never.predict(x).tolist() == windowed.predict(x).tolist()

    @pytest.mark.parametrize(
        "x",
        [
            raw(3, 20)[..., :5], raw(3, 19), raw(3, 40), raw(0, 20), raw(19), raw(1)[0], 1.0,
            raw(2, 2, 20), "samples", None, [[1.0], [1.0, 2.0]], raw(3, 20).astype(str),
            raw(3, 20) * 1j, {"a": 1}, [torch.zeros(20, 6), torch.zeros(9, 6)],
        ],
    )  # fmt: skip
    def test_anything_else_is_refused_in_one_line(self, windowed: Program, x: Any) -> None:
        with pytest.raises(ProgramError, match=r"\[n, 20, 6\], or one recording \[time, 6\]") as e:
            windowed.predict(x)
        assert len(str(e.value).splitlines()) == 1

    def test_quantize_input_names_the_channels(self, program: Program) -> None:
        with pytest.raises(ProgramError, match=r"\[\.\.\., 6\] \(.*\), not \[3, 20, 5\]"):
            program.quantize_input(raw(3, 20)[..., :5])


class TestStream:
    def test_says_at_the_end_what_predict_says(self, windowed: Program) -> None:
        x, stream = raw(3, 20), windowed.stream()
        answers = []
        for sample in x.reshape(60, 6):
            label = stream.step(sample)
            if stream.decided:
                answers.append(label)
        assert answers == windowed.predict(x).tolist()
        assert stream.samples == 20

    def test_without_windows_every_answer_stands(self, program: Program) -> None:
        streaming = dataclasses.replace(program, classes=CLASSES)
        x, stream = raw(13), streaming.stream()
        assert [stream.step(sample) for sample in x] == streaming.predict(x).tolist()
        assert stream.decided

    def test_values_and_reset(self, program: Program) -> None:
        x, stream = raw(9), program.stream()
        first = np.array([stream.step(sample.tolist()) for sample in x])
        np.testing.assert_array_equal(first, program.predict(x))
        stream.reset()
        assert stream.samples == 0 and not stream.values.any() and not stream.decided
        np.testing.assert_array_equal(stream.step(torch.from_numpy(x[0])), first[0])

    def test_cutoff_decides_early(self, windowed: Program) -> None:
        early = dataclasses.replace(windowed, nodes=(*windowed.nodes, Cutoff("c", 4, 0, 3)))
        stream = early.stream()
        decided = []
        for sample in raw(25):
            stream.step(sample)
            decided.append(stream.decided)
        assert decided == [False] * 2 + [True] * 18 + [False] * 2 + [True] * 3

    def test_other_samples_are_refused(self, program: Program) -> None:
        with pytest.raises(ProgramError, match=r"a sample must be \[6\] of .*, not \[5\]"):
            program.stream().step(raw(1)[0, :5])
        with pytest.raises(ProgramError, match=r"a sample must be \[6\] of .*, not \[1, 6\]"):
            program.stream().step(raw(1))


class TestShown:
    def test_program_in_one_line(self, windowed: Program) -> None:
        begin = windowed.hash.hex()[:8]
        size = windowed.weight_bytes
        assert repr(windowed) == (
            f"Program(GRU 6->9, Linear 9->4; 4 classes; int8; {size} B; {begin}...)"
        )
        big = random_program(1, 6, [60], 4, 12, 12)
        assert f"; {big.weight_bytes / 1000:.1f} kB; " in repr(big)
        values = dataclasses.replace(windowed, classes=())
        assert "; 4 values; " in repr(values)

    def test_parts_in_one_line(self, program: Program) -> None:
        head = program.nodes[-1]
        assert repr(head) == f"Linear({head.name} 9->4, int8)"
        (matrix,) = head.matrices().values()
        assert repr(matrix) == "Matrix(4x9, int8, reads 12 bits)"
        assert repr(program.input).startswith("InputFormat(") and "12 bits" in repr(program.input)
        assert repr(program.stream()).startswith("Stream(Program(")

    @pytest.mark.parametrize("kind", list(NODES.values()), ids=list(NODES))
    def test_no_layer_prints_or_compares_its_arrays(self, kind: type) -> None:
        for method in ("__repr__", "__eq__", "__hash__"):
            assert method not in vars(kind)

    def test_table_for_notebooks(self, windowed: Program) -> None:
        name = "<b>&"
        text = dataclasses.replace(windowed, classes=(name, *CLASSES[1:]))._repr_html_()
        assert text.count("<tr>") == 3 and name not in text and "&lt;b&gt;&amp;" in text

    def test_int4_and_int8(self) -> None:
        program = random_program(3, 3, [4], 2, 12, 12)
        head = program.nodes[-1]
        (field,) = head.matrices()
        matrix = head.matrices()[field]
        narrow = dataclasses.replace(matrix, weight=np.clip(matrix.weight, -7, 7))
        mixed = dataclasses.replace(
            program, nodes=(*program.nodes[:-1], dataclasses.replace(head, **{field: narrow}))
        )
        assert "; int4 and int8; " in repr(mixed)
        assert mixed.weight_bytes == program.weight_bytes - matrix.weight.size // 2


class TestEqual:
    def test_by_hash(self, windowed: Program) -> None:
        same = dataclasses.replace(windowed, metadata={"note": 1})
        other = dataclasses.replace(windowed, window=21)
        assert same == windowed and hash(same) == hash(windowed)
        assert other != windowed and windowed != windowed.hash
        assert {windowed, same, other} == {windowed, other}
