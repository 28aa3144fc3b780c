"""The host's C compiler as a target of random programs."""

import subprocess
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from edgeflow.codegen.plan import plan_library
from edgeflow.codegen.render import render, write
from edgeflow.program import Program
from edgeflow.targets.core import load_core
from edgeflow.targets.toolchain import compile_sources
from tests.random_programs import HARNESS, run_harness


@pytest.fixture(scope="session")
def run_c(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., np.ndarray]:
    """Compile a program's library with the host's gcc and run it on windows of samples."""
    folder = tmp_path_factory.mktemp("c")

    def run(
        program: Program,
        x: np.ndarray,
        flags: list[str] | None = None,
        kernels: Sequence[str] = ("c",),
        harness: str = HARNESS,
    ) -> np.ndarray:
        plan = plan_library(program, load_core("host"), kernel_sets=kernels)
        write(render(plan), folder)
        sources = ["model.c", *plan.kernel_files]
        (folder / "main.c").write_text(harness)
        # kernels come from the cache of objects: only the program is compiled each time
        objects = compile_sources(
            load_core("host"),
            [folder / name for name in ("main.c", *sources)],
            folder / "objects",
            include_dirs=[folder / "kernels"],
            extra_flags=["-O1", *(flags or [])],
        )
        command = ["gcc", *(flags or []), *map(str, objects), "-o", "model"]
        subprocess.run(command, cwd=folder, check=True)
        return run_harness(folder / "model", program, x)

    return run
