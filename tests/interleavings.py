"""Random interleavings of steps, labels and the rest that a board makes itself, and the reference too.

Both draw them from the same generator, xorshift32 of a seed, and answer each `A_STEP` of them with
the CRC-32 of all answers so far: so 10^5 take a board seconds, where a frame each would take hours.
"""

import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from edgeflow.codegen.image import compile_image, frame_size
from edgeflow.codegen.plan import plan_library
from edgeflow.codegen.render import render, write
from edgeflow.device import open_board
from edgeflow.errors import ProgramError
from edgeflow.program import Program
from edgeflow.program.learning import learned_size
from edgeflow.targets.board import BoardSpec
from tests.random_nodes.adaptive import random_learner

#: Operations of a step of the image; its checkpoints are as far apart.
A_STEP = 100
#: Ends of the ranges of a number below 1024 that mean: step, label, reset, save, load, else forget.
ENDS = (607, 860, 962, 992, 1018)

WRAPPER = """#include "model.h"
#include <string.h>

static uint32_t draw(model_t *m) {
    m->random ^= m->random << 13;
    m->random ^= m->random >> 17;
    m->random ^= m->random << 5;
    return m->random;
}

static uint32_t below(model_t *m, uint32_t most) {
    return (draw(m) >> 8) % most;
}

static void answer(model_t *m, const void *data, size_t size) {
    const uint8_t *byte = data;
    for (; size > 0; size--) {
        m->crc ^= *byte++;
        for (int bit = 0; bit < 8; bit++)
            m->crc = m->crc >> 1 ^ (0xEDB88320u & -(m->crc & 1u));
    }
}

static void operate(model_t *m) {
    const uint32_t kind = below(m, 1024);
    int8_t result = 0;
    if (kind < @step) {
        for (int i = 0; i < LEARNER_INPUTS; i++)
            m->x[i] = (int16_t)((int32_t)below(m, 2 * @reach) - @reach);
        learner_step(&m->learner, m->x, m->y);
        answer(m, m->y, sizeof m->y);
        return;
    }
    if (kind < @label) {
        result = (int8_t)learner_learn(&m->learner, (int)below(m, LEARNER_OUTPUTS + 2) - 1);
    } else if (kind < @reset) {
        learner_reset(&m->learner);
    } else if (kind < @save) {
        uint8_t *blob = m->blobs[below(m, 2)];
        learner_save(&m->learner, blob);
        answer(m, blob, LEARNER_LEARNED_SIZE);
    } else if (kind < @load) {
        uint8_t *blob = m->blobs[below(m, 2)];
        const uint32_t bit = below(m, 8 * LEARNER_LEARNED_SIZE);
        const uint8_t flip = below(m, 5) == 0 ? (uint8_t)(1u << bit % 8) : 0;
        blob[bit / 8] = (uint8_t)(blob[bit / 8] ^ flip);
        result = (int8_t)learner_load(&m->learner, blob);
        blob[bit / 8] = (uint8_t)(blob[bit / 8] ^ flip);
    } else {
        learner_forget(&m->learner);
    }
    answer(m, &result, 1);
}

void model_init(model_t *m) {
    memset(m, 0, sizeof *m);
    learner_init(&m->learner);
    learner_reset(&m->learner);
    m->crc = 0xFFFFFFFFu;
}

void model_reset(model_t *m) {
    (void)m;
}

void model_step(model_t *m, const int16_t *x, int16_t *y) {
    if (x[0] != 0) {
        model_init(m);
        m->random = (uint16_t)x[0];
    }
    for (int i = 0; i < @each; i++)
        operate(m);
    const uint32_t crc = ~m->crc;
    memcpy(y, &crc, sizeof crc);
}
"""

HEADER = """#ifndef MODEL_H
#define MODEL_H
#include "learner.h"
#define MODEL_INPUTS 1
#define MODEL_OUTPUTS 2
#define MODEL_WINDOW 0
#define MODEL_HASH {@hash}
typedef struct {
    learner_t learner;
    uint32_t random, crc;
    int16_t x[LEARNER_INPUTS], y[LEARNER_OUTPUTS];
    uint8_t blobs[2][LEARNER_LEARNED_SIZE];
} model_t;
void model_init(model_t *model);
void model_reset(model_t *model);
void model_step(model_t *model, const int16_t *x, int16_t *y);
#endif
"""


def learner(kind: str) -> Program:
    """Return the program that learns: small, so that interpreters run many operations of it."""
    return random_learner(5, kind, 6, 3, inputs=2)


def checkpoints(program: Program, seed: int, steps: int) -> Iterator[int]:
    """Yield the CRC-32 of the reference's answers after each `A_STEP` operations."""
    random, crc = seed, 0
    size = learned_size(program)
    blobs = [bytes(size)] * 2
    state = program.initial_state()
    reach = 1 << (program.input.bits - 1)

    def below(most: int) -> int:
        nonlocal random
        random ^= random << 13 & 0xFFFFFFFF
        random ^= random >> 17
        random ^= random << 5 & 0xFFFFFFFF
        return (random >> 8) % most

    for number in range(1, steps * A_STEP + 1):
        kind, answer = below(1024), b"\0"
        if kind < ENDS[0]:
            x = [below(2 * reach) - reach for _ in range(program.inputs)]
            y, state = program.step(np.array([x], np.int16), state)
            answer = y.astype("<i2").tobytes()
        elif kind < ENDS[1]:
            label = below(program.outputs + 2) - 1
            if program.learns and 0 <= label < program.outputs:
                state = program.learn(state, label)
            else:
                answer = b"\xff"
        elif kind < ENDS[2]:
            state = program.reset(state)
        elif kind < ENDS[3]:
            place = below(2)
            blobs[place] = program.save_learned(state)
            answer = blobs[place] + answer
        elif kind < ENDS[4]:
            blob = bytearray(blobs[below(2)])
            bit = below(8 * size)
            blob[bit // 8] ^= 1 << bit % 8 if below(5) == 0 else 0
            try:
                state = program.load_learned(bytes(blob), state)
            except ProgramError:
                answer = b"\xff"
        else:
            state = program.forget(state)
        crc = zlib.crc32(answer, crc)
        if number % A_STEP == 0:
            yield crc


@cache
def expected(kind: str, steps: int, seed: int = 12345) -> np.ndarray:
    """Return the checkpoints, int16 [steps, 2]."""
    found = np.array(list(checkpoints(learner(kind), seed, steps)), "<u4")
    return found.view("<i2").reshape(steps, 2)


def image(program: Program, board: BoardSpec, folder: Path) -> Path:
    """Build the image whose step does `A_STEP` operations."""
    plan = plan_library(program, board.core)
    hash_bytes = ", ".join(f"0x{byte:02x}" for byte in program.hash)
    text = WRAPPER
    values = dict(zip(("step", "label", "reset", "save", "load"), ENDS, strict=True))
    for name, value in {**values, "each": A_STEP, "reach": 1 << (program.input.bits - 1)}.items():
        text = text.replace(f"@{name}", str(value))
    files = {"model.h": HEADER.replace("@hash", hash_bytes), "model.c": text}
    write(render(plan, "learner") | files, folder)
    frame = frame_size(board, 1, 2)
    return compile_image(board, folder, ["learner.c", "model.c"], plan.kernel_files, frame)[0]


def wrong_on(board: BoardSpec, kind: str, steps: int, folder: Path, seed: int = 12345) -> int:
    """Return the checkpoints of a board that are not the reference's."""
    program = learner(kind)
    x = np.zeros((steps, 1), np.int16)
    x[0] = seed
    with open_board(board, image=image(program, board, folder)) as opened:
        opened.flash()
        with opened.connect(program.hash) as client:
            y = client.steps(x).y
    return int((y != expected(kind, steps, seed)).any(axis=1).sum())
