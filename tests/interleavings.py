"""Random interleavings of steps, labels and the rest that a board makes itself, and the reference too.

Both draw them from xorshift32, and answer each `A_STEP` of them with the CRC-32 of all answers so
far: so 10^5 take a board seconds, where a frame each would take hours. A stream has samples, labels
and blobs of its own; what is done when is the same in all streams, which the reference runs side
by side and a board one after the other.
"""

import zlib
from collections.abc import Iterator, Sequence
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
from edgeflow.program.nodes.base import State
from edgeflow.targets.board import BoardSpec
from tests.random_nodes.adaptive import random_learner

#: Operations of a step of the image; its checkpoints are as far apart.
A_STEP = 100
#: Ends of the ranges of a number below 1024 that mean: step, label, reset, save, load, else forget.
ENDS = (607, 860, 962, 992, 1018)
#: Begin of what is done when; streams that 10^5 operations are shared among.
ORDER, STREAMS = 2463534242, 20

WRAPPER = """#include "model.h"
#include <string.h>

static uint32_t draw(uint32_t *random, uint32_t most) {
    *random ^= *random << 13;
    *random ^= *random >> 17;
    *random ^= *random << 5;
    return (*random >> 8) % most;
}

static uint32_t below(model_t *m, uint32_t most) {
    return draw(&m->random, most);
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
    const uint32_t kind = draw(&m->order, 1024);
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
        const uint8_t flip = (uint8_t)(below(m, 5) == 0 ? 1u << bit % 8 : 0u);
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
        m->order = @order;
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
    uint32_t random, order, crc;
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


class Random:
    """xorshift32, of several seeds side by side."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self._now = np.array(seeds, np.uint32)

    def below(self, most: int) -> np.ndarray:
        now = self._now
        now ^= now << np.uint32(13)
        now ^= now >> np.uint32(17)
        now ^= now << np.uint32(5)
        return ((now >> np.uint32(8)) % np.uint32(most)).astype(np.int64)


def checkpoints(program: Program, seeds: Sequence[int], steps: int) -> Iterator[list[int]]:
    """Yield the CRC-32 of the reference's answers of each stream after each `A_STEP` operations."""
    order, random, n = Random([ORDER]), Random(seeds), len(seeds)
    crc, size = [0] * n, learned_size(program)
    blobs = [[bytes(size)] * 2 for _ in seeds]
    state = program.initial_state(n)
    reach = 1 << (program.input.bits - 1)
    for number in range(1, steps * A_STEP + 1):
        kind, answers = int(order.below(1024)[0]), [b"\0"] * n
        if kind < ENDS[0]:
            x = np.stack([random.below(2 * reach) - reach for _ in range(program.inputs)], axis=1)
            y, state = program.step(x.astype(np.int16), state)
            answers = [row.tobytes() for row in y.astype("<i2")]
        elif kind < ENDS[1]:
            label = random.below(program.outputs + 2) - 1
            known = (label >= 0) & (label < program.outputs) & program.learns
            if program.learns:
                state = program.learn(state, np.where(known, label, -1))
            answers = [b"\0" if one else b"\xff" for one in known]
        elif kind < ENDS[2]:
            state = program.reset(state)
        elif kind < ENDS[3]:
            for k, place in enumerate(random.below(2)):
                blobs[k][place] = program.save_learned(_one(state, k))
                answers[k] = blobs[k][place] + b"\0"
        elif kind < ENDS[4]:
            drawn = zip(random.below(2), random.below(8 * size), random.below(5), strict=True)
            for k, (place, bit, damages) in enumerate(drawn):
                blob = bytearray(blobs[k][place])
                blob[bit // 8] ^= 1 << bit % 8 if damages == 0 else 0
                try:
                    loaded = program.load_learned(bytes(blob), _one(state, k))
                except ProgramError:
                    answers[k] = b"\xff"
                    continue
                for own, new in zip(state, loaded, strict=True):
                    for name in own:
                        own[name] = np.concatenate([own[name][:k], new[name], own[name][k + 1 :]])
        else:
            state = program.forget(state)
        crc = [zlib.crc32(answer, one) for answer, one in zip(answers, crc, strict=True)]
        if number % A_STEP == 0:
            yield crc


def _one(state: list[State], k: int) -> list[State]:
    return [{name: value[k : k + 1] for name, value in own.items()} for own in state]


@cache
def expected(kind: str, steps: int, first: int = 1) -> np.ndarray:
    """Return the checkpoints of `STREAMS` streams of seeds from `first` on, int16 [steps, 2]."""
    seeds = range(first, first + STREAMS)
    found = np.array(list(checkpoints(learner(kind), seeds, steps // STREAMS)), "<u4")
    return found.T.copy().view("<i2").reshape(-1, 2)


def image(program: Program, board: BoardSpec, folder: Path) -> Path:
    """Build the image whose step does `A_STEP` operations."""
    plan = plan_library(program, board.core)
    hash_bytes = ", ".join(f"0x{byte:02x}" for byte in program.hash)
    text = WRAPPER
    values = dict(zip(("step", "label", "reset", "save", "load"), ENDS, strict=True))
    for name, value in {
        **values,
        "each": A_STEP,
        "order": f"{ORDER}u",
        "reach": 1 << (program.input.bits - 1),
    }.items():
        text = text.replace(f"@{name}", str(value))
    files = {"model.h": HEADER.replace("@hash", hash_bytes), "model.c": text}
    write(render(plan, "learner") | files, folder)
    frame = frame_size(board, 1, 2)
    return compile_image(board, folder, ["learner.c", "model.c"], plan.kernel_files, frame)[0]


def wrong_on(board: BoardSpec, kind: str, steps: int, folder: Path) -> int:
    """Return the checkpoints of a board that are not the reference's."""
    program, right = learner(kind), expected(kind, steps)
    x = np.zeros((len(right), 1), np.int16)
    x[:: len(right) // STREAMS, 0] = range(1, 1 + STREAMS)
    with open_board(board, image=image(program, board, folder)) as opened:
        opened.flash()
        with opened.connect(program.hash) as client:
            y = client.steps(x).y
    return int((y != right).any(axis=1).sum())
