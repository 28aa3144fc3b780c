"""The C of raw samples and counts as integers, and a library of it alone, to measure as a step."""

from collections.abc import Mapping

import numpy as np

from edgeflow.codegen.c_text import c_float, c_values
from edgeflow.codegen.sources import source_text
from edgeflow.data.matching import plain_unit
from edgeflow.program import Program
from edgeflow.program.counts import CountsFormat
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


def counts_per_unit(program: Program, known: Mapping[str, float]) -> tuple[float, ...] | None:
    """Return the counts of one unit of each channel; None if they are not known of all.

    Parameters
    ----------
    program : Program
        Whose metadata tell the channels' units; of data in "counts" a unit is a count.
    known : mapping
        Counts of one unit, by the unit in any spelling; empty: those of the program's data.
    """
    metadata = program.metadata
    found = {"counts": 1.0} | {plain_unit(unit): float(value) for unit, value in known.items()}
    units = [plain_unit(unit) for unit in metadata.get("units", ())]
    if len(units) == program.inputs and set(units) <= set(found):
        return tuple(found[unit] for unit in units)
    own = tuple(map(float, metadata.get("counts_per_unit", ())))
    return own if len(own) == program.inputs and not known else None


def missing_counts(program: Program, known: Mapping[str, float]) -> str:
    """Return the message of counts that are not those of each channel."""
    given = ", ".join(f"{unit}={value:g}" for unit, value in known.items())
    units = program.metadata.get("units", ())
    if len(units) != program.inputs:
        return f"counts {given}: the program does not know the units of its channels"
    there = {plain_unit(unit) for unit in known}
    lacking = dict.fromkeys(unit or "no unit" for unit in units if plain_unit(unit) not in there)
    return f"counts {given}: there are channels in {', '.join(lacking)}, too: give theirs"


def counts_declaration(prefix: str) -> str:
    """Return the declaration of ``PREFIX_quantize_counts`` with what it promises."""
    inputs = f"{prefix.upper()}_INPUTS"
    return f"""/*
 * Counts of the sensor, as its registers give them, to the integers of {prefix}_step(), without a
 * float: within one unit of what {prefix}_quantize() makes of the same values.
 */
void {prefix}_quantize_counts(const int16_t counts[{inputs}], int16_t x[{inputs}]);

"""


def counts_function(form: CountsFormat, prefix: str) -> str:
    """Return the definition of ``PREFIX_quantize_counts``, with the bits of `CountsFormat`."""
    inputs, kind = f"{prefix.upper()}_INPUTS", f"int{64 if form.wide else 32}_t"
    values = {
        f"{kind} multiplier": form.multiplier if form.wide else form.multiplier.astype(np.int32),
        f"{kind} bias": form.bias if form.wide else form.bias.astype(np.int32),
        "uint8_t shift": form.shift.astype(np.uint8),
    }
    arrays = "".join(
        f"    static const EF_FLASH {name}[{inputs}] = {{\n{c_values(array, 6)}}};\n"
        for name, array in values.items()
    )
    return f"""void {prefix}_quantize_counts(const int16_t counts[{inputs}], int16_t x[{inputs}]) {{
{arrays}    for (int i = 0; i < {inputs}; i++) {{
        {kind} value = (counts[i] * multiplier[i] + bias[i]) >> shift[i];
        value = value > {form.limit} ? {form.limit} : value;
        x[i] = (int16_t)(value < -{form.limit} ? -{form.limit} : value);
    }}
}}"""


def quantizer_library(program: Program, form: CountsFormat | None = None) -> Mapping[str, str]:
    """Return the files of a stand-in for a program's library, whose step quantizes a sample.

    Its inputs are the halves of float32 values, lower ones first, or with a form a sensor's counts;
    its outputs the integers. Between its two layer marks stands the call of ``sample_quantize`` or
    ``sample_quantize_counts``.
    """
    halves, kind, call = ("2 *", "float", "sample_quantize") if form is None else (
        "", "int16_t", "sample_quantize_counts"
    )  # fmt: skip
    function = (
        quantize_function(program, "sample") if form is None else counts_function(form, "sample")
    )
    hash_bytes = ", ".join(f"0x{byte:02x}" for byte in program.hash)
    header = f"""#ifndef MODEL_H
#define MODEL_H
#include <stdint.h>
#define SAMPLE_INPUTS {program.inputs}
#define MODEL_INPUTS ({halves} SAMPLE_INPUTS)
#define MODEL_OUTPUTS SAMPLE_INPUTS
#define MODEL_WINDOW 0
#define MODEL_HASH {{{hash_bytes}}}
typedef struct {{
    {kind} raw[SAMPLE_INPUTS];
}} model_t;
void model_init(model_t *model);
void model_reset(model_t *model);
void model_step(model_t *model, const int16_t *x, int16_t *y);
void {call}(const {kind} raw[SAMPLE_INPUTS], int16_t x[SAMPLE_INPUTS]);
#endif
"""
    source = f"""#include "model.h"
#include "ef_profile.h"
#include <string.h>

void model_init(model_t *model) {{
    memset(model, 0, sizeof *model);
}}

void model_reset(model_t *model) {{
    model_init(model);
}}

void model_step(model_t *model, const int16_t *x, int16_t *y) {{
    memcpy(model->raw, x, sizeof model->raw);
    EF_PROFILE_LAYER();
    {call}(model->raw, y);
    EF_PROFILE_LAYER();
}}
"""
    includes = '#include "ef_flash.h"\n#include "model.h"\n'
    return {
        "model.h": header,
        "model.c": source,
        "quantize.c": f"{includes}{function}\n",
        "kernels/ef_profile.h": source_text("ef_profile.h"),
    }
