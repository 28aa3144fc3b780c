"""The C of raw samples as integers, and a library of it alone, as whose step it can be measured."""

from collections.abc import Mapping

import numpy as np

from edgeflow.codegen.c_text import c_float
from edgeflow.codegen.sources import source_text
from edgeflow.program import Program
from edgeflow.program.fixedpoint import symmetric_max

#: Sources of `quantizer_library`, apart so that the compiler does not merge them.
SOURCES = ("model.c", "quantize.c")


def quantize_function(program: Program, prefix: str) -> str:
    """Return the definition of ``PREFIX_quantize``, with the bits of `Program.quantize_input`."""
    form = program.input
    inverse = np.float32(1) / form.scale
    limit = symmetric_max(form.bits)
    inputs = f"{prefix.upper()}_INPUTS"
    return f"""void {prefix}_quantize(const float raw[{inputs}], int16_t x[{inputs}]) {{
    static const EF_FLASH float offset[{inputs}] = {{{", ".join(map(c_float, form.offset))}}};
    static const EF_FLASH float inverse_scale[{inputs}] = {{{", ".join(map(c_float, inverse))}}};
    for (int i = 0; i < {inputs}; i++) {{
        float value = (raw[i] - offset[i]) * inverse_scale[i];
        if (!(value == value))
            x[i] = 0; /* not a number */
        else if (value >= {limit}.0f)
            x[i] = {limit};
        else if (value <= -{limit}.0f)
            x[i] = -{limit};
        else
            x[i] = (int16_t)(value < 0.0f ? value - 0.5f : value + 0.5f);
    }}
}}"""


def quantizer_library(program: Program) -> Mapping[str, str]:
    """Return the files of a stand-in for a program's library, whose step quantizes a sample.

    Its inputs are the halves of float32 values, lower ones first; its outputs the integers. Between
    its two layer marks stands the call of ``sample_quantize``.
    """
    hash_bytes = ", ".join(f"0x{byte:02x}" for byte in program.hash)
    header = f"""#include <stdint.h>
#define SAMPLE_INPUTS {program.inputs}
#define MODEL_INPUTS (2 * SAMPLE_INPUTS)
#define MODEL_OUTPUTS SAMPLE_INPUTS
#define MODEL_WINDOW 0
#define MODEL_HASH {{{hash_bytes}}}
typedef struct {{
    float raw[SAMPLE_INPUTS];
}} model_t;
void model_init(model_t *model);
void model_reset(model_t *model);
void model_step(model_t *model, const int16_t *x, int16_t *y);
void sample_quantize(const float raw[SAMPLE_INPUTS], int16_t x[SAMPLE_INPUTS]);
"""
    source = """#include "model.h"
#include "ef_profile.h"
#include <string.h>

void model_init(model_t *model) {
    memset(model, 0, sizeof *model);
}

void model_reset(model_t *model) {
    model_init(model);
}

void model_step(model_t *model, const int16_t *x, int16_t *y) {
    memcpy(model->raw, x, sizeof model->raw);
    EF_PROFILE_LAYER();
    sample_quantize(model->raw, y);
    EF_PROFILE_LAYER();
}
"""
    includes = '#include "ef_flash.h"\n#include "model.h"\n'
    return {
        "model.h": header,
        "model.c": source,
        "quantize.c": f"{includes}{quantize_function(program, 'sample')}\n",
        "kernels/ef_profile.h": source_text("ef_profile.h"),
    }
