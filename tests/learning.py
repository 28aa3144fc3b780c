"""Random sequences of steps, labels, and what was learned: as a list, for the reference and for C.

An operation is one byte, then what it takes: ``s`` a sample, ``l`` a label (int16), ``r`` a reset,
``f`` to forget, ``w`` to write what was learned, ``o`` to load a blob.
"""

from collections.abc import Iterator

import numpy as np

from edgeflow.errors import ProgramError
from edgeflow.program import Program
from edgeflow.program.learning import learned_size

Operation = tuple[str, bytes]

# Answers with y, with 0 or -1 of a label and of a blob, and with what was learned.
HARNESS = r"""
#include "model.h"
#include <stdio.h>
static model_t model;
static int16_t x[MODEL_INPUTS], y[MODEL_OUTPUTS], label;
static uint8_t blob[MODEL_LEARNED_SIZE];
int main(void) {
    model_init(&model);
    for (int op; (op = getchar()) != EOF;) {
        int8_t result = 0;
        if (op == 's' && fread(x, sizeof x, 1, stdin) == 1) {
            model_step(&model, x, y);
            fwrite(y, sizeof y, 1, stdout);
            continue;
        }
        if (op == 'w') {
            model_save(&model, blob);
            fwrite(blob, sizeof blob, 1, stdout);
            continue;
        }
        if (op == 'r')
            model_reset(&model);
        else if (op == 'f')
            model_forget(&model);
        else if (op == 'l' && fread(&label, sizeof label, 1, stdin) == 1)
            result = (int8_t)model_learn(&model, label);
        else if (op == 'o' && fread(blob, sizeof blob, 1, stdin) == 1)
            result = (int8_t)model_load(&model, blob);
        fwrite(&result, 1, 1, stdout);
    }
    return model_learned_size() == MODEL_LEARNED_SIZE ? 0 : 1;
}
"""


def operations(program: Program, seed: int, count: int) -> Iterator[tuple[Operation, bytes]]:
    """Yield random operations, each with the answer of the reference."""
    rng = np.random.default_rng(seed)
    state, blobs = program.initial_state(), []
    weights = {"s": 12, "l": 5, "r": 2, "w": 0.6, "o": 0.5, "f": 0.12}
    shares = np.array(list(weights.values()))
    reach = 1 << (program.input.bits - 1)
    for op in rng.choice(list(weights), count, p=shares / shares.sum()):
        body, answer = b"", b"\0"
        if op == "s":
            x = rng.integers(-reach, reach, (1, program.inputs)).astype(np.int16)
            body = x.tobytes()
            y, state = program.step(x, state)
            answer = y.astype("<i2").tobytes()
        elif op == "l":
            label = int(rng.integers(-1, program.outputs + 1))
            body = np.int16(label).tobytes()
            if program.learns and 0 <= label < program.outputs:
                state = program.learn(state, label)
            else:
                answer = b"\xff"
        elif op == "r":
            state = program.reset(state)
        elif op == "f":
            state = program.forget(state)
        elif op == "w":
            answer = program.save_learned(state)
            blobs.append(answer)
        else:
            body = blobs[rng.integers(len(blobs))] if blobs else bytes(learned_size(program))
            if rng.random() < 0.2:
                place = int(rng.integers(len(body)))
                body = (
                    body[:place]
                    + bytes([body[place] ^ 1 << int(rng.integers(8))])
                    + body[place + 1 :]
                )
            try:
                state = program.load_learned(body, state)
            except ProgramError:
                answer = b"\xff"
        yield (str(op), body), answer


def in_bytes(done: list[tuple[Operation, bytes]]) -> tuple[bytes, bytes]:
    """Return what a harness reads, and what it must write."""
    return (
        b"".join(op.encode() + body for (op, body), _ in done),
        b"".join(answer for _, answer in done),
    )
