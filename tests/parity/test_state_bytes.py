"""The planned ``sizeof(model_t)`` is the compiler's, and the header is C++ as well."""

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeflow.codegen.plan import plan_library
from edgeflow.codegen.render import render
from edgeflow.program.nodes import Cutoff
from edgeflow.targets.core import load_core
from tests.random_nodes.draw import DRAW
from tests.random_nodes.matrices import with_delta, with_low_rank
from tests.random_programs import random_program

ALL = random_program(3, 3, [6] * len(DRAW), 5, 12, 12, cells=list(DRAW))
RNG = np.random.default_rng(0)
PROGRAMS = {
    "all": ALL,
    "delta": replace(ALL, nodes=tuple(with_delta(RNG, node) for node in ALL.nodes)),
    "low-rank": replace(ALL, nodes=tuple(with_low_rank(RNG, node) for node in ALL.nodes)),
    "cutoff": replace(ALL, window=9, nodes=(*ALL.nodes, Cutoff("cutoff", 5, 100, start=3))),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_planned_size_is_the_compilers(name: str, tmp_path: Path) -> None:
    """README and manifests of exports say it: nothing else would see padding between members."""
    plan = plan_library(PROGRAMS[name], load_core("host"))
    (tmp_path / "model.h").write_text(render(plan)["model.h"])
    text = (
        f'#include "model.h"\nextern char right[sizeof(model_t) == {plan.state_bytes} ? 1 : -1];\n'
    )
    for suffix, compiler, standard in (("c", "gcc", "c99"), ("cpp", "g++", "c++98")):
        (tmp_path / f"size.{suffix}").write_text(text)
        subprocess.run(
            [compiler, f"-std={standard}", "-Wall", "-Werror", "-fsyntax-only", f"size.{suffix}"],
            cwd=tmp_path, check=True,
        )  # fmt: skip
