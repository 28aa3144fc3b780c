"""The cost of a label on an emulated board, which no step counts."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.codegen.image import compile_image, frame_size
from edgeflow.codegen.plan import plan_library
from edgeflow.codegen.render import render, write
from edgeflow.codegen.sources import source_text
from edgeflow.files import scratch_folder
from edgeflow.profiling.counted import counted_steps
from edgeflow.program import Program
from edgeflow.program.learning import learned_size
from edgeflow.targets.board import BoardSpec

#: Prefix of the library within the image.
_INNER = "learner"


def learning_cost(
    program: Program, board: BoardSpec, x: NDArray[np.int16], labels: NDArray[np.integer[Any]]
) -> dict[str, Any]:
    """Run steps and labels in an image of its own, each of which is a step of it.

    Parameters
    ----------
    program : Program
        That learns.
    board : BoardSpec
        An emulated one.
    x : int16 array [n, inputs]
        A sample is read before each label.
    labels : int array [n]

    Returns
    -------
    dict
        "instructions" of a label: "mean" and "max"; "step_trained" and "step_learned", of a step
        with the trained read-out and after the labels; "ram_bytes", what ``model_t`` has for
        learning; "learned_bytes", what is saved; "mismatches", steps whose outputs are not the
        reference's.

    Raises
    ------
    TargetError, ToolMissingError, DeviceError
        If the image cannot be made or does not answer.
    """
    plan = plan_library(program, board.core)
    node = program.nodes[-1]
    ram = sum(
        np.dtype(m.dtype).itemsize * m.size
        for m in plan.members
        if m.name in {f"{node.name}_{name}" for name in _vectors(program)}
    )
    # a step; then a step and a label each; a step
    orders = np.concatenate([[-1], np.stack([0 * labels - 1, labels], axis=1).reshape(-1), [-1]])
    samples = np.concatenate([x[:1], np.repeat(x[: len(labels)], 2, axis=0), x[:1]])
    whole = np.concatenate([orders[:, None], samples], axis=1).astype(np.int16)
    with scratch_folder("learning") as folder:
        write(render(plan, _INNER) | _wrapper(program), folder)
        sources = [f"{_INNER}.c", "model.c"]
        frame = frame_size(board, program.inputs + 1, program.outputs)
        elf, _ = compile_image(board, folder, sources, plan.kernel_files, frame)
        y, counts = counted_steps(board, elf, program.hash, whole, folder)
    state, expected = program.initial_state(), []
    for order, sample in zip(orders, samples, strict=True):
        if order < 0:
            out, state = program.step(sample[None], state)
            expected.append(out[0])
        else:
            state = program.learn(state, int(order))
    count, stepped = counts.instructions, orders < 0
    return {
        "instructions": {
            "mean": float(count[~stepped].mean()), "max": int(count[~stepped].max()),
        },
        "step_trained": int(count[0]),
        "step_learned": int(count[-1]),
        "ram_bytes": int(ram),
        "learned_bytes": learned_size(program),
        "mismatches": int((y[stepped] != np.stack(expected)).any(axis=1).sum()),
    }  # fmt: skip


def _vectors(program: Program) -> set[str]:
    return {*program.nodes[-1].vectors, "answer", "masters"}


def _wrapper(program: Program) -> dict[str, str]:
    """Return a library whose step reads a class or -1, then a sample: it learns, or steps."""
    hash_bytes = ", ".join(f"0x{byte:02x}" for byte in program.hash)
    header = f"""#ifndef MODEL_H
#define MODEL_H
#include "{_INNER}.h"
#define MODEL_INPUTS ({_INNER.upper()}_INPUTS + 1)
#define MODEL_OUTPUTS {_INNER.upper()}_OUTPUTS
#define MODEL_WINDOW 0
#define MODEL_HASH {{{hash_bytes}}}
typedef {_INNER}_t model_t;
void model_init(model_t *model);
void model_reset(model_t *model);
void model_step(model_t *model, const int16_t *x, int16_t *y);
#endif
"""
    source = f"""#include "model.h"
#include <string.h>

void model_init(model_t *model) {{
    {_INNER}_init(model);
}}

void model_reset(model_t *model) {{
    {_INNER}_reset(model);
}}

void model_step(model_t *model, const int16_t *x, int16_t *y) {{
    if (x[0] < 0)
        {_INNER}_step(model, x + 1, y);
    else
        {_INNER}_learn(model, x[0]);
}}
"""
    return {
        "model.h": header,
        "model.c": source,
        "kernels/ef_profile.h": source_text("ef_profile.h"),
    }
