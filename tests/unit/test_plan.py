"""The plan of a C library and its rendered files: who writes what, under which names."""

from dataclasses import replace

import numpy as np
import pytest

from edgeflow.codegen.backends import BACKENDS, OURS, kernel_sets, known_costs, owner
from edgeflow.codegen.c_text import c_array, c_float, c_string, c_struct, plain
from edgeflow.codegen.choice import choose_kernels
from edgeflow.codegen.kernels import MATVEC_KERNELS
from edgeflow.codegen.plan import plan_library
from edgeflow.codegen.render import render
from edgeflow.errors import TargetError
from edgeflow.targets.core import load_core
from tests.random_nodes.matrices import with_delta, with_low_rank
from tests.random_programs import random_program

M4 = load_core("cortex-m4")
PROGRAM = random_program(1, 3, [9, 7], 4, 12, 12)


def test_products_are_those_of_the_layers_by_the_kernels_chosen() -> None:
    """The order of products, and that no kernel is chosen a second time on the way."""
    rng = np.random.default_rng(0)
    first, second, head = PROGRAM.nodes
    nodes = (with_low_rank(rng, first), with_delta(rng, second), head)
    program = replace(PROGRAM, nodes=nodes)
    plan = plan_library(program, M4)
    named = [(node, field) for node in nodes for field in node.products()]
    assert [(product.node, product.field) for product in plan.products] == named
    assert plan.choices == choose_kernels(program, M4)
    for product, choice in zip(plan.products, plan.choices, strict=True):
        assert product.kernel.name == choice.kernel
    assert plan.backends == {node.name: "c" for node in nodes}


def test_any_prefix_is_in_all_global_names() -> None:
    """A name that stays without the prefix would clash with another library's in one firmware."""
    plan = plan_library(PROGRAM, M4)
    mine = render(plan, "gait", shared=True)
    assert {"gait.c", "gait.h", "kernels/ef_kernels.h"} < mine.keys()
    text = "".join(mine.values())
    assert "model_" not in text and "MODEL_" not in text
    for name in ("gait_step(", "gait_t", "GAIT_INPUTS", "gait_ef_gru_step(", "gait_ef_matrix"):
        assert name in mine["gait.c"]
    assert all(name in mine["gait.h"] for name in ("__ARM_FEATURE_DSP", "GAIT_H", "gait_t;"))
    # alone in its firmware, kernels keep their names
    alone = render(plan, "gait")
    assert " ef_gru_step(" in alone["gait.c"] and "#error" not in alone["gait.h"]
    assert (
        alone["gait.c"].replace("gait", "model").replace("GAIT", "MODEL")
        == (render(plan)["model.c"])
    )


def test_members_of_structs_are_named() -> None:
    """A value in the place of another's would compile without a word."""
    text = render(plan_library(PROGRAM, M4, kernel_sets=["c"]))["model.c"]
    assert ".matvec = ef_matvec_s8_s16, .weights = &gru0_recurrent_weights," in text
    assert ".rows = 27, .cols = 9," in text and ".bias = gru0_recurrent_bias" in text


def test_every_kernel_has_one_backend() -> None:
    """A kernel of none, or a core's costs of a kernel that nobody writes, is of no use."""
    names = {kernel.name for kernel in MATVEC_KERNELS}
    assert BACKENDS == ("auto", "c", "tvm")
    assert {owner(kernel).name for kernel in MATVEC_KERNELS} == {"c", "tvm"}
    assert kernel_sets(M4, "c") == M4.kernels
    assert all(owner(k) is OURS for k in MATVEC_KERNELS if k.kernel_set in M4.kernels)
    assert known_costs("cortex-m4").keys() - {"ef_hold_matvec"} <= names


def test_wrong_backend_or_kernels() -> None:
    with pytest.raises(TargetError, match="--backend gcc: there are auto, c, tvm"):
        plan_library(PROGRAM, M4, backend="gcc")
    with pytest.raises(TargetError, match="cortex-m4 has no kernels 'mve'; there are the sets dsp"):
        plan_library(PROGRAM, M4, kernel_sets=["mve"])
    unknown = M4.model_copy(update={"tvm": None})
    with pytest.raises(TargetError, match="TVM does not know this core: use --backend c"):
        plan_library(PROGRAM, unknown, backend="tvm")
    assert plan_library(PROGRAM, unknown, backend="auto").choices == (
        plan_library(PROGRAM, M4).choices
    )


def test_literals() -> None:
    assert [c_float(v) for v in (1, -0.5, 1e-20, 3e8)] == [
        "1.0f",
        "-0.5f",
        "9.99999968e-21f",
        "300000000.0f",
    ]
    assert [c_float(v) for v in (np.nan, np.inf, -np.inf)] == ["NAN", "INFINITY", "-INFINITY"]
    assert c_string('a"\\?é\n') == r'"a\"\\\?\303\251\012"'
    assert plain("a\n b */ /* ??/") == "a b * / / * ? ?/"
    least = np.array([-(1 << 31), 5], np.int32)
    assert c_array("int32_t", "x", least, 8) == (
        "static const int32_t x[2] = {\n    (-2147483647 - 1), 5\n};"
    )
    for values, word in (
        (np.array([7], np.int64), "INT64_C(7)"),
        (np.array([255], np.uint32), "0x000000ff"),
        (np.array([True]), "1"),
    ):
        assert f"\n    {word}\n" in c_array("t", "x", values, 8)
    assert c_struct("t", "x", {"a": "&b", "c": 0, "d": 3}) == (
        "static const t x = {\n    .a = &b, .d = 3,\n};"
    )
