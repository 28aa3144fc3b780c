"""The C of a layer that learns: its memory in ``model_t``, functions, and the learned blob.

What a reset leaves stands at the end of ``model_t``, so that one ``memset`` clears the rest.
"""

from collections.abc import Iterator

import numpy as np

from edgeflow.program import Program
from edgeflow.program.learning import VERSION, learned_size
from edgeflow.program.nodes.adaptive_linear import AdaptiveLinear
from edgeflow.program.nodes.base import Node

#: File of what all learners share.
FUNCTION = "ef_learned"


def _read_out(program: Program) -> AdaptiveLinear | None:
    last = program.nodes[-1]
    return last if isinstance(last, AdaptiveLinear) else None


def _by_itself(program: Program) -> Node | None:
    """Return the layer whose step learns."""
    return next((node for node in program.nodes if node.kept_fields), None)


def members(program: Program) -> Iterator[tuple[str, str, int]]:
    """Yield type, name and size of the members that a layer that learns adds."""
    itself, node = _by_itself(program), _read_out(program)
    if itself is not None:
        for name, vector in itself.saved.items():
            yield np.dtype(vector.dtype).name, f"{itself.name}_{name}", vector.size
    if node is None:
        return
    yield "int16", f"{node.name}_answer", node.answer_scratch
    if node.master_scratch:
        yield "int32", f"{node.name}_masters", node.master_scratch
    for name, vector in {**node.derived, **node.learned}.items():
        yield np.dtype(vector.dtype).name, f"{node.name}_{name}", vector.size


def cleared(program: Program, prefix: str) -> str:
    """Return how many bytes of the model a reset clears, in C."""
    node = _by_itself(program) or _read_out(program)
    if node is None:
        return "sizeof *model"
    return f"offsetof({prefix}_t, {node.name}_{next(iter({**node.derived, **node.saved}))})"


def declarations(program: Program, prefix: str) -> str:
    """Return what the header says of learning; nothing of a program that does not learn."""
    if not program.adapts:
        return ""
    size, macro = learned_size(program), f"{prefix.upper()}_LEARNED_SIZE"
    last = program.outputs - 1
    learns = f"""/*
 * Learns that what was read last, at the end of a window, is of that class, 0..{last}. Call it
 * before the next {prefix}_reset(), which forgets nothing that was learned. Returns 0, or -1 if
 * there is no such class.
 */"""
    forgets = "Forgets all labels: the trained read-out decides again."
    if not program.learns:
        learns = (
            f"/* Returns -1: {prefix}_step() learns by itself, and {prefix}_reset() leaves it. */"
        )
        forgets = "Forgets what steps learned: the trained forecasts are given again."
    return f"""#define {macro} {size} /* bytes of what {prefix}_save() writes */

{learns}
int {prefix}_learn({prefix}_t *model, int label);

/* {forgets} */
void {prefix}_forget({prefix}_t *model);

/* Bytes of what {prefix}_save() writes: {macro}. */
static inline uint32_t {prefix}_learned_size(void) {{
    return {macro};
}}

/* Writes what was learned: version, {prefix.upper()}_HASH, values, CRC-32. */
void {prefix}_save(const {prefix}_t *model, uint8_t blob[{macro}]);

/*
 * Takes what {prefix}_save() wrote. Returns 0, or -1, and changes nothing, if it is of another
 * program or damaged.
 */
int {prefix}_load({prefix}_t *model, const uint8_t blob[{macro}]);

"""


def definitions(program: Program, prefix: str) -> list[str]:
    """Return the functions of learning, with ``@`` before kernels' names."""
    itself, node = _by_itself(program), _read_out(program)
    if itself is not None:
        pointers = ", ".join(f"model->{itself.name}_{field}" for field in itself.saved)
        restore = f"@{itself.c_struct}_restore(&{itself.name}_cell, {pointers});"
        learn = f"""int {prefix}_learn({prefix}_t *model, int label) {{
    (void)model;
    (void)label;
    return -1;
}}"""
        return [*_blob(program, itself, prefix, restore), learn]
    if node is None:
        return []
    name = node.name
    vectors = ["seen", "answer", *(["masters"] if node.master_scratch else [])]
    vectors += [*node.derived, *node.learned]
    pointers = "".join(f"    learner.{field} = model->{name}_{field};\n" for field in vectors)
    restore = f"""const @ef_learner learner = learner_of(model);
    @{node.c_learner.removesuffix("_learn")}_restore(&{name}_cell, &learner);"""
    return [
        f"static @ef_learner learner_of({prefix}_t *model) {{\n"
        f"    @ef_learner learner = {{0}};\n{pointers}    return learner;\n}}",
        f"""int {prefix}_learn({prefix}_t *model, int label) {{
    const @ef_learner learner = learner_of(model);
    if (label < 0 || label >= {program.outputs})
        return -1;
    @{node.c_learner}(&{name}_cell, &learner, (unsigned)label);
    return 0;
}}""",
        *_blob(program, node, prefix, restore),
    ]


def _blob(program: Program, node: Node, prefix: str, restore: str) -> list[str]:
    """Return the functions that forget, save and load what a layer learned."""
    macro, parts = f"{prefix.upper()}_LEARNED_SIZE", len(node.saved)
    table = ",\n".join(
        f"    {{offsetof({prefix}_t, {node.name}_{field}), {vector.nbytes}}}"
        for field, vector in node.saved.items()
    )
    return [
        f"static const @ef_part learned_parts[{parts}] = {{\n{table}}};",
        f"""void {prefix}_forget({prefix}_t *model) {{
    memset((uint8_t *)model + {cleared(program, prefix)}, 0,
        sizeof *model - {cleared(program, prefix)});
}}""",
        f"""void {prefix}_save(const {prefix}_t *model, uint8_t blob[{macro}]) {{
    static const uint8_t hash[8] = {prefix.upper()}_HASH;
    @ef_learned_save(model, learned_parts, {parts}, {VERSION}, hash, blob);
}}""",
        f"""int {prefix}_load({prefix}_t *model, const uint8_t blob[{macro}]) {{
    static const uint8_t hash[8] = {prefix.upper()}_HASH;
    if (@ef_learned_load(model, learned_parts, {parts}, {VERSION}, hash, blob) != 0)
        return -1;
    {restore}
    return 0;
}}""",
    ]


def functions(program: Program) -> set[str]:
    """Return the functions of ``firmware/kernels`` that learning calls besides."""
    return {FUNCTION} if program.adapts else set()
