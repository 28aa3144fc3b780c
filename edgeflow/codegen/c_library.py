"""A program as a C99 library: ``model.h``, ``model.c`` and the kernels that it uses.

The library has no dependency: no malloc, no stdio, no libm. State and scratch are inside
``model_t``, which the caller owns.
"""

import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeflow import __version__
from edgeflow.codegen.kernels import MatvecKernel, TvmBody, choose_kernel
from edgeflow.codegen.layouts.layout import Packed
from edgeflow.codegen.sources import included_files, source_file, source_text
from edgeflow.codegen.tvm_code import StepCode, TvmCode
from edgeflow.files import write_atomic
from edgeflow.program.fixedpoint import symmetric_max
from edgeflow.program.matrix import Matrix, round_up
from edgeflow.program.nodes import Node
from edgeflow.program.nodes.base import factor_of
from edgeflow.program.program import Program
from edgeflow.targets.board import CoreSpec

#: Headers that ``model.c`` includes.
HEADERS = ("ef_kernels.h", "ef_profile.h")


def write_library(
    program: Program,
    directory: str | Path,
    kernel_sets: Sequence[str],
    kernels: Mapping[str, MatvecKernel] | None = None,
    core: CoreSpec | None = None,
    tvm_layers: Collection[str] = (),
) -> list[str]:
    """Write the library into `directory`.

    Parameters
    ----------
    program : Program
    directory : path
    kernel_sets : sequence of str
        The core's kernel sets in order of preference; ``["c"]`` for code that runs anywhere.
    kernels : mapping, optional
        The kernel of each matrix, by layer and field: ``gru.input``. Default: the first that fits.
    core : CoreSpec, optional
        Needed where kernels or steps are by TVM.
    tvm_layers : collection of str
        Layers whose step TVM writes.

    Returns
    -------
    list of str
        Paths of the C files, relative to `directory`.

    Raises
    ------
    TargetError
        If no kernel fits.
    """
    directory = Path(directory)
    if kernels is None:
        kernels = {
            f"{node.name}.{field}": choose_kernel(matrix, kernel_sets)
            for node in program.nodes
            for field, matrix in node.products().items()
        }
    code = _tvm_code(program, kernels, core, tvm_layers)
    sources = _kernel_sources(program, kernel_sets, kernels, code)
    folder = directory / "kernels"
    shutil.rmtree(folder, ignore_errors=True)
    for name in {*HEADERS, *included_files([*HEADERS, *sources]), *sources}:
        target = folder / Path(name).name
        write_atomic(target, source_text(name))
    if code.file:
        write_atomic(folder / code.file, code.text)
    packed = {
        f"{node.name}.{field}": kernels[f"{node.name}.{field}"].pack(matrix)
        for node in program.nodes
        for field, matrix in node.products().items()
    }
    write_atomic(directory / "model.h", model_header(program, packed, code))
    write_atomic(directory / "model.c", model_source(program, kernels, packed, code))
    names = [*(Path(name).name for name in sources), *([code.file] if code.file else [])]
    return ["model.c", *(f"kernels/{name}" for name in names)]


def _tvm_code(
    program: Program,
    kernels: Mapping[str, MatvecKernel],
    core: CoreSpec | None,
    layers: Collection[str],
) -> TvmCode:
    bodies = [
        kernels[f"{node.name}.{field}"].body(matrix)
        for node in program.nodes
        for field, matrix in node.products().items()
        if kernels[f"{node.name}.{field}"].by_tvm
    ]
    if not bodies and not layers:
        return TvmCode()
    assert core is not None
    from edgeflow.codegen.tvm.library import tvm_code

    return tvm_code(bodies, [node for node in program.nodes if node.name in layers], core)


def _kernel_sources(
    program: Program,
    kernel_sets: Sequence[str],
    kernels: Mapping[str, MatvecKernel],
    code: TvmCode,
) -> list[str]:
    functions = {"ef_clamp_s16"} | {k.name for k in kernels.values() if not k.by_tvm}
    delta = [f"{node.name}.{field}" for node in program.nodes for field in node.delta_matrices()]
    if any(not kernels[name].delta for name in delta):
        functions.add("ef_hold_matvec")
    if any(m.factor for node in program.nodes for m in node.matrices().values()):
        functions.add("ef_low_rank_matvec")
    functions |= {f"ef_table_{table}" for node in program.nodes for table in node.tables}
    ours = [node for node in program.nodes if node.name not in code.steps]
    functions |= {node.c_function for node in ours if node.c_function}
    functions |= {helper for node in ours for helper in node.c_helpers}
    functions |= {"ef_apply"} if code.steps else set()
    return sorted(source_file(function, kernel_sets) for function in functions)


def _output(node: Node) -> str:
    """Return the member of model_t that holds the layer's output."""
    return f"{node.name}_{node.output_state or 'y'}"


def _members(program: Program, packed: Mapping[str, Packed], code: TvmCode) -> str:
    """Return the members of model_t after the input; sizes keep each aligned to 8 bytes."""
    members = []
    for node in program.nodes:
        for name, vector in node.states.items():
            kind = f"{np.dtype(vector.dtype).name}_t"
            members.append(f"{kind} {node.name}_{name}[{round_up(vector.size)}]")
        for field, matrix in node.delta_matrices().items():
            words = packed[f"{node.name}.{field}"].memory.size + round_up(matrix.cols) // 2
            members.append(f"int32_t {node.name}_{field}_memory[{round_up(words)}]")
        for field, matrix in node.matrices().items():
            if matrix.factor is not None:
                members.append(f"int16_t {node.name}_{field}_reads[{round_up(matrix.cols)}]")
    for node in program.nodes[:-1]:
        if node.output_state is None:
            members.append(f"int16_t {_output(node)}[{round_up(node.outputs)}]")
    for kind, name in (("int16_t", "scratch"), ("int32_t", "scratch32")):
        ours = [node for node in program.nodes if node.name not in code.steps]
        size = max((getattr(node, name) for node in ours), default=0)
        if name == "scratch":
            size = max([size, *(-(-step.scratch // 2) for step in code.steps.values())])
        if size:
            members.append(f"{kind} {name}[{round_up(size)}]")
    return "".join(f"    {member};\n" for member in members)


def model_header(program: Program, packed: Mapping[str, Packed], code: TvmCode) -> str:
    """Return ``model.h``, given each matrix as its kernel reads it."""
    form = program.input
    hash_bytes = ", ".join(f"0x{byte:02x}" for byte in program.hash)
    names = ", ".join(map(_plain, form.channels))
    decided = _decided_prototype(program)
    return f"""/* Generated by EdgeFlow {__version__}: program {program.hash.hex()}. */
#ifndef MODEL_H
#define MODEL_H

#include <stdint.h>

#define MODEL_INPUTS {program.inputs}
#define MODEL_OUTPUTS {program.outputs}
#define MODEL_WINDOW {program.window} /* samples a decision; 0: a decision each sample */
#define MODEL_HASH {{{hash_bytes}}}
#define MODEL_OUTPUT_SCALE {_float(program.output_scale)} /* real value of one output unit */

/*
 * Inputs: {names}.
 * model_quantize() turns raw samples into integers of {form.bits} bits.
 *
 * Outputs: the largest wins.
{_comment(program.classes)} */

typedef struct {{
    union {{
        uint64_t align; /* kernels read pairs of values as words */
        int16_t x[{round_up(program.inputs)}];
    }} in;
{_members(program, packed, code)}}} model_t;

#ifdef __cplusplus
extern "C" {{
#endif

/* Prepares the memory; call it once, before anything else. sizeof(model_t) is all it needs. */
void model_init(model_t *model);

/* Forgets the past: call it at the start of each window or stream. */
void model_reset(model_t *model);

/* Reads one sample, writes the outputs after it. */
void model_step(model_t *model, const int16_t x[MODEL_INPUTS], int16_t y[MODEL_OUTPUTS]);

{decided}/* Raw sample in the training data's units to the integers of model_step(). */
void model_quantize(const float raw[MODEL_INPUTS], int16_t x[MODEL_INPUTS]);

#ifdef __cplusplus
}}
#endif

#endif
"""


def _comment(classes: Sequence[str]) -> str:
    return "".join(f" *   {i}  {_plain(name)}\n" for i, name in enumerate(classes))


def _plain(text: str) -> str:
    """Return `text` such that it cannot end a C comment; without trigraphs."""
    return " ".join(text.split()).replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?")


def _float(value: float) -> str:
    text = f"{float(np.float32(value)):.9g}"
    return text + ("f" if any(c in text for c in ".en") else ".0f")


def model_source(
    program: Program,
    kernels: Mapping[str, MatvecKernel],
    packed: Mapping[str, Packed],
    code: TvmCode,
) -> str:
    """Return ``model.c``, given each matrix as its kernel reads it."""
    parts = [
        f"/* Generated by EdgeFlow {__version__}: program {program.hash.hex()}. */",
        '#include "model.h"\n\n#include "ef_kernels.h"\n#include "ef_profile.h"\n\n'
        "#include <stddef.h>\n#include <string.h>",
        *_distance(program),
    ]
    source = "in"
    for node in program.nodes:
        parts.append(_constants(node, kernels, packed, source, code.steps.get(node.name)))
        source = _output(node)
    parts += [_lifecycle(program, packed), _quantize(program), _step(program, code)]
    return "\n\n".join(parts) + "\n"


def _constants(
    node: Node,
    kernels: Mapping[str, MatvecKernel],
    packings: Mapping[str, Packed],
    source: str,
    step: StepCode | None,
) -> str:
    """Return what a layer reads from flash; `source` is the member of model_t that it reads."""
    parts = [f"/* {node.name}: {node.op_type}, {node.inputs} -> {node.outputs} */"]
    for field, matrix in node.products().items():
        name = f"{node.name}_{field}"
        kernel = kernels[f"{node.name}.{field}"]
        packed = packings[f"{node.name}.{field}"]
        function, weights, bias, multiplier = kernel.name, f"{name}_weights", "0", "0"
        if kernel.by_tvm:
            function = f"{name}_matvec"
            parts.append(_tvm_wrapper(function, kernel.body(matrix)))
        if packed.weights.dtype == np.uint32:
            parts.append(_array("uint32_t", weights, packed.weights))
        else:
            # the alignment that ef_matrix asks for, without a compiler extension
            parts.append(
                f"static const union {{\n    int8_t weights[{packed.weights.size}];\n"
                f"    uint32_t align;\n}} {weights} = {{{{\n{_list(packed.weights)}\n}}}};"
            )
            weights = f"&{weights}"
        if not packed.complete:
            bias, multiplier = f"{name}_bias", f"{name}_multiplier"
            parts.append(_array("int32_t", bias, matrix.bias))
            parts.append(_array("int32_t", multiplier, matrix.multiplier))
        if matrix.threshold and not kernel.delta:
            values = [function, weights, bias, multiplier, *_format(matrix), "1", "0", "0"]
            parts.append(_struct("ef_matrix", f"{name}_dense", values))
            values = ["ef_hold_matvec", f"&{name}_dense", "0", "0"]
        else:
            values = [function, weights, bias, multiplier]
        memory = "0"
        if matrix.threshold:
            memory = _from_x(node, field, source, f"{name}_memory")
            if packed.memory.size:
                parts.append(_array("uint32_t", f"{name}_start", packed.memory))
        values += [*_format(matrix), str(matrix.group), str(matrix.threshold), memory]
        if matrix.factor is not None:
            parts.append(_struct("ef_matrix", f"{name}_left", values))
            factors = [f"&{node.name}_{factor_of(field)}", f"&{name}_left"]
            parts.append(_struct("ef_low_rank", f"{name}_factors", factors))
            size = [str(matrix.rows), str(matrix.inputs), "0"]
            memory = _from_x(node, field, source, f"{name}_reads")
            values = ["ef_low_rank_matvec", f"&{name}_factors", "0", "0", *size, "1", "0", memory]
        parts.append(_struct("ef_matrix", name, values))
    for field, array in node.arrays().items():
        if step is not None and not step.reads("array", field):
            continue
        parts.append(_array(f"{array.dtype.name}_t", f"{node.name}_{field}", array))
    if step is not None:
        parts.append(step.prototype)
    elif node.c_struct:
        pointers = [_pointer(node, field) for field in node.c_pointers]
        values = [*pointers, *map(str, node.c_sizes), *map(str, node.ints().values())]
        parts.append(f"static const {node.c_struct} {node.name}_cell = {{{', '.join(values)}}};")
    return "\n".join(parts)


def _from_x(node: Node, field: str, source: str, member: str) -> str:
    """Return the distance of a member of model_t from what a product reads."""
    reads = node.source_of(field)
    return f"EF_DISTANCE({source if reads == 'x' else f'{node.name}_{reads}'}, {member})"


def _tvm_wrapper(function: str, body: TvmBody) -> str:
    return (
        f"void {body.symbol}(const void *weights, const int16_t *x, int16_t *y);\n"
        f"static void {function}(const ef_matrix *matrix, const int16_t *x, int16_t *y) {{\n"
        f"    {body.symbol}(matrix->weights, x, y);\n}}"
    )


def _distance(program: Program) -> list[str]:
    """Return the macro that finds what matrices keep in model_t, if any do."""
    products = [m for node in program.nodes for m in node.products().values()]
    if not any(matrix.threshold or matrix.factor for matrix in products):
        return []
    return [
        "/* bytes from one member of model_t to another */\n#define EF_DISTANCE(from, to) \\\n"
        "    ((int32_t)offsetof(model_t, to) - (int32_t)offsetof(model_t, from))"
    ]


def _format(matrix: Matrix) -> list[str]:
    return [str(matrix.rows), str(matrix.cols), str(matrix.shift)]


def _struct(kind: str, name: str, values: Sequence[str]) -> str:
    return f"static const {kind} {name} = {{\n    {', '.join(values)}}};"


def _pointer(node: Node, field: str | None) -> str:
    if field is None:
        return "0"
    return f"{'&' if field in node.matrix_fields else ''}{node.name}_{field}"


def _array(kind: str, name: str, values: NDArray[np.generic]) -> str:
    return f"static const {kind} {name}[{values.size}] = {{\n{_list(values)}\n}};"


def _list(values: NDArray[np.generic]) -> str:
    if values.dtype == np.uint32:
        words, a_line = [f"0x{int(v):08x}" for v in values], 8
    else:
        # -2147483648 is not a literal in C
        words = ["(-2147483647 - 1)" if int(v) == -(1 << 31) else str(int(v)) for v in values]
        a_line = 20 if values.dtype == np.int8 else 10
    lines = (", ".join(words[i : i + a_line]) for i in range(0, len(words), a_line))
    return ",\n".join(f"    {line}" for line in lines)


def _lifecycle(program: Program, packed: Mapping[str, Packed]) -> str:
    names = [
        f"{node.name}_{field}"
        for node in program.nodes
        for field in node.delta_matrices()
        if packed[f"{node.name}.{field}"].memory.size
    ]
    copies = "".join(
        f"    memcpy(model->{name}_memory, {name}_start, sizeof {name}_start);\n" for name in names
    )
    return f"""void model_init(model_t *model) {{
    memset(model, 0, sizeof *model);
{copies}}}

void model_reset(model_t *model) {{
    model_init(model);
}}"""


def _quantize(program: Program) -> str:
    form = program.input
    inverse = np.float32(1) / form.scale
    limit = symmetric_max(form.bits)
    return f"""void model_quantize(const float raw[MODEL_INPUTS], int16_t x[MODEL_INPUTS]) {{
    static const float offset[MODEL_INPUTS] = {{{", ".join(map(_float, form.offset))}}};
    static const float inverse_scale[MODEL_INPUTS] = {{{", ".join(map(_float, inverse))}}};
    for (int i = 0; i < MODEL_INPUTS; i++) {{
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


def _step(program: Program, code: TvmCode) -> str:
    limit = symmetric_max(program.input.bits)
    lines = []
    if program.cutoff is not None:
        lines.append(
            f"    if (model->{program.cutoff.name}_count[0] < 0) {{\n"
            f"        memcpy(y, model->{_output(program.cutoff)}, MODEL_OUTPUTS * sizeof *y);\n"
            "        return;\n    }"
        )
    lines.append(f"    ef_clamp_s16(x, model->in.x, MODEL_INPUTS, {limit});")
    value = "model->in.x"
    for node in program.nodes:
        last = node is program.nodes[-1]
        y = "y" if last and node.output_state is None else f"model->{_output(node)}"
        states = {name: f"model->{node.name}_{name}" for name in node.states}
        if node.name in code.steps:
            call = code.steps[node.name].call(value, y, states, "model->scratch")
        else:
            call = node.c_call(value, y, states, ("model->scratch", "model->scratch32"))
        lines.append(f"    {call}")
        lines.append("    EF_PROFILE_LAYER();")
        if last and node.output_state is not None:
            lines.append(f"    memcpy(y, {y}, MODEL_OUTPUTS * sizeof *y);")
        value = y
    body = "\n".join(lines)
    step = (
        "void model_step(model_t *model, const int16_t x[MODEL_INPUTS], "
        f"int16_t y[MODEL_OUTPUTS]) {{\n{body}\n}}"
    )
    if program.cutoff is None:
        return step
    return (
        f"{step}\n\nint model_decided(const model_t *model) {{\n"
        f"    return model->{program.cutoff.name}_count[0] < 0;\n}}"
    )


def _decided_prototype(program: Program) -> str:
    if program.cutoff is None:
        return ""
    return """/*
 * Tells whether the outputs stand until model_reset(), whatever the samples: model_step() then only
 * copies them, and need not be called.
 */
int model_decided(const model_t *model);

"""
